"""Events from JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outboxes import an_event
from test_stdout import text

from notify import event_json
from notify.backends.stdout import as_dict
from notify.event import Attachment, Event, ExceptionInfo, Source
from notify.levels import TRADE, TRADE_HIGH
from notify.preview.given import events_of

NOW = 1_767_225_600.25  # 2026-01-01 00:00:00.250 UTC
WHOLE = Event(
    id="1",
    time=NOW,
    message="Sold",
    level=TRADE,
    body="A body",
    topic="trade",
    key="k",
    fields={"pair": "ETH-USDC", "rows": [{"a": 1}]},
    attachments=(Attachment("a.png", b"\x89PNG", "image/png"),),
    exception=ExceptionInfo("ValueError", "no price", "Traceback"),
    tail=("one", "two"),
    logger="strategy",
    source=Source("a.py", 3, "step", 42, "main"),
)


def one(document):
    (event,), unknown = events_of(json.dumps(document).encode(), NOW)
    assert unknown == []
    return event


def test_what_the_outbox_keeps_comes_back_as_it_was():
    assert events_of(event_json.encode(WHOLE), 0) == ([WHOLE], [])


def test_what_standard_output_prints_comes_back_with_files_of_the_same_size():
    event = one({**as_dict(WHOLE), "dry_run": "discord"})

    assert event.attachments == (Attachment("a.png", bytes(4)),)
    for name in ("id", "time", "message", "level", "body", "topic", "key", "fields", "exception", "tail", "logger"):
        assert getattr(event, name) == getattr(WHOLE, name)
    assert (event.source.path, event.source.line) == ("a.py", 3)


def test_many_lines_of_standard_output_are_many_events():
    printed = text(an_event("Bought"), WHOLE, an_event("Closed"), json=True).encode()

    events, unknown = events_of(printed, NOW)

    assert [event.message for event in events] == ["Bought", "Sold", "Closed"]
    assert unknown == []


def test_a_list_is_many_events():
    events, _ = events_of(b'[{"message": "a"}, {"message": "b"}]', NOW)

    assert [event.message for event in events] == ["a", "b"]


def test_a_message_is_enough():
    event = one({"message": "Bought"})

    assert (event.message, event.level, event.topic, event.time) == ("Bought", 20, "log", NOW)
    assert event.id


@pytest.mark.parametrize(
    ("level", "number"), [("TRADE", TRADE), ("trade_high", TRADE_HIGH), ("40", 40), (30, 30), ("critical", 50)]
)
def test_a_level_is_a_name_or_a_number(level, number):
    assert one({"message": "a", "level": level}).level == number


@pytest.mark.parametrize(
    "time", [NOW, "2026-01-01T00:00:00.250Z", "2026-01-01T00:00:00.250", "2026-01-01T02:00:00.25+02:00"]
)
def test_a_time_is_epoch_seconds_or_iso_8601(time):
    assert one({"message": "a", "time": time}).time == NOW


def test_what_no_event_has_is_named():
    _, unknown = events_of(b'{"message": "a", "feilds": {}, "levle": 1}', NOW)

    assert unknown == ["feilds", "levle"]


def test_fields_are_bounded_as_those_of_a_call_are():
    event = one({"message": "a", "fields": {"rows": [{"n": n} for n in range(101)]}})

    assert event.fields["rows"][-1] == "… 1 more"  # 100 items are kept


def test_a_byte_order_mark_is_no_part_of_it():
    assert events_of(b'\xef\xbb\xbf{"message": "a"}', NOW)[0][0].message == "a"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[]", "there is no event in it"),
        (b"3", "not an object"),
        (b'[{"message": "a"}, 3]', "event 2: not an object"),
        (b"{}", "it has no message"),
        (b'{"message": 1}', "message: not a string"),
        (b'{"message": "a", "body": ["x"]}', "body: not a string"),
        (b'{"message": "a", "fields": []}', "fields: not an object"),
        (b'{"message": "a", "key": 1}', "key: not a string"),
        (b'{"message": "a", "tail": "x"}', "tail: not a list of lines"),
        (b'{"message": "a", "exception": "x"}', "exception: not an object with type, message and traceback"),
        (b'{"message": "a", "level": "LOUD"}', "level: not a level; use DEBUG"),
        (b'{"message": "a", "level": true}', "level: neither a name nor a number"),
        (b'{"message": "a", "time": "soon"}', "time: neither epoch seconds nor ISO 8601"),
        (b'{"message": "a", "time": 1e300}', "time: neither epoch seconds nor ISO 8601"),
        (b'{"message": "a", "attachments": {}}', "attachments: not a list"),
        (b'{"message": "a", "attachments": ["x"]}', "attachments: not objects with a filename"),
        (b'{"message": "a", "attachments": [{"filename": "x", "data": "%"}]}', "attachments: data that is not base64"),
        (b'{"message": "a"', "not JSON: "),
        (b'{"message": "a"}\n{"message": ', "event 2: not JSON: "),
        (b'{"message": "a"}\n{}', "event 2: it has no message"),
        (b"\xff\xfe", "not JSON: it is no UTF-8 text"),
        (b'{"message": NaN}', "not JSON: "),
    ],
)
def test_what_is_no_event_is_said_in_words(data, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is looked at below
        events_of(data, NOW)

    assert str(caught.value).startswith(said)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "id",
        "time",
        "message",
        "level",
        "body",
        "topic",
        "key",
        "fields",
        "attachments",
        "exception",
        "tail",
        "logger",
        "source",
        "x",
    ]
)


@given(st.dictionaries(NAMES, ANYTHING) | st.dictionaries(NAMES, ANYTHING).map(lambda d: {**d, "message": "a"}))
def test_whatever_the_json_holds_it_is_an_event_or_a_line_on_why_not(document):
    assert _read(json.dumps(document).encode()) == 1


@given(st.binary(max_size=40))
def test_whatever_the_bytes_are_they_are_events_or_a_line_on_why_not(data):
    assert _read(data) == 1


def _read(data):
    """Return how many events or lines there are."""
    try:
        return len(events_of(data, NOW)[0])
    except ValueError as error:
        return len(str(error).splitlines())
