"""What this package says about itself: one line per kind and ten seconds, on stderr, never to logging.

Who reports goes on at once, whatever is behind stderr. A line that would have to wait for a reader is dropped, and
the next one that goes through says so. That is why lines go to the descriptor and not through Python's buffer: who
waits in there holds its lock, and when CPython cannot have that lock at its end, it aborts the process.
"""

import os
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from notify.descriptor import descriptor_of, ready
from notify.interruption import came_from_a_signal

_INTERVAL = 10.0  # seconds, guarantee 11
_KINDS_REMEMBERED = 1000
# Seconds. The lock is held for microseconds, but a thread that is frozen while the interpreter ends keeps it for good.
_PATIENCE = 0.1

# Re-entrant, because a signal handler may interrupt a report and make one of its own.
_lock = threading.RLock()
_last_said: dict[str, float] = {}
_held: dict[str, int] = {}
_lost = 0  # lines that stderr did not take since the last one that it took
_torn = False  # the last line is there in part


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


# Another thread may hold it at the moment of a fork, and would never let go of it in the child.
os.register_at_fork(after_in_child=_renew_lock)


def report(kind: str, text: str) -> None:
    """Write one line to stderr, unless the same *kind* was written in the last ten seconds.

    Never raises and never waits for a reader, in any thread, signal handler or forked child: what a pipe or a terminal
    does not take at once is dropped. A line is at most `select.PIPE_BUF` bytes long (4096 on Linux), which a pipe
    takes whole or not at all. It comes before what the program has written to `sys.stderr` without a line end. An
    object that the program has put in its place is given the line with `write`. *text* must not contain credentials.
    """
    try:
        with _counting():
            counts = _counts_if_due(kind)
        if counts is None:
            return
        held, lost = counts
        more = f" ({held} more like it)" if held else ""
        before = f" (lines lost before it: {lost})" if lost else ""
        if not _write(f"notify: {' '.join(text.split())}", f"{more}{before}\n"):
            with _counting():
                _give_back(kind, held, lost)
    except Exception as error:  # whatever is wrong with our own words must not become the caller's problem
        if came_from_a_signal(error):
            raise


def forget() -> None:
    """Forget what was said, so that the next report of every kind is written. For tests."""
    global _lost, _torn
    with _lock:
        _last_said.clear()
        _held.clear()
        _lost = 0
        _torn = False


@contextmanager
def _counting() -> Iterator[None]:
    lock = _lock
    try:
        if not lock.acquire(timeout=_PATIENCE):
            raise TimeoutError
        yield
    finally:
        # It is not ours after a timeout. A KeyboardInterrupt may come when it is, before anything says so.
        with suppress(RuntimeError):
            lock.release()


def _counts_if_due(kind: str) -> tuple[int, int] | None:
    """Return how many reports of *kind* were held back and how many lines were lost; None when this one is held too."""
    global _lost
    now = time.monotonic()
    last = _last_said.get(kind)
    if last is not None and now - last < _INTERVAL:
        _held[kind] = _held.get(kind, 0) + 1
        return None
    if len(_last_said) >= _KINDS_REMEMBERED:
        _last_said.clear()
        _held.clear()
    _last_said[kind] = now
    lost, _lost = _lost, 0
    return _held.pop(kind, 0), lost


def _give_back(kind: str, held: int, lost: int) -> None:
    """Count a line as lost, and once more what it would have told."""
    global _lost
    if held:
        _held[kind] = _held.get(kind, 0) + held
    _lost += lost + 1


def _write(line: str, end: str) -> bool:
    """Write *line*, cut to what fits, and *end* to stderr, and say whether they are there whole."""
    global _torn
    try:
        stream = sys.stderr
        descriptor = descriptor_of(stream)
        if descriptor is None:
            if not _takes(stream):
                return False
            stream.write(line + end)
            getattr(stream, "flush", lambda: None)()
            return True
        data = _cut(f"\n{line}" if _torn else line, end, stream.encoding)
        written = _write_at_once(descriptor, data)
    except Exception as error:  # no stderr, a closed one, a full disk, or an object that raises what it likes
        if came_from_a_signal(error):
            raise
        return False
    if written:
        _torn = written < len(data)
    return written == len(data)


def _cut(line: str, end: str, encoding: str) -> bytes:
    encoded, tail = line.encode(encoding, "backslashreplace"), end.encode(encoding)
    room = select.PIPE_BUF - len(tail)
    if len(encoded) > room:
        encoded = encoded[:room].decode(encoding, "ignore").encode(encoding)
    return encoded + tail


def _takes(stream: object) -> bool:
    """Say whether the descriptor that an object names, if any, is ready: it may pass on what it is given."""
    try:
        descriptor = stream.fileno()  # type: ignore[attr-defined]  # an object that has none is what this is about
    except Exception:  # noqa: BLE001 - whatever an object of the program raises
        return True
    return not isinstance(descriptor, int) or ready(descriptor, 0)


def _write_at_once(descriptor: int, data: bytes) -> int:
    """Write what is taken without waiting, and return how many bytes that was."""
    if not ready(descriptor, 0):
        return 0
    again = _opened_again(descriptor)
    try:
        return os.write(descriptor if again is None else again, data)
    finally:
        if again is not None:
            os.close(again)


def _opened_again(descriptor: int) -> int | None:
    """Return a second descriptor for the same pipe or terminal, on which no write waits; None where there is no such.

    A pipe that is ready takes `PIPE_BUF` bytes (so the documentation of `select`), unless another writer is quicker. A
    terminal that is ready may have room for a single byte. Only O_NONBLOCK is certain; but it would be set for
    everybody who has inherited the descriptor, shell and parent included, and tear their lines. Linux allows to open
    the same thing once more, with flags of its own. Elsewhere being ready must do.
    """
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # no Linux, or a pipe that another user has made
        pass
    return None
