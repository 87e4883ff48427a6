"""Times calls and imports, each in a process of its own. Run as a script, this is such a process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
    """Microseconds of a call: median and 99th percentile, with a pause before each and without."""

    paced: float
    paced_p99: float
    burst: float
    burst_p99: float


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


def _timed(say: Say, calls: int, pause: Callable[[], None] | None) -> tuple[float, float]:
    now = time.perf_counter_ns
    times = []
    for number in range(calls):
        if pause is not None:
            pause()
        before = now()
        say(number)
        times.append(now() - before)
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
    times = _timed(say, paced, lambda: time.sleep(PAUSE))
    time.sleep(_SETTLE)
    times += _timed(say, burst, None)
    print(json.dumps(times), flush=True)
    os._exit(0)  # some would wait for what they cannot deliver


if __name__ == "__main__":
    _main(*sys.argv[1:])
