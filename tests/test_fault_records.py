"""What a program logs may be anything, and comes at any pace: it arrives, readable, and the program goes on."""

import dataclasses
import json
import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from documents import version_1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lanes import until

from notify.backends.discord import DiscordBackend
from notify.backends.discord.message import Appearance, compose
from notify.backends.function import FunctionBackend
from notify.backends.logstash.encoding import encode
from notify.backends.logstash.wire import Speaker
from notify.backends.memory import MemoryBackend
from notify.backends.stdout import StdoutBackend, as_dict
from notify.event import Event
from notify.notifier import Notifier
from notify.rules.routing import Route
from notify.testing.discord_rules import refusal
from notify.testing.fake_discord import FakeDiscord

LONG = 60.0  # seconds; who waits this long has failed
DATAGRAM = 65_507  # bytes, the most that UDP over IPv4 carries
EVERYTHING = Route(logging.NOTSET)
# What a terminal or a viewer obeys instead of showing it.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Heard:
    """A program's logger, and what arrives of what it says."""

    def __init__(self, notifier: Notifier, memory: MemoryBackend, capsys: pytest.CaptureFixture[str]) -> None:
        self.notifier = notifier
        self.memory = memory
        self.logger = logging.Logger("strategy", logging.DEBUG)  # its own tree: no other handler breaks first
        notifier.attach(self.logger)
        self._capsys = capsys

    def event(self) -> Event:
        """The one event that was said."""
        assert self.notifier.flush(LONG)
        (event,) = self.memory.events
        self.memory.clear()
        return event

    def printed(self) -> str:
        """What stands on standard output."""
        assert self.notifier.flush(LONG)
        return self._capsys.readouterr().out


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str]) -> Iterator[Heard]:
    memory = MemoryBackend(max_batch=100)
    backends = {"memory": memory, "stdout": StdoutBackend(env={})}
    with Notifier(backends, routes=dict.fromkeys(backends, EVERYTHING)) as notifier:
        yield Heard(notifier, memory, capsys)


def refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def strict(line: bytes | str) -> Any:
    return json.loads(line, parse_constant=refuse_constant)


def logstash(event: Event) -> dict[str, Any]:
    """The document that Logstash reads."""
    line = encode(version_1(event, Speaker("executor-test", "host", ("python",))), DATAGRAM)
    assert b"\n" not in line
    document: dict[str, Any] = strict(line)
    return document


def discord(event: Event) -> str:
    """All that Discord shows, after it has taken the message."""
    message = compose([event], Appearance())
    assert refusal(message.payload, [file.name for file in message.files]) is None
    json.dumps(message.payload, allow_nan=False, ensure_ascii=False).encode()
    return "\n".join([*texts(message.payload["embeds"]), *(file.data.decode() for file in message.files)])


def texts(part: object) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from texts(inner)


def json_line(event: Event) -> Any:
    """What stands on standard output as JSON."""
    return strict(json.dumps(as_dict(event), allow_nan=False))


# ---- 47: memory is full


class Slow:
    """A backend that takes nothing until it is let."""

    max_batch = 100

    def __init__(self) -> None:
        self.let = threading.Event()
        self.messages: list[str] = []

    def send(self, events: Sequence[Event], /) -> int:
        assert self.let.wait(LONG)
        self.messages += [event.message for event in events]
        return len(events)

    def close(self) -> None:
        """Hold nothing."""


