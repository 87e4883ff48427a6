"""What is done to the outbox's files now and then, so that they stay small."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from notify.delivery.outbox.limits import Dropped, Limits, enforce
from notify.delivery.outbox.store import Store

LOG_BYTES = 2**22  # of SQLite's log, from which on a lane moves it into the file: about as SQLite itself would
_FREE_BYTES = 2**20  # of pages without a row that the file keeps: some are soon needed again


class Upkeep(NamedTuple):
    """What `Outbox.maintain` has to tell.

    Args:
        alerts: what went wrong, for people.
        dropped: what was removed undelivered, of this process, of dead ones and of nobody.
        renewed: it works again after it did not: what was on disk may be there no more.
    """

    alerts: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    renewed: bool = False


class Numbers(NamedTuple):
    """What was on disk when somebody last looked."""

    waiting: int = 0
    dead: int = 0
    bytes: int = 0
    counted_at: float = 0.0


def counted(store: Store, now: float) -> Numbers:
    """Return what is on disk *now* (UTC epoch seconds). Raises `StoreError`."""
    return Numbers(*store.counts(), store.bytes_on_disk(), now)


def tidy_up(store: Store, limits: Limits, *, now: float, living: Collection[str], written: bool) -> Iterator[Dropped]:
    """Enforce the *limits*, yielding what goes, and make file and log as small as they can be.

    Args:
        store: the lanes' connection.
        limits: how much is kept.
        now: UTC epoch seconds.
        living: owners whose rows stay.
        written: whether anything was since the last time, and is to be flushed.

    Raises `StoreError`; what was yielded until then is gone.
    """
    if written or store.bytes_of_log() > LOG_BYTES:
        store.checkpoint()  # first, so that the log of what is removed does not come on top
    yield from enforce(store, limits, now, living=living)
    given = store.give_back(max(_FREE_BYTES, store.bytes_used() // 4))
    if given or store.bytes_of_log() > LOG_BYTES:
        store.checkpoint()
