"""Times what reaches a Discord that keeps its limits.

Run as a script, this is that Discord, which starts the program that says something, which is this script, too.
"""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from measure import output

if TYPE_CHECKING:
    from notify.testing.fake_discord import FakeDiscord

_BACKLOG = 1000  # trades that wait when the program crashes
_UNTIL_THE_CRASH = 1.0  # seconds after the last of them: the first requests have used up what Discord takes at once
_CRASH = "Crashed in"
_TRADES = 600
_PATIENCE = 170.0  # seconds
_LOOK_EVERY = 0.05  # seconds


class Arrival(NamedTuple):
    """How trades arrived.

    Args:
        seconds: from the first call to the arrival of the last.
        lost: how many did not arrive.
        twice: how many arrived more often than once.
        limited: how many requests were answered 429.
        requests: how many there were.
    """

    seconds: float
    lost: int
    twice: int
    limited: int
    requests: int


def crash() -> float:
    """Return the seconds from a crash behind a backlog to its arrival at Discord, waits for Discord's limits included.

    Raises `subprocess.CalledProcessError` when it does not arrive.
    """
    return float(output(__file__, "crash"))


def trades() -> Arrival:
    """Return how a burst of trades arrived. Takes more than a minute.

    Raises `subprocess.CalledProcessError` when they do not arrive.
    """
    return Arrival(*json.loads(output(__file__, "trades")))


def _crash(discord: "FakeDiscord") -> float:
    crashed_at = _run(discord, "crash", lambda: any(_CRASH in title for title in _titles(discord)))
    arrived = (message.time for message in discord.messages if _CRASH in str(message.payload))
    return next(arrived) - crashed_at


def _trades(discord: "FakeDiscord") -> Arrival:
    started = _run(discord, "trades", lambda: len(set(_titles(discord))) >= _TRADES)
    titles = _titles(discord)
    lost, twice = _TRADES - len(set(titles)), len(titles) - len(set(titles))
    return Arrival(discord.messages[-1].time - started, lost, twice, discord.limited, discord.requests)


def _run(discord: "FakeDiscord", what: str, finished: Callable[[], bool]) -> float:
    """Run the program until *finished*, or for long enough, and return the moment that it says (monotonic seconds)."""
    with subprocess.Popen(
        [sys.executable, __file__, what, discord.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        moment = float(program.stdout.readline())
        deadline = time.monotonic() + _PATIENCE
        while not finished() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        program.stdin.close()
    return moment


def _titles(discord: "FakeDiscord") -> list[str]:
    return [embed.get("title") or embed.get("description", "") for embed in discord.embeds]


def _say(what: str, url: str) -> None:
    import notify

    state = os.environ["NOTIFY_STATE_DIR"]
    notify.setup({"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": state, "DISCORD_WEBHOOK_URL": url})
    logger = logging.getLogger("strategy")
    moment = time.monotonic()
    for number in range(_BACKLOG if what == "crash" else _TRADES):
        logger.trade("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25, "slot": number})
    if what == "crash":
        time.sleep(_UNTIL_THE_CRASH)
        moment = time.monotonic()
        notify.report_crash(RuntimeError("no liquidity"))
    print(moment, flush=True)
    sys.stdin.read()
    os._exit(0)  # it would wait for what is not delivered yet


def _main(what: str, url: str = "") -> None:
    if url:
        _say(what, url)
    from notify.testing.fake_discord import FakeDiscord

    with FakeDiscord() as discord:
        print(json.dumps({"crash": _crash, "trades": _trades}[what](discord)), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
