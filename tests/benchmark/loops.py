"""Times how long logging holds up an event loop while Discord hangs. Run as a script, this is the program."""

import asyncio
import json
import logging
import os
import sys
import time

from measure import output

LOOPS = ("asyncio", "uvloop")
_CALLS = 400  # durable trades
_TICK = 0.0005  # seconds that a task asks to sleep, again and again: what it sleeps longer is a stall


def stall(loop: str, port: int) -> tuple[float, float]:
    """Return the 99th percentile and the longest of the stalls of a *loop* of `LOOPS`, in milliseconds.

    Args:
        loop: whose.
        port: of the loopback interface, where a Discord accepts and says nothing.

    Raises `subprocess.CalledProcessError` when it does not run.
    """
    worst, longest = json.loads(output(__file__, loop, str(port)))
    return worst, longest


async def _trade() -> list[float]:
    say = logging.getLogger("strategy").trade
    stalls: list[float] = []
    for number in range(_CALLS):
        before = time.perf_counter()
        say("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25})
        await asyncio.sleep(_TICK)
        stalls.append((time.perf_counter() - before - _TICK) * 1e3)
    return sorted(stalls)


def _main(loop: str, port: str) -> None:
    import notify

    webhook = f"http://127.0.0.1:{port}/api/webhooks/1/token"
    state = os.environ["NOTIFY_STATE_DIR"]
    notify.setup({"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": state, "DISCORD_WEBHOOK_URL": webhook})
    if loop == "uvloop":
        import uvloop

        stalls = uvloop.run(_trade())
    else:
        stalls = asyncio.run(_trade())
    print(json.dumps([stalls[len(stalls) * 99 // 100], stalls[-1]]), flush=True)
    os._exit(0)  # it would wait for what is not delivered yet


if __name__ == "__main__":
    _main(*sys.argv[1:])
