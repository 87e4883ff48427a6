"""What became of one event."""

import threading
import time
from collections.abc import Mapping

from notify.delivery.timeout import seconds

PENDING = "pending"
DELIVERED = "delivered"
FOLDED = "folded"
CLOSED = "closed"
"""The reason to drop what is left when the program ends, and is not on disk."""
HANDED_OVER = "handed over to "
"""How the outcome begins at a backend that is gone; the name of the one that gets the event follows."""


class Ticket:
    """What `notify()` returns: the event's id, whether it is on disk, and what became of it.

    Thread-safe. `durable` is True when the event was on disk before `notify()` returned.

    Args:
        id: the event's id.
        changed: shared by all tickets of a notifier; notified when any of them is settled.
    """

    __slots__ = ("__weakref__", "_changed", "_outcomes", "_routed", "durable", "id")

    def __init__(self, id: str, *, changed: threading.Condition) -> None:  # noqa: A002 - the public name
        self.id = id
        self.durable = False
        self._changed = changed
        self._outcomes: dict[str, str] | None = None  # None saves memory while there is none
        self._routed = False

    def __repr__(self) -> str:
        return f"Ticket(id={self.id!r}, durable={self.durable})"

    def wait(self, timeout: float | None) -> Mapping[str, str]:
        """Wait until every backend has settled the event, *timeout* seconds at most; None: however long it takes.

        Returns backend names and `delivered`, `pending`, `rejected: …`, `dropped: …`, `folded`: it is counted in what
        that backend is told of its matter, or `handed over to …` the one that stands in for it while it is gone, which
        answers for itself. Backends that do not want the event are not in it. Never raises.
        """
        deadline = time.monotonic() + seconds(timeout, otherwise=0.0)
        with self._changed:
            while not self._routed or (self._outcomes and PENDING in self._outcomes.values()):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            return dict(self._outcomes or {})

    def wait_for(self, backend: str, timeout: float) -> None:
        """Wait until *backend* has settled the event or does not get it, *timeout* seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._routed and (self._outcomes or {}).get(backend) != PENDING, timeout)

    def stored(self) -> None:
        """Note that the event is on disk. For who writes it there, before its caller goes on."""
        self.durable = True

    def routed(self, outcomes: Mapping[str, str]) -> None:
        """Note which backends the event goes to, and what is known of each by now. For the dispatcher.

        What a lane has said meanwhile stands.
        """
        with self._changed:
            self._outcomes = dict(outcomes) if self._outcomes is None else {**outcomes, **self._outcomes}
            self._routed = True
            self._changed.notify_all()

    def settle(self, backend: str, outcome: str) -> None:
        """Note what became of the event at *backend*. For the lanes."""
        with self._changed:
            if self._outcomes is None:
                self._outcomes = {}
            self._outcomes[backend] = outcome
            self._changed.notify_all()
