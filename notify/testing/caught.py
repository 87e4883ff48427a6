"""What a program says during a test, caught in memory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from notify.backends.memory import MemoryBackend
from notify.event import Event
from notify.notifier import Notifier, current_notifier, set_notifier
from notify.rules.routing import Route


class Caught:
    """The events of one test in the order in which they were said, whatever their level and topic."""

    def __init__(self, notifier: Notifier, backend: MemoryBackend) -> None:
        self.notifier = notifier
        self._backend = backend

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    @property
    def events(self) -> list[Event]:
        """Everything said so far."""
        self.notifier.flush()
        return self._backend.events

    @property
    def messages(self) -> list[str]:
        """The messages of everything said so far."""
        return [event.message for event in self.events]

    def of_topic(self, topic: str) -> list[Event]:
        """Return the events about *topic*."""
        return [event for event in self.events if event.topic == topic]

    def clear(self) -> None:
        """Forget what was said so far."""
        self.notifier.flush()
        self._backend.clear()


class _InOrder(MemoryBackend):
    """Has no ERROR overtake what was said before it: a test asserts what was said, not what a destination got first."""

    in_order = True


class _OpenNotifier(Notifier):
    """Stays open when the code under test closes it, so that a test may run that code twice."""

    def close(self, timeout: float | None = 5.0) -> None:
        """Wait for what was said."""
        self.flush(timeout)

    def end(self) -> None:
        """Close it in earnest."""
        super().close()


@contextmanager
def caught() -> Iterator[Caught]:
    """Catch what is said while the context lasts. The notifier in force before is in force again after it."""
    before = current_notifier()
    backend = _InOrder(max_batch=100)
    root = logging.getLogger()
    level = root.level
    notifier = _OpenNotifier({"outbox": backend}, routes={"outbox": Route(level=logging.NOTSET)})
    set_notifier(notifier)
    notifier.attach()
    if level > logging.INFO:
        root.setLevel(logging.INFO)
    try:
        yield Caught(notifier, backend)
    finally:
        root.setLevel(level)
        notifier.detach()
        set_notifier(before)
        notifier.end()
