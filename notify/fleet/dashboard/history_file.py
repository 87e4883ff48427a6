"""The file under the history: one row for each strategy and slot of time, in the state directory."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from notify.delivery.outbox.errors import StoreDamaged, StoreError, StoreHeld, store_error
from notify.delivery.state_dir import check_private, open_private, prepare
from notify.file_lock import try_lock

NAME = "dashboard.sqlite3"
ASIDE = "dashboard.damaged.sqlite3"
MOST_BYTES = 64 * 2**20  # of the file: 4 MB is what 200 strategies take

_LOCK = "dashboard.lock"
_VERSION = 1  # of the schema, in PRAGMA user_version
_MOST_COUNTED = 2**53  # looks or seconds: more cannot be added to, and infinity not be drawn
_PAGE = 4096  # bytes, SQLite's default
_PATIENCE = 1.0  # seconds to wait for a connection of somebody who looks into the file
_SUFFIXES = ("", "-wal", "-shm")
_SCHEMA = """CREATE TABLE seen (
    strategy TEXT NOT NULL,
    slot INTEGER NOT NULL,
    running INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    crashed INTEGER NOT NULL,
    offline INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (strategy, slot)
) WITHOUT ROWID"""


class Seen(NamedTuple):
    """What was seen of a strategy in one slot of time.

    Args:
        running: how often it was so, like the other states.
        stale: as above.
        crashed: as above.
        offline: as above.
        seconds: that its answers took, all together: those of every state but offline.
    """

    running: int = 0
    stale: int = 0
    crashed: int = 0
    offline: int = 0
    seconds: float = 0.0


class Row(NamedTuple):
    """A row of the file.

    Args:
        strategy: its id.
        slot: number of the slot.
        seen: what was seen in it.
    """

    strategy: str
    slot: int
    seen: Seen


class HistoryFile:
    """The open file. For one thread at a time. Raises `StoreError` and `StateDirError`.

    Args:
        directory: the state directory; made when it is missing.

    Attributes:
        fault: why what was there could not be used; it is kept beside, as `ASIDE`. Empty when nothing was wrong.
    """

    def __init__(self, directory: Path) -> None:
        prepare(directory)
        self.fault = ""
        self._lock = _locked(directory / _LOCK)
        try:
            path = directory / NAME
            try:
                self._connection = _opened(path)
            except StoreDamaged as error:
                self.fault = str(error)
                _put_aside(path)
                self._connection = _opened(path)
        except OSError as error:
            os.close(self._lock)
            raise StoreError(error.strerror or "the disk reports an error") from None
        except BaseException:
            os.close(self._lock)
            raise

    def rows(self, since: int) -> list[Row]:
        """Return what is there of the slots from *since* on, and forget what is older."""
        with _errors_named():
            self._connection.execute("DELETE FROM seen WHERE slot < ?", (since,))
            found = self._connection.execute("SELECT * FROM seen").fetchall()
        return [
            Row(strategy, slot, Seen(*counts))
            for strategy, slot, *counts in found
            if isinstance(strategy, str) and all(map(_is_counted, (slot, *counts)))
        ]

    def write(self, rows: Iterable[Row], *, since: int) -> None:
        """Write *rows* in place of those that are there, and forget what is older than the slot *since*.

        All or nothing. In SQLite's log when it returns: a process that is killed then loses nothing of it.
        """
        values = [(row.strategy, row.slot, *row.seen) for row in rows]
        with _errors_named():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("DELETE FROM seen WHERE slot < ?", (since,))
                self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?)", values)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has ended the transaction already
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file and let others have it."""
        with suppress(sqlite3.Error):
            self._connection.close()
        os.close(self._lock)


def _is_counted(number: object) -> bool:
    return isinstance(number, int | float) and 0 <= number < _MOST_COUNTED


def _locked(path: Path) -> int:
    """Return a descriptor that holds the lock of *path*. Raises `StoreHeld` when another process has it."""
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StoreError(error.strerror or "the disk reports an error") from None
    with suppress(OSError):
        if try_lock(descriptor):
            return descriptor
    os.close(descriptor)
    raise StoreHeld("another dashboard keeps its history there")


def _opened(path: Path) -> sqlite3.Connection:
    for suffix in _SUFFIXES:
        check_private(path.with_name(path.name + suffix))
    os.close(open_private(path, os.O_RDWR | os.O_CREAT))  # so that SQLite does not make one that others can read
    with _errors_named():
        connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            _check(connection)
        except BaseException:
            with suppress(sqlite3.Error):
                connection.close()
            raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Have the file ready to be written to. Raises `StoreDamaged` when its content is not ours to use."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA max_page_count = {MOST_BYTES // _PAGE}")
    connection.execute("PRAGMA journal_size_limit = 1048576")  # bytes that the log keeps when it is begun anew
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    tables = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    if version > _VERSION:
        raise StoreDamaged("it was written by a newer version")
    if not tables and version == 0:
        # One call for both: killed between them, it would look damaged.
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}; PRAGMA user_version = {_VERSION}; COMMIT")
        return
    if tables != [(_SCHEMA,)]:
        raise StoreDamaged("it is not ours")
    if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
        raise StoreDamaged("it is damaged")


def _put_aside(path: Path) -> None:
    """Rename the file and what SQLite has beside it; what was put aside before goes, so that they do not pile up."""
    for suffix in _SUFFIXES:
        aside = path.with_name(ASIDE + suffix)
        aside.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside)


@contextmanager
def _errors_named() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error) from None
    except UnicodeDecodeError:  # a damaged name, or SQLite's own message that quotes one
        raise StoreDamaged("it is damaged") from None
