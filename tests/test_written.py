"""All that an event says as plain text."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from notify.backends.written import said_below, value_text, whole_text
from notify.event import Event, ExceptionInfo, Source
from notify.levels import TRADE

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

EVENT = Event(
    id="4711",
    time=NEW_YEAR,
    level=TRADE,
    topic="trade",
    message="Bought 1 ETH\nat a good price",
    body="\nfirst\n  second\n",
    fields={"pair": "ETH-USD", "prices": [1, 2]},
    logger="strategy",
    source=Source("strategy.py", 42, "step"),
    exception=ExceptionInfo("ValueError", "no price", "Traceback …\nValueError: no price\n"),
    tail=("12:00 INFO one", "12:01 INFO two"),
)


def test_everything_that_an_event_says_stands_in_its_whole_text_in_one_order():
    assert whole_text(EVENT) == "\n\n".join(
        [
            "2026-01-01T00:00:00.000Z TRADE trade 4711\nlogger strategy\nstrategy.py:42 step",
            "Bought 1 ETH\nat a good price",
            "first\n  second",
            "pair: ETH-USD\nprices: [1, 2]",
            "ValueError: no price",
            "Traceback …\nValueError: no price",
            "Last log lines:\n12:00 INFO one\n12:01 INFO two",
        ]
    )


def test_below_a_title_stands_everything_but_the_first_line_and_the_source():
    below = said_below(EVENT)

    assert below.startswith("at a good price\n\nfirst\n")
    assert "strategy.py" not in below
    assert "Bought" not in below


def test_what_an_event_does_not_say_leaves_no_gap():
    assert said_below(Event(id="1", time=NEW_YEAR, level=TRADE, topic="trade", message="Bought", body="more")) == "more"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\ud800", "a\\ud800"), ({"a": (1, None)}, '{"a": [1, null]}'), (Decimal("1.50"), "1.50"), (None, "None")],
)
def test_containers_are_json_and_everything_else_is_as_str_has_it(value, text):
    assert value_text(value) == text
