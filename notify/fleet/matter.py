"""One matter that begins, goes on and ends, as it is told to people: pure, the time is passed in.

Of what goes up and down again and again every new end is awaited longer, so that it is told ever more rarely: the 3rd
outage of a day is over when there was none for ten minutes, the 4th after 20, and from the 6th on an hour, which is as
often as reminders come.
"""

from dataclasses import dataclass, replace
from enum import Enum

REPEAT = 3600.0  # seconds between two reminders

_DAY = 86_400.0  # seconds for which a matter that has been told is counted
_AT_ONCE = 2  # matters of a day whose end is told at once
_STEADY = 600.0  # seconds without it, for the first that is not
_MOST = 8  # that are counted, more than make a difference


class Step(Enum):
    """What is to be told of a matter."""

    BEGAN = "began"
    GOES_ON = "goes on"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Matter:
    """Where a matter stands. Times are UTC epoch seconds.

    Args:
        failures: looks in a row that have found it, as many as it takes to be told at most.
        since: when the first of them did.
        told_at: when it was told last; None: it is not told, or not there.
        well_since: when a look did not find it any more, while it is awaited that this stays so.
        told: when those of the last day were told first.
    """

    failures: int = 0
    since: float | None = None
    told_at: float | None = None
    well_since: float | None = None
    told: tuple[float, ...] = ()

    def steady_for(self) -> float:
        """Return for how many seconds it has to be away before its end is told."""
        count = len(self.told) - _AT_ONCE
        return min(REPEAT, _STEADY * 2 ** (count - 1)) if count > 0 else 0.0

    def lasted(self, at: float) -> float:
        """Return for how many seconds it has been there at *at*, or was until it ended."""
        end = at if self.well_since is None else self.well_since
        return max(0.0, end - (end if self.since is None else self.since))


def step(matter: Matter, *, failed: bool, at: float, looks: int, reminded: bool = True) -> tuple[Matter, Step | None]:
    """Return where *matter* stands after a look, and what is to be told, if anything.

    Args:
        matter: where it stood.
        failed: whether the look has found it.
        at: when.
        looks: that have to find it in a row before it is told.
        reminded: whether reminders are told.
    """
    told = tuple(each for each in matter.told if abs(at - each) <= _DAY)
    if matter.told_at is None:
        if not failed:
            return Matter(told=told), None
        since = at if matter.since is None else matter.since
        if matter.failures + 1 < looks:
            return Matter(failures=matter.failures + 1, since=since, told=told), None
        return Matter(failures=looks, since=since, told_at=at, told=(*told, at)[-_MOST:]), Step.BEGAN
    if failed:
        # A clock that was set back by more than a look must not keep people waiting.
        if reminded and not 0 <= at - matter.told_at < REPEAT:
            return replace(matter, told_at=at, well_since=None, told=told), Step.GOES_ON
        return replace(matter, well_since=None, told=told), None
    well_since = at if matter.well_since is None else min(at, matter.well_since)
    if at - well_since < replace(matter, told=told).steady_for():
        return replace(matter, well_since=well_since, told=told), None
    return Matter(told=told), Step.ENDED
