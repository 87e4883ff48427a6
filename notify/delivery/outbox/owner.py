"""Who may deliver a row of the outbox: the process that holds the lock of the row's owner mark.

The system drops a lock when its process dies, however it dies. So nobody has to guess from process ids, which are
reused, or from times, which jump.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from notify.delivery.state_dir import open_private, prepare
from notify.file_lock import try_lock, unlock
from notify.interruption import came_from_outside

NOBODY = "nobody"
"""The mark of rows that are given to whoever looks next: the command line gives them back so."""

_DIRECTORY = "owners"
_SUFFIX = ".lock"
_MARK = re.compile(r"[0-9]+-[0-9a-f]{8}")


class Owner:
    """One running process's mark on its rows, held for as long as the object is open.

    Not thread-safe. A forked child calls `leave` and makes an owner of its own.

    Args:
        directory: the state directory.

    Raises `StateDirError` or `OSError` when the lock cannot be had.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.mark = ""
        self._descriptor = -1
        while self._descriptor < 0:  # once, unless another process takes the new file for a dead owner's
            self.mark = f"{os.getpid()}-{os.urandom(4).hex()}"
            self._descriptor = _lock(_path(directory, self.mark))

    def is_known(self) -> bool:
        """Say whether others can still see that this owner lives: somebody may have removed the lock's file."""
        return _is_at(self._descriptor, _path(self._directory, self.mark))

    def reclaim(self) -> None:
        """Make the lock's file again. An adopter's lock may be in the way for a moment: then try again later."""
        descriptor = _lock(_path(self._directory, self.mark))
        if descriptor >= 0:
            self.leave()
            self._descriptor = descriptor

    def leave(self) -> None:
        """Let go of the lock; in a forked child, of the copy, so that the parent's death is noticed. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def marks(directory: Path) -> list[str]:
    """Return the marks of all owners that have a lock's file, alive or not. Raises `OSError`."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in (directory / _DIRECTORY).glob("*" + _SUFFIX))


def lockable(mark: str) -> str:
    """Return the mark whose lock stands for *mark*: a damaged or forged row may have anything there, also a path."""
    return mark if _MARK.fullmatch(mark) else NOBODY


class Owners(NamedTuple):
    """The owners that have a lock's file.

    Args:
        living: processes that run.
        dead: those that do not, and never will again.
    """

    living: frozenset[str]
    dead: frozenset[str]


def others(directory: Path, *, but: str) -> Owners:
    """Return all owners of before this call, without *but*. Raises `StateDirError` or `OSError`."""
    found = [mark for mark in marks(directory) if mark != but]
    living = frozenset(mark for mark in found if lives(directory, mark))
    return Owners(living, frozenset(found) - living)


def lives(directory: Path, mark: str) -> bool:
    """Say whether the owner of *mark* runs. Once it does not, it never does again. Makes no file.

    Raises `StateDirError` or `OSError` when the lock cannot be tried.
    """
    try:
        descriptor = open_private(_path(directory, mark), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        if not try_lock(descriptor, shared=True):  # several may ask at the same time
            return True
        unlock(descriptor)
    finally:
        os.close(descriptor)
    return False


def forget(directory: Path, mark: str) -> None:
    """Remove the lock's file of a dead owner without rows. Raises `StateDirError` or `OSError`."""
    path = _path(directory, mark)
    descriptor = _lock(path)
    if descriptor >= 0:
        path.unlink(missing_ok=True)
        unlock(descriptor)
        os.close(descriptor)


def offer_to_adopters(directory: Path) -> None:
    """Make adopters look for rows of nobody. Raises `StateDirError` or `OSError`."""
    make_known(directory, NOBODY)


def make_known(directory: Path, mark: str) -> None:
    """Make adopters look for rows of *mark*, which has no lock's file. Raises `StateDirError` or `OSError`."""
    path = _path(directory, mark)
    prepare(path.parent)
    os.close(open_private(path, os.O_RDWR | os.O_CREAT))


def _path(directory: Path, mark: str) -> Path:
    return directory / _DIRECTORY / (lockable(mark) + _SUFFIX)


def _lock(path: Path) -> int:
    """Return a descriptor that holds the lock of the file at *path*, -1 when somebody else holds it."""
    prepare(path.parent)
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        # Unlinked, it was so by an adopter between our open and our lock.
        is_ours = try_lock(descriptor) and _is_at(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    if not is_ours:
        os.close(descriptor)
        return -1
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError as error:
        if came_from_outside(error):
            raise
        return False
