"""Descriptors that stay open for as long as the process, whatever the program does with its own.

A program that becomes a daemon closes all that it finds, ours too, and what it opens next is given the same numbers.
Nothing of ours may close that, or write a traceback into it.
"""

import fcntl
import os

_HIGH = 200  # macOS allows 256 descriptors by default, and programs are given the lowest that is free


def out_of_the_way(descriptor: int) -> int:
    """Return the same open file under a high number, which no other is soon given, and close *descriptor*."""
    try:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # the limit is lower
        return descriptor
    os.close(descriptor)
    return high


def close_own(descriptor: int, file: os.stat_result) -> None:
    """Close *descriptor* if it is still that of *file*."""
    try:
        if os.path.samestat(os.fstat(descriptor), file):
            os.close(descriptor)
    except OSError:  # closed already
        return
