"""The program that runs under the supervisor: started, given its signals, and waited for.

It is in the supervisor's own session and process group, so that the terminal and the shell treat both as one job.
Between the two there is no code of ours in the child: it is started with `posix_spawnp`, which only sets what the
supervisor has changed for itself back to what it had inherited.
"""

import errno
import os
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notify import diagnostics
from notify.errors import NotifyError
from notify.supervisor.signals import STOPPING, Signals, reached_the_group, was_sent_by
from notify.supervisor.streams import Streams

# The exit codes of POSIX shells.
BY_SIGNAL = 128
"""Plus the signal: how a shell passes on that its child was killed."""
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126

# Python ignores these from its first moment on, whatever it has inherited, and nobody can ask it what that was.
_IGNORED_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
# SIGTTOU is not among them: nobody blocks it, and the kernel stops us by it together with the child.
_STOPPED_BY_TERMINAL = frozenset({signal.SIGTSTP, signal.SIGTTIN})


class StartError(NotifyError):
    """The program cannot be started. The text is one line for people.

    Args:
        reason: that line.
        exit_code: 127 when it was not found, 126 when it may not or cannot be executed, as in a shell.
    """

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended.

    Args:
        returncode: its exit code, or the negative number of the signal that killed it, as in `subprocess`.
        dumped_core: whether the kernel has written a core file.
        seconds: run time.
        usage: of the child and of those that it has waited for.
        own_peak: KiB of memory that the supervisor had at its most when the child was started. Linux counts the memory
            of the process that starts a program as the program's own, so `usage.ru_maxrss` is never below that.
        told: what it was asked to end with (`STOPPING`), oldest first, by us or by its terminal. What it or a process
            that it has started sent to its group does not count.
        seconds_since_told: between the last of these and the end; None when there was none.
    """

    returncode: int
    dumped_core: bool
    seconds: float
    usage: resource.struct_rusage
    own_peak: int = 0
    told: tuple[signal.Signals, ...] = ()
    seconds_since_told: float | None = None

    @property
    def signal(self) -> signal.Signals | int | None:
        """What killed it. A bare number for real-time signals, which have no names; None when it ended by itself."""
        if self.returncode >= 0:
            return None
        return _named(-self.returncode)

    @property
    def exit_code(self) -> int:
        """What the supervisor ends with: the child's own exit code, or 128 + signal."""
        return self.returncode if self.returncode >= 0 else BY_SIGNAL - self.returncode


