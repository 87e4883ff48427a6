"""Taking over what a process left in the outbox when it died."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from notify.delivery.outbox.owner import NOBODY, forget, lockable, make_known, marks, others
from notify.delivery.outbox.row import Row, in_parts
from notify.delivery.outbox.store import Store
from notify.event import Event
from notify.event_json import decode

_UNREADABLE = "it cannot be read any more"
_MOST = 16 * 2**20  # bytes that are taken in one go, whatever the limit
_PARKED = 600.0  # seconds that a living process may need until it has room for what it has parked


class Adopted(NamedTuple):
    """An event that a dead process left behind, for one destination."""

    destination: str
    event: Event


def make_owners_known(store: Store, directory: Path) -> None:
    """See to it that every owner has a lock's file, by which it is found: files may have been lost.

    Raises `StoreError`, `StateDirError` or `OSError`.
    """
    owners = store.owners()
    if any(lockable(mark) != mark for mark in owners):
        store.give_unowned(NOBODY)
    for mark in {lockable(mark) for mark in owners}.difference(marks(directory)):
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
        limit: how many rows are taken. Fewer are when they are large.
        now: UTC epoch seconds, for dead letters: a row that cannot be read becomes one.

    Raises `StoreError`, `StateDirError` or `OSError`; what was yielded until then is ours.
    """
    dead = others(directory, but=mine).dead
    # Mostly nobody is dead, and then the table need not be read.
    if not dead:
        return
    while rows := _inherit(store, dead, destinations, mine, limit):
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
    _forget(store, directory, dead)


def left_behind(
    store: Store, directory: Path, destinations: Collection[str], *, mine: str, now: float
) -> dict[str, int]:
    """Return how many rows of dead owners wait for destinations that nobody seems to have, by destination.

    Not for *destinations*, nor for those that living processes have rows for. What was parked is left out for a while:
    whoever parked it may live.

    Raises `StoreError`, `StateDirError` or `OSError`.
    """
    owners = others(directory, but=mine)
    if not owners.dead:
        return {}
    found = store.left_by(owners.dead, parked=NOBODY, since=now - _PARKED, living=owners.living)
    return {destination: count for destination, count in found.items() if destination not in destinations}


def _inherit(store: Store, dead: Collection[str], destinations: Collection[str], mine: str, limit: int) -> list[Row]:
    """Return the oldest rows of the dead, which are ours from here on. None: there are no more."""
    rows: list[Row] = []
    before: list[int] = []
    while not rows:
        chosen = next(in_parts(store.oldest(dead, destinations, limit), count=limit, size=_MOST), [])
        numbers = [number for number, _ in chosen]
        if numbers == before:  # none, or what a damaged table shows and does not let go of
            break
        before = numbers
        rows = store.numbered(numbers, dead)
        # Another process may be quicker, at least with some of them.
        parts = [[number for number, _ in part] for part in in_parts(chosen)]
        whole = [store.hand_over(part, dead, mine) for part in parts]
        if not all(whole):
            rows = store.numbered(numbers, [mine])
    return rows


def _forget(store: Store, directory: Path, dead: Collection[str]) -> None:
    # Who is dead was asked before who has rows, as the dead write none in between; but to nobody they come any time.
    gone = {mark for mark in dead if lockable(mark) != NOBODY}
    for mark in gone.difference(store.owners() if gone else ()):
        forget(directory, mark)
