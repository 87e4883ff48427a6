"""How often the program was started lately, so that one that dies again and again does not say so each time."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from notify.clock import Clock
from notify.delivery.state_dir import StateDirError, open_private, prepare
from notify.file_lock import lock_within, unlock
from notify.ordinal import ordinal

_WINDOW = 600.0  # seconds
_REMEMBERED = 100  # starts; a program that starts more often is not counted any further
_MAX_ROW = 10**9  # a row that is longer was not written by this module
_MAX_BYTES = 16_384  # of the file: several times what as many starts need
_PATIENCE = 0.5  # seconds for another process to note its own start, which takes it a millisecond


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the program among others.

    Args:
        count: starts in the last ten minutes, this one included, 100 at most; None when that is not known.
        tells: whether it says that the run before it ended uncleanly.
    """

    count: int | None
    tells: bool

    @property
    def phrase(self) -> str:
        """For people, such as `5th start in 10 minutes`. Empty when it is the only one, or nobody knows."""
        if self.count is None or self.count < 2:
            return ""
        if self.count >= _REMEMBERED:
            return f"{_REMEMBERED} or more starts in {_WINDOW / 60:.0f} minutes"
        return f"{ordinal(self.count)} start in {_WINDOW / 60:.0f} minutes"


def note_start(directory: Path, clock: Clock, *, unclean: bool) -> Start:
    """Note in a file of the state directory that the program starts now, and return what to make of it.

    Unclean ends that follow one another within ten minutes are a row. The 1st, 2nd, 5th, 10th, 20th, 50th, 100th … of
    a row are told. Does not raise: when the file cannot be read and written, every unclean end is told. Several
    processes may do this at the same time. Waits half a second at most, for a process that stopped while it did.

    Args:
        directory: the state directory. It is made when it is missing.
        clock: tells the time.
        unclean: whether this start has found that a run before it ended uncleanly.
    """
    try:
        prepare(directory)
        with _locked(directory / "starts.json") as descriptor:
            noted = _read(descriptor).with_one_more(clock.time(), unclean=unclean)
            _write(descriptor, noted)
    except (StateDirError, OSError):  # the outbox and the marker say what is wrong with the directory
        return Start(None, tells=unclean)
    return Start(len(noted.starts), tells=unclean and _is_told(noted.row))


@dataclass(frozen=True, slots=True)
class _Noted:
    """What the file holds.

    Args:
        starts: UTC epoch seconds, in the order in which they were noted.
        unclean_at: when the last unclean end was found; None when there was none.
        row: how many unclean ends have followed one another by then.
    """

    starts: tuple[float, ...] = ()
    unclean_at: float | None = None
    row: int = 0

    def with_one_more(self, now: float, *, unclean: bool) -> "_Noted":
        starts = tuple(at for at in self.starts if _is_recent(at, now))
        row = self.row if self.unclean_at is not None and _is_recent(self.unclean_at, now) else 0
        return _Noted(
            starts=(*starts, now)[-_REMEMBERED:],
            unclean_at=now if unclean else self.unclean_at,
            row=row + unclean,
        )


def _is_recent(at: float, now: float) -> bool:
    # What is ahead of a clock that was set back by less than that was recent; by more, nobody knows.
    return abs(now - at) <= _WINDOW


def _is_told(row: int) -> bool:
    return str(row).rstrip("0") in ("1", "2", "5")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the file and hold its lock. Raises `OSError` when another process keeps that."""
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        if not lock_within(descriptor, _PATIENCE):
            raise TimeoutError
        try:
            yield descriptor
        finally:
            unlock(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> _Noted:
    """Return what the file holds; nothing when it is new, damaged, or what another version makes of it."""
    data = os.read(descriptor, _MAX_BYTES)
    try:
        read = json.loads(data)
        starts, unclean_at, row = read["starts"], read["unclean_at"], read["row"]
        times = [*starts, *([] if unclean_at is None else [unclean_at])]
        sound = all(type(at) in (int, float) and math.isfinite(at) for at in times)
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return _Noted()
    if not sound or type(row) is not int or not 0 <= row < _MAX_ROW:
        return _Noted()
    return _Noted(tuple(starts), unclean_at, row)


def _write(descriptor: int, noted: _Noted) -> None:
    """Put *noted* in place of what the file holds. One who is killed halfway leaves a damaged one, which is no loss."""
    data = json.dumps({"starts": noted.starts, "unclean_at": noted.unclean_at, "row": noted.row}).encode()
    if os.pwrite(descriptor, data, 0) < len(data):
        raise OSError("the disk is full")
    os.ftruncate(descriptor, len(data))
