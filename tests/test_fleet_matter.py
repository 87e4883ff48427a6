"""One matter: told when it began, now and then while it goes on, and when it has ended."""

from hypothesis import given
from hypothesis import strategies as st

from notify.fleet.matter import REPEAT, Matter, Step, step

NOW = 1_700_000_000.0
MINUTE = 60.0


def told(*looks: tuple[float, bool], needed: int = 2, reminded: bool = True) -> list[tuple[float, Step]]:
    """Return what is told of looks, each a time after NOW and whether it has found the matter."""
    matter, found = Matter(), []
    for after, failed in looks:
        matter, what = step(matter, failed=failed, at=NOW + after, looks=needed, reminded=reminded)
        if what is not None:
            found.append((after, what))
    return found


def test_one_failed_look_is_nothing() -> None:
    assert told((0, True), (30, False), (60, True), (90, False)) == []


def test_the_second_in_a_row_is_told_and_no_further_one() -> None:
    assert told((0, True), (30, True), (60, True), (90, True)) == [(30, Step.BEGAN)]


def test_its_end_is_told_with_the_first_look_that_does_not_find_it() -> None:
    assert told((0, True), (30, True), (60, False), (90, False)) == [(30, Step.BEGAN), (60, Step.ENDED)]


def test_reminders_come_an_hour_after_what_was_told_last() -> None:
    looks = [(minute * MINUTE, True) for minute in range(150)]

    assert told(*looks) == [(60, Step.BEGAN), (60 + REPEAT, Step.GOES_ON), (60 + 2 * REPEAT, Step.GOES_ON)]


def test_where_no_reminders_are_told_there_are_none() -> None:
    looks = [(minute * MINUTE, True) for minute in range(150)]

    assert told(*looks, reminded=False) == [(60, Step.BEGAN)]


def test_how_long_it_lasted_is_counted_from_the_first_failed_look_to_the_first_good_one() -> None:
    matter, _ = step(Matter(), failed=True, at=NOW, looks=2)
    matter, _ = step(matter, failed=True, at=NOW + 30, looks=2)

    assert matter.lasted(NOW + 90) == 90


def outage(at: float) -> list[tuple[float, bool]]:
    """An outage of two minutes that begins at a minute, and then three minutes without."""
    return [(at * MINUTE + 30 * number, number < 4) for number in range(10)]


def test_the_end_of_the_first_two_of_a_day_is_told_at_once_and_that_of_the_third_after_ten_minutes() -> None:
    good = [(20 * MINUTE + 30 * number, False) for number in range(30)]

    found = told(*outage(0), *outage(5), *outage(10), *good)

    ends = [after / MINUTE for after, what in found if what is Step.ENDED]
    assert ends == [2, 7, 22]  # the last good look before is that of minute 12


def test_what_goes_up_and_down_all_day_is_told_no_more_often_than_by_reminders() -> None:
    found = told(*(look for at in range(0, 24 * 60, 5) for look in outage(at)))

    # Two are told at once; the third, of which there is no good end, goes on until the end of the day.
    assert [what for _, what in found if what is not Step.GOES_ON] == [Step.BEGAN, Step.ENDED] * 2 + [Step.BEGAN]
    assert len(found) <= 5 + 24


def test_what_is_up_for_an_hour_between_two_outages_is_told_in_full() -> None:
    hours = range(0, 24 * 60, 70)

    found = told(*(look for at in hours for look in [*outage(at), ((at + 66) * MINUTE, False)]))

    assert [what for _, what in found] == [Step.BEGAN, Step.ENDED] * len(hours)


def test_after_a_quiet_day_the_end_is_told_at_once_again() -> None:
    day = 24 * 60

    found = told(*outage(0), *outage(5), *outage(10), (60 * MINUTE, False), *outage(day + 60))

    assert found[-1] == ((day + 62) * MINUTE, Step.ENDED)


def test_a_clock_that_is_set_back_keeps_nobody_waiting() -> None:
    day = 86_400

    found = told((0, True), (30, True), (60 - day, True), (90 - day, True), (120 - day, False))

    assert found == [(30, Step.BEGAN), (60 - day, Step.GOES_ON), (120 - day, Step.ENDED)]


looks_of_a_matter = st.lists(st.tuples(st.floats(-4000.0, 4000.0), st.booleans()), max_size=60)


@given(looks_of_a_matter, st.integers(1, 3))
def test_whatever_is_seen_it_begins_and_ends_in_turns(looks: list[tuple[float, bool]], needed: int) -> None:
    matter, at, told_steps = Matter(), NOW, []
    for after, failed in looks:
        at += after
        matter, what = step(matter, failed=failed, at=at, looks=needed)
        told_steps.append(what)
        assert (matter.told_at is not None) == (
            [each for each in told_steps if each in (Step.BEGAN, Step.ENDED)][-1:] == [Step.BEGAN]
        )
        assert matter.lasted(at) >= 0
        assert len(matter.told) <= 8

    for _ in range(2):  # the second look is an hour after the first, longer than any end is awaited
        matter, what = step(matter, failed=False, at=at, looks=needed)
        told_steps.append(what)
        at += REPEAT
    turns = [each for each in told_steps if each in (Step.BEGAN, Step.ENDED)]
    assert turns == [Step.BEGAN, Step.ENDED] * (len(turns) // 2)
