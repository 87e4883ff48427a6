import json
import logging
import socket
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from documents import ecs, version_1
from logstash import LogstashFormatterVersion1

from notify.backends.logstash import wire
from notify.backends.logstash.encoding import encode
from notify.backends.logstash.wire import Speaker, timestamp
from notify.capture.snapshot import Snapshot
from notify.event import Attachment, Event, ExceptionInfo, Origin, Source

OURS = {"application", "event_id", "topic"}
SPEAKER = Speaker("executor-test", socket.gethostname(), ("python",))
LIMIT = 65_507  # bytes of a datagram


class Pair:
    def __repr__(self) -> str:
        return "<Pair ETH-USDC>"

    def __str__(self) -> str:
        return "ETH-USDC"


def record(message: str = "Bought %s", args: tuple[object, ...] = ("ETH",), **extras: object) -> logging.LogRecord:
    made = logging.getLogger("strategy").makeRecord(
        "strategy", logging.WARNING, "/srv/strategy.py", 42, message, args, None, "decide", extras
    )
    made.created = 1_767_225_600.123999  # python-logstash cuts milliseconds off, it does not round them
    return made


def ours(made: logging.LogRecord) -> dict[str, object]:
    return read(version_1(Snapshot(made).event(), SPEAKER))


def theirs(made: logging.LogRecord) -> dict[str, object]:
    document: dict[str, object] = json.loads(LogstashFormatterVersion1("logstash", tags=["python"]).format(made))
    document.pop("taskName", None)  # Python 3.12 added it to every record; python-logstash takes it for an extra
    return document


def read(document: Mapping[str, object]) -> dict[str, object]:
    understood: dict[str, object] = json.loads(encode(dict(document), LIMIT))
    return understood


def event(**parts: object) -> Event:
    return Event(**{"id": "id-1", "time": 1_767_225_600.0, "message": "m", "level": logging.INFO, **parts})  # type: ignore[arg-type]  # parts of Event


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "損益 🚀",
        'quotes " and \\ and \n',
        0,
        -7,
        2**63 - 1,
        1.5,
        1e300,
        True,
        None,
        [1, "two", None, [3.5]],
        {"a": 1, "b": {"c": [True]}},
        {"price": Decimal("1.5"), "at": datetime(2026, 1, 1, tzinfo=UTC), "pair": Pair()},
        [Decimal("1.5"), Pair(), (1, 2)],
        {7: "int", 2.5: "float", None: "none", True: "true"},
        Decimal("1.5"),
        datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
        date(2026, 1, 1),
        UUID(int=7),
        PurePosixPath("/srv"),
        b"bytes",
        (1, "two"),
        {3},
        Pair(),
        ValueError("oops"),
        int,
    ],
    ids=repr,
)
def test_an_extra_is_what_python_logstash_makes_of_it(value: object) -> None:
    made = record(thing=value)

    assert {name: item for name, item in ours(made).items() if name not in OURS} == theirs(made)


def test_a_record_without_extras_has_python_logstashs_fields_and_ours() -> None:
    made = record()

    document = ours(made)

    assert {name: item for name, item in document.items() if name not in OURS} == theirs(made)
    assert document["@timestamp"] == "2026-01-01T00:00:00.123Z"
    assert document["application"] == "executor-test"
    assert document["topic"] == "log"
    assert document["event_id"]


def test_a_record_with_an_exception_has_python_logstashs_debug_fields() -> None:
    made = record(price=1.5)
    try:
        raise ValueError("oops") from KeyError("cause")
    except ValueError:
        made.exc_info = sys.exc_info()

    document = ours(made)

    assert {name: item for name, item in document.items() if name not in OURS} == theirs(made)
    assert "ValueError: oops" in str(document["stack_trace"])
    assert document["lineno"] == 42


def test_extras_that_python_logstash_drops_are_kept_but_secrets_are_hidden() -> None:
    document = ours(record(id=7, extra="kept", password="hunter2", auth_token="abc"))

    assert (document["id"], document["extra"]) == (7, "kept")
    assert (document["password"], document["auth_token"]) == ("[redacted]", "[redacted]")


NAMES = ["@timestamp", "@version", "message", "host", "path", "tags", "type", "level", "logger_name"]
NAMES += ["application", "event_id", "topic", "@metadata", "truncated", "original_bytes"]


