"""The contract test: our own backends pass, and of broken ones it names what is broken."""

import io
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from notify.backend import Backend
from notify.backends.function import FunctionBackend
from notify.backends.handler import HandlerBackend
from notify.backends.memory import MemoryBackend
from notify.backends.stdout import StdoutBackend
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Event
from notify.testing import check_backend
from notify.testing.contract import hostile_events, ordinary_event

SECRET = "c4nary-token"


class Good:
    """Keeps the contract; what is broken below is broken in a copy of it."""

    max_batch = 3

    def send(self, events: Sequence[Event], /) -> int:
        return len(events)

    def close(self) -> None:
        """Hold nothing."""


# ---- what passes


@pytest.mark.parametrize(
    "make",
    [
        Good,
        MemoryBackend,
        lambda: MemoryBackend(durable=True, max_batch=10),
        lambda: FunctionBackend(lambda event: None),
        lambda: HandlerBackend(logging.StreamHandler(io.StringIO())),
    ],
    ids=["good", "memory", "memory with batches", "function", "handler"],
)
def test_a_backend_that_keeps_the_contract_passes(make: Callable[[], Backend]) -> None:
    check_backend(make, secrets=[SECRET])


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("destination", [None, "discord"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_standard_output_keeps_the_contract(
    monkeypatch: pytest.MonkeyPatch, json: bool, destination: str | None, encoding: str
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))

    check_backend(lambda: StdoutBackend(json=json, destination=destination, env={"FORCE_COLOR": "1"}))


@pytest.mark.parametrize("answer", [RetryLater(1.0), Rejected("no"), Gone("gone"), ConnectionResetError()])
def test_a_destination_may_refuse_in_the_words_of_the_contract(answer: Exception) -> None:
    class Choosy(Good):
        def send(self, events: Sequence[Event], /) -> int:
            if events[0].topic != "trade":  # that of the ordinary ones
                raise answer
            return len(events)

    check_backend(Choosy)


def test_a_backend_that_delivers_nothing_is_broken() -> None:
    class Refusing(Good):
        def send(self, events: Sequence[Event], /) -> int:
            raise RetryLater

    with pytest.raises(AssertionError, match="an ordinary event was not delivered"):
        check_backend(Refusing)


def test_a_backend_may_take_a_batch_in_parts() -> None:
    class OneByOne(Good):
        def send(self, events: Sequence[Event], /) -> int:
            return 1

    check_backend(OneByOne)


def test_the_backend_sees_a_batch_as_large_as_it_asked_for_and_every_hostile_event() -> None:
    sizes: list[int] = []
    messages: set[str] = set()

    class Counting(Good):
        def send(self, events: Sequence[Event], /) -> int:
            sizes.append(len(events))
            messages.update(event.message for event in events)
            return len(events)

    check_backend(Counting)

    assert max(sizes) == Good.max_batch
    assert {event.message for event in hostile_events()} <= messages


# ---- what is named


def returning(count: object) -> Callable[..., Any]:
    return lambda self, events, /: count


def raising(error: Exception) -> Callable[..., Any]:
    def send(self: object, *events: object) -> int:
        raise error

    return send


BROKEN: list[tuple[str, dict[str, object], str]] = [
    ("no send", {"send": None}, r"methods send\(events\) and close\(\)"),
    ("no close", {"close": None}, r"methods send\(events\) and close\(\)"),
    ("batches of none", {"max_batch": 0}, "max_batch is at least 1"),
    ("batches of a text", {"max_batch": "many"}, "max_batch is a number of events"),
    ("durable is a text", {"durable": "yes"}, "durable is True or False"),
    ("folds is a number", {"folds": 1}, "folds is True or False"),
    ("returns nothing", {"send": returning(None)}, r"send\(\) returns how many events .* not NoneType"),
    ("returns none", {"send": returning(0)}, r"send\(\) returned 0 for 1 events"),
    ("returns too many", {"send": returning(2)}, r"send\(\) returned 2 for 1 events"),
    ("raises what says nothing", {"send": raising(KeyError("x"))}, r"send\(\) raised KeyError for the event 'Bought"),
    ("close raises", {"close": raising(KeyError("x"))}, r"close\(\) raised KeyError"),
    ("shows a secret in its repr", {"__repr__": lambda self: f"Pager({SECRET})"}, r"repr\(\) shows a secret"),
    ("shows a secret in an error", {"send": raising(Rejected(f"no {SECRET}"))}, "an error shows a secret"),
    ("shows a secret of the system", {"send": raising(OSError(5, SECRET))}, "an error shows a secret"),
]


@pytest.mark.parametrize(("parts", "named"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_is_broken_is_named(parts: dict[str, object], named: str) -> None:
    whole = {name: part for name, part in {**vars(Good), **parts}.items() if part is not None}
    broken: Any = type("Broken", (), whole)

    with pytest.raises(AssertionError, match=named):
        check_backend(broken, secrets=[SECRET])


def chokes_on(text: Callable[[Event], object]) -> Callable[..., int]:
    def send(self: object, events: Sequence[Event], /) -> int:
        for event in events:
            text(event)
        return len(events)

    return send


@pytest.mark.parametrize(
    "careless",
    [
        lambda event: event.message.encode("ascii"),
        lambda event: event.message[0],
        lambda event: [float(value) for value in event.fields.values()],
        lambda event: event.exception.traceback,
        lambda event: {"message": 1, **{name.isidentifier() or 1 / 0: 1 for name in event.fields}},
    ],
    ids=["ASCII only", "never empty", "numbers only", "always an exception", "names are identifiers"],
)
def test_careless_code_does_not_survive_the_hostile_events(careless: Callable[[Event], object]) -> None:
    broken: Any = type("Broken", (Good,), {"send": chokes_on(careless)})

    with pytest.raises(AssertionError, match=r"send\(\) raised"):
        check_backend(broken)


def test_a_backend_that_cannot_be_closed_unused_is_found() -> None:
    class OpensLate(Good):
        connection: object = None

        def send(self, events: Sequence[Event], /) -> int:
            self.connection = object()
            return len(events)

        def close(self) -> None:
            if self.connection is None:
                raise AttributeError("connection")

    with pytest.raises(AssertionError, match=r"close\(\) raised AttributeError"):
        check_backend(OpensLate)


def test_the_ordinary_event_has_every_part_that_a_backend_may_show() -> None:
    event = ordinary_event()

    assert event.body
    assert event.fields
    assert event.attachments
    assert event.logger
    assert event.source.path
