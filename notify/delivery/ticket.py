"""What became of one event."""

import threading
import time
from collections.abc import Iterable, Mapping

PENDING = "pending"
DELIVERED = "delivered"


class Ticket:
    """What `notify()` returns: the event's id, whether it is on disk, and what became of it.

    Thread-safe.

    Args:
        id: the event's id.
        durable: True when the event was on disk before `notify()` returned.
        changed: shared by all tickets of a notifier; notified when any of them is settled.
    """

    __slots__ = ("__weakref__", "_changed", "_outcomes", "durable", "id")

    def __init__(self, id: str, *, durable: bool, changed: threading.Condition) -> None:  # noqa: A002 - the public name
        self.id = id
        self.durable = durable
        self._changed = changed
        self._outcomes: dict[str, str] | None = None  # None: not routed yet

    def __repr__(self) -> str:
        return f"Ticket(id={self.id!r}, durable={self.durable})"

    def wait(self, timeout: float) -> Mapping[str, str]:
        """Wait until every backend has settled the event, *timeout* seconds at most.

        Returns backend names and `delivered`, `pending`, `rejected: …` or `dropped: …`; backends that do
        not want the event are not in it. Never raises.
        """
        deadline = time.monotonic() + min(timeout, threading.TIMEOUT_MAX)
        with self._changed:
            while self._outcomes is None or PENDING in self._outcomes.values():
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            return dict(self._outcomes or {})

    def routed(self, backends: Iterable[str]) -> None:
        """Note which backends the event goes to. For the dispatcher."""
        with self._changed:
            self._outcomes = dict.fromkeys(backends, PENDING)
            self._changed.notify_all()

    def settle(self, backend: str, outcome: str) -> None:
        """Note what became of the event at *backend*. For the lanes."""
        with self._changed:
            if self._outcomes is None:
                self._outcomes = {}
            self._outcomes[backend] = outcome
            self._changed.notify_all()
