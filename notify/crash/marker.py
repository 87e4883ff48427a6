"""The mark that a running program keeps on disk, so that its end is noticed when no Python code runs at it."""

import errno
import faulthandler
import fcntl
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from notify import diagnostics
from notify.clock import Clock, SystemClock
from notify.crash.descriptors import close_own, out_of_the_way
from notify.crash.fault_file import FaultFile
from notify.crash.identity import Process, ancestors, boot_id, is_child, process
from notify.crash.run_file import (
    CRASH_REPORTED,
    DIRECTORY,
    ENDED,
    GOES_ON,
    Facts,
    Run,
    decode,
    encode,
    encode_facts,
    fault_path,
    pid_of,
)
from notify.delivery.state_dir import StateDirError, open_private, prepare
from notify.settings import program_name

SUPERVISOR = "NOTIFY_SUPERVISOR"
"""The environment variable in which a supervisor tells the program that it starts its own process id."""

_INTERVAL = 1.0  # seconds between two notes of progress, on average
# Notes that may follow one another: a program that is killed in an hour between two cycles has noted the beginning and
# the end of the last one, however short that was.
_IN_A_ROW = 5
_ENDS_OF_IT = 30.0  # seconds after the report of a crash in which an end comes of that
_CHANGES = 100  # of whether it has crashed; what is read of the file has room for some more

_FailedToMark = (StateDirError, OSError)


class RunMarker:
    """A file that says that this process runs, and whose lock the process holds for as long as it does.

    The system drops the lock however the process dies. `unclean.claim` then finds the file, and says how it ended. The
    file's modification time is that of the last progress, also when the run has ended.

    No method raises for what is wrong with the state directory; without a file they do nothing. All are safe in any
    thread and in signal handlers. A forked child has no marker, and its copy does nothing: a program that becomes a
    daemon marks itself when it is one. A child that C code forks behind Python's back keeps the lock while it lives.

    Args:
        directory: the state directory.
        clock: tells the time.
        program: what the run is called; the program's name by default.
        facts: returns what the program has said of its run; asked with progress.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock | None = None,
        program: str | None = None,
        facts: Callable[[], Facts] = Facts,
    ) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._program = program or program_name()
        self._facts = facts
        self._noted_facts = Facts()
        self._facts_at = 0  # where in the file they are
        self.run: Run | None = None
        """This run, as others read of it; None as long as it has not begun."""
        self._pid = 0
        self._path: Path | None = None  # None: there is no file
        self._lock: list[_Lock] = []  # of one at most: `pop` is one step, so that two ends do not close it twice
        self._fault_file: FaultFile | None = None
        self._supervised = False
        self._crash_at: float | None = None  # monotonic seconds of the last report; None: it has gone on since
        self._stands = False  # whether the file says that it has crashed
        self._changes = 0
        self._progress_at = 0.0  # epoch seconds; of the beginning, until there is any
        self._next_progress = float("-inf")  # monotonic seconds

    def begin(self) -> None:
        """Make the file, and have faulthandler write beside it, unless the program has enabled that itself.

        Takes a fifth of a millisecond. What is wrong with the state directory is reported on stderr. A supervisor that
        has started this process, itself or through wrappers such as a shell, is named in the file, which then stays
        when the run ends.
        """
        self._pid = os.getpid()
        _running.add(self)
        try:
            path = self._make()
        except _FailedToMark as error:
            _report("nobody will be told if this run is killed", error)
            return
        if self._path is None:  # a signal handler has ended it meanwhile, and the program goes on
            _remove(path)
            self._let_go()
            return
        _end_with_the_child_of_multiprocessing(self)
        if not faulthandler.is_enabled():
            try:
                self._fault_file = FaultFile(fault_path(path), on_request=self._supervised)
            except _FailedToMark as error:
                _report("nobody will be told where this run crashes in C", error)

    def progress(self) -> None:
        """Note that the program goes on, with what it has said of its run.

        At most five times in a row and once a second on average, which takes 20 us; more are free.
        """
        if self._crash_at is not None:
            self._go_on()
        now = self._clock.monotonic()
        if now < self._next_progress or not self._is_on():
            return
        self._next_progress = max(self._next_progress, now - (_IN_A_ROW - 1) * _INTERVAL) + _INTERVAL
        self._progress_at = self._clock.time()
        self._note_facts()
        path = self._path
        if path is not None:
            self._set_time(path)

    def crash_reported(self, *, stands: bool = True) -> None:
        """Note that a crash is reported, so that a supervisor need not. `progress` cancels it.

        Args:
            stands: whether the program goes no further than to its end. Otherwise it counts for the end of the run if
                that comes within 30 seconds.
        """
        if not self._is_on():
            return
        self._crash_at = self._clock.monotonic()
        if stands and not self._stands and self._changes < _CHANGES:
            self._stands = True
            self._changes += 1
            self._add(CRASH_REPORTED)

    def end(self) -> None:
        """Note that the run ends in an orderly way: remove the file, or say so in it for the supervisor. Idempotent."""
        if not self._is_on():
            return
        path, self._path = self._path, None
        if path is None:  # somebody ended it since we asked
            return
        try:
            if self._supervised and self._lock:
                _append(path, CRASH_REPORTED + ENDED if self._ends_of_a_crash() else ENDED)
                self._set_time(path)
            else:  # also what is being made, by whom a signal handler has interrupted that ends it
                _remove(path)
            fault_file, self._fault_file = self._fault_file, None
            if fault_file is not None:
                fault_file.remove()
        except _FailedToMark as error:
            _report("the next start will take this run for killed", error)
        self._let_go()

    def leave(self) -> None:
        """Let go of the copies that a forked child has, so that the parent's death is noticed while the child lives."""
        self._path = None
        if self._fault_file is not None:
            self._fault_file.leave()
        self._let_go()

    def _go_on(self) -> None:
        self._crash_at = None
        if self._stands and self._is_on():
            self._stands = False
            self._add(GOES_ON)

    def _ends_of_a_crash(self) -> bool:
        return self._crash_at is not None and self._clock.monotonic() - self._crash_at <= _ENDS_OF_IT

    def _is_on(self) -> bool:
        return self._path is not None and os.getpid() == self._pid

    def _make(self) -> Path:
        runs = self._directory / DIRECTORY
        prepare(self._directory)
        prepare(runs)
        self._progress_at = self._clock.time()
        run = Run(self._program, process(self._pid), self._progress_at, boot_id(), _supervisor(runs))
        path = runs / f"{self._pid}-{os.urandom(4).hex()}.json"
        first = encode(run)
        self._facts_at = len(first)
        self.run = decode(first)
        self._supervised = run.supervisor is not None
        self._path = path  # from here on `end` finds it
        try:
            self._lock.append(_create_locked(path, first + encode_facts(self._noted_facts), self._progress_at))
        except BaseException:
            self._path = None
            raise
        return path

    def _add(self, line: bytes) -> None:
        path = self._path
        if path is not None:
            with suppress(*_FailedToMark):  # then it is reported once more, by the supervisor
                _append(path, line)
            self._set_time(path)

    def _note_facts(self) -> None:
        path, facts = self._path, self._facts()
        if path is None or facts == self._noted_facts:
            return
        self._noted_facts = facts
        with suppress(*_FailedToMark):  # then they are not told
            descriptor = open_private(path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, encode_facts(facts), self._facts_at)
            finally:
                os.close(descriptor)

    def _set_time(self, path: Path) -> None:
        with suppress(OSError):
            os.utime(path, (self._progress_at, self._progress_at), follow_symlinks=False)

    def _let_go(self) -> None:
        with suppress(IndexError):
            self._lock.pop().close()


