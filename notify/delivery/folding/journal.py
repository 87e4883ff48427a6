"""What was announced, on disk: one line of JSON for each change, the newest of which counts.

A line is written by one call, so that a process that dies leaves a part of the last one at most. Several processes may
write at a time: each reads what there is when it begins, and the last word of any of them stands. It is never flushed:
a loss of power costs what was announced lately, which is then announced again.
"""

import errno
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from notify import diagnostics
from notify.delivery.folding.posted import Posted
from notify.delivery.state_dir import StateDirError, open_private
from notify.plain import class_name
from notify.rules.grouping import MOST_MATTERS

NAME = "matters.jsonl"
_VERSION = 1
_LARGE = 4 * 2**20  # bytes: what is out of date is left out when more than that was added
_MAX_BYTES = 64 * 2**20  # of a file that is read: many times what all matters and messages together need
_AGAIN = 60.0  # seconds until a disk that has failed is tried again
_HEAD = {"notify": "matters", "version": _VERSION}


@dataclass(slots=True)
class Found:
    """What an earlier process has left.

    Args:
        matters: by id, in the order of their last change.
        held: what a storm has held back.
        posted: by backend, what that has noted.
    """

    matters: dict[str, object] = field(default_factory=dict)
    held: dict[str, object] = field(default_factory=dict)
    posted: dict[str, dict[str, str]] = field(default_factory=dict)


