"""What waits in front of one backend: a bounded queue in memory that urgent events overtake.

Not thread-safe: the lane that owns it holds a lock around every call.
"""

from collections import deque
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Self

from notify import plain
from notify.delivery.ticket import Ticket
from notify.event import Event
from notify.levels import severity
from notify.rules.routing import URGENT, is_urgent

if TYPE_CHECKING:
    from notify.delivery.absence import Home

CAPACITY = 50_000  # events; 45 MB at the 900 bytes of a waiting event
MAX_BYTES = 64 * 2**20  # of text and attachments, so that a few thousand long tracebacks cannot fill the memory


class Entry(NamedTuple):
    """An event that waits, with the ticket that somebody may hold.

    Args:
        event: what is to be delivered.
        ticket: told what becomes of it.
        weight: about how many characters of text and bytes of files the event has.
        stored: it is on disk, too, for the lane that has it.
        to: the backends that get it, whatever their routes want; None: as the routes have it.
        repeats: backends that fold count it, and get nothing of it.
        home: the lane whose destination is gone, and in whose place another has it.
        but_not_to: the backend that does not get it, in whoever's place; None: there is none.
    """

    event: Event
    ticket: Ticket | None
    weight: int
    stored: bool = False
    to: Collection[str] | None = None
    repeats: bool = False
    home: "Home | None" = None
    but_not_to: str | None = None

    @classmethod
    def of(cls, event: Event, ticket: Ticket | None, *, stored: bool = False) -> Self:
        """Return the entry of *event*, weighed."""
        # Past the named tuple's own __new__, which costs as much as the weighing.
        return tuple.__new__(cls, (event, ticket, weight(event), stored, None, False, None, None))


def weight(event: Event) -> int:
    """Return about how many characters of text and bytes of files *event* has."""
    # Most events have few of these parts, and each of them costs a tenth of a microsecond to look at.
    total = len(event.message)
    for value in event.fields.values():
        kind = type(value)
        if kind is str:
            total += len(value)  # type: ignore[arg-type]  # it is one
        elif kind is not int and kind is not float:
            total += plain.weight(value)
    if event.body:
        total += len(event.body)
    if event.exception is not None:
        total += len(event.exception.traceback)
    if event.tail:
        total += sum(map(len, event.tail))
    if event.attachments:
        total += sum(len(attachment.data) for attachment in event.attachments)
    return total


def entries_of(events: Sequence[Event], weights: Iterable[int]) -> list[Entry]:
    """Return the entries of *events*, without tickets. Each weighs what *weights* has, its message at least."""
    # See `Entry.of`, and one call for all.
    make = tuple.__new__
    entries = []
    for event, weight in zip(events, weights, strict=True):
        least = len(event.message)
        entries.append(make(Entry, (event, None, weight if weight > least else least, False, None, False, None, None)))
    return entries


_weight_of = attrgetter("weight")


