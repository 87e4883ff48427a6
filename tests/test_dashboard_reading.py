"""What strategies say of themselves: read as far as it can be, whoever has answered."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looks import NOW

from notify.fleet.dashboard.reading import (
    Delivery,
    Fact,
    Frame,
    Record,
    read_metadata,
    read_records,
    read_status,
    traceback_of,
    wanted,
)
from notify.run_state import RunState
from notify.status import documents

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KEYS = ("exception", "delivery", "version", "tb_frame", "f_code", "tb_next", "discord", "dropped", "message", "level")
NAMED = st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=20)


def record(**more: object) -> dict[str, object]:
    return {"timestamp": NOW, "level": "info", "level_number": 20, "message": "hello", "formatted_data": None, **more}


def failing() -> object:
    state = RunState()
    try:
        int("x")
    except ValueError as error:
        state.set_fail(error)
    return json.loads(json.dumps(documents.status(state.as_dict(), str), default=str))


# ---- /status


def test_the_exception_of_our_own_server_is_read_with_its_frames() -> None:
    found = read_status(failing())

    assert found.failure == "invalid literal for int() with base 10: 'x'"
    assert [frame.function for frame in found.frames] == ["failing"]
    assert found.frames[0].file == __file__


def test_a_chain_of_frames_is_read_outermost_first() -> None:
    inner = {"tb_frame": {"f_code": {"co_filename": "b.py", "co_name": "g"}}, "tb_lineno": 2, "tb_next": None}
    outer = {"tb_frame": {"f_code": {"co_filename": "a.py", "co_name": "f"}}, "tb_lineno": 1, "tb_next": inner}

    found = read_status({"exception": {**outer, "exception_message": "Boom"}})

    assert found.frames == (Frame("a.py", "1", "f"), Frame("b.py", "2", "g"))


def test_a_chain_without_an_end_is_cut() -> None:
    endless: dict[str, object] = {"tb_frame": {"f_code": {"co_filename": "a.py", "co_name": "f"}}, "tb_lineno": 1}
    endless["tb_next"] = endless

    assert len(read_status({"exception": endless}).frames) == 100  # as many as are shown


def test_facts_are_those_that_it_tells() -> None:
    found = read_status(
        {
            "cycles": 1234,
            "started_at": NOW,
            "completed_cycle": None,
            "hot_wallet_gas": 0.25,
            "hot_wallet_gas_warning_level": "0.1",
            "market_data_feed_lag": 90.0,
            "version": {"tag": "v1", "commit_hash": "abc", "commit_message": "Fix"},
        }
    )

    assert found.facts == (
        Fact("Started", "2026-01-01 00:00:00 UTC", NOW),
        Fact("Cycles", "1,234"),
        Fact("Version", "v1"),
        Fact("Commit", "abc Fix"),
        Fact("Gas in the hot wallet", "0.25"),
        Fact("Gas warning below", "0.1"),
        Fact("Market data lag", "1 min 30 s"),
    )


def test_deliveries_are_read_by_backend() -> None:
    counts = {
        "delivered": 1204,
        "retried": 3,
        "pending": 0,
        "dropped": {"rejected: too long": 2, "full": 0},
        "last_success_at": NOW,
        "last_error": "no answer",
    }

    unwanted = {"accepted": 3, "pending": 0, "dropped": {}, "unrouted": 3}
    delivery = {"intake": unwanted, "outbox": {"broken": None}, "discord": counts, "odd": 7}
    found = read_status({"delivery": delivery})

    assert found.deliveries == (
        Delivery("discord", "1,204", "3", "0", "2 rejected: too long", NOW, "no answer"),
        Delivery("odd", "–", "–", "–", "0", None, ""),
    )


def test_a_status_without_deliveries_says_so() -> None:
    assert read_status({}).deliveries is None


# ---- /metadata


def test_of_the_metadata_a_page_shows_description_icon_and_tags() -> None:
    found = read_metadata(
        {"short_description": "Buys\nlow", "icon_url": "https://x/icon", "badges": ["eth"], "tags": ["live", 7, "eth"]}
    )

    assert (found.description, found.icon_url, found.tags) == ("Buys low", "https://x/icon", ("eth", "live"))


# ---- /logs


def test_records_are_read_newest_first() -> None:
    assert [each.message for each in read_records([record(message="a"), record(message="b")])] == ["b", "a"]


def test_the_lines_of_a_traceback_are_put_together() -> None:
    formatted = ["Traceback (most recent call last):\n", '  File "x"\n', "ValueError: x"]

    (found,) = read_records([record(level="error", level_number=40, formatted_data=formatted)])

    assert found.traceback == 'Traceback (most recent call last):\n  File "x"\nValueError: x'


def test_trade_high_is_a_trade_whatever_its_number() -> None:
    (found,) = read_records([record(level="trade_high", level_number=51)])

    assert wanted([found], "trade") == (found,)
    assert wanted([found], "warning") == ()


@pytest.mark.parametrize(("level", "least"), [("info", 20), ("trade", 21), ("warning", 30), ("error", 40)])
def test_a_filter_shows_its_level_and_what_is_more_severe(level: str, least: int) -> None:
    records = read_records([record(level_number=number) for number in (10, 20, 21, 30, 40, 50)])

    assert [each.number for each in wanted(records, level)] == [n for n in (50, 40, 30, 21, 20) if n >= least]


def test_old_executors_that_send_no_traceback_are_read() -> None:
    assert read_records([{"timestamp": NOW, "level": "info", "message": "hello"}]) == (
        Record(NOW, "info", 20, "hello", ""),
    )


def test_a_long_log_is_cut_to_its_newest_records_and_a_long_message_to_its_ends() -> None:
    found = read_records([record(message=f"{number} " + "word " * 3000) for number in range(600)])

    assert len(found) == 500  # as many as are kept
    assert found[0].message.startswith("599 ")
    assert len(found[0].message) <= 2000


def test_the_traceback_of_the_failure_is_looked_for_among_those_that_were_logged() -> None:
    older = Record(NOW, "error", 40, "", "Traceback\nValueError: Boom")
    newer = Record(NOW, "error", 40, "", "Traceback\nKeyError: later")

    assert traceback_of("Boom", [newer, older]) == older.traceback
    assert traceback_of("Boom (caused by OSError: no disk)", [newer, older]) == older.traceback
    noted = Record(NOW, "error", 40, "", "Traceback\nOSError: full\nwhile it wrote the report")
    assert traceback_of("full", [newer, noted]) == noted.traceback
    assert traceback_of("something else", [newer, noted, older]) == ""
    assert traceback_of("Boom", []) == ""


# ---- strangers


@pytest.mark.parametrize("read", [read_status, read_metadata, read_records])
@settings(max_examples=40)
@given(answer=NAMED)
def test_whatever_is_answered_is_read_without_an_error(read, answer) -> None:  # type: ignore[no-untyped-def]
    read(answer)
    read([answer])
    read({"exception": answer, "delivery": answer, "version": answer, "tags": answer, "started_at": answer})
    read([{"message": answer, "level": answer, "timestamp": answer, "level_number": answer, "formatted_data": answer}])


@pytest.mark.parametrize(
    "number",
    [10**400, -(10**400), float("inf"), float("-inf"), float("nan"), 1e300],
    ids=["huge", "-huge", "inf", "-inf", "nan", "1e300"],
)
def test_a_number_that_nobody_can_have_meant_is_left_out_and_hides_nothing_else(number: float) -> None:
    told = {"market_data_feed_lag": number, "started_at": number, "version": {"tag": "v2.4.5"}}

    assert read_status(told).facts == (Fact("Version", "v2.4.5"),)
    assert read_records([{"timestamp": number, "level_number": number, "message": "hello"}]) == (
        Record(None, "?", 20, "hello", ""),
    )


def test_a_backend_that_is_called_like_a_secret_is_shown_with_its_counts() -> None:
    delivery = {"webhook": {"delivered": 7, "retried": 0, "pending": 1, "dropped": {}}, "x_secret": "[redacted]"}

    assert read_status({"delivery": delivery}).deliveries == (
        Delivery("webhook", "7", "0", "1", "0", None, ""),
        Delivery("x_secret", "–", "–", "–", "0", None, ""),  # as programs of an older version say it
    )
