"""Runs to test with: programs that mark themselves in a state directory, and what is left there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import notify
from notify.crash.run_file import DIRECTORY
from notify.crash.unclean import UncleanEnd, claim

GRACE = 30.0  # seconds after which a process counts as hanging; it needs one

# Every script begins with this. One call writes a line, so that an end cuts none in two.
PRELUDE = """
import atexit, ctypes, faulthandler, os, resource, signal, sys, threading, time
from pathlib import Path
from notify.crash import signals
from notify.crash.marker import RunMarker
from notify.crash.unclean import claim
from notify.notifier import Notifier
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

directory = Path(sys.argv[1])

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def mark(program="executor-1"):
    # As setup() does it.
    notifier = Notifier({})
    signals.install(notifier)
    marker = RunMarker(directory, program=program)
    notifier.at_close(marker.end)
    marker.begin()
    atexit.register(notifier.close)
    return marker

def kill_me():
    os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def running(
    script: str, directory: Path, *options: str, cwd: Path | None = None, **env: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run *script* after the prelude, in a process of its own, with *options* for Python, and end it."""
    process = subprocess.Popen(
        [sys.executable, *options, "-c", PRELUDE + dedent(script), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(notify.__file__).parents[1]), **env},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # nothing, if it has ended


def ended(script: str, directory: Path, *options: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Return what became of *script*, which ends by itself."""
    with running(script, directory, *options, **env) as process:
        out, err = process.communicate(timeout=GRACE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def claimed(directory: Path) -> list[UncleanEnd]:
    """Return what the next start would tell."""
    with claim(directory) as ends:
        return list(ends)


def files(directory: Path) -> list[str]:
    """Return the suffixes of what is left of runs."""
    runs = directory / DIRECTORY
    return sorted(path.suffix for path in runs.iterdir()) if runs.exists() else []