def test_fields_that_would_hide_the_schemas_are_renamed_until_the_name_is_free() -> None:
    document = read(version_1(event(fields=dict.fromkeys(NAMES, "mine")), SPEAKER))

    assert {name: document[f"extra_{name}"] for name in NAMES} == dict.fromkeys(NAMES, "mine")
    assert document["message"] == "m"
    assert "@metadata" not in document  # Logstash refuses an event where it is no object

    twice = read(version_1(event(fields={"extra_host": 1, "host": 2}), SPEAKER))
    assert (twice["extra_host"], twice["extra_extra_host"], twice["host"]) == (1, 2, SPEAKER.host)


def test_fields_whose_names_look_alike_all_have_one() -> None:
    alike = {"3": "text", 3: "number", "extra_3": "taken", "password": "hunter2", "price": 1.5}

    document = read(version_1(event(fields=alike), SPEAKER))

    shown = {name: document[name] for name in ("3", "extra_3", "extra_extra_3", "password", "price")}
    assert shown == {"3": "text", "extra_3": "number", "extra_extra_3": "taken", "password": "[redacted]", "price": 1.5}


EVENTS = [
    event(),
    event(),  # the same source, as in a loop
    event(level=logging.ERROR),
    event(topic="gas"),
    event(logger="strategy"),
    event(origin=Origin("eth-1", "ETH")),
    event(),
    event(origin=Origin("btc-1", "BTC")),
    event(source=Source("/srv/strategy.py", 7)),
    event(exception=ExceptionInfo("E", "e", "Traceback"), fields={"lineno": 1, "stack_trace": 2, "pair": "ETH"}),
    event(body="b", key="k", fields={"body": 1, "key": 2, "lineno": 3}),
    event(fields={"host": 1, "path": 2, "wei": 10**30, "list": [1], "pair": "ETH"}),
]


def test_documents_of_many_events_are_what_each_is_alone_and_share_what_they_can() -> None:
    documents = wire.version_1(EVENTS, SPEAKER)

    assert [shared.document | own for own, shared in documents] == [version_1(each, SPEAKER) for each in EVENTS]
    assert all(shared.document.keys().isdisjoint(own) for own, shared in documents)
    assert documents[0][1] is documents[1][1]
    assert len({id(shared) for _, shared in documents}) == 7  # other level, topic, logger, path and two origins


@pytest.mark.parametrize("name", NAMES)
def test_no_field_hides_a_name_of_the_schema(name: str) -> None:
    plain = version_1(event(), SPEAKER)

    document = read(version_1(event(fields={name: "mine"}), SPEAKER))

    assert document == read({**plain, f"extra_{name}": "mine"})


def test_a_secrets_name_that_comes_twice_shows_neither() -> None:
    class Password:
        def __str__(self) -> str:
            return "password"

    document = read(version_1(event(fields={"password": "hunter2", Password(): "hunter3"}), SPEAKER))

    assert (document["password"], document["extra_password"]) == ("[redacted]", "[redacted]")


def test_a_notification_carries_its_parts() -> None:
    said = event(
        message="Gas is low",
        body="0.01 ETH left",
        topic="gas",
        key="gas low",
        attachments=(Attachment("chart.png", b"12345"),),
        tail=("one", "two"),
    )

    document = read(version_1(said, SPEAKER))

    assert document["logger_name"] == "notify"
    assert document["body"] == "0.01 ETH left"
    assert (document["topic"], document["key"]) == ("gas", "gas low")
    assert document["attachments"] == [{"name": "chart.png", "size": 5}]
    assert document["tail"] == ["one", "two"]


def test_numbers_that_receivers_would_change_travel_as_text() -> None:
    fields = {
        "wei": 10**24,
        "low": -(2**63) - 1,
        "nested": {"wei": [10**24]},
        "digits": 10**5000,
        "more": 2**63,
        "most": 2**63 - 1,
    }

    document = read(version_1(event(fields=fields), SPEAKER))

    assert document["wei"] == "1" + "0" * 24
    assert document["low"] == "-9223372036854775809"
    assert document["nested"] == {"wei": ["1" + "0" * 24]}
    assert str(document["digits"]).startswith("0x")
    # What still fits an unsigned integer is a case of its own: encoders take it, receivers do not.
    edge = read(version_1(event(fields={"more": 2**63, "most": 2**63 - 1}), SPEAKER))
    assert (edge["more"], edge["most"]) == ("9223372036854775808", 2**63 - 1)


