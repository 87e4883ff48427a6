"""Times how long logging holds up an event loop while Discord hangs. Run as a script, this is the program."""

import asyncio
import json
import logging
import os
import sys
import time
from typing import NamedTuple

from measure import output

LOOPS = ("asyncio", "uvloop")
_CALLS = 400  # durable trades, twice: the first are made in the half second after `setup()`, while our threads begin
# Seconds that a task asks to sleep, again and again: what it sleeps longer is a stall. uvloop knows no less.
_TICK = 0.001


class Stalls(NamedTuple):
    """Milliseconds: 99th percentile and longest while the program starts, and after that."""

    start_p99: float
    start_longest: float
    p99: float
    longest: float


def stall(loop: str, port: int) -> Stalls:
    """Return for how long a *loop* of `LOOPS` stalls.

    Args:
        loop: whose.
        port: of the loopback interface, where a Discord accepts and says nothing.

    Raises `subprocess.CalledProcessError` when it does not run.
    """
    return Stalls(*json.loads(output(__file__, loop, str(port))))


async def _run() -> list[float]:
    return [found for _ in range(2) for found in await _trade()]


async def _trade() -> tuple[float, float]:
    say = logging.getLogger("strategy").trade
    stalls: list[float] = []
    for number in range(_CALLS):
        before = time.perf_counter()
        say("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25})
        await asyncio.sleep(_TICK)
        stalls.append((time.perf_counter() - before - _TICK) * 1e3)
    stalls.sort()
    return stalls[len(stalls) * 99 // 100], stalls[-1]


def _main(loop: str, port: str) -> None:
    import notify

    webhook = f"http://127.0.0.1:{port}/api/webhooks/1/token"
    state = os.environ["NOTIFY_STATE_DIR"]
    notify.setup({"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": state, "DISCORD_WEBHOOK_URL": webhook})
    if loop == "uvloop":
        import uvloop

        stalls = uvloop.run(_run())
    else:
        stalls = asyncio.run(_run())
    print(json.dumps(stalls), flush=True)
    os._exit(0)  # it would wait for what is not delivered yet


if __name__ == "__main__":
    _main(*sys.argv[1:])
