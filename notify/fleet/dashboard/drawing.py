"""Pictures of the last 24 hours as paths of SVG: pure, and small, since the page has hundreds of them."""

from collections.abc import Sequence
from typing import NamedTuple

from notify.fleet.dashboard.history import SLOT, SLOTS, slot_of
from notify.fleet.dashboard.history_file import Seen
from notify.fleet.verdict import State

MARKS = 48
"""Marks of a bar: half hours."""

MARK_WIDTH = 3
POINTS = 24
"""Points of a line of response times: slots of ten minutes."""

_BAR_MIDDLE = 7
_POINT_WIDTH = 3
_LINE_HEIGHT = 12
_LEAST_SCALE = 0.05  # seconds that the height stands for at least: below that nobody needs to see a difference
_SLOTS_A_MARK = 3


class Mark(NamedTuple):
    """A half hour of the bar.

    Args:
        begin: UTC epoch seconds.
        state: the worst that was seen in it; None: nothing was seen.
    """

    begin: float
    state: State | None


class Bar(NamedTuple):
    """How a strategy was in the last 24 hours.

    Args:
        paths: for each state that was seen, the worst first, a path of horizontal strokes that are dashed into marks.
        running: the share of looks that saw it running; None: there were none.
        marks: what the paths show, oldest first.
    """

    paths: tuple[tuple[str, str], ...]
    running: float | None
    marks: tuple[Mark, ...]


def bar(seen: Sequence[Seen | None], now: float) -> Bar:
    """Return the bar of what `History.last_day` gives. Half hours in which nothing was seen stay empty."""
    first = slot_of(now) - SLOTS + 1
    by_mark: dict[int, list[Seen]] = {}
    for number, one in enumerate(seen, first):
        if one is not None:
            by_mark.setdefault(number // _SLOTS_A_MARK, []).append(one)
    last = slot_of(now) // _SLOTS_A_MARK
    marks = tuple(
        Mark(number * _SLOTS_A_MARK * SLOT, _worst(by_mark.get(number, ())))
        for number in range(last - MARKS + 1, last + 1)
    )
    looks = sum(sum(one[:4]) for one in seen if one is not None)
    running = sum(one.running for one in seen if one is not None)
    paths = [(state.value, _strokes(marks, state)) for state in State]
    return Bar(tuple(pair for pair in paths if pair[1]), running / looks if looks else None, marks)


def response_line(seen: Sequence[Seen | None]) -> str:
    """Return a path through the mean response times of the last `POINTS` slots; it breaks where nothing answered."""
    times = [_mean(one) for one in seen[-POINTS:]]
    scale = max((each for each in times if each is not None), default=0.0)
    scale = max(scale, _LEAST_SCALE)
    path, previous = [], None
    for number, seconds in enumerate(times):
        if seconds is None:
            previous = None
            continue
        y = round(_LINE_HEIGHT * (1 - seconds / scale))
        if previous is None:
            is_alone = number + 1 == len(times) or times[number + 1] is None
            path.append(f"M{number * _POINT_WIDTH} {y}" + ("h0" if is_alone else ""))
        else:
            path.append(f"l{_POINT_WIDTH} {y - previous}".replace(" -", "-"))
        previous = y
    return "".join(path)


def _worst(seen: Sequence[Seen]) -> State | None:
    return next((state for state in State if any(getattr(one, state.value) for one in seen)), None)


def _strokes(marks: Sequence[Mark], state: State) -> str:
    path, begun = [], None
    for number, mark in enumerate((*marks, Mark(0.0, None))):
        if mark.state is state:
            begun = number if begun is None else begun
        elif begun is not None:
            path.append(f"M{begun * MARK_WIDTH} {_BAR_MIDDLE}h{(number - begun) * MARK_WIDTH}")
            begun = None
    return "".join(path)


def _mean(seen: Seen | None) -> float | None:
    answered = seen.running + seen.stale + seen.crashed if seen is not None else 0
    return seen.seconds / answered if seen is not None and answered else None
