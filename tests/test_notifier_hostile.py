"""Hostile input: the event arrives, marked, and nothing is raised."""

import _thread
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from lanes import LONG

from notify.backends.discord import DiscordBackend
from notify.backends.handler import HandlerBackend
from notify.backends.memory import MemoryBackend
from notify.delivery.ticket import DELIVERED
from notify.event import Attachment, Event, Matter, Phase, new_id
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.testing.fake_discord import FakeDiscord


def only(notifier: Notifier, backend: MemoryBackend) -> Event:
    assert notifier.flush(LONG)
    (event,) = backend.events
    return event


class Hostile:
    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = _refuse


class HostileClass:
    @property  # type: ignore[misc]  # that is the point
    def __class__(self) -> NoReturn:  # type: ignore[override]  # that is the point
        raise RuntimeError("no")


def endless_attachments() -> Iterator[Attachment]:
    return itertools.repeat(Attachment("a", b""))


def breaking_attachments() -> Iterator[Attachment]:
    yield Attachment("a", b"")
    raise RuntimeError("no")


def cycle() -> dict[str, object]:
    made: dict[str, object] = {}
    made["self"] = made
    return made


# name: what is passed (made by a function, as pytest would look at the object), and what the event shows of it.
HOSTILE: dict[str, tuple[Callable[[], Any], dict[str, Callable[[], Any]], Callable[[Event], bool]]] = {
    "no string": (lambda: 42, {}, lambda event: event.message == "42"),
    "nothing": (lambda: None, {}, lambda event: event.message == "None"),
    "a message that cannot be printed": (Hostile, {}, lambda event: "unprintable Hostile" in event.message),
    "a message without a class": (HostileClass, {}, lambda event: "HostileClass" in event.message),
    "a huge number": (lambda: 10**5000, {}, lambda event: event.message.startswith("0x")),
    "a lone surrogate": (lambda: "\ud800", {}, lambda event: event.message == r"\ud800"),
    "a body that cannot be printed": (str, {"body": Hostile}, lambda event: "unprintable" in event.body),
    "surrogates everywhere": (
        str,
        {"body": lambda: "\ud800", "topic": lambda: "\ud800", "key": lambda: "\ud800", "fields": lambda: {"\ud800": 1}},
        lambda event: (event.body, event.topic, event.key, list(event.fields)) == (r"\ud800",) * 3 + ([r"\ud800"],),
    ),
    "a level in words": (
        str,
        {"level": lambda: "loud"},
        lambda event: (event.level, event.fields) == (logging.INFO, {"level": "loud"}),
    ),
    "no level": (str, {"level": lambda: None}, lambda event: event.level == logging.INFO),
    "a level of no number": (str, {"level": lambda: float("nan")}, lambda event: "level" in event.fields),
    "a level without a class": (str, {"level": HostileClass}, lambda event: "level" in event.fields),
    "a topic of no string": (str, {"topic": lambda: ["gas"]}, lambda event: event.topic == "['gas']"),
    "a key that cannot be printed": (str, {"key": Hostile}, lambda event: "unprintable" in str(event.key)),
    "a cycle": (str, {"fields": cycle}, lambda event: "<cycle>" in str(event.fields)),
    "not a number": (str, {"fields": lambda: {"x": float("nan")}}, lambda event: "x" in event.fields),
    "hostile values": (
        str,
        {"fields": lambda: {"x": Hostile(), "y": 10**5000, 3: HostileClass()}},
        lambda event: {"x", "y", "3"} == set(event.fields),
    ),
    "fields that are a list": (str, {"fields": lambda: [1, 2]}, lambda event: event.fields == {"fields": [1, 2]}),
    "fields without a truth": (str, {"fields": Hostile}, lambda event: "unprintable" in str(event.fields)),
    "attachments that are none": (
        str,
        {"attachments": lambda: ["chart.png", Attachment("a", b"")]},
        lambda event: len(event.attachments) == 1 and "1 of 2" in str(event.fields["attachments"]),
    ),
    "one attachment, not a list": (
        str,
        {"attachments": lambda: Attachment("a", b"")},
        lambda event: event.attachments == (Attachment("a", b""),) and not event.fields,
    ),
    "no attachments": (str, {"attachments": lambda: None}, lambda event: not event.fields),
    "a number as attachments": (str, {"attachments": lambda: 7}, lambda event: "TypeError" in str(event.fields)),
    "a path as attachments": (str, {"attachments": lambda: "a.png"}, lambda event: "5 of 5" in str(event.fields)),
    "endless attachments": (
        str,
        {"attachments": endless_attachments},
        lambda event: len(event.attachments) == 100 and "too many" in str(event.fields),
    ),
    "attachments that break": (
        str,
        {"attachments": breaking_attachments},
        lambda event: "RuntimeError" in str(event.fields),
    ),
    "an exception that is none": (str, {"exc": lambda: "error"}, lambda event: event.fields == {"exc": "error"}),
    "an exception class": (str, {"exc": lambda: ValueError}, lambda event: "ValueError" in str(event.fields)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_arrives_and_is_marked(notifier: Notifier, backend: MemoryBackend, name: str) -> None:
    message, parts, is_marked = HOSTILE[name]

    ticket = notifier.notify(message(), **{part: make() for part, make in parts.items()})

    event = only(notifier, backend)
    assert event.id == ticket.id
    assert is_marked(event), event


def test_a_trade_with_a_misspelt_argument_arrives_too(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.trade("Bought", felds={"pair": "ETH"})  # type: ignore[call-arg]  # that is the point

    event = only(notifier, backend)
    assert (event.message, event.level) == ("Bought", TRADE)
    assert "TypeError" in str(event.fields)


def test_what_is_said_by_no_python_frame_arrives(notifier: Notifier, backend: MemoryBackend) -> None:
    _thread.start_new_thread(notifier.notify, ("from C",))  # the only frame of its thread

    (event,) = backend.wait_for(1)

    assert (event.message, event.source.path, event.source.line) == ("from C", "", 0)


def test_the_name_of_a_thread_is_made_valid(notifier: Notifier, backend: MemoryBackend) -> None:
    thread = threading.Thread(target=notifier.notify, args=("x",), name="\ud800")
    thread.start()
    thread.join()

    assert only(notifier, backend).source.thread == r"\ud800"


@pytest.mark.parametrize("odd", [{"level": "ERROR"}, {"level": None}])
def test_an_event_of_odd_types_is_refused_without_an_exception(
    notifier: Notifier, backend: MemoryBackend, internal_errors: list[str], odd: dict[str, Any]
) -> None:
    event = Event(**{"id": new_id(0), "time": 0.0, "message": "odd", "level": 20, **odd})

    assert notifier.accept(event).wait(LONG) == {"memory": "dropped: could not be made"}
    assert internal_errors == ["draft"]
    assert notifier.notify("next").wait(LONG) == {"memory": DELIVERED}


@pytest.mark.parametrize("none", [math.inf, -math.inf, math.nan, 1e300, -1.0, None, "noon"], ids=str)
def test_an_event_whose_times_are_none_has_happened_now(notifier: Notifier, backend: MemoryBackend, none: Any) -> None:
    matter = Matter("a", Phase.ANNOUNCED, 3, since=none, last=none)

    notifier.accept(Event(id="a-1", time=none, message="odd", level=40, matter=matter), folds=False)

    event = only(notifier, backend)
    assert 0 <= time.time() - event.time < LONG  # now
    assert event.matter == replace(matter, since=event.time, last=event.time)


@pytest.mark.parametrize("none", [math.inf, math.nan], ids=str)
def test_an_event_whose_times_are_none_is_delivered_as_others_are(none: float) -> None:
    shown: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handler.emit = lambda record: shown.append(handler.format(record))  # type: ignore[method-assign]  # all it does
    with (
        FakeDiscord() as server,
        Notifier({"discord": DiscordBackend(server.url), "handler": HandlerBackend(handler)}) as notifier,
    ):
        for number, phase in enumerate(Phase):
            matter = Matter("a", phase, 3, since=none, last=none)
            event = Event(id=f"a-{number}", time=none, message=phase, level=40, matter=matter)
            outcomes = notifier.accept(event, folds=False).wait(LONG)
            assert outcomes == {"discord": DELIVERED, "handler": DELIVERED}, phase
    assert [line.split()[-1] for line in shown] == list(Phase)


def test_an_event_keeps_a_time_that_is_one(notifier: Notifier, backend: MemoryBackend) -> None:
    event = Event(id="a-1", time=1, message="old", level=40, matter=Matter("a", Phase.ANNOUNCED, 3, 0, 1))

    notifier.accept(event, folds=False)

    assert only(notifier, backend) == event
