"""When each strategy is due: pure, the time is passed in."""

import heapq
import math
from collections.abc import Sequence

_APART = 0.05  # seconds between two first turns: a page has its first hundred answers after five seconds


class Schedule:
    """Turns at fixed points of time, a grid for each member: what comes late moves no later turn. Not thread-safe.

    Members are numbers from 0 on. The first turns are spread out, over the shortest interval at most, and so are all
    that follow at the same interval.

    Args:
        intervals: seconds between two turns of each member.
        now: monotonic seconds, the first turn's.
    """

    def __init__(self, intervals: Sequence[float], *, now: float) -> None:
        apart = min(_APART, min(intervals, default=0.0) / max(1, len(intervals)))
        self._intervals = tuple(intervals)
        self._first = tuple(now + number * apart for number in range(len(intervals)))
        self._due = [(first, number) for number, first in enumerate(self._first)]

    def next_due(self) -> float | None:
        """Return when the next turn is, in monotonic seconds; None while no member waits for one."""
        return self._due[0][0] if self._due else None

    def take(self, now: float) -> int | None:
        """Return who has waited longest for a turn that has come by *now*, None for nobody.

        There is no other turn of this member until it was given `back`.
        """
        return heapq.heappop(self._due)[1] if self._due and self._due[0][0] <= now else None

    def back(self, member: int, now: float) -> None:
        """Have *member*, whose turn has ended, wait for the next one of its grid. Those it has missed are left out."""
        first, interval = self._first[member], self._intervals[member]
        turn = math.floor((now - first) / interval) + 1
        if first + turn * interval <= now:  # rounded down: it would have the same turn again
            turn += 1
        heapq.heappush(self._due, (first + turn * interval, member))
