"""Keeps events in a list, and fails on demand: the backend for tests."""

import threading
import time
from collections.abc import Iterable, Sequence

from notify.event import Event


class MemoryBackend:
    """Remembers what it was sent. Thread-safe.

    Args:
        fail_with: what the first calls of `send` do, in order: raise that exception, or deliver for None.
            After these every call delivers.
        durable: as in `notify.backend`.
        max_batch: as in `notify.backend`.
    """

    folds = False

    def __init__(
        self, fail_with: Iterable[BaseException | None] = (), *, durable: bool = False, max_batch: int = 1
    ) -> None:
        self.durable = durable
        self.max_batch = max_batch
        self.closed = False
        self._failures = iter(tuple(fail_with))
        self._events: list[Event] = []
        self._arrived = threading.Condition()

    @property
    def events(self) -> list[Event]:
        """A copy of what was delivered, in order."""
        with self._arrived:
            return list(self._events)

    @property
    def messages(self) -> list[str]:
        """The messages of what was delivered, in order."""
        return [event.message for event in self.events]

    def send(self, events: Sequence[Event], /) -> int:
        """Remember *events*, or raise what `fail_with` has next."""
        with self._arrived:
            failure = next(self._failures, None)
            if failure is not None:
                raise failure
            self._events.extend(events)
            self._arrived.notify_all()
        return len(events)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def clear(self) -> None:
        """Forget what was delivered."""
        with self._arrived:
            self._events.clear()

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Event]:
        """Return the events as soon as there are *count*, or what there is after *timeout* seconds."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while len(self._events) < count and (remaining := deadline - time.monotonic()) > 0:
                self._arrived.wait(remaining)
            return list(self._events)
