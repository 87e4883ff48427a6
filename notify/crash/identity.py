"""Which process, and which start of the machine: a process id alone comes back, and in a container at once."""

import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = re.compile(r"[0-9A-Fa-f-]{36}")
_STARTED = 19  # of the words behind the name in /proc/<pid>/stat; proc(5) counts it as the 22nd of all
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


def _started(pid: int) -> int | None:
    try:
        about = Path(f"/proc/{pid}/stat").read_bytes()
    except (OSError, ValueError):
        return None
    # The name is the program's own choice, with spaces and brackets if it likes.
    words = about.rpartition(b")")[2].split()
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
