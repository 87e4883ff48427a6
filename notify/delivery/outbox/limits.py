"""How much the outbox keeps, and what goes when it is more."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from notify.delivery.outbox.row import Sized
from notify.delivery.outbox.store import Store

_CANDIDATES = 50_000  # rows removed at most for one reason in one go
_AT_ONCE = 50  # rows removed by one statement: callers wait meanwhile, and a row may be of megabytes


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the outbox keeps.

    Args:
        max_bytes: of rows and indexes on disk. Rows have no limit of their own: a million of the smallest take these
            256 MiB.
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


def enforce(store: Store, limits: Limits, now: float) -> Iterator[Dropped]:
    """Remove what is too much, yielding each waiting row that is gone. Of dead letters it was said when they died.

    Too old goes first; then, if there is no room, the oldest dead letters and the least severe events, the oldest
    of them first, until a tenth is free.

    Args:
        store: the lanes' connection.
        limits: how much is kept.
        now: UTC epoch seconds.

    Raises `StoreError`; what was yielded until then is gone.
    """
    yield from _remove(store, store.older_than(now - limits.max_age, _CANDIDATES), "too old")
    _forget(store, store.dead_beyond(limits.max_dead, _CANDIDATES))
    if store.bytes_used() > limits.max_bytes:
        enough = limits.max_bytes - limits.max_bytes // 10
        for chosen in _by_halves(store, reversed(store.dead_beyond(0, _CANDIDATES)), enough):
            _forget(store, chosen)
        for chosen in _by_halves(store, iter(store.least_severe(_CANDIDATES)), enough):
            yield from _remove(store, chosen, "outbox full")


def _by_halves(store: Store, candidates: Iterator[Sized], enough: int) -> Iterator[list[Sized]]:
    """Yield what is to be removed next until *enough* bytes are left, or nothing is.

    A row takes more than its payload: its place in the indexes, and the rest of its last page.
    """
    while (surplus := store.bytes_used() - enough) > 0 and (chosen := _first(candidates, surplus // 2)):
        yield chosen


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
    for first in range(0, len(rows), _AT_ONCE):
        names = [name for name, _ in rows[first : first + _AT_ONCE]]
        store.delete(names)
        for destination, event_id in names:
            yield Dropped(destination, event_id, reason)


def _forget(store: Store, rows: list[Sized]) -> None:
    for _ in _remove(store, rows, ""):
        pass
