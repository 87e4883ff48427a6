"""The callers' side of the outbox: one INSERT within 50 ms, or the news that there was none."""

import time
from collections.abc import Iterable
from pathlib import Path

from notify.delivery.outbox import fork
from notify.delivery.outbox.errors import StoreBusy
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.owner import NOBODY, Owner, offer_to_adopters
from notify.delivery.outbox.row import Row
from notify.delivery.outbox.store import Store

_PATIENCE = 0.05  # seconds that a caller waits for other threads and processes, all in all
_LATE_PATIENCE = 1.0  # the same once the outbox is closed: memory is no place to go to any more
_LOOK = 0.001  # seconds between two attempts meanwhile


class Writer:
    """Writes rows in the name of this process, on the caller's thread. Thread-safe.

    Args:
        directory: the state directory, in which there is an outbox.
        locks: of the outbox; the callers' one is taken for every write.
    """

    def __init__(self, directory: Path, locks: fork.Locks) -> None:
        self._directory = directory
        self._locks = locks
        self._store: Store | None = None
        self._owner: Owner | None = None
        self._closed = False
        self.written = False
        """Set by every write, for whoever moves SQLite's log into the file."""

    def write(self, rows: Iterable[Row]) -> Store | None:
        """Write *rows*, and return by which connection; None when others held the file or the lock for too long.

        After `close` they are rows of nobody, and the connection is closed again.

        Raises `StoreError`, `StateDirError` or `OSError`.
        """
        patience = _LATE_PATIENCE if self._closed else _PATIENCE
        deadline = time.monotonic() + patience
        lock = self._locks.callers  # after a fork the child has others, but this call must release what it took
        wait = patience
        while lock.acquire(timeout=wait):
            try:
                return self._write(rows)
            except StoreBusy:
                pass
            finally:
                lock.release()
            wait = deadline - time.monotonic()
            if wait <= 0:
                break
            time.sleep(_LOOK)
        return None

    def _write(self, rows: Iterable[Row]) -> Store:
        store = self._store if self._store is not None and self._store.is_open() else self._connect()
        try:
            if self._closed:
                offer_to_adopters(self._directory)
            mark = NOBODY if self._closed else self.mark()
            store.insert([row._replace(owner=mark) for row in rows])
            self.written = True
        finally:
            if self._closed:
                self._store = None
                store.close()
        return store

    def connect(self) -> None:
        """Open the connection now, so that no caller has to. Raises as `write`."""
        with self._locks.callers:
            self.mark()
            if self._store is None:
                self._connect()

    def mark(self) -> str:
        """Return this process's mark. Raises `StateDirError` or `OSError` when it cannot be had."""
        with self._locks.callers:
            if self._owner is None:
                self._owner = Owner(self._directory)
            return self._owner.mark

    def reclaim_mark(self) -> None:
        """See to it that others know that the owner of this process's rows lives. Raises as `mark`."""
        with self._locks.callers:
            if self._owner is not None and not self._owner.is_known():
                self._owner.reclaim()

    def disconnect(self) -> None:
        """Close the connection; the next write opens another. May flush, but not while the lock is held."""
        with self._locks.callers:
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def close(self) -> None:
        """Make what is still to come rows of nobody. What is there keeps its owner until `leave`."""
        with self._locks.callers:
            self._closed = True
        self.disconnect()

    def leave(self) -> None:
        """Leave the rows to others. Idempotent."""
        with self._locks.callers:
            if self._owner is not None:
                self._owner.leave()

    def be_child(self, *, clean: bool) -> None:
        """Begin anew in a forked child, with another mark. See `notify.delivery.outbox.fork`."""
        if self._owner is not None:
            self._owner.leave()
            self._owner = None
        if not clean:
            store, self._store = self._store, None
            if store is not None:
                store.abandon()

    def _connect(self) -> Store:
        if fork.in_progress():  # a signal handler interrupted the preparation
            raise StoreBusy("the process is about to fork")
        self._store = Store(self._directory / NAME)
        return self._store
