"""What can be wrong with the file under the outbox, in words that an operator can act on."""

import errno
import os
import sqlite3

from notify.errors import NotifyError
from notify.interruption import came_from_outside

_WORDS = {
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_LOCKED: "another process holds it",
    sqlite3.SQLITE_NOTADB: "it is no database",
    sqlite3.SQLITE_PERM: "no permission",
    sqlite3.SQLITE_READONLY: "it is read-only",
}

# An error in a statement that never changes means that the table is not ours.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)


class StoreError(NotifyError):
    """The file or the disk under the outbox does not work."""


class StoreBusy(StoreError):
    """The connection has just been closed, or another thread is at it. Nothing is wrong; try again."""


class StoreHeld(StoreBusy):
    """Another connection keeps ours from writing. If that lasts, people should know."""


class StoreDamaged(StoreError):
    """The content of the file is not what was written, or not for this version."""


class NotFlushed(StoreError):
    """It is written and survives the process, but not surely a loss of power."""


def store_error(error: sqlite3.Error) -> StoreError:
    """Return what to raise in place of *error*."""
    code = getattr(error, "sqlite_errorcode", None)
    # Python's own: a fork closes connections, also that of a call which its signal handler interrupted.
    if code is None:
        return StoreBusy("its connection was closed")
    family = code & 0xFF  # an extended code keeps its family in the low byte
    words = _WORDS.get(family, str(error))
    if family in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreHeld(words)
    if family in _DAMAGE:
        return StoreDamaged(words)
    return StoreError(words)


def moved() -> StoreError:
    """Return what to raise when the files are not where they were."""
    return StoreError("its file was moved or removed")


def out_of_descriptors() -> bool:
    """Say whether no file can be opened, whichever: that says nothing about the outbox, and passes."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if came_from_outside(error):
            raise
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
