"""rsyslog as the receiver of bursts over UDP, with its own receive buffer and what it does with each event."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAM = shutil.which("rsyslogd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
_LOOK_EVERY = 0.05  # seconds
_START_TIMEOUT = 10.0  # seconds
_CONFIGURATION = """
global(workDirectory="{directory}" maxMessageSize="70k")
module(load="imudp")
module(load="mmjsonparse")
template(name="understood" type="list") {{ property(name="$!all-json") constant(value="\\n") }}
ruleset(name="json") {{
    action(type="mmjsonparse" cookie="" useRawMsg="on")
    action(type="omfile" file="{directory}/understood.json" template="understood")
}}
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="json")
"""


class Rsyslog:
    """The running program, which writes what it has understood to a file.

    Args:
        port: where it listens on 127.0.0.1.
        output: that file.
    """

    def __init__(self, port: int, output: Path) -> None:
        self.port = port
        self._output = output

    def wait_for(self, count: int, *, quiet: float) -> tuple[int, float]:
        """Wait until *count* events were written in all, or none was for *quiet* seconds.

        Returns how many were, and the time of the last look that saw more, in monotonic seconds.
        """
        seen, since = -1, time.monotonic()
        while True:
            arrived = self._output.read_bytes().count(b"\n") if self._output.exists() else 0
            if arrived != seen:
                seen, since = arrived, time.monotonic()
            if arrived >= count or time.monotonic() - since > quiet:
                return arrived, since
            time.sleep(_LOOK_EVERY)


@contextmanager
def rsyslog(transport: str = "udp") -> Iterator[Rsyslog]:
    """Run rsyslogd on a port of its own. *transport* is `udp`: over TCP nothing is lost.

    Raises `OSError` when it is not installed or does not start.
    """
    if PROGRAM is None or transport != "udp":
        raise OSError("rsyslogd is not installed, or not for this")
    with TemporaryDirectory() as name, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        directory = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        configuration = directory / "rsyslog.conf"
        configuration.write_text(_CONFIGURATION.format(directory=directory, port=port))
        process = subprocess.Popen(
            [PROGRAM, "-n", "-f", configuration, "-i", directory / "pid"], stderr=subprocess.DEVNULL
        )
        try:
            running = Rsyslog(port, directory / "understood.json")
            _wait_until_ready(running)
            yield running
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(running: Rsyslog) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not running.wait_for(1, quiet=_LOOK_EVERY)[0]:
            if time.monotonic() > deadline:
                raise OSError("rsyslogd does not answer")
            sender.sendto(b'{"probe": 1}', ("127.0.0.1", running.port))
