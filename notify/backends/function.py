"""Any function of one event as a backend."""

import inspect
from collections.abc import Callable, Sequence

from notify.event import Event


class FunctionBackend:
    """Calls a function with each event. What it raises says what becomes of the event, as in `notify.backend`.

    Args:
        function: called by the lane's thread, one event at a time; what it returns is ignored.

    Raises `ValueError` for a coroutine function: nobody would await it.
    """

    folds = False

    def __init__(self, function: Callable[[Event], object]) -> None:
        called = function if inspect.isroutine(function) else type(function).__call__
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
            raise ValueError("a coroutine function cannot be a backend; pass one that runs it")
        self._function = function

    def send(self, events: Sequence[Event], /) -> int:
        """Call the function with the first event."""
        self._function(events[0])
        return 1

    def close(self) -> None:
        """Do nothing: a function holds nothing of ours."""
