"""Times `logger.trade`, which is on disk before it returns. Run as a script, this is the program that is timed."""

import json
import logging
import os
import sys
import threading
import time
from typing import NamedTuple

from measure import output

_CALLS = 1_500  # of which the 15 dearest are above the 99th percentile
_HOGGED = 300  # calls beside a thread that computes: each takes 6 ms
_WARM_UP = 50  # calls
_PAUSE = 0.002  # seconds between calls: no daemon trades more often
_SETTLE = 0.5  # seconds for the lane to connect


class Times(NamedTuple):
    """Microseconds of a call: median and 99th percentile, alone and beside a thread that computes without a pause."""

    quiet: float
    quiet_p99: float
    hogged: float
    hogged_p99: float


def trade(port: int) -> Times:
    """Return what a durable call costs its caller, with a Discord that answers on *port* of the loopback interface.

    Raises `subprocess.CalledProcessError` when it does not run.
    """
    return Times(*json.loads(output(__file__, str(port))))


def _timed(calls: int) -> tuple[float, float]:
    say, now = logging.getLogger("strategy").trade, time.perf_counter_ns
    times = []
    for number in range(calls):
        time.sleep(_PAUSE)
        before = now()
        say("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25, "slot": number})
        times.append(now() - before)
    times.sort()
    return times[len(times) // 2] / 1e3, times[len(times) * 99 // 100] / 1e3


def _compute() -> None:
    while True:
        sum(range(1000))


def _main(port: str) -> None:
    import notify

    webhook = f"http://127.0.0.1:{port}/api/webhooks/1/token"
    state = os.environ["NOTIFY_STATE_DIR"]
    notifier = notify.setup({"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": state, "DISCORD_WEBHOOK_URL": webhook})
    if not notifier.trade("Started").durable:
        sys.exit("a trade is not durable here")
    _timed(_WARM_UP)
    time.sleep(_SETTLE)
    times = _timed(_CALLS)
    threading.Thread(target=_compute, daemon=True).start()
    times += _timed(_HOGGED)
    print(json.dumps(times), flush=True)
    os._exit(0)  # it would wait for what is not delivered yet


if __name__ == "__main__":
    _main(*sys.argv[1:])
