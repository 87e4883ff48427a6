"""Runs programs with and without the lower half of the supervisor, so that tests can compare what became of them."""

import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0  # seconds after which a process counts as hanging; it needs one

DRIVER = """if True:
    import json, os, sys
    from notify.supervisor.signals import Signals
    from notify.supervisor.streams import Streams
    from notify.supervisor.child import Child, StartError
    signals, streams = Signals(), Streams()
    environment = {name: value for name, value in os.environ.items() if name != "REPORT"}
    try:
        child = Child(sys.argv[1:], environment, signals=signals, streams=streams)
    except StartError as error:
        os.write(2, f"{error}\\n".encode())
        os._exit(error.exit_code)
    ending = child.wait()
    passed_on = streams.close()
    if report := os.environ.get("REPORT"):
        with open(report, "w") as file:
            json.dump({
                "lines": streams.last_lines(), "lost": streams.lost, "passed_on": passed_on, "joined": streams.joined,
                "returncode": ending.returncode, "told": ending.told, "seconds_since_told": ending.seconds_since_told,
                "seconds": ending.seconds, "maxrss": ending.usage.ru_maxrss, "dumped_core": ending.dumped_core,
                "own_peak": ending.own_peak,
                "pid": child.pid,
            }, file)
    sys.exit(ending.exit_code)
"""


def supervised(*command: str) -> list[str]:
    """The command line that runs *command* under the supervisor."""
    return [sys.executable, "-c", DRIVER, *command]


def python(script: str) -> list[str]:
    """The command line of a small Python program."""
    return [sys.executable, "-c", script]


HEARING = """
import os, select, signal
_woken, _wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
signal.set_wakeup_fd(_wake, warn_on_full_buffer=False)

def line():
    while 0 not in select.select([0, _woken], [], [])[0]:
        os.read(_woken, 4096)
    return os.read(0, 4096)
"""
"""For programs that handle signals and wait for a line on stdin: `line()` returns it.

Python handles a signal that comes just before a call that waits, such as `input()`, only after that call, which nothing
ends. Of this one it is a part that a signal has come.
"""

WAYS = pytest.mark.parametrize("way", [lambda *command: list(command), supervised], ids=["alone", "supervised"])
"""For tests of what has to be the same with and without us."""


def report_of(path: Path) -> dict[str, Any]:
    """What the driver has written to the file that REPORT names."""
    report: dict[str, Any] = json.loads(path.read_text())
    return report


class Terminal:
    """A pseudo-terminal that stands for the real one, and what was shown on it."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.master, self.slave = os.openpty()
        self.shown = b""
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def start(self, command: Sequence[str], **kwargs: Any) -> "subprocess.Popen[bytes]":
        """Start a program whose controlling terminal this is."""
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave} | kwargs
        return subprocess.Popen(["setsid", "--ctty", *command], **streams)

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def wait_for(self, text: bytes, times: int = 1) -> bytes:
        """Read until *text* has been shown so many *times*, and return all that was shown."""
        deadline = time.monotonic() + PATIENCE
        while self.shown.count(text) < times:
            remaining = deadline - time.monotonic()
            if remaining < 0 or not select.select([self.master], [], [], remaining)[0]:
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
            self.shown += os.read(self.master, 65_536)
        return self.shown

    def read_rest(self) -> bytes:
        """Return all that was shown, after everybody else has closed it."""
        while select.select([self.master], [], [], 0)[0]:
            self.shown += os.read(self.master, 65_536)
        return self.shown

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


@contextmanager
def running(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Have *process* killed, when the test does not see it end, and its pipes closed."""
    with process:
        try:
            yield process
        finally:
            process.kill()
