"""Which file a name stands for, told without giving up the interpreter lock."""

import os
import struct
from collections.abc import Callable
from typing import NamedTuple


class Found(NamedTuple):
    """The file that a path led to.

    Args:
        identity: equal for two looks at one file, and at no other that is there at the same time.
        size: bytes.
    """

    identity: tuple[int, int]
    size: int


def _ask(path: bytes) -> Found:
    about = os.stat(path)  # noqa: PTH116 - for each event that is kept, and pathlib's costs double
    return Found((about.st_dev, about.st_ino), about.st_size)


def _statx() -> Callable[[bytes], Found]:
    """Return what asks by Linux's statx(), in C libraries since 2018.

    os.stat() gives up the interpreter lock, and gets it back 5 ms later beside a thread that computes: the caller of a
    durable event, who has waited once for what he wrote, would wait a second time to see that it is there.
    """
    import ctypes  # which a Python may lack

    statx = ctypes.PyDLL(None).statx  # unlike CDLL, it keeps the lock
    buffer = ctypes.c_char * 256  # struct statx, the same for every processor
    statx.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(buffer))
    here = -100  # AT_FDCWD
    # AT_STATX_DONT_SYNC: what is known here of a file on another machine is enough, since nobody else runs meanwhile.
    local = 0x4000
    wanted = 0x100 | 0x200  # STATX_INO, STATX_SIZE
    parts = struct.Struct("=32x QQ 88x II").unpack_from  # stx_ino and stx_size, stx_dev_major and stx_dev_minor

    def find(path: bytes) -> Found:
        about = buffer()
        if statx(here, path, local, wanted, about):
            return _ask(path)  # it is not there, or a sandbox forbids statx
        inode, size, major, minor = parts(about)
        return Found((os.makedev(major, minor), inode), size)

    return find


def _best() -> Callable[[bytes], Found]:
    try:
        return _statx()
    except Exception:  # noqa: BLE001 - another system, an old C library, or a sandbox that ctypes cannot live in
        return _ask


find: Callable[[bytes], Found] = _best()
"""Return what is at a path, an `os.fsencode`d one. Raises `OSError` as `os.stat` does. Thread-safe."""
