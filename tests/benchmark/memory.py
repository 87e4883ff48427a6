"""Weighs events that wait for a destination that takes none. Run as a script, this is the program that is weighed."""

import gc
import logging
import logging.handlers
import os
import queue
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measure import output

EVENTS = 45_000  # nine tenths of what may wait in front of one of our backends
_WARM_UP = 2000  # calls: threads start, and the socket's buffers fill
_PATIENCE = 20.0  # seconds


def waiting(kind: str, port: int) -> float:
    """Return how many bytes an event that waits adds to the resident memory of its program.

    Args:
        kind: one of `KINDS`.
        port: where a TCP server on the loopback interface listens that never reads.

    Raises `subprocess.CalledProcessError` when it does not run.
    """
    return float(output(__file__, kind, str(port)))


def _notify(port: str) -> Callable[[], int]:
    import notify

    notifier = notify.setup({"NOTIFY_STDOUT": "off", "LOGSTASH_SERVER": f"tcp://127.0.0.1:{port}"})

    def count() -> int:
        stats = notifier.stats()["logstash"]
        return stats["pending"] if stats["accepted"] >= _said else -1

    return count


def _queue_handler(port: str) -> Callable[[], int]:
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logging.getLogger().addHandler(logging.handlers.QueueHandler(waiting))
    return waiting.qsize


_SET_UP = {"notify, Logstash over TCP never reads": _notify, "QueueHandler and SimpleQueue": _queue_handler}
KINDS = tuple(_SET_UP)

_said = 0


def _say(calls: int) -> None:
    global _said
    logger = logging.getLogger("strategy")
    for number in range(calls):
        logger.info(
            "Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25 + number, "slot": number}
        )
    _said += calls


def _settled(count: Callable[[], int]) -> int:
    """Wait until nothing moves any more, and return how many events wait."""
    before, deadline = -1, time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = count()
        if now == before and now >= 0:
            return now
        before = now
    sys.exit("it does not come to rest")


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _main(kind: str, port: str) -> None:
    logging.getLogger().setLevel(logging.INFO)
    count = _SET_UP[kind](port)
    _say(_WARM_UP)
    waited, weighed = _settled(count), _resident()
    _say(EVENTS)
    waited, weighed = _settled(count) - waited, _resident() - weighed
    print(weighed / waited, flush=True)
    os._exit(0)  # it would wait for what cannot be delivered


if __name__ == "__main__":
    _main(*sys.argv[1:])