class Journal:
    """The file. No method raises for what is wrong with the disk. Thread-safe, for our own threads.

    Args:
        directory: the state directory, which is there.
        now: UTC epoch seconds, for the name of a file that is put aside.
        is_told: whether somebody else tells what is wrong with the directory.
    """

    def __init__(self, directory: Path, now: float, is_told: Callable[[], bool]) -> None:
        self._path = directory / NAME
        self._lock = threading.RLock()  # a signal handler may close what it has interrupted
        self._failed_at: float | None = None  # monotonic seconds
        self._added = 0  # bytes
        self._now = now
        self._is_told = is_told
        self._told_held = False  # and not yet that there is nothing any more
        self._there: set[str] = set()  # matters that the file may have as going on
        self._posted: dict[str, Posted] = {}
        self.lacks_all = False
        """Whether what was written before may be missing: the disk has failed, or the file was put aside."""

    def posted(self, backend: str) -> Posted:
        """Return what *backend* has noted, and where it notes more."""
        if backend not in self._posted:
            self._posted[backend] = Posted({}, partial(self._note, backend))
        return self._posted[backend]

    def read(self) -> Found:
        """Return what is there. To be called once, before anything else."""
        found = Found()
        try:
            found, damaged = self._read()
            self._told_held = bool(found.held)
            self._there = set(found.matters)
            if damaged:
                self._put_aside(damaged, found)
            elif self._added > _LARGE:
                self._begin_anew(found)
        except (OSError, StateDirError) as error:
            self._fail(error, None)
        for backend, notes in found.posted.items():
            self._posted[backend] = Posted(notes, partial(self._note, backend))
        return found

    def is_ready(self, at: float) -> bool:
        """Say whether the disk is worth a try at *at* (monotonic seconds)."""
        return self._failed_at is None or at - self._failed_at >= _AGAIN

    def write(self, changes: Mapping[str, Mapping[str, object] | None], held: Mapping[str, object], at: float) -> None:
        """Add what has changed.

        Args:
            changes: matters by id, None for one that has ended; all there are when it `lacks_all`.
            held: all that a storm has held back.
            at: monotonic seconds.
        """
        # What has ended while the disk failed, and is alive in what was written before that.
        ended = self._there - changes.keys() if self.lacks_all else set()
        changes = {**dict.fromkeys(ended), **changes}
        lines: list[dict[str, object]] = [{"matter": name, "is": plain} for name, plain in changes.items()]
        if held or self._told_held:
            lines.append({"held": held})
        going_on = {name for name, plain in changes.items() if plain is not None}
        try:
            with self._lock:
                self._append(lines)
                self._there = (self._there - changes.keys()) | going_on
                self._told_held = bool(held)
                self._failed_at, self.lacks_all = None, False
                if self._added > _LARGE:
                    self._make_smaller()
        except (OSError, StateDirError) as error:
            if len(self._there) <= MOST_MATTERS:
                self._there |= going_on  # some may have been written
            self._told_held = self._told_held or bool(held)
            self._fail(error, at)

    def _note(self, backend: str, name: str, value: str | None) -> None:
        if self._failed_at is None:
            with suppress(OSError, StateDirError), self._lock:  # the next count says that the disk has failed
                self._append([{"backend": backend, "name": name, "is": value}])

    # ---- inside

    def _append(self, lines: list[dict[str, object]]) -> None:
        # A line end before each line, too: what somebody has left unfinished must not spoil it.
        data = "".join(f"\n{json.dumps(line)}\n" for line in lines).encode()
        descriptor = open_private(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            if os.fstat(descriptor).st_size == 0:
                data = f"{json.dumps(_HEAD)}\n".encode() + data
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, "the disk is full")
            self._added += len(data)
        finally:
            os.close(descriptor)

    def _read(self) -> tuple[Found, str]:
        """Return what is there, and what is wrong with it."""
        found = Found()
        try:
            descriptor = open_private(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return found, ""
        with os.fdopen(descriptor, "rb") as file:
            self._added = os.fstat(descriptor).st_size
            if self._added > _MAX_BYTES:
                return found, "it is far too large"
            head, *lines = file.read().split(b"\n")
        if not (head or lines):
            return found, ""
        said = _parsed(head)
        if said is None or said.get("notify") != _HEAD["notify"]:
            return found, "it is damaged"
        if said.get("version") != _VERSION:
            return found, "it is from another version"
        unread = sum(not _take(line, found) for line in lines if line)
        # The end of one line may be missing for each process that was killed, and they are few.
        return found, "it is damaged" if unread > 1 + len(lines) // 10 else ""

    def _make_smaller(self) -> None:
        found, why = self._read()
        if why:
            self._put_aside(why, found)
            self.lacks_all = True
        else:
            self._begin_anew(found)

    def _put_aside(self, why: str, found: Found) -> None:
        stamp = datetime.fromtimestamp(self._now, UTC).strftime("%Y-%m-%dT%H%M%S")
        aside = self._path.with_name(f"matters-{stamp}.damaged.jsonl")
        self._path.rename(aside)
        self._begin_anew(found)
        diagnostics.report(
            "matters", f"what was announced before is not known for sure: {why}; the file is kept as {aside.name}"
        )

    def _begin_anew(self, found: Found) -> None:
        """Write a file that holds *found* and nothing that is out of date, and put it in place at once."""
        new = self._path.with_name(f"matters-{os.getpid()}.new.jsonl")
        lines: list[dict[str, Any]] = [{"matter": name, "is": plain} for name, plain in found.matters.items()]
        lines += [{"held": found.held}]
        for backend, notes in found.posted.items():
            lines += [{"backend": backend, "name": name, "is": value} for name, value in notes.items()]
        data = "".join(f"{json.dumps(line)}\n" for line in (_HEAD, *lines)).encode()
        new.unlink(missing_ok=True)
        descriptor = open_private(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        new.rename(self._path)
        self._added = 0

    def _fail(self, error: Exception, at: float | None) -> None:
        self._failed_at = -_AGAIN if at is None else at
        self.lacks_all = True
        if self._is_told():
            return
        reason = error.strerror if isinstance(error, OSError) else str(error)
        diagnostics.report("matters", f"what was announced cannot be noted on disk: {reason or class_name(error)}")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _take(line: bytes, found: Found) -> bool:
    """Do with *found* what a line says. False: it says nothing that is understood."""
    match _parsed(line):
        case {"matter": str(name), "is": None}:
            found.matters.pop(name, None)
        case {"matter": str(name), "is": {} as plain}:
            found.matters.pop(name, None)
            found.matters[name] = plain
            if len(found.matters) > MOST_MATTERS:
                del found.matters[next(iter(found.matters))]
        case {"held": {} as held}:
            found.held = held
        case {"backend": str(backend), "name": str(name), "is": None | str() as value}:
            notes = found.posted.setdefault(backend, {})
            notes.pop(name, None)
            if value is not None:
                notes[name] = value
        case _:
            return False
    return True
