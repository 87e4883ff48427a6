"""Finding the outbox's file fit for use, or putting it aside and beginning a new one.

A file that cannot be used is never deleted: it gets a dated name, and what can be read of it goes into the new one.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from notify.delivery.outbox.errors import StoreBusy, StoreDamaged, StoreError
from notify.delivery.outbox.row import Row
from notify.delivery.outbox.store import Store
from notify.delivery.state_dir import check_private, open_private, prepare
from notify.file_lock import lock_within, unlock
from notify.interruption import came_from_outside
from notify.plural import plural

NAME = "outbox.sqlite3"
_LOCK = "outbox.lock"
_NEW = "outbox.new.sqlite3"
_SUFFIXES = ("", "-wal", "-shm")  # SQLite's names beside the file

_ROOM = 2**20  # bytes that must be free to begin: with less, the next events would fill the disk again
_PATIENCE = 2.0  # seconds that another process may take to find the same file fit for use
_STRIDE = 100  # rows read at once from a damaged file
_LAST_SEQ = 2**63 - 1  # SQLite's largest row number


def is_full(disk: os.statvfs_result) -> bool:
    """Say whether a file system has no room to begin. Where there are no blocks at all nobody counts them."""
    return disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < _ROOM


def make_ready(directory: Path, now: float) -> str | None:
    """See to it that *directory* holds an outbox that works, and return what people should know about it, if anything.

    Args:
        directory: the state directory; made when it is missing.
        now: UTC epoch seconds, for the name of a file that is put aside.

    Raises `StateDirError` or `StoreError` when there is nothing to be done.
    """
    prepare(directory)
    path = directory / NAME
    try:
        if is_full(os.statvfs(directory)):
            raise StoreError("the disk is full")
        with _alone(directory):
            for file in _files(path):
                check_private(file)
            reason = fault(path)
            if reason is None:
                return None
            if not any(os.path.lexists(file) for file in _files(path)):
                _create(directory, ())
                return None
            return _begin_anew(directory, reason, now)
    except OSError as error:
        if came_from_outside(error):
            raise
        raise StoreError(f"{error.strerror}") from None


def fault(path: Path) -> str | None:
    """Return why the file cannot be used, None when it can. Changes nothing in it. Raises `StoreError`."""
    if not path.exists():
        return "it is gone"
    try:
        # Read-only, so that a file that turns out damaged stays what it was.
        with closing(Store(path, patience=_PATIENCE, read_only=True)) as store:
            store.check()
    except StoreDamaged as error:
        return str(error)
    return None


def _begin_anew(directory: Path, reason: str, now: float) -> str:
    path = directory / NAME
    rows = list(readable_rows(path))
    aside = _free_name(path, now)
    _create(directory, rows, aside)
    count = f"{len(rows)} {plural(len(rows), 'event')}"
    return f"The outbox could not be used: {reason}. It is kept as {aside.name}; {count} could be carried over."


def _create(directory: Path, rows: Sequence[Row], aside: Path | None = None) -> None:
    """Make a new file with *rows* in it and put it in place at once, so that no half-made one is ever found."""
    new, path = directory / _NEW, directory / NAME
    for file in _files(new):
        file.unlink(missing_ok=True)
    os.close(open_private(new, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    with closing(Store(new)) as store:
        store.create()
        for first in range(0, len(rows), _STRIDE):
            store.insert([row._replace(seq=None) for row in rows[first : first + _STRIDE]])
    if aside is not None:
        for old, kept in zip(_files(path), _files(aside), strict=True):
            with suppress(FileNotFoundError):
                old.rename(kept)
    new.rename(path)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)  # the new name must survive what a flushed row in it survives
    finally:
        os.close(descriptor)


def readable_rows(path: Path) -> Iterator[Row]:
    """Yield what can be read of a damaged file, leaving out what cannot."""
    try:
        store = Store(path, patience=_PATIENCE, read_only=True, cut_off=True)
    except StoreError:
        return
    with closing(store):
        seq: int | None = 1
        stride = _STRIDE
        while seq is not None:
            rows = _read(store, seq, stride)
            if rows:
                yield from rows
                seq = (rows[-1].seq or 0) + 1
                stride = min(_STRIDE, stride * 2)
            elif rows is not None:
                return
            elif stride > 1:
                stride = 1  # the rows before the damage, one by one
            else:
                seq = _past_damage(store, seq)


def _read(store: Store, seq: int, limit: int) -> list[Row] | None:
    try:
        rows = store.from_seq(seq, limit)
    except StoreDamaged:
        return None
    # A damaged file may also answer with rows that nobody asked for, and again and again with the same.
    numbers = [seq - 1, *(row.seq or 0 for row in rows)]
    return rows if all(one < next_one for one, next_one in pairwise(numbers)) else None


def _past_damage(store: Store, bad: int) -> int | None:
    """Return the first number after *bad* from which there is something to read or nothing left; None: not found."""
    step = 1
    while _read(store, bad + step, 1) is None:
        step *= 2
        if bad + step > _LAST_SEQ:
            return None
    good, bad = bad + step, bad + step // 2
    while good - bad > 1:
        middle = (good + bad) // 2
        if _read(store, middle, 1) is None:
            bad = middle
        else:
            good = middle
    return good


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _SUFFIXES]


def _free_name(path: Path, now: float) -> Path:
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H%M%S")
    number = 1
    while True:
        mark = stamp if number == 1 else f"{stamp}-{number}"
        name = path.with_name(f"{path.stem}-{mark}.damaged{path.suffix}")
        if not any(os.path.lexists(file) for file in _files(name)):
            return name
        number += 1


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other processes from doing the same meanwhile: two that find a file damaged must not put two files aside."""
    descriptor = open_private(directory / _LOCK, os.O_RDWR | os.O_CREAT)
    try:
        if not lock_within(descriptor, _PATIENCE):
            raise StoreBusy("another process is opening it")
        yield
    finally:
        unlock(descriptor)
        os.close(descriptor)