def test_fault_47_a_full_queue_drops_the_least_severe_counts_it_and_never_blocks_the_caller(
    capsys: pytest.CaptureFixture[str],
) -> None:
    slow, quick = Slow(), MemoryBackend(max_batch=100)
    backends = {"slow": slow, "quick": quick}
    long = "x" * 100_000  # 800 of them are 80 MB of the 64 MiB that may wait
    levels = [logging.DEBUG, logging.INFO] * 395 + [logging.CRITICAL] * 10
    said = [f"{number} {logging.getLevelName(level)}" for number, level in enumerate(levels)]
    logger = logging.Logger("strategy", logging.DEBUG)
    with Notifier(backends, routes=dict.fromkeys(backends, EVERYTHING)) as notifier:  # type: ignore[arg-type]  # Slow
        notifier.attach(logger)

        for level, text in zip(levels, said, strict=True):
            logger.log(level, "%s %s", text, long)  # each returns, though nothing is delivered

        # The other destination gets everything, perhaps with the news of what the slow one did not take among it.
        until(lambda: sum(event.topic != "alert" for event in quick.events) == len(said))
        until(lambda: notifier.stats()["slow"]["accepted"] >= len(said))
        counts = notifier.stats()["slow"]
        slow.let.set()
        assert notifier.flush(LONG)
        delivered = notifier.stats()["slow"]["delivered"]

    arrived = [message.removesuffix(f" {long}") for message in slow.messages]
    lost = [text for text in said if text not in arrived]
    assert lost
    assert all(text.endswith("DEBUG") for text in lost)
    debug = [text for text in said if text.endswith("DEBUG")]
    first = debug.index(lost[0])
    assert first <= 100  # the oldest, but for a batch that was being delivered
    assert lost == debug[first : first + len(lost)]
    assert counts["dropped"] == {"queue full": len(lost)}
    assert counts["accepted"] == len(said)
    assert delivered == len(said) - len(lost)
    assert "queue full" in capsys.readouterr().err


# ---- 48: our own HTTP client logs


def test_fault_48_what_our_http_clients_log_goes_round_in_no_circle_and_costs_no_record() -> None:
    memory = MemoryBackend(max_batch=100)
    client = logging.getLogger("urllib3.connectionpool")  # the program's own requests go through it, and ours
    said = {f"{thread} {number}" for thread in ("first", "second") for number in range(20)}
    of_the_backend: list[str] = []

    def talkative(event: Event) -> None:
        logging.getLogger("their.client").debug("posted %s", event.message)
        of_the_backend.append(event.message)

    def speak(thread: str) -> None:
        for number in range(20):
            client.debug("%s %d", thread, number)

    with FakeDiscord(speed=40) as server:  # its limits pass forty times as fast
        backends = {"discord": DiscordBackend(server.url), "talkative": FunctionBackend(talkative), "memory": memory}
        with Notifier(backends, routes=dict.fromkeys(backends, EVERYTHING)) as notifier:
            logging.getLogger().setLevel(logging.DEBUG)
            notifier.attach()
            speakers = [threading.Thread(target=speak, args=(thread,)) for thread in ("first", "second")]
            for speaker in speakers:
                speaker.start()
            for speaker in speakers:
                speaker.join()
            assert notifier.flush(LONG)

    assert sorted(memory.messages) == sorted(said)
    assert sorted(of_the_backend) == sorted(said)
    assert sorted(embed["title"] for embed in server.embeds) == sorted(said)


# ---- 49: an error inside the handler


class Breaking(logging.LogRecord):
    """A record of the program's own class, of which one attribute will not be looked at."""

    @property
    def msg(self) -> NoReturn:
        raise RuntimeError("no")

    @msg.setter
    def msg(self, value: object) -> None:
        pass


def test_fault_49_a_record_of_which_a_filter_has_taken_the_message_is_not_lost(heard: Heard) -> None:
    record = logging.makeLogRecord({"name": "strategy", "args": ("ETH",), "levelno": 40})
    del record.msg

    heard.notifier.handler.handle(record)

    assert heard.event().message.startswith("None [not formatted")