class Child:
    """One running program. For the main thread.

    Args:
        command: the program, looked for in PATH, and its arguments.
        env: its environment. `NOTIFY_SUPERVISOR`, our process number, is added.
        signals: what it gets from now on. Those that wait already reach it as its first.
        streams: what it writes to.

    Raises `StartError` when the command cannot be started.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], *, signals: Signals, streams: Streams) -> None:
        self._signals = signals
        self._streams = streams
        self._ending: Ending | None = None
        self._stopped = False
        self._told: list[signal.Signals] = []
        self._told_at = 0.0
        self.started_at = time.time()
        """UTC epoch seconds."""
        self._started = time.monotonic()
        self.pid = _spawn(command, {**env, "NOTIFY_SUPERVISOR": str(os.getpid())}, signals, streams)
        self._own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Ctrl-C of just now may have found the group without the child in it. If not, the child is dead or about to be.
        self._missed = {signum for signum in signal.sigpending() if signum != signal.SIGCHLD}

    def wait(self, timeout: float | None = None) -> Ending | None:
        """Pass signals on until the child has ended, and return how it did; None after *timeout* seconds (None: never).

        Meanwhile the window's size is followed, Ctrl-Z stops this process after the child, and as process 1 it
        reaps whoever was left behind. What the child wrote is in `Streams.last_lines` by then.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._reap()
            if self._ending is not None:
                return self._ending
            info = self._signals.take(None if deadline is None else deadline - time.monotonic())
            if info is None:
                return None
            self._handle(info)

    def kill(self, signum: int, pid: int | None = None) -> None:
        """Send a signal of our own, which does not count as told. Does nothing once `wait` has returned an ending.

        A child that has become another user's may be out of our reach. That is said on stderr.

        Args:
            signum: the signal.
            pid: of a program that runs behind the child, and gets the signal in its place.
        """
        if self._ending is None:
            try:
                os.kill(self.pid if pid is None else pid, signum)
            except ProcessLookupError:
                pass  # not the child, whom nobody else can wait for
            except PermissionError:
                diagnostics.report("signal", f"{_named(signum)!r} may not be sent to the program: it is another user's")

    def _reap(self) -> None:
        whom = -1 if os.getpid() == 1 else self.pid
        while self._ending is None:
            pid, status, usage = os.wait4(whom, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if not pid:
                return
            if pid != self.pid:
                continue
            if os.WIFSTOPPED(status):
                self._stopped = True
                if (signum := os.WSTOPSIG(status)) in _STOPPED_BY_TERMINAL:
                    self._stop_too(signum)
            elif os.WIFCONTINUED(status):
                self._stopped = False
            else:
                self._end(status, usage)

    def _end(self, status: int, usage: resource.struct_rusage) -> None:
        now = time.monotonic()
        self._streams.catch_up()
        self._ending = Ending(
            returncode=os.waitstatus_to_exitcode(status),
            dumped_core=os.WCOREDUMP(status),
            seconds=now - self._started,
            usage=usage,
            own_peak=self._own_peak,
            told=tuple(self._told),
            seconds_since_told=now - self._told_at if self._told else None,
        )

    def _stop_too(self, signum: int) -> None:
        """Stop as the child did, so that the shell sees its job stopped, but after the child's last words."""
        self._streams.settle()
        self._signals.stop_by(signum)
        self._streams.follow_size()  # somebody else may have had the terminal meanwhile

    def _handle(self, info: "signal.struct_siginfo") -> None:
        signum = info.si_signo
        if signum == signal.SIGCHLD:
            return
        if signum in STOPPING and not was_sent_by(info, self.pid):
            self._told.append(signal.Signals(signum))
            self._told_at = time.monotonic()
        group = os.getpgrp()
        in_our_group = os.getpgid(self.pid) == group  # unless it has made one of its own
        has_it = in_our_group and reached_the_group(info) and signum not in self._missed
        self._missed.discard(signum)
        if signum == signal.SIGWINCH:
            # Also when it is our own: the terminal's, which came meanwhile, may be one with it.
            if self._streams.follow_size():
                # The child and those that it has started have perhaps looked already, and seen the old size.
                os.killpg(group, signal.SIGWINCH)
                has_it = in_our_group
            has_it = has_it or info.si_pid == os.getpid()
        if signum == signal.SIGCONT:
            # A shell sends it to the group, somebody else to us alone: nothing tells which.
            has_it = not self._stopped
        if not has_it:
            self.kill(signum)


def wait_for_stop(signals: Signals, timeout: float | None) -> signal.Signals | None:
    """Wait while no child runs, and return the first of `STOPPING` that comes; None after *timeout* seconds.

    Other signals have nobody whom they could be for. As process 1, reaps whoever was left behind.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        _reap_orphans()
        info = signals.take(None if deadline is None else deadline - time.monotonic())
        if info is None:
            return None
        if info.si_signo in STOPPING:
            return signal.Signals(info.si_signo)


def _reap_orphans() -> None:
    try:
        while os.getpid() == 1 and os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # nobody is left


def _spawn(command: Sequence[str], env: Mapping[str, str], signals: Signals, streams: Streams) -> int:
    try:
        return os.posix_spawnp(
            command[0],
            list(command),
            env,
            file_actions=streams.file_actions,
            setsigmask=signals.inherited,
            setsigdef=_IGNORED_BY_PYTHON,
        )
    except OSError as error:
        found = error.errno not in (errno.ENOENT, errno.ENOTDIR)
        raise StartError(f"{command[0]}: {_why_not(error)}", _NOT_EXECUTABLE if found else _NOT_FOUND) from None


def _why_not(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "no such program, or the interpreter that its first line names is missing"
    if error.errno == errno.ENOEXEC:
        return "is no program: a script needs a first line such as #!/bin/sh"
    return f"cannot be executed: {error.strerror}"


def _named(signum: int) -> signal.Signals | int:
    try:
        return signal.Signals(signum)
    except ValueError:
        return signum
