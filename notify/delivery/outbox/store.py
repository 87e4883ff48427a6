"""The outbox's table: every statement, over one connection to SQLite.

Each statement that writes is one call that commits by itself. A transaction of two calls would keep SQLite's only
write lock while the thread waits for the interpreter between them, 5 ms and more beside a busy thread, and an
accepting caller with it.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from notify.delivery.outbox.errors import StoreDamaged, StoreError, store_error
from notify.delivery.outbox.row import Name, Row, Sized

VERSION = 1  # of the schema, in PRAGMA user_version

_LOG_KEPT = 2**20  # bytes that the log's file keeps when it is begun anew

_SCHEMA = (
    """CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY,
        destination TEXT NOT NULL,
        event_id TEXT NOT NULL,
        severity INTEGER NOT NULL,
        created REAL NOT NULL,
        owner TEXT NOT NULL,
        dead_at REAL,
        dead_reason TEXT,
        checksum INTEGER NOT NULL,
        payload BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX outbox_event ON outbox (event_id, destination)",
    "CREATE INDEX outbox_dead ON outbox (dead_at) WHERE dead_at IS NOT NULL",
)
_NAMED = (
    "(event_id, destination) IN (SELECT json_extract(value, '$[1]'), json_extract(value, '$[0]') FROM json_each(?))"
)
_NUMBERED = "dead_at IS NULL AND seq IN (SELECT value FROM json_each(?))"
_OWNED = "owner IN (SELECT value FROM json_each(?))"
_ADDRESSED = "destination IN (SELECT value FROM json_each(?))"

_COLUMNS = ", ".join(Row._fields)
_ONE = f"({', '.join('?' * len(Row._fields))})"
_ROWS = f"SELECT {_COLUMNS} FROM outbox "  # noqa: S608 - constants, as in every statement here
_SIZES = "SELECT destination, event_id, length(payload) FROM outbox "


