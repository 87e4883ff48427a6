"""Every call by which SQLite, or Python in a state directory, touches the disk, counted, and death in one of them.

SQLite lets its calls of the system be replaced one by one, which it has for tests such as this. A flush is not among
them: to a process that dies it makes no difference.
"""

import _sqlite3
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_void_p
from itertools import count

# What each takes and returns, as sqlite3.c declares it.
_CALLS = {
    "open": (c_int, c_void_p, c_int, c_int),
    "write": (c_ssize_t, c_int, c_void_p, c_size_t),
    "pwrite": (c_ssize_t, c_int, c_void_p, c_size_t, c_int64),
    "pwrite64": (c_ssize_t, c_int, c_void_p, c_size_t, c_int64),
    "ftruncate": (c_int, c_int, c_int64),
    "unlink": (c_int, c_void_p),
    "fcntl": (c_int, c_int, c_int, c_void_p),
}
_WRITES = {"write", "pwrite", "pwrite64"}
_AUDITED = {"open", "os.mkdir", "os.remove", "os.rename", "os.chmod"}  # that name a path first


class _Vfs(ctypes.Structure):
    """sqlite3_vfs of version 3."""

    _fields_ = [
        ("version", c_int),
        ("size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        *((f"method_{number}", c_void_p) for number in range(13)),
        ("set_system_call", ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)),
        ("get_system_call", ctypes.CFUNCTYPE(c_void_p, c_void_p, c_char_p)),
        ("next_system_call", c_void_p),
    ]


_kept: list[object] = []  # SQLite has pointers to these


def replaceable() -> bool:
    """Say whether this Python's SQLite can be reached: some have it built in without its names."""
    return hasattr(ctypes.CDLL(_sqlite3.__file__), "sqlite3_vfs_find")


def die_at(number: int, directory: str, *, torn: bool) -> Callable[[], int]:
    """Have this process killed by a call, before that does anything, and return what tells how many there were.

    Args:
        number: of the call, counted from one; 0 for none.
        directory: whose files Python's own calls are counted for.
        torn: a write does half of what it should before.
    """
    calls = count(1)
    reached = 0

    def is_last() -> bool:
        nonlocal reached
        reached = next(calls)
        return reached == number

    def audit(event: str, args: tuple[object, ...]) -> None:
        ours = event == "fcntl.flock" or (event in _AUDITED and str(args[0]).startswith(directory))
        if ours and is_last():
            _die()

    sys.addaudithook(audit)
    _replace_calls(is_last, torn=torn)
    return lambda: reached


def _replace_calls(is_last, *, torn):
    find = ctypes.CDLL(_sqlite3.__file__).sqlite3_vfs_find
    find.restype = ctypes.POINTER(_Vfs)
    find.argtypes = [c_char_p]
    vfs = find(None)
    for name, types in _CALLS.items():
        address = vfs.contents.get_system_call(vfs, name.encode())
        if address:  # not every build has pwrite64
            prototype = ctypes.CFUNCTYPE(*types, use_errno=True)  # SQLite looks at errno
            replacement = prototype(_dying(prototype(address), is_last, halved=torn and name in _WRITES))
            _kept.append(replacement)
            vfs.contents.set_system_call(vfs, name.encode(), ctypes.cast(replacement, c_void_p))


def _dying(call, is_last, *, halved):
    def replacement(*args):
        if is_last():
            if halved:
                descriptor, data, size, *offset = args
                call(descriptor, data, size // 2, *offset)
            _die()
        return call(*args)

    return replacement


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