def test_fault_49_ten_thousand_errors_inside_the_handler_are_one_line_without_the_record(
    heard: Heard, internal_errors: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    canary = "c4nary-private-key"
    record = Breaking("strategy", 40, "a.py", 1, "%s", (canary,), None)
    record.__dict__["extra"] = canary

    began = time.monotonic()
    for _ in range(10_000):
        heard.notifier.handler.handle(record)
    took = time.monotonic() - began

    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 1 + took / 10  # one in ten seconds: they take one, and more on a busy machine
    assert "a record of strategy was lost: RuntimeError" in lines[0]
    assert canary not in "".join(lines)
    assert internal_errors == ["handler"] * 10_000
    heard.logger.info("the next")
    assert heard.event().message == "the next"


# ---- 50: messages that do not format


class Raising:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("template", "args", "shown"),
    [
        ("%d pairs", ("two",), ["%d pairs", "TypeError", "'two'"]),
        ("%s and %s", ("one",), ["%s and %s", "TypeError", "'one'"]),
        ("%s", ("one", "two"), ["%s", "TypeError", "'one', 'two'"]),
        ("%(pair)s", ({"other": 1},), ["%(pair)s", "KeyError", "'other'"]),
        ("%r of %s", (Raising(), "ETH"), ["%r of %s", "RuntimeError", "<unprintable Raising", "'ETH'"]),
        ("%s", (10**5000,), ["%s", "ValueError", "0x"]),  # more digits than Python prints
        (Raising(), (), ["<unprintable Raising: RuntimeError>"]),
    ],
    ids=["type", "too few", "too many", "name", "repr", "digits", "template"],
)
def test_fault_50_a_record_that_does_not_format_arrives_with_template_arguments_and_reason(
    heard: Heard, template: Any, args: tuple[object, ...], shown: list[str]
) -> None:
    heard.logger.warning(template, *args)

    event = heard.event()
    line = heard_line(heard)
    assert event.level == logging.WARNING
    for part in shown:
        assert part in event.message
        assert part in logstash(event)["message"]
        assert part in line
    assert discord(event)


def heard_line(heard: Heard) -> str:
    line, *table = heard.printed().splitlines()
    assert all(row.startswith("  ") for row in table), "what looks like another event"
    return line


# ---- 51: any object as an extra


@dataclasses.dataclass
class Position:
    pair: str
    legs: list[object]


class Broken(dict):  # type: ignore[type-arg]  # anything
    def items(self) -> NoReturn:
        raise RuntimeError("no")


def cyclic() -> object:
    cycle: dict[str, object] = {"pair": "ETH"}
    cycle["self"] = [cycle]
    return cycle


def deep() -> object:
    value: object = "bottom"
    for _ in range(10_000):  # levels, of which orjson refuses more than 254 and Python's json more than 1000
        value = [value]
    return value


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (cyclic, {"pair": "ETH", "self": ["<cycle>"]}),
        (lambda: math.nan, None),
        (lambda: [math.inf, -math.inf], [None, None]),
        (lambda: b"\x00\xff", repr(b"\x00\xff")),
        (lambda: Decimal("1.10"), repr(Decimal("1.10"))),
        (lambda: {"fee": Decimal("1.10")}, {"fee": "1.10"}),
        (lambda: {1}, "{1}"),
        (lambda: datetime(2026, 1, 1, tzinfo=UTC), repr(datetime(2026, 1, 1, tzinfo=UTC))),
        (lambda: Position("ETH", [1]), repr(Position("ETH", [1]))),
        (lambda: 2**64, str(2**64)),
        (lambda: Broken(a=1), "<unprintable Broken: RuntimeError>"),
        (Raising, "<unprintable Raising: RuntimeError>"),
    ],
    ids=[
        "cycle", "nan", "infinities", "bytes", "Decimal", "Decimal inside", "set", "datetime", "dataclass", "huge int",
        "broken dict", "raising repr",
    ],
)  # fmt: skip
def test_fault_51_an_extra_that_json_has_no_type_for_arrives_as_what_it_was(
    heard: Heard, make: Callable[[], object], expected: object
) -> None:
    heard.logger.info("said", extra={"x": make()})

    event = heard.event()
    assert logstash(event)["x"] == expected
    assert "x" in json_line(event)["fields"]
    assert discord(event)
    assert " x=" in heard.printed()