class _Lock:
    """The open file whose lock is held."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = out_of_the_way(descriptor)
        self._file = os.fstat(self._descriptor)

    def close(self) -> None:
        close_own(self._descriptor, self._file)


def _unready(path: Path) -> Path:
    return path.with_name(f".{path.name}")


def _remove(path: Path) -> None:
    for each in (_unready(path), path):  # in this order: the former may become the latter
        each.unlink(missing_ok=True)


def _create_locked(path: Path, data: bytes, at: float) -> _Lock:
    # Under another name first: nobody who looks for dead runs may see it while it is not locked, or empty.
    unready = _unready(path)
    descriptor = open_private(unready, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write(descriptor, data)
        os.utime(descriptor, (at, at))
        unready.rename(path)
    except BaseException:
        os.close(descriptor)
        unready.unlink(missing_ok=True)
        raise
    return _Lock(descriptor)


def _append(path: Path, line: bytes) -> None:
    # By its name: the program may have closed our descriptor, and opened another file under its number.
    descriptor = open_private(path, os.O_WRONLY | os.O_APPEND)
    try:
        _write(descriptor, line)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) < len(data):  # what a full disk does before it refuses
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _report(consequence: str, error: Exception) -> None:
    why = error.strerror if isinstance(error, OSError) else error
    diagnostics.report("run marker", f"{consequence}: {why}")


def _supervisor(runs: Path) -> Process | None:
    """Return the supervisor if it is the parent, or if there are nothing but wrappers between.

    It is told how the program ends, and not how what the program starts does: that is for the next start.
    """
    asked = os.environ.get(SUPERVISOR)
    parent = os.getppid()
    if asked is None or asked == str(parent):
        return process(parent) if asked is not None else None
    between: set[int | None] = set()
    for ancestor in ancestors(os.getpid()):
        if asked == str(ancestor):
            marked = {pid_of(name) for name in os.listdir(runs)}  # noqa: PTH208 - their names are what is wanted
            return None if is_child() or between & marked else process(ancestor)
        between.add(ancestor)
    return None


def _end_with_the_child_of_multiprocessing(marker: RunMarker) -> None:
    """Have the marker end with a child of multiprocessing, which runs no atexit."""
    known = sys.modules.get("multiprocessing.process")
    if known is not None and known.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, marker.end, exitpriority=-1)  # below zero: after the program's own


_running: WeakSet[RunMarker] = WeakSet()


def _leave_in_child() -> None:
    for marker in list(_running):
        marker.leave()


os.register_at_fork(after_in_child=_leave_in_child)
