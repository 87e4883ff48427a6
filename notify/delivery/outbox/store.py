"""The outbox's table: every statement on its rows.

Each statement that writes is one call that commits by itself. A transaction of two calls would keep SQLite's only
write lock while the thread waits for the interpreter between them, 5 ms and more beside a busy thread, and an
accepting caller with it.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from notify.delivery.outbox.connection import VERSION, Connection
from notify.delivery.outbox.errors import StoreDamaged, StoreError, store_error
from notify.delivery.outbox.row import Name, Row, Sized

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
# Put together once: SQLite's module would look at all of a new text to find out that it knows the statement.
_INSERT_ONE = f"INSERT OR IGNORE INTO outbox ({_COLUMNS}) VALUES {_ONE}"  # noqa: S608 - constants
_ROWS = f"SELECT {_COLUMNS} FROM outbox "  # noqa: S608 - constants, as in every statement here
_SIZES = "SELECT destination, event_id, length(payload) FROM outbox "


class Store(Connection):
    """The table, as one connection sees it."""

    # ---- the caller's side

    def insert(self, rows: Sequence[Row]) -> None:
        """Write *rows*, all or none. One that is there already stays as it is."""
        statement: str = _INSERT_ONE
        values: Sequence[object] = rows[0]
        if len(rows) > 1:
            statement += f", {_ONE}" * (len(rows) - 1)
            values = [value for row in rows for value in row]
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise store_error(error) from None
        except UnicodeDecodeError:
            raise StoreDamaged("it is damaged") from None

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

    def move(self, name: Name, row: Row, *, owner: str) -> None:
        """Give the waiting row with this *name*, if *owner* has it, the destination and the payload of *row*."""
        statement = (
            "UPDATE OR REPLACE outbox SET destination = ?, checksum = ?, payload = ? "
            "WHERE dead_at IS NULL AND owner = ? AND event_id = ? AND destination = ?"
        )
        destination, event_id = name
        self._execute(statement, row.destination, row.checksum, row.payload, owner, event_id, destination)

    def waiting_of(self, names: Iterable[Name], owners: Iterable[str]) -> list[Name]:
        """Return those of *names* whose rows wait and belong to one of *owners*."""
        statement = f"SELECT destination, event_id FROM outbox WHERE dead_at IS NULL AND {_NAMED} AND {_OWNED}"  # noqa: S608
        return [(row[0], row[1]) for row in self._execute(statement, _json(names), _json(owners))]

    def by_destination(self) -> dict[str, int]:
        """Return how many rows wait for each destination. Reads the whole table."""
        statement = "SELECT destination, count(*) FROM outbox WHERE dead_at IS NULL GROUP BY destination"
        return {str(destination): count for destination, count in self._execute(statement)}

    def left_by(self, dead: Iterable[str], *, parked: str, since: float, living: Iterable[str]) -> dict[str, int]:
        """Return how many waiting rows of *dead* there are by destination, but for those that somebody has.

        Args:
            dead: owners.
            parked: that of them whose rows may be somebody's who lives.
            since: UTC epoch seconds: parked rows of events after it are left out.
            living: owners. Who has rows for a destination has the destination.

        Reads the whole table.
        """
        statement = (
            f"SELECT destination, count(*) FROM outbox WHERE dead_at IS NULL AND {_OWNED} "  # noqa: S608
            "AND (owner != ? OR created < ?) "
            f"AND destination NOT IN (SELECT destination FROM outbox WHERE dead_at IS NULL AND {_OWNED}) "
            "GROUP BY destination"
        )
        found = self._execute(statement, _json(dead), parked, since, _json(living))
        return {str(destination): count for destination, count in found}

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

    def oldest(self, owners: Iterable[str], destinations: Iterable[str], limit: int) -> list[tuple[int, int]]:
        """Return numbers and bytes of the oldest waiting rows of *owners* for *destinations*."""
        statement = (
            "SELECT seq, length(payload) FROM outbox "  # noqa: S608
            f"WHERE dead_at IS NULL AND {_OWNED} AND {_ADDRESSED} ORDER BY seq LIMIT ?"
        )
        return self._execute(statement, _json(owners), _json(destinations), limit)

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

    def older_than(self, created: float, limit: int, *, but_of: Iterable[str]) -> list[Sized]:
        """Return waiting rows of before *created* (UTC epoch seconds), of nobody in *but_of*. Reads the whole table."""
        which = f"WHERE dead_at IS NULL AND created < ? AND NOT {_OWNED} ORDER BY seq LIMIT ?"
        return self._sizes(which, created, _json(but_of), limit)

    def least_severe(self, limit: int, *, but_of: Iterable[str] = ()) -> list[Sized]:
        """Return the least severe waiting rows, the oldest of them first, of nobody in *but_of*. Reads all of them."""
        which = f"WHERE dead_at IS NULL AND NOT {_OWNED} ORDER BY severity, seq LIMIT ?"
        return self._sizes(which, _json(but_of), limit)

    def sizes_of(self, names: Iterable[Name]) -> list[Sized]:
        """Return those of *names* that are there, in the order of writing."""
        return self._sizes(f"WHERE {_NAMED} ORDER BY seq", _json(names))

    def dead_beyond(self, count: int, limit: int) -> list[Sized]:
        """Return dead letters that are not among the *count* newest."""
        return self._sizes("WHERE dead_at IS NOT NULL ORDER BY dead_at DESC, seq DESC LIMIT ? OFFSET ?", limit, count)

    # ---- opening

    def create(self) -> None:
        """Give an empty file its table. Raises `StoreError` when the file system cannot hold a write-ahead log."""
        self._execute("PRAGMA auto_vacuum = INCREMENTAL")  # for `give_back`; later it is too late
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


def _json(values: Iterable[object]) -> str:
    return json.dumps(list(values))


def _words(sql: str) -> str:
    return " ".join(str(sql).split())
