"""A real rsyslogd on loopback that takes JSON over UDP and TCP and writes what it understood to a file."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from machine import missing

PROGRAM = Path("/usr/sbin/rsyslogd")
_START_TIMEOUT = 10.0  # seconds; it takes half a second
_LOOK_EVERY = 0.02  # seconds between looks at its output

# useRawMsg: a Logstash event has no syslog header that would have to be taken off first.
_CONFIGURATION = """
global(workDirectory="{directory}" maxMessageSize="70k")
module(load="imudp")
module(load="imtcp")
module(load="mmjsonparse")
template(name="understood" type="list") {{ property(name="$!all-json") constant(value="\\n") }}
ruleset(name="json") {{
    action(type="mmjsonparse" cookie="" useRawMsg="on")
    action(type="omfile" file="{output}" template="understood")
}}
input(type="imudp" address="127.0.0.1" port="{port}" {buffer} ruleset="json")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="json")
"""


class Rsyslog:
    """The running program.

    Args:
        port: where it listens on 127.0.0.1, for UDP and TCP.
        output: the file that gets one line of JSON for each event that it understood.
    """

    def __init__(self, port: int, output: Path) -> None:
        self.port = port
        self._output = output

    def count(self) -> int:
        """Return how many events it has understood so far."""
        return self._output.read_bytes().count(b"\n") if self._output.exists() else 0

    def events(self) -> list[dict[str, object]]:
        """Return what it has understood so far. Fails on NaN and whatever else is not JSON."""
        if not self._output.exists():
            return []
        finished = self._output.read_bytes().split(b"\n")[:-1]
        return [json.loads(line, parse_constant=_refuse) for line in finished]

    def event(self, marker: object, timeout: float = 10.0) -> dict[str, object]:
        """Return the event whose field `marker` is *marker*, and wait for it *timeout* seconds at most."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for event in self.events():
                if event.get("marker") == marker:
                    return event
            threading.Event().wait(_LOOK_EVERY)
        raise AssertionError(f"event {marker!r} did not arrive; {len(self.events())} others did")


@contextmanager
def running_rsyslog(directory: Path, *, buffer: str | None = "4m") -> Iterator[Rsyslog]:
    """Run rsyslogd with *directory* for its files. Skips the test where it is not installed, but fails it on CI.

    Its receive *buffer* is large, since tests are about what arrives, not about how much the kernel holds while the
    machine is busy; None: as the kernel gives it.
    """
    if not PROGRAM.exists():
        missing(f"{PROGRAM} is not installed")
    port, output, configuration = _free_port(), directory / "understood.json", directory / "rsyslog.conf"
    size = "" if buffer is None else f'rcvbufSize="{buffer}"'
    configuration.write_text(_CONFIGURATION.format(directory=directory, output=output, port=port, buffer=size))
    with (directory / "stderr.txt").open("wb") as stderr:
        process = subprocess.Popen(
            [PROGRAM, "-n", "-f", configuration, "-i", directory / "rsyslogd.pid"], stderr=stderr, stdout=stderr
        )
        try:
            rsyslog = Rsyslog(port, output)
            _wait_until_ready(rsyslog, process)
            yield rsyslog
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(rsyslog: Rsyslog, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        while not rsyslog.events():
            assert process.poll() is None, "rsyslogd ended; see stderr.txt in its directory"
            assert time.monotonic() < deadline, "rsyslogd does not answer"
            probe.sendto(b'{"probe": 1}', ("127.0.0.1", rsyslog.port))
            threading.Event().wait(_LOOK_EVERY)


def _free_port() -> int:
    """Return a port that is free for both UDP and TCP at the moment."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")
