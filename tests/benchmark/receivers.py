"""rsyslog as the receiver of bursts over UDP, with the receive buffer that the kernel gives it."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from counting import Counted

sys.path.append(str(Path(__file__).parents[1]))  # the tests have an rsyslog, and this is run as a script
from rsyslog import PROGRAM, running_rsyslog

IS_HERE = PROGRAM.exists()


@contextmanager
def rsyslog(transport: str) -> Iterator[Counted]:
    """Run rsyslogd. *transport* is `udp`: over TCP nothing is lost."""
    assert transport == "udp"
    with TemporaryDirectory() as directory, running_rsyslog(Path(directory), buffer=None) as running:
        yield Counted(running.port, lambda: (running.count(), time.monotonic()))
