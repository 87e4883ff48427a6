"""Texts through a descriptor, each of them whole and once, whichever of our threads write there.

They go past the buffer of `sys.stdout`. A thread that waits for a reader in there holds its lock, and when CPython
cannot have that lock at its end, it aborts the process. For the same reason the buffer is never flushed from here.
"""

import io
import os
import select
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

_PATIENCE = 1.0  # seconds that a descriptor may take nothing

# Held while writing, so that nothing of ours comes between the halves of a text. A thread that is stuck in a write when
# the interpreter ends keeps it; nobody needs it then.
_lock = threading.Lock()
_rests: dict[int, bytes] = {}
"""By descriptor: the end of a text whose beginning is written."""


def _begin_anew() -> None:
    global _lock
    _lock = threading.Lock()
    _rests.clear()  # the parent writes the ends of its texts itself


os.register_at_fork(after_in_child=_begin_anew)


class Written(NamedTuple):
    """How far `write_whole` came.

    Args:
        whole: how many texts are written.
        begun: whether the beginning of the next one is. Its end is kept, and written before anything else is.
    """

    whole: int
    begun: bool


def descriptor_of(stream: object) -> int | None:
    """Return the descriptor that *stream* writes to, None unless it is a plain text stream over one.

    Other objects may have a `fileno()`, but what they do with a text is their own affair: Rich's and Jupyter's
    streams answer with the descriptor of the terminal, and show the text elsewhere.

    Raises `ValueError` when *stream* is closed or detached.
    """
    if type(stream) is not io.TextIOWrapper:
        return None
    raw = getattr(stream.buffer, "raw", stream.buffer)  # `python -u` has no buffer between
    return raw.fileno() if type(raw) is io.FileIO else None


def ready(descriptor: int, seconds: float) -> bool:
    """Wait until a write would be taken or would fail, *seconds* at most, and say whether it is so."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def write_whole(descriptor: int, texts: Sequence[bytes]) -> Written:
    """Write *texts* one after the other, until the descriptor takes nothing for a second.

    It may be blocking or not. A text of up to `select.PIPE_BUF` bytes (4096 on Linux) is one write, so that a pipe
    keeps it whole even when other processes write there too. Thread-safe.

    Raises `OSError` when nothing at all could be written; an error after that is left to the next call.
    """
    lock = _lock
    if not lock.acquire(timeout=_PATIENCE):
        return Written(0, False)
    try:
        return _write_in_turn(descriptor, (_rests.get(descriptor, b""), *texts))
    finally:
        lock.release()


def _write_in_turn(descriptor: int, texts: Sequence[bytes]) -> Written:
    """Do what `write_whole` says; the first of *texts* is the end of one that is begun, or empty."""
    data = memoryview(b"".join(texts))
    ends = list(accumulate(map(len, texts), initial=0))
    at = 0
    try:
        while at < len(data) and (taken := _write_some(descriptor, data[at : _stop(ends, at)])):
            at += taken
    except OSError:
        if not at:
            raise
    number = bisect_right(ends, at) - 1  # of the text that is not whole
    begun = number < len(texts) and (number == 0 or at > ends[number])
    _rests.pop(descriptor, None)
    if begun:
        _rests[descriptor] = bytes(data[at : ends[number + 1]])
    return Written(max(0, number - 1), begun and number > 0)


def _stop(ends: Sequence[int], at: int) -> int:
    """Return where the next write ends: after the last text that fits whole, or in the middle of a long one."""
    most = at + select.PIPE_BUF
    end = ends[bisect_right(ends, most) - 1]
    return end if end > at else most


def _write_some(descriptor: int, data: memoryview) -> int:
    """Write as much of *data* as is taken, and return how much that was: 0 when nothing was, for a second."""
    deadline = time.monotonic() + _PATIENCE
    while (remaining := deadline - time.monotonic()) > 0:
        if ready(descriptor, remaining):
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                continue  # another writer was quicker
    return 0
