"""Times `logger.trade`, which is on disk before it returns. Run as a script, this is the program that is timed."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from measure import output

_CALLS = 1_500  # of which the 15 dearest are above the 99th percentile
_HOGGED = 300  # calls beside a thread that computes: each takes 6 ms
_WARM_UP = 50  # calls
_PAUSE = 0.002  # seconds between calls: no daemon trades more often
_SETTLE = 0.5  # seconds for the lane to connect

_logger = logging.getLogger("strategy")


class Times(NamedTuple):
    """Microseconds of a call: median and 99th percentile, alone and beside a thread that computes without a pause.

    Before that, those of an INSERT of such a row and nothing else: what SQLite takes of it on this machine, today.
    """

    insert: float
    insert_p99: float
    quiet: float
    quiet_p99: float
    hogged: float
    hogged_p99: float


def trade(port: int) -> Times:
    """Return what a durable call costs its caller, with a Discord that answers on *port* of the loopback interface.

    Raises `subprocess.CalledProcessError` when it does not run.
    """
    return Times(*json.loads(output(__file__, str(port))))


def _say(number: int) -> None:
    _logger.trade("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25, "slot": number})


def _timed(call: Callable[[int], object], calls: int) -> tuple[float, float]:
    now = time.perf_counter_ns
    times = []
    for number in range(calls):
        time.sleep(_PAUSE)
        before = now()
        call(number)
        times.append(now() - before)
    times.sort()
    return times[len(times) // 2] / 1e3, times[len(times) * 99 // 100] / 1e3


def _inserted(directory: Path) -> tuple[float, float]:
    from notify.delivery.outbox.file import NAME, make_ready
    from notify.delivery.outbox.row import Row, rows_of
    from notify.delivery.outbox.store import Store
    from notify.event import Event

    make_ready(directory, time.time())
    store = Store(directory / NAME)
    fields = {"pair": "ETH-USDC", "price": 1850.25, "slot": 7}
    (made,) = rows_of(Event(id="", time=time.time(), message="Bought 7 of ETH", level=21, fields=fields), ["discord"])

    def row(number: int) -> Row:
        return made._replace(event_id=f"{number:012x}-000000-00000000", owner="1234567-89abcdef")

    rows = [row(number) for number in range(_CALLS)]
    return _timed(lambda number: store.insert([rows[number]]), _CALLS)


def _compute() -> None:
    while True:
        sum(range(1000))


def _main(port: str) -> None:
    import notify

    inserted = _inserted(Path(os.environ["NOTIFY_STATE_DIR"], "another"))
    webhook = f"http://127.0.0.1:{port}/api/webhooks/1/token"
    state = os.environ["NOTIFY_STATE_DIR"]
    notifier = notify.setup({"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": state, "DISCORD_WEBHOOK_URL": webhook})
    if not notifier.trade("Started").durable:
        sys.exit("a trade is not durable here")
    _timed(_say, _WARM_UP)
    time.sleep(_SETTLE)
    times = _timed(_say, _CALLS)
    threading.Thread(target=_compute, daemon=True).start()
    times += _timed(_say, _HOGGED)
    print(json.dumps(inserted + times), flush=True)
    os._exit(0)  # it would wait for what is not delivered yet


if __name__ == "__main__":
    _main(*sys.argv[1:])
