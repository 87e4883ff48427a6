"""When each strategy is due, in a time that is passed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.fleet.schedule import Schedule

NOW = 1000.0  # monotonic seconds
APART = 0.05  # seconds between two first turns, when there is time enough for all


def turns(schedule: Schedule, until: float) -> list[tuple[float, int]]:
    """Return every turn up to *until*, each of which takes no time."""
    found = []
    while (due := schedule.next_due()) is not None and due <= until:
        member = schedule.take(due)
        assert member is not None
        found.append((round(due - NOW, 6), member))
        schedule.back(member, due)
    return found


def test_first_turns_are_spread_out_rather_than_all_at_once() -> None:
    found = turns(Schedule([30.0] * 3, now=NOW), until=NOW + 1)

    assert found == [(0, 0), (APART, 1), (2 * APART, 2)]


def test_a_large_fleet_is_spread_over_no_more_than_its_shortest_interval() -> None:
    found = turns(Schedule([20.0, *[10.0] * 999], now=NOW), until=NOW + 10)

    first = {}
    for at, member in found:
        first.setdefault(member, at)
    assert len(first) == 1000
    assert max(first.values()) == pytest.approx(10 * 999 / 1000)  # a thousandth of ten seconds between two


def test_each_has_turns_at_its_own_interval() -> None:
    found = turns(Schedule([10.0, 4.0], now=NOW), until=NOW + 21)

    assert [at for at, member in found if member == 0] == [0, 10, 20]
    assert [at for at, member in found if member == 1] == [0.05, 4.05, 8.05, 12.05, 16.05, 20.05]


def test_nobody_has_a_turn_before_it_has_come() -> None:
    schedule = Schedule([10.0], now=NOW)

    assert schedule.take(NOW - 0.001) is None
    assert schedule.take(NOW) == 0


def test_nobody_has_two_turns_at_the_same_time() -> None:
    schedule = Schedule([10.0], now=NOW)
    schedule.take(NOW)

    assert schedule.take(NOW + 100) is None
    assert schedule.next_due() is None


def test_a_turn_that_comes_late_moves_no_later_one() -> None:
    schedule = Schedule([10.0], now=NOW)
    schedule.take(NOW + 7)

    schedule.back(0, NOW + 9)

    assert schedule.next_due() == NOW + 10


def test_the_same_turn_does_not_come_twice_where_its_time_is_rounded() -> None:
    schedule = Schedule([30.0, 1.0], now=0.0)
    due = 2 * 1.0 + APART  # less its beginning, 0.05, this is 1.9999999999999998

    for at in (0.0, due):
        schedule.take(at)
    schedule.back(1, due)

    assert schedule.next_due() == 3 * 1.0 + APART


def test_turns_that_were_missed_are_not_made_up_for() -> None:
    schedule = Schedule([10.0], now=NOW)
    schedule.take(NOW)

    schedule.back(0, NOW + 35)

    assert schedule.next_due() == NOW + 40


def test_who_has_waited_longest_comes_first() -> None:
    schedule = Schedule([10.0, 3.0], now=NOW)
    for member in (schedule.take(NOW + 1), schedule.take(NOW + 1)):
        assert member is not None
        schedule.back(member, NOW + 1)

    assert [schedule.take(NOW + 50), schedule.take(NOW + 50)] == [1, 0]  # due at 3.05 and at 10 seconds


def test_without_members_nothing_is_due() -> None:
    schedule = Schedule([], now=NOW)

    assert schedule.next_due() is None
    assert schedule.take(NOW) is None


@given(
    intervals=st.lists(st.floats(1.0, 86_400.0), min_size=1, max_size=5),
    steps=st.lists(st.tuples(st.floats(0.0, 100_000.0), st.booleans()), max_size=50),
)
def test_whenever_turns_begin_and_end_the_next_one_is_ahead_and_within_an_interval(
    intervals: list[float], steps: list[tuple[float, bool]]
) -> None:
    now = NOW
    schedule = Schedule(intervals, now=now)
    away: list[int] = []
    for seconds, returns in steps:
        now += seconds
        member = schedule.take(now)
        if member is not None:
            assert member not in away
            away.append(member)
        if returns and away:
            member = away.pop(0)
            others = schedule.next_due()
            schedule.back(member, now)
            due = schedule.next_due()
            assert due is not None
            # A rounding error of a grid that is some 1e7 seconds long is below a microsecond.
            assert due == others or now < due <= now + intervals[member] + 1e-6
