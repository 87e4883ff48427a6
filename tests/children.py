"""Processes that tests start: Python in an environment of its own, what it says, and how it ends."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

import notify

ENDING = 60.0  # seconds after which a process counts as hanging; it needs one or two

# Every script of `running` begins with this. One call writes a line, so that an end cuts none in two.
PRELUDE = """
import atexit, os, signal, sys, threading, time

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def idle():  # in short sleeps: Python handles a signal that comes just before a sleep after it
    while True:
        time.sleep(0.01)
"""


class Ended(NamedTuple):
    """What is left of a process.

    Args:
        lines: of its standard output, from where the test has not read yet.
        complaints: its standard error.
        code: its exit code; that of a signal is negative.
    """

    lines: list[str]
    complaints: str
    code: int


def environment(**settings: str) -> dict[str, str]:
    """Return *settings*, where programs and this package are, and nothing else of who runs the tests."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(notify.__file__).parents[1]),
        "PYTHONSAFEPATH": "1",  # keeps the directory that the tests are started in from being searched first
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "ignore::DeprecationWarning",  # from Python 3.12 on, for a fork beside threads
        "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
        **settings,
    }


def python(*arguments: object, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with *arguments* to its end; *settings* are its environment's."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=ENDING,
        check=False,
        env=environment(**settings),
    )


@contextmanager
def running(
    *scripts: str, arguments: Sequence[object] = (), command: Sequence[str] = (), **settings: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run *scripts*, one after the other, in a process that ends with the context at the latest.

    Args:
        *scripts: Python; `PRELUDE` comes before them. Each may be indented.
        arguments: the script's, in `sys.argv`.
        command: what runs Python, such as `unshare`.
        **settings: its environment's.
    """
    process = subprocess.Popen(
        [*command, sys.executable, "-c", PRELUDE + "".join(map(dedent, scripts)), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # so that what was not read yet is left to communicate()
        env=environment(**settings),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # nothing, if it has ended


def wait_for(process: "subprocess.Popen[bytes]", line: str) -> None:
    """Read what *process* says until it says *line*; one that ends without it fails the test."""
    assert process.stdout is not None
    assert process.stderr is not None
    while said := process.stdout.readline():
        if said == f"{line}\n".encode():
            return
    pytest.fail(f"ended without saying {line!r}: {process.stderr.read()!r}")


def ended(process: "subprocess.Popen[bytes]", timeout: float = ENDING) -> Ended:
    """Return what is left of *process*, which ends by itself, *timeout* seconds from now at the latest."""
    said, complaints = process.communicate(timeout=timeout)
    return Ended(said.decode().splitlines(), complaints.decode(), process.returncode)