@pytest.mark.parametrize(
    "make",
    [
        deep,
        lambda: list(range(1_000_000)),
        lambda: "損" * 10_000_000,
        lambda: {str(number): "x" * 100_000 for number in range(1000)},
        lambda: deque([list(range(1000))] * 1000),
    ],
    ids=["deep", "long", "text", "dict", "deque"],
)
def test_fault_51_a_huge_extra_arrives_bounded(heard: Heard, make: Callable[[], object]) -> None:
    heard.logger.info("said", extra={"x": make(), "pair": "ETH"})

    event = heard.event()
    assert logstash(event)["pair"] == "ETH"  # and all of it is a datagram
    # Of one field: 100 items of 32,768 characters each, if every one of them is long.
    assert len(json.dumps(json_line(event), ensure_ascii=False)) < 4_000_000
    assert discord(event)
    assert "pair=ETH" in heard.printed()


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(5000, 5010).map(lambda digits: 10**digits)
    | st.floats()
    | st.text(st.characters(), max_size=20)  # surrogates and control characters too
    | st.binary(max_size=20)
    | st.decimals()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers()
    | st.builds(Raising)
    | st.builds(Broken, st.just({"a": 1}))
)
names = st.none() | st.integers() | st.text(st.characters(), max_size=5) | st.floats() | st.tuples(st.integers())
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(names, inner, max_size=5)
        | st.lists(inner, max_size=5).map(deque)
        | st.builds(Position, st.text(st.characters()), st.lists(inner, max_size=3))
        | st.sets(st.integers())
    ),
    max_leaves=20,
)


def test_fault_51_whatever_is_logged_arrives_as_strict_json(heard: Heard, pytestconfig: pytest.Config) -> None:
    @settings(
        max_examples=pytestconfig.getoption("--records"), suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.dictionaries(st.text(st.characters(), max_size=9).map("x{}".format), anything, max_size=3), anything)
    def arrives(extra: dict[str, object], argument: object) -> None:
        heard.logger.info("said %r", argument, extra=extra)

        event = heard.event()
        assert logstash(event)["event_id"] == event.id
        assert json_line(event)["id"] == event.id
        assert discord(event)
        assert heard_line(heard)

    arrives()


# ---- 52: text that is no plain text


HOSTILE_TEXT = "price \ud800 \x00 \x1b[31mred\x1b[0m \x9b2J \u202eevil\u2066 \x08 \r\n2026-01-01 CRITICAL fake"


@pytest.mark.parametrize("where", ["message", "field", "name of a field"])
def test_fault_52_control_characters_arrive_readable_and_are_obeyed_by_nobody(heard: Heard, where: str) -> None:
    if where == "message":
        heard.logger.info(HOSTILE_TEXT)
    else:
        heard.logger.info("said", extra={"x": HOSTILE_TEXT} if where == "field" else {HOSTILE_TEXT: "x"})

    event = heard.event()
    line = heard_line(heard)  # one, in spite of the line break
    assert not OBEYED.search(line)
    for part in (r"\ud800", r"\x00", r"\x1b[31mred", r"\x9b", r"\u202eevil", "fake"):
        assert part in line
    shown = discord(event)
    assert not OBEYED.search(shown)
    assert "price" in shown
    assert "evil" in shown
    document = json.dumps(logstash(event), ensure_ascii=False)
    document.encode()
    assert "\\u0000" not in document  # where rsyslog would end the text
    assert "fake" in document


# ---- 53: what changes after it was logged


def test_fault_53_what_changes_after_the_call_arrives_as_it_was(heard: Heard) -> None:
    orders = ["buy"]
    position = Position("ETH", [1])
    extras: dict[str, Any] = {"orders": orders, "nested": {"legs": [orders]}, "position": position, "seen": {1}}
    extras["queue"] = deque(orders)
    extras["data"] = bytearray(b"buy")

    heard.logger.info("orders %s of %s", orders, position, extra=extras)
    heard.notifier.notify("said", fields=extras)
    orders[0] = "sell"
    position.pair = "BTC"
    extras["nested"]["legs"].append("sell")
    extras["seen"].clear()
    extras["queue"].clear()
    extras["data"][:] = b"sell"
    extras.clear()

    assert heard.notifier.flush(LONG)
    logged, said = heard.memory.events
    assert logged.message == "orders ['buy'] of Position(pair='ETH', legs=[1])"
    for event in (logged, said):
        assert event.fields == {
            "orders": ["buy"],
            "nested": {"legs": [["buy"]]},
            "position": "Position(pair='ETH', legs=[1])",
            "seen": "{1}",
            "queue": "deque(['buy'])",
            "data": "bytearray(b'buy')",
        }
        assert "sell" not in json.dumps(logstash(event)) + discord(event)
    assert "sell" not in heard.printed()
