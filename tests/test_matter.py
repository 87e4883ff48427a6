"""What is known of a matter, and that it comes through JSON."""

import json
import logging

import pytest

from notify.event import Event, Matter, Origin, Phase
from notify.rules.matter import Going


def going() -> Going:
    made = Going(
        id="1", named=True, since=10.0, last=20.0, severity=40, told=frozenset({"discord"}), count=7, shown=3, summed=2,
        shown_at=11.0, summed_at=12.0, reminded_at=13.0,
    )  # fmt: skip
    made.describe(
        Event(id="1", time=10.0, message="RPC is down", level=logging.ERROR, topic="data", key="rpc", logger="bot")
    )
    return made


def test_it_comes_through_json():
    assert Going.from_plain("1", json.loads(json.dumps(going().as_plain())), now=100.0) == going()


def test_as_it_is_it_comes_through_json_with_what_only_others_who_share_it_may_know():
    shared = going()
    shared.waits, shared.executors = True, 200
    shared.describe(Event(id="1", time=10.0, message="m", level=40, origin=Origin("eth", "ETH", "https://x/eth.png")))

    assert Going.from_plain("1", json.loads(json.dumps(shared.as_it_is())), now=100.0) == shared


def test_an_origin_that_is_too_long_is_not_kept():
    shared = going()
    shared.describe(Event(id="1", time=10.0, message="m", level=40, origin=Origin("eth", "ETH", "u" * 9999)))

    assert shared.origin is None


@pytest.mark.parametrize(
    ("odd", "executors", "origin"), [({"executors": "7", "origin": ["a"], "waits": 1}, 1, None)], ids=["of other types"]
)
def test_what_is_odd_in_what_others_have_noted_is_left_out(odd, executors, origin):
    back = Going.from_plain("1", {**going().as_plain(), **odd}, now=100.0)

    assert back is not None
    assert (back.executors, back.origin, back.waits) == (executors, origin, False)


def test_no_time_of_it_is_ahead_of_a_clock_that_was_set_back():
    back = Going.from_plain("1", going().as_plain(), now=5.0)

    assert back is not None
    assert (back.since, back.last, back.shown_at, back.summed_at, back.reminded_at) == (5.0,) * 5


@pytest.mark.parametrize(
    "odd",
    [
        {"times": [1, 2, 3, 4, "5"]},
        {"times": [1, 2, 3, 4]},
        {"times": [1, 2, 3, 4, float("inf")]},
        {"counts": [1, 2]},
        {"counts": [1, -2, 1]},
        {"told": "discord"},
        {"title": None},
        {"key": 5},
        {"named": 1},
    ],
    ids=str,
)
def test_what_is_nothing_of_the_kind_is_left_out(odd):
    assert Going.from_plain("1", {**going().as_plain(), **odd}, now=100.0) is None
    assert Going.from_plain("1", "nonsense", now=100.0) is None


def test_nobody_can_know_of_more_than_has_happened():
    back = Going.from_plain("1", {**going().as_plain(), "counts": [5, 9, 9]}, now=100.0)

    assert back is not None
    assert (back.shown, back.summed) == (5, 5)


def test_its_texts_are_bounded():
    made = going()
    made.describe(Event(id="1", time=0.0, message="word " * 1000, level=30, topic="t" * 1000, key="k" * 1000))

    assert max(len(made.title), len(made.topic), len(made.key or "")) <= 300


def test_an_event_is_told_its_numbers():
    assert going().matter(Phase.COUNTED) == Matter("1", Phase.COUNTED, 7, 10.0, 20.0)
