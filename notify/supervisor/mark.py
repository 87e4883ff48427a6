"""The mark that a program which uses this package keeps in the state directory, as its supervisor sees it."""

import os
from pathlib import Path

from notify.crash.fault import FATAL
from notify.crash.identity import Process, lives, process
from notify.crash.run_file import DIRECTORY, MOST, Run, decode, fault_path, pid_of
from notify.crash.stacks import SIGNAL
from notify.delivery.state_dir import StateDirError, open_private

_NOTED = 0.01  # seconds between the beginning and the first progress: the file has the time of the former until then
_MOST_OF_STACKS = 2**20  # bytes that are read of them

_Unusable = (StateDirError, OSError, ValueError)


class Mark:
    """The mark of one child, or of the program behind a child that is a wrapper, such as a shell.

    Never raises; a program that does not use this package has none. The child's own goes before. When the program
    behind a wrapper has died, the mark is that of the one which the wrapper has started next, as soon as there is one.

    Args:
        directory: the state directory.
        pid: of the child.
    """

    def __init__(self, directory: Path, pid: int) -> None:
        self._directory = directory
        self._child = pid
        self._path: Path | None = None
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Of the process that has marked itself; the child's own as long as none has."""
        return self._child if self._process is None else self._process.pid

    @property
    def is_childs_own(self) -> bool:
        """Whether the child has marked itself, or nobody has."""
        return self.pid == self._child

    def is_alive(self) -> bool:
        """Say whether the process that has marked itself lives. False while none has."""
        return self._process is not None and lives(self._process)

    def found(self) -> bool:
        """Say whether the child, or a program behind it, has marked itself."""
        if self._process is None or not self.is_childs_own:
            found = self._find()
            # A helper that the child has started may mark itself first.
            if found is not None and (found[1].pid == self._child or not self.is_alive()):
                self._path, self._process = found
        return self._path is not None

    def run(self) -> Run | None:
        """Return what the program says of its run; None when it says nothing."""
        return _run(self._path) if self.found() and self._path is not None else None

    def progress_at(self) -> float | None:
        """Return when the program noted progress last, in UTC epoch seconds by its clock; None before it did.

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
        """Say whether the program still does what it was started for: it has neither ended its run nor crashed."""
        run = self.run()
        return run is not None and not run.ended and not run.crash_reported

    def has_ended(self, since: float) -> bool:
        """Say whether the program has ended its run in an orderly way, after *since* in UTC epoch seconds."""
        run = self.run()
        if run is None or self._path is None or not run.ended:
            return False
        try:
            return self._path.stat().st_ctime >= since  # the other time is that of the last progress
        except OSError:
            return False

    def gives_stacks(self) -> bool:
        """Say whether the program writes down where its threads are when it gets `SIGNAL`, which kills any other."""
        if self._path is None or not fault_path(self._path).exists():
            return False
        return bool(int(self._status("SigCgt") or "0", 16) >> (SIGNAL - 1) & 1)

    def is_stopped(self) -> bool:
        """Say whether the program is stopped, by a signal or a debugger: it would get no signal before it goes on."""
        return self._status("State") in ("T", "t")

    def stacks(self, *, take: bool = False) -> str:
        """Return what the program has written of its stacks so far.

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
        """Return the first word that the kernel says under *name* of the program; empty when it is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text("utf-8", "replace")
            return next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:"))
        except (OSError, StopIteration, IndexError):
            return ""

    def _find(self) -> tuple[Path, Process] | None:
        """Return the mark of the child itself, or else of a program behind it: of one that lives if there is any."""
        here = process(os.getpid())
        runs = self._directory / DIRECTORY
        try:
            names = os.listdir(runs)  # noqa: PTH208 - their names are what is wanted
        except OSError:
            return None
        found: list[tuple[tuple[bool, bool, float], Path, Process]] = []
        for path in (runs / name for name in names if pid_of(name) is not None):
            run = _run(path)
            if run is not None and run.supervisor == here:  # not that of an earlier process with this number
                rank = (run.process.pid == self._child, lives(run.process), run.started_at)
                found.append((rank, path, run.process))
        return max(found)[1:] if found else None


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
