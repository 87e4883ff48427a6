"""Any function of one event as a backend."""

import functools
from collections.abc import Callable

import pytest

from notify.backend import Backend, max_batch
from notify.backends.function import FunctionBackend
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Event


def event(message: str) -> Event:
    return Event(id=message, time=0.0, message=message, level=20)


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


@pytest.mark.parametrize(
    "function", [coroutine, functools.partial(coroutine), CallableCoroutine()], ids=["function", "partial", "object"]
)
def test_a_coroutine_function_is_refused(function: Callable[[Event], object]) -> None:
    with pytest.raises(ValueError, match="coroutine function"):
        FunctionBackend(function)


def test_an_object_that_can_be_called_will_do() -> None:
    sink = Sink()

    FunctionBackend(sink).send([event("a")])

    assert [one.message for one in sink.events] == ["a"]


def test_it_is_a_backend_that_gets_every_event() -> None:
    backend = FunctionBackend(print)

    assert isinstance(backend, Backend)
    assert not backend.folds
    backend.close()
