"""One connection to the outbox's file and to SQLite's log beside it: opened, flushed, emptied, watched and closed."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from notify.delivery.outbox.errors import NotFlushed, StoreDamaged, moved, store_error
from notify.delivery.outbox.found import find
from notify.interruption import came_from_outside

VERSION = 1  # of the schema, in PRAGMA user_version
LONG_LOG = 64 * 2**20  # bytes of SQLite's log, from which on those who write wait until it is begun anew

_LOG_KEPT = 2**20  # bytes that the log's file keeps when it is begun anew
_RESTART_PATIENCE = 0.02  # seconds: SQLite waits with its write lock in hand
_PAGES_AT_ONCE = 256  # of 4 kB, given back by one statement: callers wait meanwhile
_GIVEN_BACK = 64 * 2**20  # bytes at most in one go


class Connection:
    """One connection. Raises `StoreError` and its kinds, never `sqlite3.Error`.

    May be used by any thread, one at a time; `flush` by all at any time.

    Args:
        path: of the database file, which exists.
        patience: seconds to wait for other connections that write.
        read_only: change nothing, not even by tidying up at the end.
        cut_off: read what is left of a file although its end is missing.
    """

    def __init__(self, path: Path, *, patience: float = 0.0, read_only: bool = False, cut_off: bool = False) -> None:
        self._files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
        self._names = [os.fsencode(file) for file in self._files[:2]]
        self._patience = patience
        self._log: _Descriptor | None = None
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode={'ro' if read_only else 'rw'}",
                uri=True,
                timeout=patience,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise store_error(error) from None
        # A damaged name must not cost the rows around it.
        self._connection.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            if cut_off:
                self._execute("PRAGMA writable_schema = ON")  # SQLite looks less closely then
            # NORMAL does not flush when a row is written; FULL does, which was measured to take up to 900 ms.
            self._execute("PRAGMA synchronous = NORMAL")
            # A checkpoint flushes: it is for the lanes' side, not for the caller who writes one row too many.
            self._execute("PRAGMA wal_autocheckpoint = 0")
            self._execute(f"PRAGMA journal_size_limit = {_LOG_KEPT}")
            self._execute("SELECT 1 FROM sqlite_master LIMIT 1")  # opens the log, which is there from here on
            self._identities = [_identity(file) for file in self._files]
        except BaseException:
            self.close()
            raise

    def is_open(self) -> bool:
        """Say whether it can be used: the collector may close it under those who speak while the interpreter ends."""
        try:
            return self._connection.total_changes >= 0
        except sqlite3.ProgrammingError:
            return False

    def close(self) -> None:
        """Close the connection. The last one of all processes moves the log's content into the file."""
        self._log = None
        with suppress(sqlite3.Error):
            self._connection.close()

    def abandon(self) -> None:
        """Keep the connection open beyond every reference to it. For a child forked while a thread was inside it.

        That thread's locks stay locked in the child, and closing waits for them, also when the interpreter ends.
        """
        import ctypes

        self._log = None
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    def wait_at_most(self, seconds: float) -> None:
        """Wait so long for other connections that write, from now on."""
        if seconds != self._patience:
            self._execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
            self._patience = seconds

    # ---- durability

    def keep_log_open(self) -> None:
        """Let `flush` do without a new descriptor, if possible: there may be none when it matters most."""
        try:
            self._log = _Descriptor(self._files[1])
        except OSError as error:
            if came_from_outside(error):  # a TimeoutError, here and below
                raise

    def flush(self) -> None:
        """Make what was written survive a loss of power, as far as the disk honours a flush. Raises `NotFlushed`."""
        try:
            log = self._log or _Descriptor(self._files[1])  # ours until the end, whoever closes the connection
            getattr(os, "fdatasync", os.fsync)(log.number)  # macOS has only the latter
        except FileNotFoundError:
            return  # who closed it as the last one has moved it into the file, and flushed that
        except OSError as error:
            if came_from_outside(error):
                raise
            raise NotFlushed(f"it cannot be flushed: {error.strerror}") from None

    def touch(self) -> None:
        """Write a little, to see whether it works."""
        self._execute(f"PRAGMA user_version = {VERSION}")

    # ---- bytes

    def bytes_used(self) -> int:
        """Return the bytes that rows and indexes take."""
        pages, free, size = self._pages()
        return (pages - free) * size

    def bytes_on_disk(self) -> int:
        """Return the bytes of the file, free pages included, and of the log."""
        pages, _, size = self._pages()
        return pages * size + self.bytes_of_log()

    def bytes_of_log(self) -> int:
        """Return the size of the log, which grows until `checkpoint`."""
        try:
            return self._files[1].stat().st_size
        except OSError as error:
            if came_from_outside(error):
                raise
            return 0

    def checkpoint(self) -> None:
        """Move the log's content into the file, as far as no reader needs it, and begin the log anew. Flushes.

        Who writes need not wait for that, unless the log is long: under steady writing it would never be begun anew.
        """
        busy, pages, moved = self._checkpoint("PASSIVE")
        if self.bytes_of_log() > LONG_LOG:
            self._checkpoint("PASSIVE")  # what came meanwhile, so that nobody has to wait for that
            patience = self._patience
            self.wait_at_most(_RESTART_PATIENCE)
            try:
                busy, pages, moved = self._checkpoint("RESTART")
            finally:
                self.wait_at_most(patience)
        if not busy and pages == moved:
            # Whoever writes next begins the log anew, and flushes its first bytes. Let that be us, not a caller.
            self.touch()

    def give_back(self, keep: int) -> bool:
        """Return free pages to the file system, but for *keep* bytes, and say whether there were any.

        The file is shorter after the next `checkpoint`. One of before this was foreseen stays as it is.
        """
        given = 0
        while given < _GIVEN_BACK:
            pages, free, size = self._pages()
            if free * size <= keep:
                break
            self._give_back(_PAGES_AT_ONCE)
            if self._pages()[0] == pages:
                break
            given += _PAGES_AT_ONCE * size
        return given > 0

    # ---- where the files are

    def is_in_place(self) -> bool:
        """Say whether the files are where others look for them: somebody may have tidied up."""
        return [_identity(file) for file in self._files] == self._identities

    def log_in_place(self) -> int:
        """Return the size of the log, having seen that what was just written is in the files that others find.

        As cheap as that can be told, and with the interpreter lock in hand. Raises `StoreError` when it is not.
        """
        try:
            file, log = map(find, self._names)
        except (FileNotFoundError, NotADirectoryError):
            raise moved() from None
        except OSError as error:  # no permission to look: the files are where they were
            if came_from_outside(error):
                raise
            return 0
        if [file.identity, log.identity] != self._identities[:2]:
            raise moved()
        return log.size

    # ---- inside

    def _give_back(self, pages: int) -> None:
        try:
            # It answers after every page, without a column, and Python's execute() goes no further than that.
            self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        except sqlite3.Error as error:
            raise store_error(error) from None

    def _checkpoint(self, mode: str) -> tuple[int, int, int]:
        ((busy, pages, moved_pages),) = self._execute(f"PRAGMA wal_checkpoint({mode})")
        return busy, pages, moved_pages

    def _pages(self) -> tuple[int, int, int]:
        numbers = "SELECT page_count, freelist_count, page_size "
        ((pages, free, size),) = self._execute(
            numbers + "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
        return pages, free, size

    def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(error) from None
        except UnicodeDecodeError:  # SQLite's own message, which quotes what it found
            raise StoreDamaged("it is damaged") from None


class _Descriptor:
    """An open file, closed when the last one who flushes it has ended: its number may be another file's from then."""

    __slots__ = ("number",)

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what `find` has as identity. With the lock given up: nobody waits for this."""
    try:
        about = path.stat()
    except OSError as error:
        if came_from_outside(error):
            raise
        return None
    return about.st_dev, about.st_ino
