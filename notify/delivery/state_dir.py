"""The directory of what must outlive the process: this user's alone, and never somebody else's by a planted link."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from notify.errors import NotifyError
from notify.interruption import came_from_outside

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_LINK = "is a symbolic link; remove it"  # of a file: where it leads to is not ours to use
# All that we keep there, and in the directories in it.
_OURS = re.compile(
    r"(outbox|dashboard)([.-][\w.-]*)?\.(sqlite3(-wal|-shm)?|lock)|owners|runs|supervisor|starts\.json"
    r"|matters[\w.-]*\.jsonl"
    r"|watch\.(json|new|lock|damaged\.json)"
    r"|(nobody|\.?[0-9]+-[0-9a-f]{8})\.\w+"
)


_ELSEWHERE = "set NOTIFY_STATE_DIR to another directory"
_OR_ELSEWHERE = "allow that, or set NOTIFY_STATE_DIR to another directory"


class StateDirError(NotifyError):
    """The state directory, or a file in it, cannot be used. The text names the path, says why and what to do."""


def prepare(path: Path) -> None:
    """Make *path* a directory that nobody else can enter, with its parents if they are missing.

    What is created is 0700 whatever the umask. A directory that is there is closed to others only when nothing but
    our files is in it: one that other programs use as well, such as `/tmp`, stays as it is, and is refused when others
    may write to it.

    Args:
        path: of the state directory, or of a directory in it.

    Raises `StateDirError` when it is a symbolic link, no directory, somebody else's, shared, or cannot be made.
    """
    with _opened(path, make=True) as descriptor:
        about = os.fstat(descriptor)
        if stat.S_IMODE(about.st_mode) != _DIRECTORY_MODE and _is_ours_alone(path, descriptor, about):
            os.fchmod(descriptor, _DIRECTORY_MODE)


def inspect(path: Path) -> bool:
    """Check a directory as `prepare` does, but make and change nothing. False: it is not there, and can be made.

    Raises `StateDirError` as `prepare` does, also when it could not be written to.
    """
    if not os.path.lexists(path):
        if (why := _why_not_made(path)) is not None:
            raise StateDirError(f"{path}: cannot be made: {why}")
        return False
    with _opened(path, make=False) as descriptor:
        _is_ours_alone(path, descriptor, os.fstat(descriptor))
    if not _is_writable(path):
        raise StateDirError(f"{path}: user {os.geteuid()} may not write to it; {_OR_ELSEWHERE}")
    return True


def open_private(path: Path, flags: int) -> int:
    """Open a file of the state directory and return its descriptor, which children do not inherit.

    A file that is created is 0600 whatever the umask; one that is there is made so.

    Args:
        path: in a directory that `prepare` has seen.
        flags: as for `os.open`, such as `os.O_RDWR | os.O_CREAT`.

    Raises `StateDirError` when it is a symbolic or a hard link, no regular file, or somebody else's, and `OSError`
    when the system refuses it.
    """
    try:
        # A pipe planted under the name would hold up an ordinary open for good.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _FILE_MODE)
    except OSError:
        if path.is_symlink():
            raise StateDirError(f"{path}: {_LINK}") from None
        raise
    try:
        about = os.fstat(descriptor)
        _refuse_unsafe_file(path, about)
        if stat.S_IMODE(about.st_mode) != _FILE_MODE:
            os.fchmod(descriptor, _FILE_MODE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_private(path: Path) -> None:
    """Check a file of the state directory without opening it, and close it to others. A missing one is fine.

    For SQLite's files: closing a descriptor of a database drops the locks that SQLite holds on it in this process.

    Raises `StateDirError` as `open_private` does, and `OSError` when the system refuses the look.
    """
    about = inspect_file(path)
    if about is not None and stat.S_IMODE(about.st_mode) != _FILE_MODE:
        path.chmod(_FILE_MODE)


def inspect_file(path: Path) -> os.stat_result | None:
    """Check a file as `check_private` does, but change nothing. Returns what the system says of it, None: not there.

    Raises as `check_private`.
    """
    try:
        about = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(about.st_mode):
        raise StateDirError(f"{path}: {_LINK}")
    _refuse_unsafe_file(path, about)
    return about


@contextmanager
def _opened(path: Path, *, make: bool) -> Iterator[int]:
    """Yield a descriptor of a directory of ours: nobody can swap it between a look and the use."""
    try:
        if make:
            _make(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if came_from_outside(error):
            raise
        raise StateDirError(f"{path}: {_why_not(path, error)}") from None
    try:
        _refuse_foreign(path, os.fstat(descriptor))
        yield descriptor
    except OSError as error:
        if came_from_outside(error):
            raise
        raise StateDirError(f"{path}: cannot be looked at or closed to others: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _make(path: Path) -> None:
    missing: list[Path] = []
    while not os.path.lexists(path):
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            each.mkdir(_DIRECTORY_MODE)
            each.chmod(_DIRECTORY_MODE)  # a umask may take rights from the owner too


def _is_ours_alone(path: Path, descriptor: int, about: os.stat_result) -> bool:
    # A sticky one is for everybody, also while it is empty, as /tmp is in a new container.
    if not about.st_mode & stat.S_ISVTX and all(map(_OURS.fullmatch, os.listdir(descriptor))):
        return True
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateDirError(
            f"{path}: others may write to it, and it holds more than ours; name a directory that is only for this"
        )
    return False


def _is_writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _why_not(path: Path, error: OSError) -> str:
    if os.path.islink(path):  # noqa: PTH114 - pathlib raises where this user may not look
        return "is a symbolic link; name the directory itself"
    if isinstance(error, NotADirectoryError):
        return f"cannot be used as a directory: {error.strerror}; {_ELSEWHERE}"
    if not os.path.lexists(path):
        return f"cannot be made: {_why_not_made(path) or error.strerror}"
    if isinstance(error, PermissionError):
        return f"user {os.geteuid()} may not enter it; {_OR_ELSEWHERE}"
    return f"cannot be used as a directory: {error.strerror}"


def _why_not_made(path: Path) -> str | None:
    """Say what keeps this user from making *path* and what to do, None when there is nothing to be seen."""
    parent = next(each for each in path.parents if os.path.lexists(each))
    if not parent.is_dir():
        return f"{parent} is no directory; {_ELSEWHERE}"
    if not _is_writable(parent):
        return f"user {os.geteuid()} may not write to {parent}; {_OR_ELSEWHERE}"
    # So say /proc and /sys, where root may do anything, and also some that are mounted by FUSE or over a network.
    if os.statvfs(parent).f_blocks == 0 and not _keeps_a_file(parent):
        return f"{parent} keeps no files; {_ELSEWHERE}"
    return None


def _keeps_a_file(directory: Path) -> bool:
    """Write a file that has no name where the system has such files, and nothing to be found afterwards in any case."""
    from tempfile import TemporaryFile  # it brings much that a program may not have

    try:
        with TemporaryFile(dir=directory, buffering=0) as file:
            return file.write(b"x") == 1
    except OSError:
        return False


def _refuse_unsafe_file(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise StateDirError(f"{path}: is not a regular file; remove it")
    if about.st_nlink > 1:
        raise StateDirError(f"{path}: has a second name elsewhere (a hard link); remove it")
    _refuse_foreign(path, about)


def _refuse_foreign(path: Path, about: os.stat_result) -> None:
    if about.st_uid != os.geteuid():
        raise StateDirError(
            f"{path}: belongs to user {about.st_uid}, and this process is user {os.geteuid()}; run as that user, "
            "or set NOTIFY_STATE_DIR"
        )
