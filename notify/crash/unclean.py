"""What became of runs that did not come to an orderly end, found by the marker that each of them has left."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from notify import diagnostics
from notify.crash.fault import of_crash
from notify.crash.identity import boot_id, booted_at, lives, process
from notify.crash.run_file import (
    DIRECTORY,
    LATEST,
    MOST,
    NOTHING_SAID,
    Facts,
    NewerVersion,
    Run,
    decode,
    fault_path,
    pid_of,
)
from notify.delivery.state_dir import StateDirError, open_private, prepare
from notify.file_lock import try_lock, unlock

_AT_ONCE = 100  # ends claimed by one start; each takes a descriptor, and macOS allows 256 by default
_MOST_OF_FAULT = 2 * 2**20  # bytes that are read of a C traceback: 100 threads of 100 frames at most, says faulthandler
_ROUNDED = 2.0  # seconds: there are file systems that keep the times of files no better

# Seconds for children that runs have forked as their last deed to let go of their copies of the locks, all together.
_PATIENCE = 1.0
_PAUSE = 0.01  # seconds between two tries

_Unusable = (StateDirError, OSError)


class How(StrEnum):
    """How a run ended."""

    KILLED = "killed"
    """No Python code ran at its end: SIGKILL, the kernel's out-of-memory killer, `os._exit()`."""

    CRASHED_IN_C = "crashed in C"
    """By a signal such as SIGSEGV or SIGABRT, of which faulthandler knows."""

    REBOOTED = "rebooted"
    """The machine was started since."""

    REPORTED = "reported"
    """In an orderly way, after a crash that it has reported itself. Only a supervisor is told."""


@dataclass(frozen=True, slots=True)
class UncleanEnd:
    """How a run ended that did not end in an orderly way.

    Args:
        program: what it was called; empty when its marker is damaged.
        pid: of the process.
        started_at: UTC epoch seconds; None when its marker is damaged.
        last_progress_at: UTC epoch seconds; None when it has noted none.
        how: it ended.
        fault: what faulthandler wrote, where a run crashed in C.
        boot_id: of the machine's start in which it ran; None where the system does not say.
        facts: what the program has said of its run.
        ended_at: UTC epoch seconds, of an orderly end; None when there was none.
    """

    program: str
    pid: int
    started_at: float | None
    last_progress_at: float | None
    how: How
    fault: str = ""
    boot_id: str | None = None
    facts: Facts = NOTHING_SAID
    ended_at: float | None = None

    @property
    def last_sign_at(self) -> float:
        """When it is known to have lived last, in UTC epoch seconds; 0 when nobody knows."""
        return max(self.started_at or 0.0, self.last_progress_at or 0.0, self.ended_at or 0.0)


@contextmanager
def claim(directory: Path, mine: Run | None = None) -> Iterator[list[UncleanEnd]]:
    """Have all unclean ends to oneself while the context lasts, and for good when it ends without an exception.

    Whoever asks meanwhile, in threads and processes, does not get them. A claimer that dies before it has told
    somebody leaves them to the next one. Runs that a living supervisor waits for are not among them, unless the same
    program has started again under it: then a wrapper, such as a shell, has outlived the run, and the supervisor saw
    nothing of its end. A crash that such a run has reported is forgotten, so that it does not stand for a later end.

    Args:
        directory: the state directory.
        mine: the run of the claimer; None when it has none.

    Yields them in the order in which they began: a hundred at most, the rest is for the next one who asks. Never raises
    for what is wrong with the directory or a file, and reports it on stderr.
    """
    boot, here = boot_id(), process(os.getpid())
    claimed: list[_Marker] = []
    ends: list[UncleanEnd] = []
    with ExitStack() as opened:
        names = _names(directory)
        for path in _markers(directory, names):
            if len(claimed) == _AT_ONCE:
                break
            with _reporting(path), ExitStack() as closing:
                marker = _Marker(path)
                closing.callback(marker.close)
                run = marker.read()
                # One that this process has left: it has closed all descriptors, or began anew by exec.
                ours = run is not None and (run.process, run.boot_id) == (here, boot)
                if (run is not None and not ours and _is_awaited(run, boot, mine)) or not marker.lock():
                    continue
                end = marker.end(boot)
                if ours or end is None or end.how is How.REPORTED:
                    marker.remove()
                else:
                    ends.append(end)
                    claimed.append(marker)
                    opened.push(closing.pop_all())
        _remove_orphans(directory, names)
        yield sorted(ends, key=lambda end: end.started_at or 0.0)
        for marker in claimed:
            with _reporting(marker.path):
                marker.remove()


