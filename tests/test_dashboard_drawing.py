"""The bar of a day and the line of response times."""

import re

from looks import NOW

from notify.fleet.dashboard.drawing import MARKS, POINTS, bar, response_line
from notify.fleet.dashboard.history import SLOT, SLOTS
from notify.fleet.dashboard.history_file import Seen
from notify.fleet.verdict import State

# NOW is on the hour: its slot is the first of a half hour, whose mark is the last one.
HALF_HOUR = 3  # slots
UP = Seen(running=20, seconds=2.0)


def day(**at: Seen) -> list[Seen | None]:
    """Return a day with something in some slots, named by how many slots ago they are: `ago_3`."""
    slots: list[Seen | None] = [None] * SLOTS
    for name, one in at.items():
        slots[SLOTS - 1 - int(name.removeprefix("ago_"))] = one
    return slots


def points(path: str) -> int:
    return len(re.findall("[Ml]", path))


def test_a_day_without_trouble_is_one_stroke() -> None:
    drawn = bar([UP] * SLOTS, NOW)

    assert drawn.paths == (("running", "M0 7h144"),)  # 48 marks of 3 units
    assert drawn.running == 1.0
    assert len(drawn.marks) == MARKS


def test_a_half_hour_is_drawn_by_the_worst_that_was_seen_in_it() -> None:
    slots = day(ago_0=UP, ago_1=UP, ago_2=Seen(running=19, offline=1), ago_3=UP)

    drawn = bar(slots, NOW)

    assert drawn.paths == (("offline", "M138 7h3"), ("running", "M141 7h3"))


def test_crashed_is_worse_than_offline_and_offline_worse_than_stale() -> None:
    drawn = bar(day(ago_0=Seen(stale=1, crashed=1, offline=1), ago_1=Seen(stale=1, offline=1)), NOW)

    assert [mark.state for mark in drawn.marks[-2:]] == [State.OFFLINE, State.CRASHED]


def test_where_nobody_looked_the_bar_is_empty_and_not_up() -> None:
    drawn = bar(day(ago_0=UP, ago_30=UP), NOW)

    assert drawn.paths == (("running", "M111 7h3M141 7h3"),)  # ten half hours are between them
    assert [mark.state for mark in drawn.marks[-3:]] == [None, None, State.RUNNING]
    assert drawn.running == 1.0


def test_of_a_day_in_which_nobody_looked_nothing_is_said() -> None:
    drawn = bar([None] * SLOTS, NOW)

    assert (drawn.paths, drawn.running) == ((), None)


def test_marks_begin_on_half_hours() -> None:
    drawn = bar([UP] * SLOTS, NOW + 1234)

    assert {mark.begin % (HALF_HOUR * SLOT) for mark in drawn.marks} == {0}


def test_the_share_counts_looks() -> None:
    assert bar(day(ago_0=Seen(running=3, stale=1)), NOW).running == 0.75


def test_response_times_are_drawn_from_zero_to_the_longest() -> None:
    times = (0.1, 0.05, 0.0, 0.1)

    path = response_line([Seen(running=10, seconds=10 * each) for each in times])

    assert path == "M0 0l3 6l3 6l3-12"  # 12 units high, y downwards


def test_short_times_are_not_blown_up() -> None:
    path = response_line([Seen(running=1, seconds=each) for each in (0.002, 0.004)])

    assert path == "M0 12l3-1"  # milliseconds, of 50 that the height stands for at least


def test_the_line_breaks_where_nothing_answered() -> None:
    path = response_line([UP, Seen(offline=3), UP, UP, None, UP])

    assert path == "M0 0h0M6 0l3 0M15 0h0"


def test_the_line_has_no_more_points_than_four_hours() -> None:
    assert points(response_line([UP] * SLOTS)) == POINTS == 24


def test_without_answers_there_is_no_line() -> None:
    assert response_line([None] * SLOTS) == ""
