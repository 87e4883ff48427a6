"""Taking over what a process left in the outbox when it died."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom  # the program's own generator gives the numbers that its seed promises
from typing import NamedTuple

from notify.delivery.event_json import decode
from notify.delivery.outbox.owner import forget, lock_of, taken
from notify.delivery.outbox.row import Row
from notify.delivery.outbox.store import Store
from notify.event import Event

LOCKS = 200
"""That are held at the same time: each takes a file descriptor."""

_UNREADABLE = "it cannot be read any more"


class Adopted(NamedTuple):
    """An event that a dead process left behind, for one destination."""

    destination: str
    event: Event


def adopt(
    store: Store,
    directory: Path,
    marks: Iterable[str],
    destinations: Collection[str],
    *,
    mine: str,
    limit: int,
    now: float,
) -> Iterator[Adopted]:
    """Give the rows of dead owners for *destinations* to *mine* and yield them, in the order of writing.

    Args:
        store: the lanes' connection.
        directory: the state directory.
        marks: owners to look at; the living among them keep what they have.
        destinations: that this process can deliver to. Other rows stay, and so does the lock's file of their owner.
        mine: this process's mark.
        limit: how many rows are taken.
        now: UTC epoch seconds, for dead letters: a row that cannot be read becomes one.

    Raises `StoreError`, `StateDirError` or `OSError`; what was yielded until then is ours.
    """
    damaged = []
    for row in _inherit(store, directory, marks, destinations, mine, limit):
        try:
            yield Adopted(row.destination, decode(row.checked_payload()))
        except ValueError:
            damaged.append(row)
    for row in damaged:
        store.bury_damaged(row, owner=mine, at=now, reason=_UNREADABLE)


def _inherit(
    store: Store, directory: Path, marks: Iterable[str], destinations: Collection[str], mine: str, limit: int
) -> list[Row]:
    by_lock: dict[str, list[str]] = {}
    for mark in marks:
        by_lock.setdefault(lock_of(mark), []).append(mark)
    with ExitStack() as held:
        # All at once, because what two processes wrote in turns is to be delivered in turns.
        locks = [lock for lock in _some(by_lock) if held.enter_context(taken(directory, lock))]
        dead = [mark for lock in locks for mark in by_lock[lock]]
        rows = store.waiting_of(dead, destinations, limit) if dead else []
        if rows:
            store.hand_over(rows, dead, mine)
        if dead and len(rows) < limit:
            left = set(store.owners())
            for lock in locks:
                if left.isdisjoint(by_lock[lock]):
                    forget(directory, lock)
    return rows


def _some(locks: Collection[str]) -> list[str]:
    """Return as many of *locks* as may be held; others each time, as rows for nobody here keep their owner's lock."""
    return SystemRandom().sample(sorted(locks), min(LOCKS, len(locks)))