def claim_pid(directory: Path, pid: int) -> list[UncleanEnd]:
    """Return how a child of this process ended, for the supervisor that has started it and waited for it. Once.

    Args:
        directory: the state directory of the child.
        pid: of the child, which has ended. It may be a wrapper, such as a shell, of programs that have left a marker.

    Returns the ends of all these programs, but for those that came to an orderly end without a crash. The last one is
    the child's own, or else the one that most likely made the wrapper end: of the program that lived last. Those that
    another start of the program tells of at this moment are not among them. Waits for that and for locks that somebody
    keeps, a second for all. Never raises for what is wrong with the directory or a file, and reports it on stderr.
    """
    boot, here = boot_id(), process(os.getpid())
    give_up = time.monotonic() + _PATIENCE
    found: list[UncleanEnd] = []
    for path in _markers(directory, _names(directory)):
        with _reporting(path), ExitStack() as closing:
            marker = _Marker(path)
            closing.callback(marker.close)
            run = marker.read()
            # Not that of an earlier process with this number, of which the next start tells.
            if run is None or run.supervisor != here or lives(run.process):
                continue
            if not marker.lock_soon(give_up) and _may_be_told_of(run, directory):
                continue
            end = marker.end(boot)
            marker.remove()
            if end is not None:
                found.append(end)
    return sorted(found, key=lambda end: (end.pid == pid, end.last_sign_at))


