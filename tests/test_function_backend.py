"""Any function of one event as a backend."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from notify.backend import Backend, max_batch
from notify.backends.function import FunctionBackend
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Event


def event(message: str, **parts: Any) -> Event:
    return Event(id=message, time=0.0, message=message, level=20, **parts)


async def coroutine(event: Event) -> None:
    """Stand for what a program with asyncio may pass by mistake."""


class CallableCoroutine:
    async def __call__(self, event: Event) -> None:
        """Stand for an object of the same kind."""


class Sink:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def test_the_function_gets_the_first_event_and_the_lane_keeps_the_rest() -> None:
    got: list[Event] = []
    backend = FunctionBackend(got.append)

    assert backend.send([event("a"), event("b")]) == 1

    assert [one.message for one in got] == ["a"]
    assert max_batch(backend) == 1


@pytest.mark.parametrize("answer", [None, 0, False, 7, "text"])
def test_what_the_function_returns_is_ignored(answer: object) -> None:
    assert FunctionBackend(lambda event: answer).send([event("a")]) == 1


@pytest.mark.parametrize("raised", [RetryLater(3.0), Rejected("no"), Gone("gone"), OSError(5, "io"), KeyError("bug")])
def test_what_the_function_raises_reaches_the_lane(raised: Exception) -> None:
    def fail(event: Event) -> None:
        raise raised

    with pytest.raises(type(raised)) as caught:
        FunctionBackend(fail).send([event("a")])

    assert caught.value is raised


class CallableGenerator:
    def __call__(self, event: Event) -> Iterator[Event]:
        yield event


def generator(event: Event) -> Iterator[Event]:
    yield event


async def async_generator(event: Event) -> AsyncIterator[Event]:
    yield event


@pytest.mark.parametrize(
    "function",
    [
        coroutine,
        functools.partial(coroutine),
        CallableCoroutine(),
        functools.partial(CallableCoroutine()),
        CallableCoroutine().__call__,
    ],
    ids=["function", "partial", "object", "partial of an object", "method"],
)
def test_a_coroutine_function_is_refused(function: Callable[[Event], object]) -> None:
    with pytest.raises(ValueError, match="coroutine function"):
        FunctionBackend(function)


@pytest.mark.parametrize(
    "function",
    [generator, async_generator, CallableGenerator(), functools.partial(generator)],
    ids=["generator", "async generator", "object", "partial"],
)
def test_a_generator_function_is_refused(function: Callable[[Event], object]) -> None:
    with pytest.raises(ValueError, match="generator function"):
        FunctionBackend(function)


class Request:
    """Is sent as soon as somebody awaits it, as those of aiohttp are."""

    def __await__(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("function", "returned"),
    [
        (lambda event: coroutine(event), "coroutine"),
        (lambda event: generator(event), "generator"),
        (lambda event: async_generator(event), "async_generator"),
        (lambda event: Request(), "Request"),
    ],
    ids=["coroutine", "generator", "async generator", "awaitable"],
)
def test_an_event_for_which_it_returns_what_nobody_runs_is_rejected(
    function: Callable[[Event], object], returned: str
) -> None:
    with pytest.raises(Rejected, match=f"returned a {returned}, which nobody runs"):
        FunctionBackend(function).send([event("a")])


def test_a_task_runs_by_itself() -> None:
    loop = asyncio.new_event_loop()
    done: list[str] = []

    async def deliver(event: Event) -> None:
        done.append(event.message)

    def start(event: Event) -> object:
        tasks.append(loop.create_task(deliver(event)))
        return tasks[-1]

    tasks: list[asyncio.Task[None]] = []

    assert FunctionBackend(start).send([event("a")]) == 1

    loop.run_until_complete(tasks[0])
    loop.close()
    assert done == ["a"]


def test_what_it_changes_in_the_fields_nobody_else_sees() -> None:
    shared = event("a", fields={"pair": "ETH", "legs": [1, {"price": 2}]})

    def change(event: Event) -> None:
        fields: Any = event.fields
        fields["pair"] = "BTC"
        fields["legs"][1]["price"] = 3
        fields["legs"].clear()

    FunctionBackend(change).send([shared])

    assert shared.fields == {"pair": "ETH", "legs": [1, {"price": 2}]}


def test_fields_are_a_dict_for_those_who_make_json_of_them() -> None:
    lines: list[str] = []

    FunctionBackend(lambda event: lines.append(json.dumps(event.fields))).send([event("a", fields={"legs": [1]})])

    assert lines == ['{"legs": [1]}']


def test_an_object_that_can_be_called_will_do() -> None:
    sink = Sink()

    FunctionBackend(sink).send([event("a")])

    assert [one.message for one in sink.events] == ["a"]


def test_it_is_a_backend_that_gets_every_event() -> None:
    backend = FunctionBackend(print)

    assert isinstance(backend, Backend)
    assert not backend.folds
    backend.close()
