"""The system's lock of an open file: it is between processes, and ends with the one that holds it."""

import fcntl
import time

_PAUSE = 0.01  # seconds between two tries


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock, and say whether that was possible: another process may hold it.

    Args:
        descriptor: of the file.
        shared: let others hold it, too, if they share it.

    Raises `OSError` when the system refuses it for anything else.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(descriptor: int, seconds: float) -> bool:
    """Take the lock as `try_lock` does, but wait *seconds* for it, if need be."""
    give_up = time.monotonic() + seconds
    while not try_lock(descriptor):
        if time.monotonic() >= give_up:
            return False
        time.sleep(_PAUSE)
    return True


def unlock(descriptor: int) -> None:
    """Let go of the lock. To close the file is not enough: a child forked meanwhile has a copy, and would keep it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
