"""A callable of somebody else's that is asked by one thread at a time, and that may hang."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")
_PATIENCE = 1.0  # seconds


class Busy(Exception):
    """Somebody asks already, and gets no answer."""


class Asked(Generic[_T]):
    """Asks *ask*, and lets no more than one thread wait for it. Thread-safe.

    The lanes' lock may be held by a thread that is stopped, and a callable of the program may never return: that must
    cost one of the threads that answer, and not all.

    Args:
        ask: what is asked. What it raises goes on to who has asked.
    """

    def __init__(self, ask: Callable[[], _T]) -> None:
        self._ask = ask
        self._asking = threading.Lock()
        self._since: float | None = None  # monotonic seconds, while somebody asks

    def get(self) -> _T:
        """Return the answer. Raises `Busy` when another thread has been waiting for one for a second."""
        since = self._since
        waited = 0.0 if since is None else time.monotonic() - since
        if not self._asking.acquire(timeout=max(0.0, _PATIENCE - waited)):
            raise Busy
        try:
            self._since = time.monotonic()
            return self._ask()
        finally:
            self._since = None
            self._asking.release()
