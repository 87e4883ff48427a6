"""Looking into an outbox, and deciding about single events, from any process while another delivers from it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from notify.delivery.event_json import decode
from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.owner import NOBODY, offer_to_adopters
from notify.delivery.outbox.row import Row
from notify.delivery.outbox.store import Store
from notify.delivery.state_dir import check_private
from notify.event import Event

_PATIENCE = 2.0  # seconds to wait for processes that write


class Listed(NamedTuple):
    """An event in the outbox, for one destination.

    Args:
        destination: the backend's name.
        event_id: of the event.
        created: when it happened, UTC epoch seconds.
        dead_at: when it was given up, UTC epoch seconds; None while it waits.
        dead_reason: why.
        event: what is kept of it; None when that cannot be read any more.
    """

    destination: str
    event_id: str
    created: float
    dead_at: float | None
    dead_reason: str | None
    event: Event | None


def waiting(directory: Path, limit: int) -> list[Listed]:
    """Return the oldest events that wait, oldest first. Raises `StoreError` or `StateDirError`."""
    with _open(directory) as store:
        return [_listed(row) for row in store.waiting(limit)]


def dead(directory: Path, limit: int) -> list[Listed]:
    """Return the newest dead letters, newest first. Raises `StoreError` or `StateDirError`."""
    with _open(directory) as store:
        return [_listed(row) for row in store.dead(limit)]


def show(directory: Path, event_id: str) -> list[Listed]:
    """Return one event, once per destination, waiting or dead. Raises `StoreError` or `StateDirError`."""
    with _open(directory) as store:
        return [_listed(row) for row in store.of_event(event_id)]


def retry(directory: Path, event_ids: Sequence[str]) -> int:
    """Have dead letters delivered again, by whichever process looks next, and return how many there were.

    Raises `StoreError`, `StateDirError` or `OSError`.
    """
    with _open(directory) as store:
        rows = [row for event_id in event_ids for row in store.of_event(event_id) if row.dead_at is not None]
        store.revive(((row.destination, row.event_id) for row in rows), owner=NOBODY)
    offer_to_adopters(directory)
    return len(rows)


def drop(directory: Path, event_ids: Sequence[str]) -> int:
    """Remove events undelivered, and return how many there were, once per destination.

    A process that has one of them in memory delivers it all the same. Raises `StoreError` or `StateDirError`.
    """
    with _open(directory) as store:
        rows = [row for event_id in event_ids for row in store.of_event(event_id)]
        store.delete((row.destination, row.event_id) for row in rows)
    return len(rows)


@contextmanager
def _open(directory: Path) -> Iterator[Store]:
    path = directory / NAME
    try:
        check_private(path)
        if not path.exists():
            raise StoreError(f"there is no outbox in {directory}")
    except OSError as error:
        raise StoreError(f"{directory} cannot be read: {error.strerror}") from None
    with closing(Store(path, patience=_PATIENCE)) as store:
        yield store


def _listed(row: Row) -> Listed:
    event: Event | None
    try:
        event = decode(row.checked_payload())
    except ValueError:
        event = None
    return Listed(row.destination, row.event_id, row.created, row.dead_at, row.dead_reason, event)
