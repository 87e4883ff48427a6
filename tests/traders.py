"""Programs that trade and are ended: how they begin, and what Discord gets of them, by their next start, too."""

import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from children import ended, running

from notify.testing.fake_discord import FakeDiscord

REQUESTS = 100  # more than any of these programs makes

# Every one of them begins with this, after the prelude of all scripts. Who writes to the outbox waits ten seconds for
# others, where 50 ms are too few on a busy machine.
BEGIN = """
import resource
import notify
from notify.delivery.outbox import writer
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
writer._PATIENCE = 10.0

def kill_me(*args):
    os.kill(os.getpid(), signal.SIGKILL)

def set_up(**backends):
    return notify.setup(backends=backends)
"""

# What the next start says of a run at whose end no line of Python ran.
KILLED = "🆘 The last run was killed: no Python code ran at its end (2nd start in 10 minutes)"

TRADES = [f"Bought {number} ETH" for number in range(5)]
SAY_TRADES = f"""
notifier = set_up()
for trade in {TRADES}:
    assert notifier.trade(trade).durable
"""


def trader(
    *scripts: str,
    state: Path | None = None,
    discord: FakeDiscord | None = None,
    arguments: Sequence[object] = (),
    **settings: str,
) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """Run *scripts* with *state* for the disk and *discord* for the destination; the rest is as for `running`."""
    if state is not None:
        settings["NOTIFY_STATE_DIR"] = str(state)
    if discord is not None:
        settings["DISCORD_WEBHOOK_URL"] = discord.url
    return running(BEGIN, *scripts, arguments=arguments, NOTIFY_STDOUT="off", **settings)


def titles(discord: FakeDiscord) -> list[str]:
    """Return what *discord* has got, an item an event."""
    return list(map(_title, discord.embeds))


def urgent_last(embeds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *embeds* with what is said of earlier runs behind the others: it is urgent, and may overtake them."""
    return sorted(embeds, key=lambda embed: _title(embed).startswith("🆘 The last run"))


def _title(embed: dict[str, Any]) -> str:
    return str(embed.get("title") or embed.get("description"))


def delivered_by_the_next_start(state: Path) -> list[str]:
    """Return what is left in *state*, as a Discord gets it that works, and then what is said of earlier runs."""
    with FakeDiscord() as discord:
        with trader("set_up().close(20)", state=state, discord=discord) as process:
            ended(process)
        return list(map(_title, urgent_last(discord.embeds)))
