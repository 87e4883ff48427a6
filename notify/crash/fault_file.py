"""The file into which faulthandler writes where a run was when it crashed in C."""

import faulthandler
import os
import weakref
from pathlib import Path

from notify.crash import stacks
from notify.crash.descriptors import close_own, out_of_the_way
from notify.delivery.state_dir import open_private


class FaultFile:
    """Has faulthandler write into a file for as long as the program does not have it write elsewhere.

    Not for a program that has enabled faulthandler itself: its stderr must get what it would have got.

    Args:
        path: of the file, in a directory that is this user's alone. It is made, and empty while nothing has happened.
        on_request: write down where each thread is, too, when a supervisor asks for it.

    Raises `StateDirError` or `OSError` when it cannot be made.
    """

    def __init__(self, path: Path, *, on_request: bool = False) -> None:
        self._path = path
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        self._descriptor = out_of_the_way(descriptor)
        self._file = os.fstat(self._descriptor)
        target = _Target(self._descriptor)
        # faulthandler tells nobody where it writes. But it keeps the object that it was given, until it is disabled
        # or given another one, so that as long as this is alive it is ours that is in use.
        self._in_use = weakref.ref(target)
        faulthandler.enable(target)
        self._answer_no_more = stacks.answer(self._descriptor) if on_request else lambda: None

    def leave(self) -> None:
        """Take faulthandler off, unless it is the program's by now, and close the file. Idempotent."""
        self._answer_no_more()
        if self._in_use() is not None:
            faulthandler.disable()
        close_own(self._descriptor, self._file)

    def remove(self) -> None:
        """Leave, and remove the file. Raises `OSError`."""
        self.leave()
        self._path.unlink(missing_ok=True)


class _Target:
    __slots__ = ("__weakref__", "_descriptor")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor
