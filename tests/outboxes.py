"""Outboxes to test with: events, the outbox while it is open, processes that use one, and disks of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from children import PRELUDE, environment
from machine import missing

from notify.delivery.outbox import Outbox
from notify.event import Event, new_id
from notify.levels import TRADE
from notify.testing import FakeClock

ALL = ("discord", "telegram")
GRACE = 30  # seconds a process may take; it needs one or two

_numbers = count(1)


def an_event(message: str = "", level: int = TRADE) -> Event:
    """Return an event that differs from every other."""
    return Event(id=new_id(1_767_225_600.0), time=1_767_225_600.0, message=message or f"{next(_numbers)}", level=level)


@contextmanager
def opened(directory: Path) -> Iterator[Outbox]:
    """Open the outbox in *directory* while the context lasts."""
    outbox = Outbox(directory, clock=FakeClock())
    try:
        yield outbox
    finally:
        outbox.close()


def works_again(outbox: Outbox) -> bool:
    """Have *outbox* repaired if that is possible, and say whether it works."""
    outbox.maintain()
    return outbox.broken is None


def everything_in(directory: Path) -> list[Event]:
    """Return the events that the next process finds in *directory*, all of them at once."""
    with opened(directory) as outbox:
        assert outbox.broken is None
        found: list[Event] = []
        while part := outbox.adopt(ALL):
            found += [each.event for each in part]
        return found


# Every script begins with this, after the prelude of all scripts.
BEGIN = """
from pathlib import Path
from notify.delivery.outbox import Outbox
from notify.event import Event, new_id

def event(message="m", level=21):
    now = time.time()
    return Event(id=new_id(now), time=now, message=message, level=level)

def works_again(outbox):
    outbox.maintain()
    return outbox.broken is None

def wait_for_line():
    os.read(0, 100)

directory = Path(sys.argv[1])
ALL = ["discord", "telegram"]
"""


@contextmanager
def running(script: str, directory: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run *script* with an input, in a process of its own, which ends with the context together with its children."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + BEGIN + script, str(directory), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(),
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the children of a script that did not end well


def output(script: str, directory: Path, *arguments: str) -> list[list[str]]:
    """Return the words of every line that *script* says, which must end by itself and well."""
    with running(script, directory, *arguments) as process:
        said, _ = process.communicate(timeout=GRACE)
        assert process.returncode == 0
    return [line.split() for line in said.splitlines()]


@contextmanager
def disk(at: Path, options: str) -> Iterator[None]:
    """Mount a small disk of its own at *at*; *options* as `mount -o` takes them for a tmpfs."""
    at.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], capture_output=True)
    if mounted.returncode:
        missing("only root can mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)
