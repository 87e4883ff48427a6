import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.event import Attachment, Event, ExceptionInfo, Matter, Phase, Source
from notify.event_json import decode, encode
from notify.plain import keep_fields

FULL = Event(
    id="019b7a3f5c00-000001-0badcafe",
    time=1_767_225_600.125,
    message="Bought 0.5 WETH 🚀",
    level=21,
    body="at 3,000.25 USD\n…\non Uniswap",
    topic="trade",
    key="position-7",
    fields={"pair": "WETH-USDC", "price": 3000.25, "amount": 1500, "ok": True, "tags": ["a", None]},
    attachments=(
        Attachment("chart.png", bytes(range(256)), "image/png"),
        Attachment("empty.txt", b""),
    ),
    exception=ExceptionInfo("web3.exceptions.Reverted", "no liquidity", "Traceback …"),
    tail=("line 1", "line 2"),
    logger="executor.strategy",
    source=Source("/app/strategy.py", 120, "decide", 4711, "MainThread"),
    matter=Matter("0badcafe", Phase.ANNOUNCED, 412, 1_767_225_600.5, 1_767_229_200.5),
)
PLAIN = Event(id="019b7a3f5c00-000002-0badcafe", time=1_767_225_600.0, message="m", level=20)


def _fields_back(**fields: object) -> object:
    event = Event(id="i", time=1.0, message="m", level=20, fields=fields)
    return decode(encode(event)).fields


OF_MANY = replace(PLAIN, matter=Matter("0badcafe", Phase.COUNTED, 10_000, 1.0, 2.0, executors=200))


@pytest.mark.parametrize("event", [FULL, PLAIN, OF_MANY], ids=["every part", "only what must be", "of many executors"])
def test_an_event_comes_back_equal(event):
    assert decode(encode(event)) == event


def test_what_is_kept_is_strict_json_in_utf_8():
    def refuse(constant: str) -> object:
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(encode(FULL).decode(), parse_constant=refuse)["message"] == "Bought 0.5 WETH 🚀"


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (Decimal("0.10"), "0.10"),
        (datetime(2026, 11, 22, 16, 0, tzinfo=UTC), "2026-11-22 16:00:00+00:00"),
        (timedelta(minutes=90), "1:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", "b'\\x00\\xff'"),
        (1 + 2j, "(1+2j)"),
        (10**18, 10**18),
        (10**30, "1" + "0" * 30),  # JSON's readers do not agree on what is beyond 64 bits
        (-(2**63), -(2**63)),
        (math.nan, None),
        (math.inf, None),
        (("a", ("b",)), ["a", ["b"]]),
        ({"deep": {"deeper": [Decimal("1.5")]}}, {"deep": {"deeper": ["1.5"]}}),
        ({2: "two", None: "nothing", True: "yes"}, {"2": "two", "null": "nothing", "true": "yes"}),
        (MappingProxyType({"a": MappingProxyType({"b": Decimal(1)})}), {"a": {"b": "1"}}),
        ("\ud800", "\\ud800"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_field_comes_back_as_a_plain_value(value, back):
    assert _fields_back(value=value) == {"value": back}


def test_one_value_that_json_has_no_type_for_does_not_change_the_look_of_the_others():
    # A large integer sends the event down the slower way.
    assert _fields_back(at=datetime(2026, 1, 1, tzinfo=UTC)) == {"at": "2026-01-01 00:00:00+00:00"}
    assert _fields_back(at=datetime(2026, 1, 1, tzinfo=UTC), wei=10**30) == {
        "at": "2026-01-01 00:00:00+00:00",
        "wei": "1" + "0" * 30,
    }


def test_fields_that_nobody_can_change_are_kept():
    event = Event(id="i", time=1.0, message="m", level=20, fields=MappingProxyType({"a": 1}))

    assert decode(encode(event)).fields == {"a": 1}


def test_lone_surrogates_in_the_text_do_not_lose_the_event():
    event = Event(id="i", time=1.0, message="bad \udc80 name", level=20)

    assert decode(encode(event)).message == "bad \\udc80 name"


_JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=20,
)


@given(fields=st.dictionaries(st.text(), _JSON_LIKE))
def test_whatever_a_program_says_can_be_kept_and_read(fields):
    event = Event(id="i", time=1.0, message="m", level=20, fields=keep_fields(fields))

    once = decode(encode(event))

    assert decode(encode(once)) == once  # plain values stay what they are
    assert len(once.fields) == len(keep_fields(fields))


def test_what_a_newer_version_adds_is_left_out():
    document = json.loads(encode(FULL))
    document |= {"priority": 5, "threads": ["a"]}
    document["source"]["container"] = "c1"
    document["attachments"][0]["sha256"] = "…"
    document["exception"]["notes"] = []

    assert decode(json.dumps(document).encode()) == FULL


def test_a_matter_in_a_phase_of_a_newer_version_is_left_out():
    document = json.loads(encode(FULL))
    document["matter"]["phase"] = "acknowledged"

    assert decode(json.dumps(document).encode()).matter is None


def test_a_part_that_is_not_what_this_version_expects_does_not_cost_the_event():
    document = json.loads(encode(PLAIN))
    document |= {"body": {"text": "b"}, "key": 7, "fields": [], "exception": "E", "source": None, "tail": "t"}

    assert decode(json.dumps(document).encode()) == PLAIN


@pytest.mark.parametrize("part", ["id", "time", "message", "level"])
def test_without_what_makes_an_event_there_is_none(part):
    document = json.loads(encode(PLAIN))
    del document[part]

    with pytest.raises(ValueError, match="not an event"):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04K\x01.",  # a pickle
        b"[]",
        b"7",
        b"{",
        b'{"id": 1, "time": 1, "message": "m", "level": 20}',
        b'{"id": "i", "time": "now", "message": "m", "level": 20}',
        b'{"id": "i", "time": 1, "message": "m", "level": 20, "attachments": ["a"]}',
        b'{"id": "i", "time": 1, "message": "m", "level": 20, "attachments": [{"filename": "a", "data": "x"}]}',
    ],
)
def test_what_is_no_event_is_refused_with_a_value_error(data):
    with pytest.raises(ValueError):  # noqa: PT011 - orjson's words for what is no JSON are its own
        decode(data)
