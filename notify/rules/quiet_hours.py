"""The hours in which nothing but a CRITICAL event makes a sound."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import combinations

_HOURS = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])-([01]?[0-9]|2[0-3]):([0-5][0-9])")
_DAY = 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of each day, by the clock on the wall of one time zone: a change of clocks moves them with it.

    Args:
        hours: begin and end of each span, in minutes since midnight. The end is no part of it, and before the begin
            when midnight lies between them.
        zone: the time zone.
    """

    hours: tuple[tuple[int, int], ...]
    zone: tzinfo = UTC

    def covers(self, at: float) -> bool:
        """Say whether it is quiet *at* a time, in UTC epoch seconds. No hours cover what is on no calendar."""
        try:
            wall = datetime.fromtimestamp(at, self.zone)
        except (ValueError, OverflowError, OSError):
            return False
        minute = wall.hour * 60 + wall.minute
        return any(minute in part for span in self.hours for part in _parts(span))

    def __str__(self) -> str:
        spans = (f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}" for begin, end in self.hours)
        return f"{','.join(spans)} {self.zone}"


def parse_quiet_hours(text: str) -> QuietHours:
    """Return what `22:00-07:00 Europe/Helsinki` says: spans with commas between them, and a time zone, UTC without one.

    Raises `ValueError`, without the text, when it says something else, when two spans share a minute, and when this
    system does not know the time zone.
    """
    said, _, zone = text.strip().partition(" ")
    hours = tuple(_span(part.strip()) for part in said.split(","))
    for one, other in combinations(hours, 2):
        if any(set(part) & set(another) for part in _parts(one) for another in _parts(other)):
            raise ValueError("not free of overlaps: two spans share a minute")
    return QuietHours(hours, _zone(zone.strip()))


def _span(text: str) -> tuple[int, int]:
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError("not hours such as 22:00-07:00 Europe/Helsinki")
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begin == end:
        raise ValueError("not a span: it ends when it begins")
    return begin, end


def _parts(span: tuple[int, int]) -> tuple[range, ...]:
    """Return the minutes of a span, in two parts when midnight lies in it."""
    begin, end = span
    return (range(begin, end),) if begin < end else (range(begin, _DAY), range(end))


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC"):
        return UTC
    import zoneinfo  # for those who have one

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            "not a time zone that this system knows, such as Europe/Helsinki (the package tzdata has them all)"
        ) from None
