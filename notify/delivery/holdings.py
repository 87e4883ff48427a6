"""What a lane has, in memory and on disk only, and what became of the rest."""

import threading
from collections import Counter
from collections.abc import Collection, Container, Iterable, Sequence
from typing import TYPE_CHECKING

from notify import diagnostics
from notify.delivery.disk import Disk
from notify.delivery.queue import Entry, LaneQueue
from notify.delivery.tally import Tally
from notify.delivery.ticket import CLOSED, FOLDED, HANDED_OVER, Ticket
from notify.event import Event, Phase

if TYPE_CHECKING:
    from notify.delivery.absence import Home

ABOUT_STAND_IN = "about its fallback"
"""The reason to drop what a lane was told of the one that would get it in its place."""


class Holdings:
    """A queue, what is on disk for want of room in it, and the counts. Thread-safe.

    Args:
        name: of the lane.
        queue: what waits in memory.
        disk: where stored entries are, too.
        lock: one for all lanes.
        settled: notified whenever entries leave the queue, with the same lock.
    """

    def __init__(
        self, name: str, queue: LaneQueue, disk: Disk, lock: threading.RLock, settled: threading.Condition
    ) -> None:
        self.name = name
        self._queue = queue
        self._disk = disk
        self._lock = lock
        self._settled = settled
        self._tally = Tally()
        self._parked: dict[str, Ticket | None] = {}  # by id: what is on disk only, for want of room here
        self._behind = False  # more may be on disk than there was room for when somebody looked
        self._awaits_room = False  # who looks at the disk is to be told when there is room
        self._closed = False

    def parked(self) -> set[str]:
        """Return the ids of what is on disk only."""
        with self._lock:
            return set(self._parked)

    def pending(self) -> int:
        """Return how many events wait in memory or are under way."""
        with self._lock:  # while the thread moves an entry about, it is nowhere for a moment
            return len(self._queue)

    def roomy(self) -> bool:
        """Say whether there is room for what is on disk only."""
        with self._lock:
            return self._queue.roomy

    def fall_behind(self, *, behind: bool) -> bool:
        """Note whether more may be on disk than there was room for, and say whether there is room for it by now."""
        with self._lock:
            self._behind = behind
            self._settled.notify_all()
            room = self._queue.roomy
            if behind and not room:
                self._awaits_room = True
            return behind and room

    def is_behind(self) -> bool:
        """Say whether anything is on disk only, or may be."""
        with self._lock:
            return self._behind or bool(self._parked)

    def dropped(self) -> Counter[str]:
        """Return how many events were dropped, by reason."""
        with self._lock:
            return self._tally.dropped.copy()

    def stored(self) -> set[str]:
        """Return the ids of what is on disk, in memory too or there only."""
        with self._lock:
            return {*self._parked, *stored_ids(self._queue.stored())}

    def stored_entries(self) -> list[Entry]:
        """Return what is in memory and on disk."""
        with self._lock:
            return self._queue.stored()

    def unstore(self, ids: Container[str]) -> None:
        """Note that these events, which were on disk, are in memory only."""
        with self._lock:
            self._queue.unstore(ids)

    def forget_parked(self, ids: Iterable[str]) -> None:
        """Count these no more, nor as accepted: other processes have taken them over."""
        with self._lock:
            for event_id in self._parked.keys() & ids:
                del self._parked[event_id]
                self._tally.accepted -= 1
            self._settled.notify_all()

    def discard(self, ids: Collection[str], reason: str) -> set[str]:
        """Drop what the outbox has given up of *ids*, and return those that wait here, on disk or in memory.

        What is in the hands of the backend goes on, in memory only, and is among them.
        """
        with self._lock:
            in_hand = {entry.event.id for entry in self._queue.taken()}.intersection(ids)
            self._queue.unstore(in_hand)
            held = self._queue.discard(frozenset(ids))
            self._settle(held, f"dropped: {reason}")
            on_disk = self._parked.keys() & ids
            for event_id in on_disk:
                if (ticket := self._parked.pop(event_id)) is not None:
                    ticket.settle(self.name, f"dropped: {reason}")
            self._tally.dropped[reason] += len(held) + len(on_disk)
            self._settled.notify_all()
            return {entry.event.id for entry in held} | on_disk | in_hand

    # ---- while the destination is gone

    def handed_over(
        self, entries: Sequence[Entry], counted: Sequence[Entry], unwanted: Sequence[Entry], to: str
    ) -> None:
        """Note that all that was taken is settled: *entries* by the lane *to*, *counted* as part of a message, and
        what is *unwanted* there, being about it, by nobody.
        """
        with self._lock:
            self._queue.acknowledge(len(entries) + len(counted) + len(unwanted))
            self._queue.give_back()
            self._tally.handed_over += len(entries)
            self._tally.folded += len(counted)
            self._settle(entries, HANDED_OVER + to)
            self._settle(counted, FOLDED)
            self._drop(unwanted, ABOUT_STAND_IN)

    def guests(self) -> list[Entry]:
        """Return what is here in the place of other lanes."""
        with self._lock:
            return [entry for entry in self._queue.all() if entry.home is not None]

    def sent_home(self, ids: Container[str], home: "Home") -> None:
        """Count the entries of these events no more, nor as accepted: the lane *home*, in whose place they were here,
        has them again. The same event may be here in another's place, too.
        """
        with self._lock:
            back = self._queue.discard_guests(ids, home)
            self._tally.accepted -= len(back)
            self._settle(back, HANDED_OVER + home.name)

    # ---- either side, holding the lock, so that counts, tickets and flush() agree

    def _leave(self, entries: Sequence[Entry], reason: str) -> None:
        """Leave on disk what is there, and settle the rest as dropped."""
        self._parked.update((entry.event.id, entry.ticket) for entry in entries if entry.stored)
        self._drop([entry for entry in entries if not entry.stored], reason)

    def _drop(self, lost: Sequence[Entry], reason: str) -> None:
        if lost:
            self._tally.dropped[reason] += len(lost)
            self._settle(lost, f"dropped: {reason}")
            said = f"{reason} before they could be sent" if reason == CLOSED else reason
            if counts := sum(_is_count(entry.event) for entry in lost):
                said += f", {counts} of them counts of repeats"
            diagnostics.report(f"dropped {self.name}", f"{self.name}: dropped {len(lost)} of its events: {said}")

    def _come_back(self, entry: Entry) -> Entry:
        """Return *entry* with the ticket that it had before it was parked, if it was."""
        if not entry.stored or entry.event.id not in self._parked:
            return entry
        self._tally.accepted -= 1  # it was counted when it came first
        return entry._replace(ticket=self._parked.pop(entry.event.id))

    def _settle(self, entries: Sequence[Entry], outcome: str) -> None:
        for entry in entries:
            if entry.ticket is not None:
                entry.ticket.settle(self.name, outcome)
        if entries:
            self._settled.notify_all()


def _is_count(event: Event) -> bool:
    return event.matter is not None and event.matter.phase is Phase.COUNTED


def stored_ids(entries: Sequence[Entry]) -> list[str]:
    """Return the ids of those of *entries* that are on disk, too."""
    return [entry.event.id for entry in entries if entry.stored]
