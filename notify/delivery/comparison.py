"""Whether what a lane believes to be on disk is there, and what to do when it is not."""

from collections.abc import Collection, Sequence
from typing import Protocol

from notify.delivery.lane import Lane
from notify.event import Event


class Records(Protocol):
    """The outbox, as far as it is compared with. No method raises for what is wrong with the disk."""

    def still_waiting(self, destination: str, ids: Collection[str]) -> set[str]:
        """Return which of *ids* wait on disk and belong to no other process; all of them when that is not known."""
        ...

    def store_again(self, destination: str, events: Sequence[Event]) -> set[str]:
        """Write *events* once more, and return the ids of those that are on disk."""
        ...

    def delivered(self, destination: str, event_ids: Collection[str]) -> None:
        """Remove what *destination* has got."""
        ...


def compare(lane: Lane, records: Records, *, lost: bool) -> None:
    """Find out what *lane* believes to be on disk, and is not there.

    What was parked has been taken over by another process, and counts there. But when the outbox has *lost* its file,
    what is in memory, too, is stored again, and what is not is dropped.
    """
    parked = lane.parked()
    gone = parked - records.still_waiting(lane.name, parked) if parked else set()
    if lost:
        _store_again(lane, records)
        lane.discard(gone, "outbox lost")
    else:
        lane.forget_parked(gone)


def _store_again(lane: Lane, records: Records) -> None:
    entries = lane.stored_entries()
    if not entries:
        return
    there = records.still_waiting(lane.name, [entry.event.id for entry in entries])
    again = [entry.event for entry in entries if entry.event.id not in there]
    written = records.store_again(lane.name, again)
    lane.unstore({event.id for event in again} - written)
    if settled := written - lane.stored():  # meanwhile, and then nobody would ever remove it
        records.delivered(lane.name, settled)
