"""Times bursts from the first call to the last arrival. Run as a script, this is the process that makes the calls."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from competitors import BURSTS, Competitor
from counting import Counted, counting
from measure import environment

EVENTS = 20_000  # of a burst: less than half of what may wait in front of one of our backends
_WARM_UP = 200  # calls
_QUIET = 3.0  # seconds without an arrival after which none is expected: python-logstash-async looks every two
_SETTLE = 0.3  # seconds for threads to go to rest


class Flow(NamedTuple):
    """What became of a burst.

    Args:
        rate: arrivals a second, from the first call to the last arrival.
        lost: share of the events that did not arrive.
        processor: microseconds of processor time per event, all threads of the program together.
    """

    rate: float
    lost: float
    processor: float


def flow(competitor: Competitor, receiver: Callable[[str], AbstractContextManager[Counted]] = counting) -> Flow:
    """Return how a burst of *competitor* went, to a *receiver* for its transport.

    Raises `ValueError` when it does not run, and what the receiver raises.
    """
    with (
        receiver(competitor.to) as counted,
        environment() as names,
        subprocess.Popen(
            [sys.executable, __file__, competitor.name, str(counted.port)],
            env=names,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as program,
    ):
        try:
            _line(program)
            warm, _ = counted.wait_for(_WARM_UP, quiet=_QUIET)
            started = _line(program, "go")
            arrived, last = counted.wait_for(warm + EVENTS, quiet=_QUIET)
            processor = _line(program, "end")
        finally:
            program.stdin.close()
    arrived -= warm
    return Flow(arrived / (last - started), 1 - arrived / EVENTS, processor / EVENTS * 1e6)


def _line(program: subprocess.Popen[str], command: str = "") -> float:
    if command:
        print(command, file=program.stdin, flush=True)
    return float(program.stdout.readline())


def _main(name: str, port: str) -> None:
    competitor = next(competitor for competitor in BURSTS if competitor.name == name)
    say = competitor.start({competitor.to: int(port)})
    for number in range(_WARM_UP):
        say(number)
    print(0, flush=True)
    sys.stdin.readline()
    time.sleep(_SETTLE)
    before = time.process_time()
    print(time.monotonic(), flush=True)
    for number in range(EVENTS):
        say(number)
    sys.stdin.readline()
    print(time.process_time() - before, flush=True)
    os._exit(0)  # some would wait for what they cannot deliver


if __name__ == "__main__":
    _main(*sys.argv[1:])
