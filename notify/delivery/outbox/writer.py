"""The callers' side of the outbox: one INSERT within 50 ms, or the news that there was none."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from sys import is_finalizing

from notify.delivery.outbox import fork
from notify.delivery.outbox.connection import LONG_LOG
from notify.delivery.outbox.errors import StoreBusy, StoreError, StoreHeld
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.owner import NOBODY, Owner, offer_to_adopters
from notify.delivery.outbox.row import Name, Row, in_parts
from notify.delivery.outbox.store import Store
from notify.interruption import came_from_outside

FULL_LOG = 256 * 2**20  # bytes of SQLite's log: upkeep is too slow, or a reader keeps it from being begun anew

_PATIENCE = 0.05  # seconds that a caller waits for other threads and processes, all in all
_LATE_PATIENCE = 1.0  # the same once the outbox is closed: memory is no place to go to any more
_AGAIN = 1.0  # seconds until upkeep is asked for once more when the log is full
_LOOK = 0.0002  # seconds between two attempts meanwhile
_IMPATIENCE = 0.001  # seconds, when others were waited for in vain: a write takes a fifth of that


class Writer:
    """Writes rows in the name of this process, on the caller's thread. Thread-safe.

    Args:
        directory: the state directory, in which there is an outbox.
        locks: of the outbox; the callers' one is taken for every write.
        much: bytes of events that are much to write without upkeep.
        wake: called, without the lock, when upkeep should come soon: once until `kept_up`.
    """

    def __init__(self, directory: Path, locks: fork.Locks, *, much: int, wake: Callable[[], None]) -> None:
        self._directory = directory
        self._locks = locks
        self._much = much
        self._wake = wake
        self._store: Store | None = None
        self._owner: Owner | None = None
        self._kept: Owner | None = None  # of what is in hand when it is closed
        self._closed = False
        self._bytes = 0  # of events, since the last upkeep
        self._log = 0  # bytes of SQLite's log, when somebody last looked
        self._long_log = LONG_LOG
        self._grown = False  # and it was said
        self._full_at = -_AGAIN  # monotonic seconds: when it was said that the log is full
        self.written = False
        """Set by every write, for whoever moves SQLite's log into the file."""

    def write(self, rows: Sequence[Row], *, flush: bool, patient: bool) -> None:
        """Write *rows*, all or none.

        After `close` they are rows of nobody, and the connection is closed again.

        Args:
            rows: for each destination of one event.
            flush: make them survive a loss of power, too.
            patient: wait for those who hold the file.

        Raises `StoreBusy` when others were at it for too long, `NotFlushed` when it is written all the same, and other
        kinds of `StoreError`, `StateDirError` or `OSError`.
        """
        if self._log > FULL_LOG:
            self._see_whether_log_is_full()
        store = self._in_turn(rows, patient=patient, flush=flush)
        if store is None:
            return
        try:
            self._log = store.log_in_place()
        except StoreError:
            if store is self._store:
                raise
            # Otherwise a fork has closed it meanwhile, and the last one who does so removes the log.
        if not self._grown and (self._bytes > self._much or self._log > self._long_log):
            self._grown = True
            self._wake()
        if flush:
            store.flush()

    def _in_turn(self, rows: Sequence[Row], *, patient: bool, flush: bool) -> Store | None:
        if is_finalizing():  # who has the lock stands still for good
            return self._write(rows, flush=flush)
        patience = (_LATE_PATIENCE if self._closed else _PATIENCE) if patient else _IMPATIENCE
        deadline = time.monotonic() + patience
        lock = self._locks.callers  # after a fork the child has others, but this call must release what it took
        busy = StoreBusy("other threads write")
        wait = patience
        while True:
            held = False
            try:
                with lock.within(wait) as held:
                    if held:
                        return self._write(rows, flush=flush)
            except StoreBusy as error:
                busy = error
            except RuntimeError as error:
                if held or came_from_outside(error):
                    raise
                break  # others have it for too long
            if not patient or (wait := deadline - time.monotonic()) <= 0:
                break
            time.sleep(_LOOK)
        raise busy

    def _write(self, rows: Sequence[Row], *, flush: bool) -> Store | None:
        if self._closed:
            self._write_late(rows, flush=flush)
            return None
        store = self._store if self._store is not None and self._store.is_open() else self._connect()
        mark = self._mark()
        store.insert([row.owned_by(mark) for row in rows])
        self.written = True
        for row in rows:
            self._bytes += len(row.payload)
        return store

    def _write_late(self, rows: Sequence[Row], *, flush: bool) -> None:
        self._store = store = self._opened()
        try:
            offer_to_adopters(self._directory)
            store.insert([row.owned_by(NOBODY) for row in rows])
            if flush:
                store.flush()
        finally:
            self._store = None
            store.close()

    def _see_whether_log_is_full(self) -> None:
        store = self._store
        if store is not None:
            self._log = store.bytes_of_log()
            if self._log > FULL_LOG:
                if time.monotonic() - self._full_at >= _AGAIN:
                    self._full_at = time.monotonic()
                    self._wake()
                raise StoreHeld("its log is full")

    # ---- the lanes' side. Who has the lanes' lock must not wait long for a caller: a signal handler may have
    # interrupted it, and wait for the lanes itself.

    def connect(self) -> None:
        """Open the connection now, so that no caller has to. Raises as `write`."""
        with self._locks.callers_soon():
            self._mark()
            if self._store is None:
                self._connect()

    def mark(self) -> str:
        """Return this process's mark. Raises `StoreBusy`, `StateDirError` or `OSError` when it cannot be had."""
        owner = self._owner
        if owner is not None:
            return owner.mark
        with self._locks.callers_soon():
            return self._mark()

    def reclaim_mark(self) -> None:
        """See to it that others know that the owner of this process's rows lives. Raises as `mark`."""
        with self._locks.callers_soon():
            if self._owner is not None and not self._owner.is_known():
                self._owner.reclaim()

    def disconnect(self) -> None:
        """Close the connection; the next write opens another. May flush, but not while the lock is held.

        Raises `StoreBusy`.
        """
        with self._locks.callers_soon():
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def kept_up(self, log: int) -> None:
        """Note that upkeep has ended and left *log* bytes of SQLite's log."""
        self._bytes = 0
        self._log = log
        self._long_log = log + LONG_LOG
        self._grown = False

    def close(self) -> None:
        """Make what is still to come rows of nobody. What is there keeps its owner until `leave`."""
        self._closed = True

    def keep_only(self, store: Store, names: Collection[Name]) -> None:
        """Keep the rows with these *names* under another mark until `leave`, and leave the others now.

        By *store*, the lanes' connection. Raises as `write`; all of them are kept then.
        """
        with self._locks.callers_soon():
            old, self._kept = self._mark(), Owner(self._directory)
        for part in in_parts(store.sizes_of(names)):
            store.give([name for name, _ in part], old=old, new=self._kept.mark)
        with self._locks.callers_soon():
            self.leave(but=self._kept)
            self._owner, self._kept = self._kept, None

    def leave(self, *, but: Owner | None = None) -> None:
        """Leave the rows to others. Idempotent."""
        for owner in (self._owner, self._kept):
            if owner is not None and owner is not but:
                owner.leave()

    def be_child(self, *, clean: bool) -> None:
        """Begin anew in a forked child, with another mark. See `notify.delivery.outbox.fork`."""
        self.leave()
        self._owner = self._kept = None
        if not clean:
            store, self._store = self._store, None
            if store is not None:
                store.abandon()

    # ---- inside, under the callers' lock

    def _mark(self) -> str:
        if self._owner is None:
            self._owner = Owner(self._directory)
        return self._owner.mark

    def _connect(self) -> Store:
        store = self._opened()
        store.keep_log_open()
        self._store = store
        return store

    def _opened(self) -> Store:
        if fork.in_progress():  # a signal handler interrupted the preparation
            raise StoreBusy("the process is about to fork")
        return Store(self._directory / NAME)
