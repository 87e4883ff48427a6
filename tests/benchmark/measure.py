"""Times calls and imports, each in a process of its own. Run as a script, this is such a process."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from competitors import HANDLERS, HANGING, Competitor, Ports, Say

PAUSE = 0.0005  # seconds between paced calls: enough for the caches to go cold, as they are in a real program
_WARM_UP = 200  # calls
_BLOCKING = 5  # calls of what waits for an answer each time
_SETTLE = 0.3  # seconds for threads to connect and catch up: what comes once a run is not what a call costs

_PROGRAM = "import json, logging, socket, threading, time\nstart = time.perf_counter()\nimport {module}\n"
_TIMEOUT = 200  # seconds; the longest of these programs has its own patience
_ROOT = Path(__file__).parent.parent.parent


class Times(NamedTuple):
    """Microseconds of a call: median and 99th percentile, with a pause before each and without.

    The base is what a call costs in the same process at the same time when only a NullHandler gets it.
    """

    paced: float
    paced_p99: float
    paced_base: float
    burst: float
    burst_p99: float
    burst_base: float


def call(competitor: Competitor, ports: Ports, calls: int) -> Times:
    """Return what a call of *competitor* costs its caller.

    Raises `subprocess.CalledProcessError` when it does not run.
    """
    return Times(*json.loads(output(__file__, competitor.name, json.dumps(dict(ports)), str(calls))))


def import_time(module: str) -> float:
    """Return the milliseconds that importing *module* adds to a program that has imported the usual modules already."""
    return float(output("-c", _PROGRAM.format(module=module) + "print((time.perf_counter() - start) * 1e3)"))


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Yield an environment in which the package is found, with a state directory that is removed afterwards."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    with TemporaryDirectory() as state:
        yield {**os.environ, "PYTHONPATH": path, "NOTIFY_STATE_DIR": state}


def output(*arguments: str) -> str:
    """Return what a Python program prints.

    Raises `subprocess.CalledProcessError` when it fails.
    """
    with environment() as names:
        return subprocess.run(
            [sys.executable, *arguments], env=names, stdout=subprocess.PIPE, text=True, check=True, timeout=_TIMEOUT
        ).stdout


def _base() -> Say:
    parent = logging.getLogger("nobody")
    parent.addHandler(logging.NullHandler())
    parent.setLevel(logging.INFO)
    parent.propagate = False
    logger = parent.getChild("strategy")  # as far from its handler as the one that is compared with it

    def say(number: int) -> None:
        logger.info("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25, "slot": number})

    return say


def _paced(say: Say, base: Say, calls: int) -> tuple[float, float, float]:
    times: list[int] = []
    base_times: list[int] = []
    for number in range(calls):  # by turns, so that the machine's mood is the same for both
        for one, found in ((base, base_times), (say, times)):
            time.sleep(PAUSE)
            found.append(_timed(one, number))
    return *_of(times), _of(base_times)[0]


def _burst(say: Say, base: Say, calls: int) -> tuple[float, float, float]:
    base_times = [_timed(base, number) for number in range(calls)]  # first: it must not wait for what is said below
    return *_of([_timed(say, number) for number in range(calls)]), _of(base_times)[0]


def _timed(say: Say, number: int) -> int:
    before = time.perf_counter_ns()
    say(number)
    return time.perf_counter_ns() - before


def _of(times: list[int]) -> tuple[float, float]:
    times.sort()
    return times[len(times) // 2] / 1e3, times[len(times) * 99 // 100] / 1e3


def _main(name: str, ports: str, calls: str) -> None:
    everyone = [*HANDLERS, *(competitor for pair in HANGING.values() for competitor in pair)]
    competitor = next(competitor for competitor in everyone if competitor.name == name)
    burst, paced, warm_up = int(calls), max(1, int(calls) // 5), _WARM_UP
    if competitor.blocks:
        burst, paced, warm_up = _BLOCKING, _BLOCKING, 1
    say = competitor.start(json.loads(ports))
    for number in range(warm_up):
        say(number)
    time.sleep(_SETTLE)
    base = _base()
    times = _paced(say, base, paced)
    time.sleep(_SETTLE)
    times += _burst(say, base, burst)
    print(json.dumps(times), flush=True)
    os._exit(0)  # some would wait for what they cannot deliver


if __name__ == "__main__":
    _main(*sys.argv[1:])
