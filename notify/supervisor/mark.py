"""The mark that a child which uses this package keeps in the state directory, as its supervisor sees it."""

import os
from pathlib import Path

from notify.crash.fault import FATAL
from notify.crash.identity import process
from notify.crash.run_file import DIRECTORY, MOST, Run, decode, fault_path, pid_of
from notify.crash.stacks import SIGNAL
from notify.delivery.state_dir import StateDirError, open_private

_NOTED = 0.01  # seconds between the beginning and the first progress: the file has the time of the former until then
_MOST_OF_STACKS = 2**20  # bytes that are read of them

_Unusable = (StateDirError, OSError, ValueError)


class Mark:
    """The mark of one child. Never raises; a child that does not use this package has none.

    Args:
        directory: the state directory.
        pid: of the child.
    """

    def __init__(self, directory: Path, pid: int) -> None:
        self._directory = directory
        self._pid = pid
        self._path: Path | None = None

    def found(self) -> bool:
        """Say whether the child has marked itself."""
        if self._path is None:
            self._path = self._find()
        return self._path is not None

    def run(self) -> Run | None:
        """Return what the child says of its run; None when it says nothing."""
        return _run(self._path) if self.found() and self._path is not None else None

    def progress_at(self) -> float | None:
        """Return when the child noted progress last, in UTC epoch seconds by its clock; None before it did.

        That may be before the last time, and before it began, when its clock was set back: any change is progress.
        """
        run = self.run()
        if run is None or self._path is None:
            return None
        try:
            at = self._path.stat().st_mtime
        except OSError:
            return None
        return at if abs(at - run.started_at) > _NOTED else None

    def is_running(self) -> bool:
        """Say whether the child still does what it was started for: it has neither ended its run nor crashed."""
        run = self.run()
        return run is not None and not run.ended and not run.crash_reported

    def gives_stacks(self) -> bool:
        """Say whether the child writes down where its threads are when it gets `SIGNAL`, which kills any other."""
        if self._path is None or not fault_path(self._path).exists():
            return False
        return bool(int(self._status("SigCgt") or "0", 16) >> (SIGNAL - 1) & 1)

    def is_stopped(self) -> bool:
        """Say whether the child is stopped, by a signal or a debugger: it would get no signal before it goes on."""
        return self._status("State") in ("T", "t")

    def stacks(self, *, take: bool = False) -> str:
        """Return what the child has written of its stacks so far.

        Args:
            take: remove it, too, so that it is not there the next time. A crash in C stays, to be told as that.
        """
        if self._path is None:
            return ""
        try:
            descriptor = open_private(fault_path(self._path), os.O_RDWR)
        except _Unusable:
            return ""
        with os.fdopen(descriptor, "r+b") as file:
            text = file.read(_MOST_OF_STACKS).decode("utf-8", "replace")
            if take and FATAL not in text:
                file.truncate(0)
        return text.strip()

    def _status(self, name: str) -> str:
        """Return the first word that the kernel says under *name* of the child; empty when it is gone."""
        try:
            status = Path(f"/proc/{self._pid}/status").read_text("utf-8", "replace")
            return next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:"))
        except (OSError, StopIteration, IndexError):
            return ""

    def _find(self) -> Path | None:
        here = process(os.getpid())
        runs = self._directory / DIRECTORY
        try:
            names = os.listdir(runs)  # noqa: PTH208 - their names are what is wanted
        except OSError:
            return None
        for name in names:
            if pid_of(name) == self._pid:
                run = _run(runs / name)
                if run is not None and run.supervisor == here:  # not that of an earlier process with this number
                    return runs / name
        return None


def _run(path: Path) -> Run | None:
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except _Unusable:
        return None
    try:
        return decode(os.pread(descriptor, MOST, 0))
    except _Unusable:
        return None
    finally:
        os.close(descriptor)