class Store:
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
        with suppress(sqlite3.Error):
            self._connection.close()

    def abandon(self) -> None:
        """Keep the connection open beyond every reference to it. For a child forked while a thread was inside it.

        That thread's locks stay locked in the child, and closing waits for them, also when the interpreter ends.
        """
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    # ---- the caller's side

    def insert(self, rows: Sequence[Row]) -> None:
        """Write *rows*, all or none. One that is there already stays as it is."""
        values: Sequence[object] = rows[0] if len(rows) == 1 else [value for row in rows for value in row]
        statement = f"INSERT OR IGNORE INTO outbox ({_COLUMNS}) VALUES {', '.join([_ONE] * len(rows))}"  # noqa: S608
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise store_error(error) from None
        except UnicodeDecodeError:
            raise StoreDamaged("it is damaged") from None

    def flush(self) -> None:
        """Make what was written survive a loss of power, as far as the disk honours a flush."""
        try:
            descriptor = os.open(self._files[1], os.O_RDONLY | os.O_CLOEXEC)
            try:
                getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has only the latter
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"it cannot be flushed: {error.strerror}") from None

    # ---- the lanes' side: what waits and what is dead

    def delete(self, names: Iterable[Name]) -> None:
        """Remove rows. Those that are not there are not missed."""
        self._execute(f"DELETE FROM outbox WHERE {_NAMED}", _json(names))  # noqa: S608

    def bury(self, names: Iterable[Name], *, at: float, reason: str) -> None:
        """Make waiting rows dead letters."""
        statement = f"UPDATE outbox SET dead_at = ?, dead_reason = ? WHERE dead_at IS NULL AND {_NAMED}"  # noqa: S608
        self._execute(statement, at, reason, _json(names))

    def bury_damaged(self, row: Row, *, owner: str, at: float, reason: str) -> None:
        """Make a row of *owner* whose name may be damaged a dead letter, under the name that can be read."""
        statement = (
            "UPDATE OR REPLACE outbox SET destination = ?, event_id = ?, dead_at = ?, dead_reason = ? "
            "WHERE seq = ? AND owner = ?"
        )
        self._execute(statement, row.destination, row.event_id, at, reason, row.seq, owner)

    def revive(self, names: Iterable[Name], *, owner: str) -> None:
        """Make dead letters wait again, as rows of *owner*."""
        statement = (
            "UPDATE outbox SET dead_at = NULL, dead_reason = NULL, owner = ? "  # noqa: S608
            f"WHERE dead_at IS NOT NULL AND {_NAMED}"
        )
        self._execute(statement, owner, _json(names))

    def give(self, names: Iterable[Name], *, old: str, new: str) -> None:
        """Make waiting rows of *old* rows of *new*."""
        statement = f"UPDATE outbox SET owner = ? WHERE dead_at IS NULL AND owner = ? AND {_NAMED}"  # noqa: S608
        self._execute(statement, new, old, _json(names))

    def left_for(self, owners: Iterable[str]) -> dict[str, int]:
        """Return for which destinations, and how many, waiting rows of *owners* there are. Reads the whole table."""
        statement = f"SELECT destination, count(*) FROM outbox WHERE dead_at IS NULL AND {_OWNED} GROUP BY destination"  # noqa: S608
        return {str(destination): count for destination, count in self._execute(statement, _json(owners))}

    def give_others(self, names: Iterable[Name], *, old: str, new: str) -> None:
        """Make the waiting rows of *old* rows of *new*, but not those with these *names*. Reads the whole table."""
        statement = f"UPDATE outbox SET owner = ? WHERE dead_at IS NULL AND owner = ? AND NOT {_NAMED}"  # noqa: S608
        self._execute(statement, new, old, _json(names))

    def owners(self) -> list[str]:
        """Return the marks that waiting rows have, damaged ones as text of any kind. Reads the whole table."""
        return [str(row[0]) for row in self._execute("SELECT DISTINCT owner FROM outbox WHERE dead_at IS NULL")]

    def give_unowned(self, new: str) -> None:
        """Make waiting rows whose owner can be nobody's mark, because it is damaged, rows of *new*."""
        mark = "[0-9]*-" + "[0-9a-f]" * 8  # and nothing but figures before its only hyphen
        self._execute(
            "UPDATE outbox SET owner = ? WHERE dead_at IS NULL "
            "AND (owner NOT GLOB ? OR owner GLOB '*[^0-9]*-*' OR typeof(owner) != 'text')",
            new,
            mark,
        )

    def places(
        self, owners: Iterable[str], destinations: Iterable[str], *, after: int, limit: int
    ) -> list[tuple[int, str]]:
        """Return numbers and owners of the oldest waiting rows of *owners* for *destinations* behind number *after*."""
        statement = (
            "SELECT seq, owner FROM outbox "  # noqa: S608
            f"WHERE seq > ? AND dead_at IS NULL AND {_OWNED} AND {_ADDRESSED} ORDER BY seq LIMIT ?"
        )
        return self._execute(statement, after, _json(owners), _json(destinations), limit)

    def numbered(self, numbers: Iterable[int], owners: Iterable[str]) -> list[Row]:
        """Return those of the waiting rows with these *numbers* that one of *owners* has, in the order of writing."""
        return self._rows(f"WHERE {_NUMBERED} AND {_OWNED} ORDER BY seq", _json(numbers), _json(owners))

    def hand_over(self, numbers: Sequence[int], old: Iterable[str], new: str) -> bool:
        """Give those of the waiting rows with these *numbers* that one of *old* still has to *new*. False: not all."""
        # By number: nobody writes rows for a dead owner any more, so a number that was given again has another owner.
        statement = f"UPDATE outbox SET owner = ? WHERE {_NUMBERED} AND {_OWNED}"  # noqa: S608
        try:
            return self._connection.execute(statement, (new, _json(numbers), _json(old))).rowcount == len(numbers)
        except sqlite3.Error as error:
            raise store_error(error) from None

    def waiting(self, limit: int) -> list[Row]:
        """Return the oldest waiting rows of everybody, in the order of writing."""
        return self._rows("WHERE dead_at IS NULL ORDER BY seq LIMIT ?", limit)

    def dead(self, limit: int) -> list[Row]:
        """Return the newest dead letters, newest first."""
        return self._rows("WHERE dead_at IS NOT NULL ORDER BY dead_at DESC, seq DESC LIMIT ?", limit)

    def of_event(self, event_id: str) -> list[Row]:
        """Return the rows of one event."""
        return self._rows("WHERE event_id = ?", event_id)

    # ---- the lanes' side: limits

    def counts(self) -> tuple[int, int]:
        """Return how many rows wait and how many are dead letters. Reads the smallest index."""
        ((every,),) = self._execute("SELECT count(*) FROM outbox")
        ((dead,),) = self._execute("SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL")
        return every - dead, dead

    def bytes_used(self) -> int:
        """Return the bytes that rows and indexes take."""
        numbers = "SELECT page_count, freelist_count, page_size "
        ((pages, free, size),) = self._execute(
            numbers + "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
        return int((pages - free) * size)

    def older_than(self, created: float, limit: int) -> list[Sized]:
        """Return waiting rows of before *created* (UTC epoch seconds). Reads the whole table."""
        return self._sizes("WHERE dead_at IS NULL AND created < ? ORDER BY seq LIMIT ?", created, limit)

    def least_severe(self, limit: int) -> list[Sized]:
        """Return the least severe waiting rows, the oldest of them first. Reads the whole table."""
        return self._sizes("WHERE dead_at IS NULL ORDER BY severity, seq LIMIT ?", limit)

    def dead_beyond(self, count: int, limit: int) -> list[Sized]:
        """Return dead letters that are not among the *count* newest."""
        return self._sizes("WHERE dead_at IS NOT NULL ORDER BY dead_at DESC, seq DESC LIMIT ? OFFSET ?", limit, count)

    def bytes_of_log(self) -> int:
        """Return the size of the log, which grows until `checkpoint`."""
        with suppress(OSError):
            return self._files[1].stat().st_size
        return 0

    def checkpoint(self) -> None:
        """Move the log's content into the file, as far as no reader needs it, and begin the log anew. Flushes."""
        ((busy, pages, moved),) = self._execute("PRAGMA wal_checkpoint(PASSIVE)")
        if not busy and pages == moved:
            # Whoever writes next begins the log anew, and flushes its first bytes. Let that be us, not a caller.
            self.touch()

    def touch(self) -> None:
        """Write a little, to see whether it works."""
        self._execute(f"PRAGMA user_version = {VERSION}")

    def is_in_place(self) -> bool:
        """Say whether the files are where others look for them: somebody may have tidied up."""
        return [_identity(file) for file in self._files] == self._identities

    def is_linked(self) -> bool:
        """Say whether what was just written is in the files that others find. As cheap as that can be told."""
        try:
            return all(map(_is_at, self._files[:2], self._identities))
        except FileNotFoundError:
            return False
        except OSError:  # no permission to look: the files are where they were
            return True

    # ---- opening

    def create(self) -> None:
        """Give an empty file its table. Raises `StoreError` when the file system cannot hold a write-ahead log."""
        ((mode,),) = self._execute("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StoreError("its file system cannot hold SQLite's write-ahead log")
        for statement in _SCHEMA:
            self._execute(statement)
        self.touch()

    def check(self) -> None:
        """Read the whole file. Raises `StoreDamaged` unless it is whole and of this version."""
        ((version,),) = self._execute("PRAGMA user_version")
        if version > VERSION:
            raise StoreDamaged(f"it is of version {version}, newer than this program's {VERSION}")
        ((mode,),) = self._execute("PRAGMA journal_mode")
        schema = {_words(sql) for (sql,) in self._execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'outbox'")}
        if version < VERSION or not schema:
            raise StoreDamaged("it is no outbox")
        if mode != "wal" or schema != set(
            map(_words, _SCHEMA)
        ):  # SQLite takes a changed byte in there for another program's wish
            raise StoreDamaged("it is damaged")
        # Not quick_check, which takes 3/4 of the time: a row that its index does not lead to is delivered for ever.
        ((found,),) = self._execute("PRAGMA integrity_check(1)")
        if found != "ok":
            raise StoreDamaged("it is damaged")

    def from_seq(self, seq: int, limit: int) -> list[Row]:
        """Return rows from number *seq* on. For a damaged file, which is read bit by bit."""
        columns = _COLUMNS.replace("seq", "rowid", 1)  # the same, unless the schema is damaged
        statement = f"SELECT {columns} FROM outbox WHERE rowid >= ? ORDER BY rowid LIMIT ?"  # noqa: S608
        return [Row(*found) for found in self._execute(statement, seq, limit)]

    # ---- inside

    def _rows(self, which: str, *values: object) -> list[Row]:
        return [Row(*found) for found in self._execute(_ROWS + which, *values)]

    def _sizes(self, which: str, *values: object) -> list[Sized]:
        return [
            ((destination, event_id), size) for destination, event_id, size in self._execute(_SIZES + which, *values)
        ]

    def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(error) from None
        except UnicodeDecodeError:  # SQLite's own message, which quotes what it found
            raise StoreDamaged("it is damaged") from None


def _json(values: Iterable[object]) -> str:
    return json.dumps(list(values))


def _words(sql: str) -> str:
    return " ".join(str(sql).split())


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _is_at(path: Path, identity: tuple[int, int] | None) -> bool:
    about = os.stat(path)  # noqa: PTH116 - twice for each event that is kept, and pathlib's costs double
    return (about.st_dev, about.st_ino) == identity
