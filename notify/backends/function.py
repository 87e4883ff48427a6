"""Any function of one event as a backend."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace

from notify.errors import Rejected
from notify.event import Event
from notify.plain import unshared

_NEVER_RUN: tuple[tuple[str, Callable[[object], bool]], ...] = (
    ("coroutine", inspect.iscoroutinefunction),
    ("generator", inspect.isgeneratorfunction),
    ("generator", inspect.isasyncgenfunction),
)


class FunctionBackend:
    """Calls a function with each event. What it raises says what becomes of the event, as in `notify.backend`.

    The event's fields are the function's own: what it changes there, no other backend sees. An event for which it
    returns a coroutine or a generator, which nobody runs, is rejected.

    Args:
        function: called by the lane's thread, one event at a time; what else it returns is ignored.

    Raises `ValueError` for a coroutine function or a generator function: nobody would run what it returns.
    """

    folds = False

    def __init__(self, function: Callable[[Event], object]) -> None:
        called: Callable[..., object] = function
        while isinstance(called, functools.partial):
            called = called.func
        if not inspect.isroutine(called):
            called = type(called).__call__
        for kind, is_one in _NEVER_RUN:
            if is_one(called):
                raise ValueError(f"a {kind} function cannot be a backend; pass one that runs it")
        self._function = function

    def send(self, events: Sequence[Event], /) -> int:
        """Call the function with the first event."""
        event = events[0]
        if event.fields:
            event = replace(event, fields=unshared(event.fields))
        answer = self._function(event)
        if _is_still_to_run(answer):
            close = getattr(answer, "close", None)
            if close is not None:
                close()  # otherwise Python warns that it was never awaited
            raise Rejected(f"the function returned a {type(answer).__name__}, which nobody runs")
        return 1

    def close(self) -> None:
        """Do nothing: a function holds nothing of ours."""


def _is_still_to_run(answer: object) -> bool:
    if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        return True
    # A task or a future is awaitable too, but runs by itself.
    return inspect.isawaitable(answer) and not hasattr(answer, "add_done_callback")
