"""Keeps what `notify watch` knows in the state directory, so that its next run repeats nothing."""

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from notify import diagnostics
from notify.clock import Clock
from notify.delivery.state_dir import StateDirError, open_private, prepare
from notify.file_lock import try_lock
from notify.fleet.fleet_json import NewerVersion, decode, encode
from notify.fleet.outages import Fleet

_MOST = 16 * 2**20  # bytes that are read: some thousand strategies, each with a name and six matters, take a tenth


class AnotherWatch(Exception):
    """Another process watches with the same state directory."""


class WatchFile:
    """The file of what is known, of which there is one in a state directory, and one process that has it.

    No method raises for what is wrong with the disk: it is reported once, until it is well again, and what is known
    stays in memory. Not thread-safe. A context manager that lets go of it.

    Args:
        directory: the state directory. It is made when it is missing.
        clock: tells the time.

    Raises `AnotherWatch` when another process has it.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._path = directory / "watch.json"
        self._is_well = True
        self._saved: bytes | None = None
        self._lock: int | None = None
        try:
            prepare(directory)
            self._lock = open_private(directory / "watch.lock", os.O_RDWR | os.O_CREAT)
            if not try_lock(self._lock):
                self.close()
                raise AnotherWatch(f"{directory}: another `notify watch` has this state directory")
        except (StateDirError, OSError) as error:
            self._say(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it. Idempotent."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def read(self) -> Fleet:
        """Return what the run before this one knew; nothing when there was none.

        A file that is damaged, or of a later version, is set aside as `watch.damaged.json`.
        """
        try:
            descriptor = open_private(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return Fleet()
        except (StateDirError, OSError) as error:
            self._say(error)
            return Fleet()
        try:
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(_MOST + 1)
            if len(data) > _MOST:
                raise ValueError("damaged")
            fleet = decode(data, now=self._clock.time())
        except OSError as error:
            self._say(error)
            return Fleet()
        except ValueError as error:
            self._set_aside("of a later version" if isinstance(error, NewerVersion) else "damaged")
            return Fleet()
        self._saved = data
        return fleet

    def save(self, fleet: Fleet) -> None:
        """Keep what is known, in one step: whoever is killed meanwhile leaves what was kept before.

        It is not flushed: after a power cut it may be gone, and what is wrong is told once more.
        """
        data = encode(fleet)
        if data == self._saved:
            return
        new = self._path.with_suffix(".new")
        try:
            prepare(self._directory)  # somebody may have deleted it
            with os.fdopen(open_private(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
                file.write(data)
            new.replace(self._path)
        except (StateDirError, OSError) as error:
            self._say(error)
            return
        self._saved = data
        self._is_well = True

    def _set_aside(self, why: str) -> None:
        aside = self._path.with_suffix(".damaged.json")
        with suppress(OSError):  # it is replaced by the next save then
            self._path.replace(aside)
        diagnostics.report("watch file", f"{self._path}: {why}, set aside as {aside.name}: what was told is not known")

    def _say(self, error: Exception) -> None:
        if self._is_well:
            self._is_well = False
            why = error if isinstance(error, StateDirError) else f"{self._path}: {getattr(error, 'strerror', error)}"
            diagnostics.report("watch file", f"what was told is only kept in memory: {why}")
