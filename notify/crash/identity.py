"""Which process, and which start of the machine: a process id alone comes back, and in a container at once."""

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = re.compile(r"[0-9A-Fa-f-]{36}")
_ANCESTORS = 10  # wrappers around wrappers: a shell, time(1), nice(1), an init of a container
_PARENT = 1  # of the words behind the name in /proc/<pid>/stat; proc(5) counts it as the 4th of all
_STARTED = 19  # the 22nd
_GONE = (b"Z", b"X")  # a zombie runs no more, though its parent has not looked yet


class Process(NamedTuple):
    """A process that is no other.

    Args:
        pid: its number.
        started: clock ticks from the machine's start to its own; None where the system does not say, as on macOS.
    """

    pid: int
    started: int | None


def process(pid: int) -> Process:
    """Return the process with this number. `started` is None when there is none."""
    return Process(pid, _started(pid))


def lives(one: Process) -> bool:
    """Say whether *one* runs, if it was started since the machine was. False where the system does not tell."""
    return one.started is not None and _started(one.pid) == one.started


def boot_id() -> str | None:
    """Return what is another after each start of the machine, None where the system does not say."""
    if sys.platform == "darwin":
        return _session()
    try:
        found = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return found if _BOOT_ID.fullmatch(found) else None


def booted_at() -> float | None:
    """Return when the machine was started, in UTC epoch seconds by the clock as it is set now; None if nobody says."""
    since = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    return None if since is None else time.time() - time.clock_gettime(since)


def is_child() -> bool:
    """Say whether this is a child of `multiprocessing`, also while one that is no fork imports the program."""
    known = sys.modules.get("multiprocessing.process")
    return known is not None and (
        known.parent_process() is not None or getattr(known.current_process(), "_inheriting", False)
    )


def ancestors(pid: int) -> Iterator[int]:
    """Yield the parent of a process, and that one's, up to ten. None where there is no /proc, as on macOS."""
    for _ in range(_ANCESTORS):
        words = _about(pid)
        if len(words) <= _PARENT or (pid := int(words[_PARENT])) < 1:
            return
        yield pid


def _about(pid: int) -> list[bytes]:
    """Return the words of /proc/<pid>/stat behind the name, none when there is no such process."""
    try:
        about = Path(f"/proc/{pid}/stat").read_bytes()
    except (OSError, ValueError):
        return []
    # The name is the program's own choice, with spaces and brackets if it likes.
    return about.rpartition(b")")[2].split()


def _started(pid: int) -> int | None:
    words = _about(pid)
    return int(words[_STARTED]) if len(words) > _STARTED and words[0] not in _GONE else None


def _session() -> str | None:
    import subprocess  # takes a tenth of what importing this package does, and only macOS needs it

    try:
        # Not kern.boottime: that one moves when the clock is set.
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, timeout=1, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = asked.stdout.strip()
    return found if _BOOT_ID.fullmatch(found) else None
