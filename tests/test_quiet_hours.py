"""Quiet hours: across midnight, and by the clock on the wall when clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.rules.quiet_hours import QuietHours, parse_quiet_hours


def at(text: str) -> float:
    """Epoch seconds of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("time", "quiet"),
    [("12:59", False), ("13:00", True), ("14:29", True), ("14:30", False), ("00:00", False)],
)
def test_a_span_holds_its_begin_and_not_its_end(time: str, quiet: bool) -> None:
    assert parse_quiet_hours("13:00-14:30").covers(at(f"2026-01-15 {time}")) is quiet


@pytest.mark.parametrize(
    ("time", "quiet"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_a_span_may_hold_midnight(time: str, quiet: bool) -> None:
    assert parse_quiet_hours("22:00-07:00").covers(at(f"2026-01-15 {time}")) is quiet


def test_there_may_be_several_spans() -> None:
    quiet = parse_quiet_hours("22:00-7:00,12:00-13:00")

    assert [quiet.covers(at(f"2026-01-15 {time}")) for time in ("06:00", "12:30", "18:00")] == [True, True, False]


@pytest.mark.parametrize(
    ("time", "quiet"),
    [
        # Winter, UTC+2.
        ("2026-01-15 19:59", False),
        ("2026-01-15 20:00", True),
        ("2026-01-16 05:00", False),
        # Summer, UTC+3.
        ("2026-07-15 18:59", False),
        ("2026-07-15 19:00", True),
        ("2026-07-16 04:00", False),
        # Clocks go from 03:00 to 04:00 on 2026-03-29, at 01:00 UTC: the night is an hour shorter.
        ("2026-03-28 20:00", True),
        ("2026-03-29 03:59", True),
        ("2026-03-29 04:00", False),
        # They go back from 04:00 to 03:00 on 2026-10-25, at 01:00 UTC: the night is an hour longer.
        ("2026-10-24 19:00", True),
        ("2026-10-25 01:30", True),
        ("2026-10-25 04:59", True),
        ("2026-10-25 05:00", False),
    ],
)
def test_in_helsinki_the_hours_are_those_of_the_clock_on_the_wall(time: str, quiet: bool) -> None:
    assert parse_quiet_hours("22:00-07:00 Europe/Helsinki").covers(at(time)) is quiet


@pytest.mark.parametrize(
    ("time", "quiet"),
    [
        # 02:00 becomes 03:00 on 2026-03-08, at 07:00 UTC: a span that ends at 02:30 ends when clocks jump over it.
        ("2026-03-08 06:59", True),
        ("2026-03-08 07:00", False),
        # 02:00 becomes 01:00 on 2026-11-01, at 06:00 UTC: 01:15 comes twice, and both are quiet.
        ("2026-11-01 05:15", True),
        ("2026-11-01 06:15", True),
        ("2026-11-01 07:29", True),
        ("2026-11-01 07:30", False),
    ],
)
def test_in_new_york_an_hour_that_is_skipped_or_comes_twice_does_no_harm(time: str, quiet: bool) -> None:
    assert parse_quiet_hours("00:30-02:30 America/New_York").covers(at(time)) is quiet


@given(
    begin=st.integers(0, 1439),
    length=st.integers(1, 1439),
    minutes=st.integers(0, 4 * 365 * 1440),
    zone=st.sampled_from(["Europe/Helsinki", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_quiet_is_what_a_clock_on_the_wall_says(begin: int, length: int, minutes: int, zone: str) -> None:
    end = (begin + length) % 1440
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    wall = moment.astimezone(ZoneInfo(zone))

    quiet = QuietHours(((begin, end),), ZoneInfo(zone)).covers(moment.timestamp())

    assert quiet is ((wall.hour * 60 + wall.minute - begin) % 1440 < length)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("at night", "not hours such as"),
        ("22-7", "not hours such as"),
        ("24:00-07:00", "not hours such as"),
        ("22:60-07:00", "not hours such as"),
        ("22:00 - 07:00", "not hours such as"),
        ("22:00-07:00,", "not hours such as"),
        ("07:00-07:00", "not a span: it ends when it begins"),
        ("22:00-07:00,06:59-08:00", "not free of overlaps"),
        ("22:00-07:00,23:00-23:30 Europe/Helsinki", "not free of overlaps"),
        ("22:00-07:00 Europe/Atlantis", "not a time zone that this system knows"),
        ("22:00-07:00 ../../etc/passwd", "not a time zone that this system knows"),
        ("22:00-07:00 /etc/localtime", "not a time zone that this system knows"),
    ],
)
def test_what_is_no_quiet_hours_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_quiet_hours(text)


def test_spans_that_touch_do_not_overlap() -> None:
    assert parse_quiet_hours("22:00-00:00,00:00-07:00").hours == ((1320, 0), (0, 420))


def test_quiet_hours_read_as_they_were_written() -> None:
    assert str(parse_quiet_hours("22:00-7:00,12:00-13:00 Europe/Helsinki")) == "22:00-07:00,12:00-13:00 Europe/Helsinki"


@pytest.mark.parametrize("time", [1.7e12, 1e20, -1e20, float("inf"), float("nan")], ids=str)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Helsinki"])
def test_a_time_that_is_on_no_calendar_is_not_quiet(time: float, zone: str) -> None:
    assert parse_quiet_hours(f"00:00-12:00,12:00-00:00 {zone}").covers(time) is False
