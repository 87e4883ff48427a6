"""What a lane and the disk make of each other, while the lane goes on."""

from collections.abc import Callable, Collection, Sequence

from lanes import LONG, Bench, Gate, Ledger, outcome

from notify.delivery.comparison import compare
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry
from notify.delivery.ticket import DELIVERED
from notify.event import Event


class Disk:
    """A disk without the lane's rows, which writes them again. Something happens until it has."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.meanwhile = meanwhile
        self.removed: list[set[str]] = []

    def still_waiting(self, destination: str, ids: Collection[str]) -> set[str]:
        return set()

    def store_again(self, destination: str, events: Sequence[Event]) -> set[str]:
        self.meanwhile()
        return {event.id for event in events}

    def delivered(self, destination: str, event_ids: Collection[str]) -> None:
        self.removed.append(set(event_ids))


def busy_lane(bench: Bench) -> tuple[Gate, Lane, list[Entry]]:
    """Return a lane that has one event in flight and one that waits."""
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=Ledger())
    entries = bench.put(lane, "in flight", "waiting", stored=True)
    assert gate.called.acquire(timeout=LONG)
    return gate, lane, entries


def test_what_is_delivered_while_it_is_stored_again_is_removed_again(bench: Bench) -> None:
    gate, lane, entries = busy_lane(bench)

    def deliver() -> None:
        gate.let.release()
        assert outcome(entries[0]) == DELIVERED

    disk = Disk(deliver)
    compare(lane, disk, lost=True)

    assert disk.removed == [{"in flight"}]  # its row came after the lane had removed it, and would be there for good
    assert lane.stored() == {"waiting"}
    gate.let.release(9)


def test_what_is_stored_again_and_was_not_delivered_meanwhile_stays_on_disk(bench: Bench) -> None:
    gate, lane, _ = busy_lane(bench)

    disk = Disk()
    compare(lane, disk, lost=True)

    assert disk.removed == []
    assert lane.stored() == {"in flight", "waiting"}
    gate.let.release(9)
