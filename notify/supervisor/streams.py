"""What the child gets as its standard streams, and where its output goes from there.

stdin is inherited as it is, and so is stdout, unless it is the same file as stderr. stderr is relayed: through a
pipe, or through a pseudo-terminal where it is a terminal. stdout goes the same way where both are one file, so that
the order of what the child writes there stays.

A stdout of its own has no tail on purpose. The child is to outlive a supervisor that is killed: `print()` into a pipe
that nobody reads any more raises, and would end it, while logging to stderr goes on. And what goes through there may be
data, and much of it.

The pseudo-terminal is only the child's stdout and stderr. The child's controlling terminal, its stdin and `/dev/tty`
are the real ones, so that Ctrl-C, Ctrl-Z, job control and password prompts are the kernel's affair, as without us.
What a program sets on the terminal through its stdout, as curses does, does not reach the real one: full-screen
programs want one of the two streams elsewhere.
"""

import fcntl
import os
import termios
from collections.abc import Sequence

from notify import diagnostics
from notify.supervisor.relay import Relay

_STDOUT, _STDERR = 1, 2
# Seconds that the reader of the real stream may take nothing, before what is left of the output is given up.
_PATIENCE = 5.0
_PATIENCE_TO_STOP = 0.5  # the same before Ctrl-Z stops us: nothing is given up, but the shell waits
_OFLAG = 1  # index of the output modes in the list of `termios.tcgetattr`
_WINDOW_SIZE = 8  # bytes of struct winsize: four unsigned shorts


class Streams:
    """The standard streams of the child, and of the ones that are started after it.

    Has to be made before anything opens a file: where a standard descriptor is closed, another file would get its
    number. Never raises: what cannot be relayed is inherited as it is, without a tail. Thread-safe.
    """

    def __init__(self) -> None:
        closed = _reserve_closed()
        self.joined = False
        """Whether stdout and stderr are one file."""
        self.file_actions: Sequence[tuple[int, ...]] = ()
        """For `os.posix_spawnp`."""
        self._relay: Relay | None = None
        self._writer: int | None = None  # the end that the child gets
        self._is_terminal = False
        if _STDERR not in closed:
            self.joined = _STDOUT not in closed and os.path.sameopenfile(_STDOUT, _STDERR)
            try:
                self._start_relay()
            except (OSError, RuntimeError, termios.error) as error:
                diagnostics.report("relay", f"the last lines of stderr will not be known: {error}")

    @property
    def lost(self) -> int:
        """Bytes that are lost so far.

        The real stream refused them for a reason that may pass, such as a full disk, or `close` has waited in vain.
        """
        return self._relay.lost + self._relay.left if self._relay is not None else 0

    def last_lines(self, most: int = 30) -> list[str]:
        """Return the last *most* lines of stderr, oldest first; of both streams where they are one file.

        They are as a terminal would show them: progress bars in their last state, without colours. At most 64 KiB are
        kept, and 1000 code points of a line.
        """
        return self._relay.lines(most) if self._relay is not None else []

    def catch_up(self) -> None:
        """Read all that a child which has just died has written. Does not wait for its reader."""
        if self._relay is not None:
            self._relay.catch_up()

    def settle(self) -> None:
        """Pass on what was written so far, and wait half a second at most for a reader that takes nothing."""
        if self._relay is not None:
            self._relay.catch_up()
            self._relay.settle(_PATIENCE_TO_STOP)

    def follow_size(self) -> bool:
        """Give the pseudo-terminal the size of the real one. Return True when that has changed it."""
        if not self._is_terminal or self._writer is None:
            return False
        try:
            size = fcntl.ioctl(_STDERR, termios.TIOCGWINSZ, bytes(_WINDOW_SIZE))
            if size == fcntl.ioctl(self._writer, termios.TIOCGWINSZ, bytes(_WINDOW_SIZE)):
                return False
            fcntl.ioctl(self._writer, termios.TIOCSWINSZ, size)
        except OSError:  # the terminal was hung up
            return False
        return True

    def close(self, patience: float = _PATIENCE) -> bool:
        """Pass on the rest, and say whether all of it was. May be called again when it was not.

        A process that the child has left behind, and that still holds the stream, is not waited for; from here on it
        writes into a closed pipe. A slow reader is waited for, one that takes nothing is not.

        Args:
            patience: seconds in which the reader may take nothing.
        """
        done = self._relay is None or self._relay.close(patience)
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None
        return done

    def _start_relay(self) -> None:
        self._is_terminal = os.isatty(_STDERR)
        source, writer = _open_terminal() if self._is_terminal else os.pipe()
        try:
            self._relay = Relay(source, _STDERR)
        except (OSError, RuntimeError):
            os.close(source)
            os.close(writer)
            raise
        self._writer = writer
        self.follow_size()
        ours = (_STDOUT, _STDERR) if self.joined else (_STDERR,)
        self.file_actions = tuple((os.POSIX_SPAWN_DUP2, writer, descriptor) for descriptor in ours)


def _reserve_closed() -> set[int]:
    """Open `/dev/null` on standard descriptors that are closed, and return which these are.

    Otherwise the next file that this process opens becomes somebody's stderr. Programs that are started find them
    closed, as they would without us.
    """
    closed: set[int] = set()
    try:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
            closed.add(descriptor)
    except OSError:  # no /dev: what cannot be reserved is not relayed either
        return closed | {descriptor for descriptor in range(_STDERR + 1) if not _is_open(descriptor)}
    os.close(descriptor)
    return closed


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _open_terminal() -> tuple[int, int]:
    r"""Return master and slave of a pseudo-terminal with the real one's modes, but without output processing.

    That is left to the real one, which would turn `\r\n` into `\r\r\n`.
    """
    modes = termios.tcgetattr(_STDERR)
    modes[_OFLAG] &= ~termios.OPOST
    master, slave = os.openpty()
    try:
        termios.tcsetattr(slave, termios.TCSANOW, modes)
    except termios.error:
        os.close(master)
        os.close(slave)
        raise
    return master, slave