class _Marker:
    """The file of a run, open. Raises `StateDirError` or `OSError` when it cannot be used, in every method."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = open_private(path, os.O_RDWR)

    def close(self) -> None:
        unlock(self._descriptor)
        os.close(self._descriptor)

    def lock(self) -> bool:
        """Take the lock, and say whether that was possible: the run is over, and nobody else has claimed it."""
        try:
            return try_lock(self._descriptor) and os.path.samestat(os.fstat(self._descriptor), self.path.lstat())
        except FileNotFoundError:
            return False

    def lock_soon(self, give_up: float) -> bool:
        """Take the lock, and say whether that was possible until *give_up*, in monotonic seconds.

        Raises `FileNotFoundError` when somebody else has claimed the run, and told of it.
        """
        while not self.lock():
            self.path.lstat()
            if time.monotonic() >= give_up:
                return False
            time.sleep(_PAUSE)
        return True

    def read(self) -> Run | None:
        """Return what it says, None when it is damaged. Raises `NewerVersion`."""
        try:
            return decode(os.pread(self._descriptor, MOST, 0))
        except NewerVersion:
            raise
        except ValueError:
            return None

    def end(self, boot: str | None) -> UncleanEnd | None:
        """Return how the run ended, None when that was in an orderly way. *boot*: the present start of the machine."""
        run = self.read()
        status = os.fstat(self._descriptor)
        modified = status.st_mtime
        sign = modified if 0 <= modified <= LATEST else None
        fault = self._fault()
        if run is None:  # what a power cut leaves of a file that was not on disk yet
            since = booted_at()
            before = sign is not None and since is not None and sign < since - _ROUNDED
            how = How.CRASHED_IN_C if fault else How.REBOOTED if before else How.KILLED
            return UncleanEnd("", pid_of(self.path.name) or 0, None, sign, how, fault)
        if run.ended and not run.crash_reported:
            return None
        if run.ended:
            how = How.REPORTED
        elif fault:
            how = How.CRASHED_IN_C
        else:
            how = How.REBOOTED if boot is not None and run.boot_id not in (None, boot) else How.KILLED
        if sign is not None and abs(sign - run.started_at) < _ROUNDED:
            sign = None
        return UncleanEnd(
            program=run.program,
            pid=run.process.pid,
            started_at=run.started_at,
            last_progress_at=sign,
            how=how,
            fault=fault,
            boot_id=run.boot_id,
            facts=run.facts,
            ended_at=status.st_ctime if run.ended else None,
        )

    def remove(self) -> None:
        """Remove it, and what faulthandler wrote."""
        self.path.unlink(missing_ok=True)
        fault_path(self.path).unlink(missing_ok=True)

    def _fault(self) -> str:
        try:
            descriptor = open_private(fault_path(self.path), os.O_RDONLY)
        except _Unusable:  # there is none, or none of ours
            return ""
        with os.fdopen(descriptor, "rb") as file:
            return of_crash(file.read(_MOST_OF_FAULT).decode("utf-8", "replace"))  # not stacks that were asked for


def _is_awaited(run: Run, boot: str | None, mine: Run | None) -> bool:
    """Say whether somebody else sees how it ends: its supervisor, or itself, living without its lock.

    A wrapper that starts another program is no sign that it goes on: it may clean up, and pass the end on then.
    """
    if run.boot_id != boot:
        return False
    has_begun_anew = mine is not None and _is_begun_anew(run, by=mine)
    return lives(run.process) or (_has_supervisor(run) and not has_begun_anew)


def _may_be_told_of(run: Run, directory: Path) -> bool:
    """Say whether a start of the same program, under the same supervisor, may be what holds the lock of a dead *run*.

    If there is none, it is a child that the run has forked behind Python's back. Nobody waits for that: if the run
    stayed there, a later start would tell of it once more.
    """
    for path in _markers(directory, _names(directory)):
        with _reporting(path), ExitStack() as closing:
            marker = _Marker(path)
            closing.callback(marker.close)
            other = marker.read()
            if other is not None and _is_begun_anew(run, by=other) and lives(other.process):
                return True
    return False


def _is_begun_anew(run: Run, by: Run) -> bool:
    return (run.supervisor, run.program) == (by.supervisor, by.program)


def _has_supervisor(run: Run) -> bool:
    return run.supervisor is not None and lives(run.supervisor)


def _names(directory: Path) -> set[str]:
    """Return the names of all files of runs. A directory that is missing is not made."""
    runs = directory / DIRECTORY
    try:
        if not os.path.lexists(runs):
            return set()
        prepare(directory)
        prepare(runs)
        return set(os.listdir(runs))  # noqa: PTH208 - their names are what is wanted
    except _Unusable as error:
        diagnostics.report("run marker", f"earlier runs cannot be looked at: {_why(error)}")
        return set()


def _markers(directory: Path, names: set[str]) -> Iterator[Path]:
    return (directory / DIRECTORY / name for name in sorted(names) if pid_of(name) is not None)


def _remove_orphans(directory: Path, names: set[str]) -> None:
    """Remove what faulthandler wrote for runs that are gone: a claimer may die in the middle of a removal."""
    for name in names:
        path = directory / DIRECTORY / name
        marker = path.with_suffix(".json")
        if (
            path.suffix == ".fault"
            and pid_of(marker.name) is not None
            and marker.name not in names
            and not os.path.lexists(marker)  # a run that began since has made its marker first
        ):
            with suppress(OSError):
                path.unlink()


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:  # another claimer was quicker, or the run has just ended
        pass
    except NewerVersion:  # for a program with that version to judge
        pass
    except _Unusable as error:
        diagnostics.report("run marker", f"an earlier run cannot be told about: {path.name}: {_why(error)}")


def _why(error: Exception) -> object:
    return error.strerror if isinstance(error, OSError) else error
