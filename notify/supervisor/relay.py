"""Passes one stream on, byte for byte, and keeps its last lines.

Whoever reads the real stream governs the writer as if nothing were between: one that does not read makes the writer
wait as soon as the pipe is full, and one that is gone takes the writer's pipe away. Memory is bounded in every case.
"""

import errno
import os
import select
import stat
import threading
from contextlib import suppress

from notify import diagnostics, threads
from notify.supervisor.tail import Tail

_CHUNK = 65_536  # bytes of a read: what a pipe holds by default on Linux
_AHEAD = 2**20  # bytes that are read ahead at most: what an unprivileged pipe holds at most (pipe-max-size)
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF})


class Relay:
    """A thread of ours that copies *source* to *destination*. Thread-safe.

    Args:
        source: descriptor of the reading end of a pipe or the master of a pseudo-terminal, whose other end stays open
            in this process, so that there is no end of file. It becomes non-blocking, and is closed at the end.
        destination: descriptor of the real stream. It may be blocking or not, and stays open.

    Raises `RuntimeError` when the system refuses another thread.
    """

    def __init__(self, source: int, destination: int) -> None:
        self.lost = 0
        """Bytes that *destination* refused for a reason that may pass, such as a full disk."""
        self.left = 0
        """Bytes that nobody had taken when `close` lost patience the last time."""
        self._source = source
        self._destination = destination
        about = stat.S_IFMT(os.fstat(destination).st_mode)
        self._is_pipe = about == stat.S_IFIFO
        self._is_terminal = os.isatty(destination)
        self._tail = Tail()
        self._changed = threading.Condition(threading.Lock())  # guards all that follows, and the tail
        self._ahead = b""  # read by somebody else than the thread
        self._taken = 0  # bytes read from the source
        self._passed = 0  # bytes of them that are off our hands
        self._closing = False
        self._ended = False
        os.set_blocking(source, False)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._thread = threads.start("relay", self._run)
        except RuntimeError:
            os.close(self._wake)
            raise

    def catch_up(self) -> None:
        """Read what was written so far, 1 MiB at most, so that `lines` knows it. Does not wait for it to be passed on.

        For the moment when the writer has died: all of its words are in the tail then, whatever holds up the reader.
        """
        with self._changed:
            if self._ended:
                return
            parts = [self._ahead]
            size = len(self._ahead)
            while size < _AHEAD and (data := self._read()):
                parts.append(data)
                size += len(data)
            self._ahead = b"".join(parts)
            os.eventfd_write(self._wake, 1)

    def settle(self, patience: float) -> bool:
        """Wait until all that was read is passed on, and say whether it is.

        Args:
            patience: seconds in which *destination* may take nothing. A reader that is merely slow is waited for; one
                that is gone has nothing to get.
        """
        with self._changed:
            target = self._taken
            while (before := self._passed) < target:
                self._changed.wait(patience)
                if self._passed == before:
                    return False
        return True

    def lines(self, most: int) -> list[str]:
        """Return the last *most* lines, oldest first, as `Tail.lines` does."""
        with self._changed:
            return self._tail.lines(most)

    def close(self, patience: float) -> bool:
        """Pass on what was written so far and end, whoever still holds the other end, and say whether all is passed on.

        Args:
            patience: as for `settle`. After it the thread is left where it hangs.
        """
        self.catch_up()
        with self._changed:
            self._closing = True
            if not self._ended:
                os.eventfd_write(self._wake, 1)
        settled = self.settle(patience)
        with self._changed:
            self.left = self._taken - self._passed
        if settled:
            self._thread.join(patience)
        return settled

    def _run(self) -> None:
        try:
            self._copy()
        except OSError as error:
            if not self._is_gone(error):
                diagnostics.report("relay", f"the program's output is passed on no more: {error.strerror}")
        finally:
            self._end()  # also when this thread dies of something else: the program would wait for it for good

    def _copy(self) -> None:
        wait = self._waiting()
        while True:
            for descriptor, events in wait.poll():
                if descriptor == self._destination and events & select.POLLERR:
                    return  # the reader is gone, and the next write shall tell the program so
            with self._changed:
                data, self._ahead = self._ahead, b""
                if not data:
                    if self._closing:
                        return
                    self._woken()
                    data = self._read()
            if data:
                self._pass_on(data)

    def _waiting(self) -> select.poll:
        wait = select.poll()
        wait.register(self._source, select.POLLIN)
        wait.register(self._wake, select.POLLIN)
        if self._is_pipe:
            wait.register(self._destination, 0)
        return wait

    def _woken(self) -> None:
        with suppress(BlockingIOError):  # it was not this that woke us
            os.eventfd_read(self._wake)

    def _read(self) -> bytes:
        """Return what is there, if anything. For holders of the lock."""
        try:
            data = os.read(self._source, _CHUNK)
        except BlockingIOError:
            return b""
        self._tail.add(data)
        self._taken += len(data)
        return data

    def _pass_on(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            # Lines that fit are written whole, so that other writers to the same pipe do not come between. Small
            # pieces show in `settle` that a slow reader goes on reading.
            end = at + select.PIPE_BUF
            if end < len(data):
                end = data.rfind(b"\n", at, end) + 1 or end
            taken = self._write(data[at:end])
            at += taken
            with self._changed:
                self._passed += taken
                self._changed.notify_all()

    def _write(self, piece: bytes) -> int:
        """Write as much of *piece* as is taken at once, and return how much that was, or what was lost of it."""
        try:
            return os.write(self._destination, piece)
        except BlockingIOError:  # somebody has made it non-blocking
            ready = select.poll()
            ready.register(self._destination, select.POLLOUT)
            ready.poll()
            return 0
        except OSError as error:
            if self._is_gone(error):
                raise
            self.lost += len(piece)
            return len(piece)

    def _is_gone(self, error: OSError) -> bool:
        # A terminal that was hung up answers EIO, as a broken disk does.
        return error.errno in _GONE or (error.errno == errno.EIO and self._is_terminal)

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            os.close(self._source)
            os.close(self._wake)
            self._ahead = b""
            self._passed = self._taken
            self._changed.notify_all()
