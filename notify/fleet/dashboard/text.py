"""What strangers say, as text for people: bounded, visible, on lines of its own."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TypeVar, cast

from notify.backends.stdout import escape
from notify.clip import clip
from notify.clock import is_time
from notify.duration import duration
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import State
from notify.plain import clean, safe_str

T = TypeVar("T")


def line(value: object, limit: int = 200) -> str:
    r"""Return *value* on one line, *limit* code points at most, with what cannot be seen written out.

    NUL becomes `\x00`, and what turns the direction of writing `\u202e`: on a page it would move what stands beside it.
    """
    return escape(clip(" ".join(clean(safe_str(value)).split()), limit))


def lines(value: str, limit: int) -> str:
    """Return *value* as `line` does, but with its line ends and its indents."""
    return "\n".join(map(escape, clip(clean(value).expandtabs(4), limit).splitlines()))


def exact(seconds: float) -> str:
    """Return epoch seconds as `2026-01-31 23:59:59 UTC`, empty for what is no time."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if is_time(seconds) else ""


def iso(seconds: float) -> str:
    """Return epoch seconds as `2026-01-31T23:59:59Z`, empty for what is no time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if is_time(seconds) else ""


def ago(seconds: float, now: float) -> str:
    """Return how long before *now* a moment was: `42 s ago`; `just now` also for one that is still to come."""
    return f"{duration(int(now - seconds))} ago" if now - seconds >= 1 else "just now"


def response_time(seconds: float) -> str:
    """Return a short time as `42 ms` or `1.3 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def percent(share: float) -> str:
    """Return a share as `99.8 %`. Only what is whole is `100 %`, and only nothing is `0 %`."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(99.9, max(0.1, math.floor(share * 1000) / 10)):.1f} %"


def initials(name: str) -> str:
    """Return one or two letters that stand for *name*."""
    words = [word for word in "".join(c if c.isalnum() else " " for c in name).split() if word]
    if not words:
        return "?"
    return (words[0][0] + words[1][0] if len(words) > 1 else words[0][:2]).upper()


def redacted(value: T, redact: Callable[[str], str]) -> T:
    """Return a record, a tuple or a text with the secrets taken out of every text in it, but for those of a strategy.

    Args:
        value: of tuples, frozen dataclasses and JSON's scalars; a `Strategy` is the operator's own, and stays as it is.
        redact: takes secrets out of a text.
    """
    if isinstance(value, str) and not isinstance(value, State):
        return cast("T", redact(value))
    if isinstance(value, tuple):
        items = tuple(redacted(item, redact) for item in value)
        make = getattr(value, "_make", None)  # of a named one
        return cast("T", items if make is None else make(items))
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Strategy):
        names = [field.name for field in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: redacted(getattr(value, name), redact) for name in names})
    return value
