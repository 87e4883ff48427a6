"""Services of Debian that tests run on loopback: a proxy, monitors. Each ends with its context, whatever happens."""

import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from machine import missing

_START_TIMEOUT = 20.0  # seconds; the slowest takes one
_END_TIMEOUT = 10.0  # seconds after SIGTERM
_LOOK_EVERY = 0.02  # seconds between looks whether it listens
_TRIES = 3  # starts with other ports, when somebody has taken one meanwhile


class Service(NamedTuple):
    """A service that runs.

    Args:
        ports: where it listens on 127.0.0.1, as many as were asked for.
        log: the file that has all it says.
    """

    ports: tuple[int, ...]
    log: Path

    @property
    def port(self) -> int:
        """The first of its ports."""
        return self.ports[0]


def program(name: str) -> str:
    """Return where the program *name* is. Skips the test where it is not installed, but fails it on CI."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed")
    return found


@contextmanager
def running_service(
    name: str, arguments: Callable[[tuple[int, ...]], Sequence[object]], directory: Path, *, ports: int = 1
) -> Iterator[Service]:
    """Run the program *name* until the context ends.

    Args:
        name: of the program.
        arguments: returns its arguments when it is told its ports; it may write files for it, too.
        directory: what it may keep; its home.
        ports: how many it listens on. It counts as started when something accepts on all of them.
    """
    command, log = program(name), directory / f"{name}.log"
    for attempt in range(1, _TRIES + 1):
        numbers = free_ports(ports)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [command, *map(str, arguments(numbers))],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=directory,
                env=quarantine(directory),
            )
        try:
            if _listens(process, numbers):
                yield Service(numbers, log)
                return
            said = log.read_text(errors="replace")
            if "address already in use" not in said or attempt == _TRIES:
                pytest.fail(f"{name} does not start:\n{said}")
        finally:
            _end(process)


def quarantine(directory: Path) -> dict[str, str]:
    """Return an environment in which a program keeps its files in *directory* and asks no proxy."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "XDG_DATA_HOME": str(directory / "data"),
        "XDG_CONFIG_HOME": str(directory / "config"),
    }


def _listens(process: "subprocess.Popen[bytes]", ports: Sequence[int]) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT
    for port in ports:
        while True:
            if process.poll() is not None:
                return False
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"{process.args!r} does not listen on {port}"
            threading.Event().wait(_LOOK_EVERY)
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports of 127.0.0.1 that were free a moment ago, and differ.

    They lie below those that the kernel gives to clients, so that no connection of a test takes one meanwhile.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return tuple(found)


def adapted(text: str, replaced: Mapping[str, object]) -> str:
    """Return the text of an example with other ports and places. Each key has to be there, and the longest counts."""
    absent = [old for old in replaced if old not in text]
    assert absent == [], "the example does not say this any more"
    olds = "|".join(re.escape(old) for old in sorted(replaced, key=len, reverse=True))
    return re.sub(olds, lambda found: str(replaced[found[0]]), text)


def eventually(condition: Callable[[], object], what: str, timeout: float = 10.0) -> None:
    """Wait until *condition* holds, *timeout* seconds at most; *what* should have happened."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"within {timeout:g} s: {what}"
        threading.Event().wait(_LOOK_EVERY)
