"""A length of time, as people read it."""

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_EXACT = 10.0  # seconds below which tenths count, and milliseconds below one


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units: `3 d 4 h`, `12 min 5 s`, `2.3 s`, `0.017 s`; `0 s` below 0."""
    if seconds < _EXACT:
        return f"{max(0.0, round(seconds, 3)):.2g} s"
    rest = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if parts and not count:
            break
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts)
