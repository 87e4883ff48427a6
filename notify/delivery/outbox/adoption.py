"""Taking over what a process left in the outbox when it died."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from notify.delivery.event_json import decode
from notify.delivery.outbox.owner import NOBODY, forget, lives, lock_of, make_known, marks
from notify.delivery.outbox.row import Row
from notify.delivery.outbox.store import Store
from notify.event import Event

_UNREADABLE = "it cannot be read any more"


class Adopted(NamedTuple):
    """An event that a dead process left behind, for one destination."""

    destination: str
    event: Event


def find_owners(store: Store, directory: Path) -> None:
    """See to it that every owner has a lock's file, by which it is found: files may have been lost.

    Raises `StoreError`, `StateDirError` or `OSError`.
    """
    owners = store.owners()
    if any(lock_of(mark) != mark for mark in owners):
        store.give_unowned(NOBODY)
    for mark in {lock_of(mark) for mark in owners}.difference(marks(directory)):
        make_known(directory, mark)


def adopt(
    store: Store,
    directory: Path,
    destinations: Collection[str],
    *,
    mine: str,
    limit: int,
    now: float,
) -> Iterator[Adopted]:
    """Give the rows of dead owners for *destinations* to *mine* and yield them, in the order of writing.

    They are the oldest that there are, whoever wrote them. When there are none, the lock's files of owners without
    rows are removed.

    Args:
        store: the lanes' connection.
        directory: the state directory. The living have their locks in there, and keep their rows.
        destinations: that this process can deliver to. Other rows stay, and so does the lock's file of their owner.
        mine: this process's mark.
        limit: how many rows are taken.
        now: UTC epoch seconds, for dead letters: a row that cannot be read becomes one.

    Raises `StoreError`, `StateDirError` or `OSError`; what was yielded until then is ours.
    """
    others = [mark for mark in marks(directory) if mark != mine]
    # Mostly nobody is dead, and then the table need not be read.
    if all(lives(directory, mark) for mark in others):
        return
    while rows := _inherit(store, directory, others, destinations, mine, limit):
        damaged = []
        for row in rows:
            try:
                yield Adopted(row.destination, decode(row.checked_payload()))
            except ValueError:
                damaged.append(row)
        for row in damaged:
            store.bury_damaged(row, owner=mine, at=now, reason=_UNREADABLE)
        if len(damaged) < len(rows):
            return
    _forget_the_dead(store, directory, others)


def left_behind(store: Store, directory: Path, destinations: Collection[str], *, mine: str) -> dict[str, int]:
    """Return how many rows of dead owners wait for destinations that are none of *destinations*, by destination.

    Raises `StoreError`, `StateDirError` or `OSError`.
    """
    dead = [mark for mark in marks(directory) if mark != mine and not lives(directory, mark)]
    found = store.left_for(dead) if dead else {}
    return {destination: count for destination, count in found.items() if destination not in destinations}


def _inherit(
    store: Store, directory: Path, others: Iterable[str], destinations: Collection[str], mine: str, limit: int
) -> list[Row]:
    """Return the oldest rows of the dead, which are ours from here on. None: there are no more."""
    rows: list[Row] = []
    before: list[int] = []
    while not rows:
        dead, numbers = _oldest(store, directory, others, destinations, limit)
        if numbers == before:  # none, or what a damaged table shows and does not let go of
            break
        before = numbers
        rows = store.numbered(numbers, dead)
        if not store.hand_over(numbers, dead, mine):  # another process was quicker, at least with some of them
            rows = store.numbered(numbers, [mine])
    return rows


def _oldest(
    store: Store, directory: Path, others: Iterable[str], destinations: Collection[str], limit: int
) -> tuple[set[str], list[int]]:
    """Return dead owners and the numbers of their oldest rows."""
    dead: set[str] = set()
    unknown = set(others)
    numbers: list[int] = []
    last = 0
    while found := store.places(unknown | dead, destinations, after=last, limit=limit - len(numbers)):
        for last, mark in found:
            if mark in unknown:
                unknown.remove(mark)
                # Once for all its rows: one that dies meanwhile has earlier ones that were passed over.
                if not lives(directory, mark):
                    dead.add(mark)
            if mark in dead:
                numbers.append(last)
    return dead, numbers


def _forget_the_dead(store: Store, directory: Path, others: Iterable[str]) -> None:
    # First who is dead, then who has rows, as the dead write none in between; but to nobody they come at any moment.
    dead = {mark for mark in others if lock_of(mark) != NOBODY and not lives(directory, mark)}
    for mark in dead.difference(store.owners() if dead else ()):
        forget(directory, mark)