class LaneQueue:
    """Urgent entries first, otherwise first in, first out. What was taken stays ours until acknowledged.

    Of one matter nothing overtakes anything: an urgent entry takes along what waits of its matter. Its end would
    otherwise be told after it has begun again.

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
        # So that not the whole line is looked through for each urgent entry: what it has told of, and perhaps more.
        self._ordinary_matters: set[str] = set()
        self._looked_at = 0  # entries at the front of the ordinary line, at most, whose matters are among these

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary) + len(self._taken)

    @property
    def roomy(self) -> bool:
        """Whether at least half of the room is free."""
        return 2 * len(self) <= self._capacity and 2 * self._bytes <= self._max_bytes

    def fits(self, entry: Entry) -> bool:
        """Say whether *entry* leaves room for others, at least in an empty queue."""
        return entry.weight <= self._shed_to_bytes

    def fitting(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return those of *entries* that fit."""
        if max(map(_weight_of, entries), default=0) <= self._shed_to_bytes:  # as nearly always
            return entries
        return [entry for entry in entries if self.fits(entry)]

    def put(self, entries: Collection[Entry]) -> list[Entry]:
        """Add *entries*, which fit, and return what had to make room for them.

        That is what is on disk, too, and then the rest, of each the oldest of the least severe.
        """
        ordinary, urgent = self._ordinary, self._ordinary if self._in_order else self._urgent
        since: int | None = None
        for entry in entries:
            # What may be TRADE_HIGH, which some programs register above CRITICAL, is looked at more closely.
            if entry.event.level >= URGENT and is_urgent(entry.event):
                if entry.event.matter is not None and urgent is not ordinary:
                    if since is None:
                        since = self._make_way(entries)
                    else:  # what has come since then
                        self._take_along({entry.event.matter.id: entry.event.time}, since)
                urgent.append(entry)
            else:
                ordinary.append(entry)
        self._bytes += sum(map(_weight_of, entries))
        if len(self) > self._capacity or self._bytes > self._max_bytes:
            return self._shed()
        return []

    def take(self, limit: int) -> list[Entry]:
        """Return the next entries, *limit* at most. They stay in the queue until `acknowledge` or `give_back`."""
        taken = self._taken
        waiting = len(self._ordinary)
        for line in (self._urgent, self._ordinary):
            taken.extend([line.popleft() for _ in range(min(limit - len(taken), len(line)))])
        self._looked_at = max(0, self._looked_at - (waiting - len(self._ordinary)))
        return list(taken)

    def acknowledge(self, count: int) -> list[Entry]:
        """Remove and return the first *count* of what was taken."""
        done = [self._taken.popleft() for _ in range(min(count, len(self._taken)))]
        self._bytes -= sum(map(_weight_of, done))
        return done

    def give_back(self) -> None:
        """Put what was taken and not acknowledged back to the front, in its order."""
        if not self._taken:
            return
        matters = _matters(self._urgent)  # of which something may have come meanwhile
        while self._taken:
            entry = self._taken.pop()
            if self._is_urgent(entry, matters):
                self._urgent.appendleft(entry)
                matters |= _matters([entry])
            else:
                self._ordinary.appendleft(entry)
                self._looked_at = 0

    def taken(self) -> list[Entry]:
        """Return what was taken and is neither acknowledged nor given back."""
        return list(self._taken)

    def all(self) -> list[Entry]:
        """Return the entries, those that were taken included."""
        return [*self._taken, *self._urgent, *self._ordinary]

    def stored(self) -> list[Entry]:
        """Return the entries that are on disk, those that were taken included."""
        return [entry for entry in self.all() if entry.stored]

    def unstore(self, ids: Container[str]) -> None:
        """Note that the entries of these events are in memory only, those that were taken included."""
        for line in (self._taken, self._urgent, self._ordinary):
            for at, entry in enumerate(line):
                if entry.stored and entry.event.id in ids:
                    line[at] = entry._replace(stored=False)

    def address(self, name: str) -> None:
        """Note that what is here is for the backend *name* alone."""
        for line in (self._taken, self._urgent, self._ordinary):
            for at, entry in enumerate(line):
                if entry.to is None:
                    line[at] = entry._replace(to=(name,))

    def discard(self, ids: Container[str]) -> list[Entry]:
        """Remove and return the waiting entries of these events. What was taken stays."""
        return self._discard([entry for entry in (*self._urgent, *self._ordinary) if entry.event.id in ids])

    def bring_forward(self, ids: Collection[str]) -> None:
        """Put the waiting entries of these events before the others of their line, in their order.

        Where an urgent entry of the same matter is among the others, they come before that.
        """
        found = [entry for entry in (*self._urgent, *self._ordinary) if entry.event.id in ids]
        urgent = [entry for entry in self._urgent if entry.event.id not in ids]
        ordinary = [entry for entry in self._ordinary if entry.event.id not in ids]
        matters = _matters(urgent)
        self._urgent = deque([*(entry for entry in found if self._is_urgent(entry, matters)), *urgent])
        self._ordinary = deque([*(entry for entry in found if not self._is_urgent(entry, matters)), *ordinary])
        self._looked_at = 0

    def discard_guests(self, ids: Container[str], home: "Home") -> list[Entry]:
        """Remove and return the waiting entries of these events that are here in the place of *home*."""
        return self._discard(
            [entry for entry in (*self._urgent, *self._ordinary) if entry.home is home and entry.event.id in ids]
        )

    def clear(self) -> list[Entry]:
        """Remove and return what waits. What was taken stays."""
        left = [*self._urgent, *self._ordinary]
        self._urgent.clear()
        self._ordinary.clear()
        self._looked_at = 0
        self._bytes = sum(entry.weight for entry in self._taken)
        return left

    def _discard(self, gone: list[Entry]) -> list[Entry]:
        self._bytes -= sum(entry.weight for entry in gone)
        self._keep_without(gone)
        return gone

    def _is_urgent(self, entry: Entry, matters: Container[str]) -> bool:
        """Say whether *entry* goes before what is ordinary: for itself, or to come before others of its matter."""
        if self._in_order:
            return False
        matter = entry.event.matter
        return is_urgent(entry.event) or (matter is not None and matter.id in matters)

    def _make_way(self, coming: Collection[Entry]) -> int:
        """Put what is ordinary, of matters of which urgent entries are *coming*, behind what is urgent.

        All at once, since the line may be long. Returns how many are left in it.
        """
        ordinary = self._ordinary
        if len(self._ordinary_matters) > len(ordinary):  # most of them are out of date
            self._ordinary_matters.clear()
            self._looked_at = 0
        self._ordinary_matters |= _matters(islice(reversed(ordinary), len(ordinary) - self._looked_at))
        coming_at: dict[str, float] = {}
        for entry in coming:
            matter = entry.event.matter
            if matter is not None and matter.id in self._ordinary_matters and is_urgent(entry.event):
                coming_at[matter.id] = max(entry.event.time, coming_at.get(matter.id, 0.0))
        if coming_at:
            self._ordinary_matters -= coming_at.keys()
            self._ordinary_matters |= self._take_along(coming_at, 0)
        self._looked_at = len(ordinary)
        return len(ordinary)

    def _take_along(self, coming_at: Mapping[str, float], since: int) -> set[str]:
        """Put what is ordinary behind what is urgent, where it is older than what is *coming_at* a time of its matter.

        What is urgent may be the older one, when it comes back from disk. The first *since* of the line stay. Returns
        the matters of which something younger stays.
        """
        ordinary = self._ordinary
        stay = set()
        for entry in [ordinary.pop() for _ in range(len(ordinary) - since)][::-1]:
            matter = entry.event.matter
            if matter is None or matter.id not in coming_at:
                ordinary.append(entry)
            elif entry.event.time <= coming_at[matter.id]:
                self._urgent.append(entry)
            else:
                ordinary.append(entry)
                stay.add(matter.id)
        return stay

    def _shed(self) -> list[Entry]:
        """Remove and return entries until a tenth is free again, first those that are not lost by that."""
        waiting = [*self._ordinary, *self._urgent]
        dropped: list[Entry] = []
        for entry in sorted(waiting, key=lambda entry: (not entry.stored, severity(entry.event.level))):
            if len(self) - len(dropped) <= self._shed_to and self._bytes <= self._shed_to_bytes:
                break
            dropped.append(entry)
            self._bytes -= entry.weight
        self._keep_without(dropped)
        return dropped

    def _keep_without(self, gone: Iterable[Entry]) -> None:
        marked = {id(entry) for entry in gone}
        self._looked_at = 0
        self._ordinary = deque(entry for entry in self._ordinary if id(entry) not in marked)
        self._urgent = deque(entry for entry in self._urgent if id(entry) not in marked)


def _matters(entries: Iterable[Entry]) -> set[str]:
    return {entry.event.matter.id for entry in entries if entry.event.matter is not None}
