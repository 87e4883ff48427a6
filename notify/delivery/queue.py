"""What waits in front of one backend: a bounded queue in memory that urgent events overtake.

Not thread-safe: the lane that owns it holds a lock around every call.
"""

from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Self

from notify.delivery.ticket import Ticket
from notify.event import Event
from notify.levels import severity
from notify.rules.routing import is_urgent

CAPACITY = 50_000  # events; 45 MB at the 900 bytes of a waiting event
MAX_BYTES = 64 * 2**20  # of text and attachments, so that a few thousand long tracebacks cannot fill the memory


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that waits, with the ticket that somebody may hold.

    Args:
        event: what is to be delivered.
        ticket: told what becomes of it.
        weight: about how many characters of text and bytes of files the event has.
        stored: it is on disk, for each durable backend that gets it.
    """

    event: Event
    ticket: Ticket | None
    weight: int
    stored: bool = False

    @classmethod
    def of(cls, event: Event, ticket: Ticket | None, *, stored: bool = False) -> Self:
        """Return the entry of *event*, weighed."""
        weight = len(event.message) + len(event.body) + sum(map(len, event.tail))
        for value in event.fields.values():
            weight += len(value) if type(value) is str else _weight(value)
        if event.exception is not None:
            weight += len(event.exception.traceback)
        for attachment in event.attachments:
            weight += len(attachment.data)
        return cls(event, ticket, weight, stored)


def _weight(value: object) -> int:
    """Return about how much text there is in a kept value; `notify.plain` has bounded its items."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_weight, value)) + sum(map(_weight, value.values()))
    return sum(map(_weight, value)) if isinstance(value, list | tuple) else 0


class LaneQueue:
    """Urgent entries first, otherwise first in, first out. What was taken stays ours until acknowledged.

    Args:
        capacity: events that may wait.
        max_bytes: of text and files that may wait.
        in_order: urgent entries wait their turn too.
    """

    def __init__(self, *, capacity: int = CAPACITY, max_bytes: int = MAX_BYTES, in_order: bool = False) -> None:
        self._in_order = in_order
        self._capacity = capacity
        self._max_bytes = max_bytes
        # What a full queue is emptied to: a tenth is freed at once, so that it is sorted seldom.
        self._shed_to = capacity - capacity // 10
        self._shed_to_bytes = max_bytes - max_bytes // 10
        self._urgent: deque[Entry] = deque()
        self._ordinary: deque[Entry] = deque()
        self._taken: deque[Entry] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary) + len(self._taken)

    @property
    def roomy(self) -> bool:
        """Whether at least half of the room is free."""
        return 2 * len(self) <= self._capacity and 2 * self._bytes <= self._max_bytes

    def put(self, entry: Entry) -> list[Entry]:
        """Add *entry*, and return what had to make room for it: the oldest of the least severe.

        An entry that would leave no room for others even in an empty queue is what is returned.
        """
        if entry.weight > self._shed_to_bytes:
            return [entry]
        self._line_of(entry).append(entry)
        self._bytes += entry.weight
        if len(self) > self._capacity or self._bytes > self._max_bytes:
            return self._shed()
        return []

    def take(self, limit: int) -> list[Entry]:
        """Return the next entries, *limit* at most. They stay in the queue until `acknowledge` or `give_back`."""
        while len(self._taken) < limit and (self._urgent or self._ordinary):
            self._taken.append((self._urgent or self._ordinary).popleft())
        return list(self._taken)

    def acknowledge(self, count: int) -> list[Entry]:
        """Remove and return the first *count* of what was taken."""
        done = [self._taken.popleft() for _ in range(min(count, len(self._taken)))]
        for entry in done:
            self._bytes -= entry.weight
        return done

    def give_back(self) -> None:
        """Put what was taken and not acknowledged back to the front, in its order."""
        while self._taken:
            entry = self._taken.pop()
            self._line_of(entry).appendleft(entry)

    def discard(self, ids: Container[str]) -> list[Entry]:
        """Remove and return the waiting entries of these events. What was taken stays."""
        gone = [entry for entry in (*self._urgent, *self._ordinary) if entry.event.id in ids]
        for entry in gone:
            self._bytes -= entry.weight
        self._keep_without(gone)
        return gone

    def clear(self) -> list[Entry]:
        """Remove and return everything."""
        left = [*self._taken, *self._urgent, *self._ordinary]
        self._taken.clear()
        self._urgent.clear()
        self._ordinary.clear()
        self._bytes = 0
        return left

    def _line_of(self, entry: Entry) -> deque[Entry]:
        return self._urgent if is_urgent(entry.event) and not self._in_order else self._ordinary

    def _shed(self) -> list[Entry]:
        """Remove and return the oldest of the least severe until a tenth is free again."""
        waiting = [*self._ordinary, *self._urgent]
        dropped: list[Entry] = []
        for entry in sorted(waiting, key=lambda entry: severity(entry.event.level)):
            if len(self) - len(dropped) <= self._shed_to and self._bytes <= self._shed_to_bytes:
                break
            dropped.append(entry)
            self._bytes -= entry.weight
        self._keep_without(dropped)
        return dropped

    def _keep_without(self, gone: Iterable[Entry]) -> None:
        marked = {id(entry) for entry in gone}
        self._ordinary = deque(entry for entry in self._ordinary if id(entry) not in marked)
        self._urgent = deque(entry for entry in self._urgent if id(entry) not in marked)
