"""How much the outbox keeps, and what goes when it is more."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from notify.delivery.outbox.connection import LONG_LOG
from notify.delivery.outbox.row import Sized, in_parts
from notify.delivery.outbox.store import Store

_CANDIDATES = 50_000  # rows looked at in one go


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the outbox keeps.

    Args:
        max_bytes: of rows and indexes. Rows have no limit of their own: a million of the smallest take these
            256 MiB. On disk there may be half as much again until it is noticed, and SQLite's log of up to 256 MiB.
        max_age: seconds that an event waits for its destination.
        max_dead: dead letters.
    """

    max_bytes: int = 256 * 2**20
    max_age: float = 3 * 86_400.0
    max_dead: int = 1000


class Dropped(NamedTuple):
    """A waiting row that was removed undelivered."""

    destination: str
    event_id: str
    reason: str


def enforce(store: Store, limits: Limits, now: float, *, living: Collection[str]) -> Iterator[Dropped]:
    """Remove what is too much, yielding each waiting row that is gone. Of dead letters it was said when they died.

    Too old goes first; then, if there is no room, the oldest dead letters and the least severe events, the oldest
    of them first, until a tenth is free.

    Args:
        store: the lanes' connection.
        limits: how much is kept.
        now: UTC epoch seconds.
        living: owners whose rows stay: who has them in memory delivers them all the same.

    Raises `StoreError`; what was yielded until then is gone.
    """
    for old in _batches(lambda: store.older_than(now - limits.max_age, _CANDIDATES, but_of=living)):
        yield from _remove(store, old, "too old")
    for letters in _batches(lambda: store.dead_beyond(limits.max_dead, _CANDIDATES)):
        _forget(store, letters)
    if store.bytes_used() > limits.max_bytes:
        enough = limits.max_bytes - limits.max_bytes // 10
        for chosen in _by_halves(store, lambda: store.dead_beyond(0, _CANDIDATES)[::-1], enough):
            _forget(store, chosen)
        for chosen in _by_halves(store, lambda: store.least_severe(_CANDIDATES, but_of=living), enough):
            yield from _remove(store, chosen, "outbox full")


def _batches(find: Callable[[], list[Sized]]) -> Iterator[list[Sized]]:
    """Yield what there is to *find*, again after each part. What cannot be removed, for damage, ends it."""
    before: list[Sized] = []
    while (found := find()) and found != before:
        yield found
        before = found


def _by_halves(store: Store, candidates: Callable[[], list[Sized]], enough: int) -> Iterator[list[Sized]]:
    """Yield what is to be removed next until *enough* bytes are left, or nothing is.

    A row takes more than its payload: its place in the indexes, and the rest of its last page.
    """
    for batch in _batches(candidates):
        rest = iter(batch)
        while (surplus := store.bytes_used() - enough) > 0 and (chosen := _first(rest, surplus // 2)):
            yield chosen
        if surplus <= 0:
            return


def _first(candidates: Iterator[Sized], size: int) -> list[Sized]:
    """Return as many of *candidates* as make up *size* bytes, one at least while there are any."""
    chosen: list[Sized] = []
    for candidate in candidates:
        chosen.append(candidate)
        size -= candidate[1]
        if size <= 0:
            break
    return chosen


def _remove(store: Store, rows: list[Sized], reason: str) -> Iterator[Dropped]:
    for part in in_parts(rows):
        store.delete([name for name, _ in part])
        for (destination, event_id), _ in part:
            yield Dropped(destination, event_id, reason)
        if store.bytes_of_log() > LONG_LOG:
            store.checkpoint()


def _forget(store: Store, rows: list[Sized]) -> None:
    for _ in _remove(store, rows, ""):
        pass