def test_numbers_that_are_none_become_null() -> None:
    fields = {"nan": float("nan"), "inf": float("inf"), "nested": [float("-inf")]}

    document = read(version_1(event(fields=fields), SPEAKER))

    assert document["nan"] is None
    assert document["inf"] is None
    assert document["nested"] == [None]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (-0.25, "1969-12-31T23:59:59.750Z"),
        (1_767_225_600.001, "2026-01-01T00:00:00.001Z"),  # 0.0009999275 in binary, which must not become 0
        (0.9999999, "1970-01-01T00:00:01.000Z"),  # a million microseconds, rounded
        (float("nan"), "1970-01-01T00:00:00.000Z"),
        (float("inf"), "1970-01-01T00:00:00.000Z"),
        (1e30, "1970-01-01T00:00:00.000Z"),
        (1e12, "1970-01-01T00:00:00.000Z"),  # the year 33658
    ],
)
def test_a_timestamp_is_always_one(moment: float, text: str) -> None:
    assert timestamp(moment) == text


def test_events_that_come_in_a_row_have_the_timestamps_that_each_has_alone() -> None:
    begin = 1_767_225_600.0
    odd: list[object] = [None, float("nan"), 1e30, -0.25]
    moments = [begin + step / 8192 for step in range(40)]  # eight of each millisecond, and what is rounded to the next
    moments += [begin + 0.00095, begin + 0.0009996, begin + 0.001, *odd, begin, 0.0, begin + 0.001]

    documents = wire.version_1([event(time=moment) for moment in moments], SPEAKER)

    assert [own["@timestamp"] for own, _ in documents] == [timestamp(moment) for moment in moments]


def test_ecs_puts_the_host_and_what_is_ours_into_objects() -> None:
    said = event(
        logger="strategy",
        level=logging.ERROR,
        topic="crash",
        key="main loop",
        exception=ExceptionInfo("ValueError", "oops", "Traceback\nValueError: oops\n"),
        fields={"host": "mine", "price": Decimal("1.5"), "password": "hunter2"},
        source=Source("/srv/strategy.py", 42, "decide", 4711, "MainThread"),
    )

    document = read(ecs(said, SPEAKER))

    assert document == {
        "@timestamp": "2026-01-01T00:00:00.000Z",
        "ecs": {"version": "8.11.0"},
        "message": "m",
        "host": {"name": SPEAKER.host},
        "tags": ["python"],
        "service": {"name": "executor-test"},
        "event": {"id": "id-1"},
        "log": {
            "level": "ERROR",
            "logger": "strategy",
            "origin": {"file": {"name": "/srv/strategy.py", "line": 42}, "function": "decide"},
        },
        "process": {"pid": 4711, "thread": {"name": "MainThread"}},
        "notify": {"topic": "crash", "key": "main loop"},
        "error": {"type": "ValueError", "message": "oops", "stack_trace": "Traceback\nValueError: oops\n"},
        "fields": {"host": "mine", "price": "Decimal('1.5')", "password": "[redacted]"},
    }


class Unreadable(Mapping[str, object]):
    def __getitem__(self, name: str) -> object:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_fields_that_were_never_made_safe_do_not_cost_the_event() -> None:
    cycle: dict[str, object] = {}
    cycle["self"] = cycle
    deep: list[object] = []
    for _ in range(2_000):  # deeper than Python's own recursion limit
        deep = [deep]
    middling: list[object] = []
    for _ in range(300):  # deeper than orjson takes, shallower than Python does
        middling = [middling]

    fields = {"cycle": cycle, "deep": deep, "middling": middling, "broken": Unreadable(), "mute": Unprintable(), 5: "n"}
    document = read(version_1(event(fields=fields), SPEAKER))

    assert document["message"] == "m"
    assert document["5"] == "n"
    assert {"cycle", "deep", "middling", "broken", "mute"} <= document.keys()
    assert read(version_1(event(fields=Unreadable()), SPEAKER))["message"] == "m"
