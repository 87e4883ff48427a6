"""Whether the kernel's out-of-memory killer was at work: what it counts for a memory cgroup, and what it logs."""

import os
import re
import select
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# As of now: a container's supervisor and its child live in the same cgroup, and nobody moves them later.
_CGROUPS = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")
_KERNEL_LOG = Path("/dev/kmsg")

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_OCTAL = re.compile(r"\\([0-7]{3})")  # how mountinfo writes a space
_RECORD = 8192  # bytes: the longest record that the kernel's log hands out (CONSOLE_EXT_LOG_MAX)
# Seconds. The kernel sends the signal first and logs it then, which may be after the death.
_PATIENCE = 0.1


class OomKills:
    """What the out-of-memory killer does from now on. Never raises; a system that tells nothing counts as quiet."""

    def __init__(self) -> None:
        self._counter = counter()
        self._before = _count(self._counter)
        self._log = None if self._before is not None else _end_of_log()

    def count(self) -> int:
        """Return how many processes of this process's memory cgroup were killed, 0 where nobody counts."""
        now = _count(self._counter)
        return 0 if now is None or self._before is None else max(0, now - self._before)

    def has_killed(self, pid: int) -> bool:
        """Say whether the child *pid*, which died of SIGKILL, was killed by it. To be asked once."""
        if self._log is not None:
            return _is_logged(self._log, pid)
        return self.count() > 0

    def close(self) -> None:
        """Close the kernel's log. Idempotent."""
        log, self._log = self._log, None
        if log is not None:
            os.close(log)


def counter(cgroups: Path = _CGROUPS, mounts: Path = _MOUNTS) -> Path | None:
    """Return the file in which the kernel counts the kills of this process's memory cgroup; None: there is none.

    That is `memory.events` of cgroup v2, where the root has none, and `memory.oom_control` of v1 (from Linux 4.13).

    Args:
        cgroups: `/proc/self/cgroup`.
        mounts: `/proc/self/mountinfo`.
    """
    with suppress(OSError, ValueError):
        lines = [line.split(":", 2) for line in cgroups.read_text("utf-8", "surrogateescape").splitlines()]
        paths = {controllers: path for _, controllers, path in lines}
        for root, point, kind, options in _mounts(mounts):
            if kind == "cgroup2" and "" in paths:
                found = _inside(point, root, paths[""]) / "memory.events"
            elif kind == "cgroup" and "memory" in options:
                mine = next((path for names, path in paths.items() if "memory" in names.split(",")), "/")
                found = _inside(point, root, mine) / "memory.oom_control"
            else:
                continue
            if _count(found) is not None:
                return found
    return None


def _mounts(path: Path) -> Iterator[tuple[str, Path, str, list[str]]]:
    """Yield what each mount shows of its file system, where, of what type, and its options: as in proc(5)."""
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        about, _, system = line.partition(" - ")
        words, more = about.split(" "), system.split(" ")
        yield _plain(words[3]), Path(_plain(words[4])), more[0], more[-1].split(",")


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _inside(point: Path, root: str, path: str) -> Path:
    """Return where *path* of a hierarchy is, of which *root* is mounted at *point*."""
    return point / os.path.relpath(path, root) if path.startswith(root) else point


def _count(path: Path | None) -> int | None:
    try:
        match = _COUNT.search(path.read_text()) if path is not None else None
    except (OSError, ValueError):
        return None
    return int(match[1]) if match else None


def _end_of_log() -> int | None:
    """Open the kernel's log behind its last record; None where that is not allowed, as in most containers."""
    try:
        log = os.open(_KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.lseek(log, 0, os.SEEK_END)
    except OSError:
        os.close(log)
        return None
    return log


def _is_logged(log: int, pid: int) -> bool:
    killed = re.compile(rb"[Oo]ut of memory: Killed process %d " % pid)
    new = select.poll()
    new.register(log, select.POLLIN)
    deadline = time.monotonic() + _PATIENCE
    while new.poll(max(0.0, deadline - time.monotonic()) * 1000):
        try:
            if killed.search(os.read(log, _RECORD)):
                return True
        except BrokenPipeError:  # records that were not read yet were overwritten; the next one follows
            continue
        except OSError:
            return False
    return False
