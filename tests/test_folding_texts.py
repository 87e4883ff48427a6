"""What is said of a matter that goes on, as people read it."""

import logging

import pytest

from notify.delivery.folding.texts import clock_time, digest, goes_on, resolved
from notify.event import Event, Origin, Phase
from notify.rules.matter import Going
from notify.rules.storm import Held

MORNING = 1_767_236_400.0  # 2026-01-01 03:00:00 UTC


def test_a_moment_is_told_with_its_day_when_that_is_another():
    assert clock_time(MORNING, MORNING + 60) == "03:00:00 UTC"
    assert clock_time(MORNING - 86_400, MORNING) == "2025-12-31 03:00:00 UTC"


def going(**parts: object) -> Going:
    about = {"id": "1", "named": True, "since": MORNING, "last": MORNING + 667, "count": 412, "level": 40, **parts}
    return Going(**about)  # type: ignore[arg-type]  # parts of Going


def test_a_count_has_the_level_and_the_topic_of_what_it_counts():
    event = goes_on(going(title="RPC is down", topic="data", key="rpc", logger="bot"), Phase.REMINDED, MORNING + 700)

    assert event.message == "RPC is down × 412"
    assert event.body == "First 03:00:00 UTC, last 03:11:07 UTC."
    assert (event.level, event.topic, event.key, event.logger) == (logging.ERROR, "data", "rpc", "bot")
    assert event.matter == going().matter(Phase.REMINDED)


def test_a_count_of_many_executors_tells_how_many_and_one_of_a_single_one_whose():
    eth = Origin("eth", "ETH")
    many = goes_on(going(title="RPC is down", count=10_000, executors=200, origin=eth), Phase.COUNTED, MORNING)
    single = goes_on(going(title="RPC is down", origin=eth), Phase.COUNTED, MORNING)

    assert (many.message, many.origin) == ("RPC is down × 10,000 on 200 executors", None)
    assert (single.message, single.origin) == ("RPC is down × 412", eth)


def test_what_nobody_knows_the_text_of_is_told_all_the_same():
    assert goes_on(going(), Phase.COUNTED, MORNING).message == "(its text is not known any more) × 412"


@pytest.mark.parametrize(("count", "often"), [(1, "once"), (2, "2 times")])
def test_an_end_tells_how_long_and_how_often(count, often):
    said = Event(id="2", time=MORNING + 7500, message="", level=logging.INFO, key="rpc")

    event = resolved(said, going(count=count, title="RPC is down"), said.time)

    assert event.message == "Resolved: RPC is down"
    assert event.body == f"It happened {often}, and was over after 2 h 5 min."
    assert (event.id, event.level, event.key) == ("2", logging.INFO, "rpc")


def test_a_digest_tells_how_many_of_how_many_and_some_of_them():
    held = Held(9940, {"a", "b"}, False, logging.ERROR, ["one", "two"])
    assert digest(held, MORNING).message == "Held back: 9,940 events of 2 matters"
    assert digest(held, MORNING).body == "Too many different ones at once. Some of them:\none\ntwo"

    one = digest(Held(1, {"a"}, False, logging.WARNING, []), MORNING)
    assert (one.message, one.body, one.level) == ("Held back: 1 event of 1 matter", "", logging.WARNING)
    assert "more than 1 matters" in digest(Held(9, {"a"}, True, 30, []), MORNING).message
