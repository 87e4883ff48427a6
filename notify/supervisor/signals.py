"""The signals of the supervisor: blocked, and taken one by one, with who sent them."""

import os
import signal
import sys
from pathlib import Path

from notify.errors import ConfigError

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""Those by which a person, a terminal or a service manager asks a program to end."""

# What a terminal sends to every process of its foreground group.
_OF_TERMINAL = frozenset(
    {
        *(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP),
        *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGCONT, signal.SIGWINCH),
    }
)
# Not ours to take: those that nobody can block; those of a defect in this process; those of its own writes and limits,
# SIGTTOU among them, which stops us together with the child, before we write over somebody's terminal.
_LEFT_ALONE = frozenset(
    {
        *(signal.SIGKILL, signal.SIGSTOP),
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP),
        *(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGXCPU, signal.SIGTTOU),
    }
)
_SI_KERNEL = 0x80  # of siginfo.h: sent by the kernel itself


class Signals:
    """Every signal that can be passed on, kept until `take` is called.

    Has to be made in the main thread, before there is any other: a thread that does not block a signal gets it, and
    would die of it. Python's own handlers run no more. What the process had ignored or blocked before is not changed
    for the children, which get `inherited`.

    Raises `ConfigError` on systems without `sigtimedwait`, such as macOS: there is no other way to tell Ctrl-C, which
    the child gets too, from a signal that is for us alone.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise ConfigError("`notify run` needs Linux: start the program itself")
        # A parent that ignores SIGCHLD lets us inherit that, and the kernel would throw away how the child ended.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._blocked = frozenset(signal.valid_signals() - _LEFT_ALONE)
        self.inherited = frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, self._blocked))
        """The signals that were blocked before: the mask for children."""

    def take(self, timeout: float | None) -> "signal.struct_siginfo | None":
        """Return the next signal, waiting *timeout* seconds at most (None: for good), or None when there was none."""
        if timeout is None:
            return signal.sigwaitinfo(self._blocked)
        return signal.sigtimedwait(self._blocked, max(0.0, timeout))

    def stop_by(self, signum: int) -> None:
        """Have *signum* (SIGTSTP or SIGTTIN) stop this process, and return when it goes on.

        Does nothing where the kernel says so: for process 1, and where no shell could let it go on.
        """
        # Sent while it is blocked, so that it is one with what the terminal has sent us, and stops us once.
        os.kill(os.getpid(), signum)
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def release(self) -> None:
        """Put the mask back as it was. What is pending then does what it does by default."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self.inherited)


def reached_the_group(info: "signal.struct_siginfo") -> bool:
    """Say whether a terminal has sent the signal to every process of the group, the child among them.

    SIGHUP of a terminal that is hung up goes to the leader of the session alone, as long as that lives.
    """
    if info.si_code != _SI_KERNEL or info.si_signo not in _OF_TERMINAL:
        return False
    return not (info.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid())


def was_sent_by(info: "signal.struct_siginfo", ancestor: int) -> bool:
    """Say whether *ancestor* or one of its descendants has sent the signal. False for a sender that is gone."""
    sender = info.si_pid
    while sender > 1 and sender != ancestor:
        try:
            # The name of the program stands in parentheses, and may hold any character.
            sender = int(Path(f"/proc/{sender}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
        except OSError:
            return False
    return sender == ancestor
