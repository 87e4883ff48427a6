"""What is known of a fleet, on its way to the disk and back."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.fleet.fleet_json import NewerVersion, decode, encode
from notify.fleet.matter import Matter
from notify.fleet.outages import Fleet, Known
from notify.fleet.verdict import Concern

NOW = 1_700_000_000.0
TOLD = Matter(2, NOW - 90, NOW - 60, NOW - 30, (NOW - 500, NOW - 60))
FLEET = Fleet(
    {"vega": Known("Vega ✨", True, TOLD, {Concern.GAS: Matter(1, NOW, NOW)}), "sirius": Known("Sirius", True)},
    Matter(1, NOW, NOW),
    ("entry 2: url is missing",),
)


def said() -> dict[str, object]:
    whole: dict[str, object] = json.loads(encode(FLEET))
    return whole


def test_what_is_known_comes_back_as_it_was() -> None:
    assert decode(encode(FLEET), now=NOW) == FLEET
    assert decode(encode(Fleet()), now=NOW) == Fleet()


def test_failed_looks_that_were_not_told_are_forgotten_after_ten_minutes() -> None:
    noted = Fleet({"vega": Known("Vega", True, Matter(1, NOW))})

    assert decode(encode(noted), now=NOW + 600) == noted
    assert decode(encode(noted), now=NOW + 601) == Fleet()


def test_what_a_later_version_wrote_is_told_from_damage() -> None:
    with pytest.raises(NewerVersion):
        decode(json.dumps({"version": 2, "anything": "else"}).encode(), now=NOW)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"version": "1"}',
        b'{"version": 0}',
        b'{"version": true}',
    ],
)
def test_what_is_no_such_document_is_damaged(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own is one, too
        decode(data, now=NOW)


@pytest.mark.parametrize(
    "matter",
    [
        None, [], {}, "x", [1], [0, 1, None, None, []], [1, None, None, None, []], [3, 1, 1, None, []],
        [-1, 1, 1, None, []], [2, "1", 1, None, []], [2, 1, 1, None, ["x"]], [2, 1, 1, None, 5], [2, 1, True, None, []],
        [2, float("nan"), 1, None, []], [0, None, 5, None, []], [2, 1, 1, None, [1] * 101],
    ],
)  # fmt: skip
def test_a_matter_that_makes_no_sense_is_damage(matter: object) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode(json.dumps({**said(), "network": matter}).encode(), now=NOW)


@pytest.mark.parametrize(
    "strategies",
    [
        None,
        [],
        {"vega": None},
        {"vega": {}},
        {"vega": {"name": 5, "silent": True}},
        {"vega": {"name": "x", "silent": 1}},
    ],
)
def test_strategies_that_make_no_sense_are_damage(strategies: object) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode(json.dumps({**said(), "strategies": strategies}).encode(), now=NOW)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["name", "silent", "down", "concerns", "gas"]), inner)
    ),
)


@given(st.sampled_from(["version", "problems", "network", "strategies"]), anything)
def test_whatever_stands_there_it_is_read_or_damaged(place: str, value: object) -> None:
    with suppress(ValueError):
        decode(json.dumps({**said(), place: value}).encode(), now=NOW)


@pytest.mark.parametrize(
    "number",
    [10**400, -(10**400), 10**15, 1e15, float("inf"), float("-inf")],
    ids=["huge", "-huge", "10**15", "1e15", "inf", "-inf"],
)
def test_a_time_that_no_clock_has_is_damage(number: float) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode(json.dumps({**said(), "network": [1, number, None, None, []]}).encode(), now=NOW)
