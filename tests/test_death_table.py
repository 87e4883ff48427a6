"""Every death of a program: who says so and how often, and that it is the death that it would have been without us.

A program that the kernel's OOM killer ends stands in `test_supervisor_oom.py` and `test_supervise.py`: only root can
make the limit for that.
"""

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from children import Ended, ended, running, wait_for
from deaths import DEATHS, FAILS, NEXT_START, PROGRAM, SUPERVISOR, Death
from traders import BEGIN, delivered_by_the_next_start

from notify.testing.fake_discord import FakeDiscord

pytestmark = [pytest.mark.process, pytest.mark.interpreter]

# Of the whole table, which takes half a minute. Raise it here to look for what happens once in a while.
REPETITIONS = 1

SUPERVISE = (sys.executable, "-m", "notify", "run")
RED = 0xDB2828  # of what somebody has to look at
PROMPT = 2.0  # seconds from a crash to Discord, when that answers

# The program's own logging, by which asyncio speaks on stderr, too.
LOGGING = """
import logging

logging.basicConfig(level="INFO", format="%(name)s %(levelname)s %(message)s")
"""
BEGINS = """
say("begins")
logging.info("Cycle 1")
"""


def run(death: Death, command: Sequence[str] = (), *, heard: bool, **settings: str) -> Ended:
    """Run the program to its end, and leave out `setup()` when it is not to be *heard*."""
    # The same number of lines in either case: tracebacks have them.
    set_up = "notifier = set_up()\n" if heard else "notifier = None\n"
    with running(
        *(BEGIN, LOGGING, set_up, BEGINS, death.script),
        command=command,
        NOTIFY_STDOUT="off",
        PYTHONNODEBUGRANGES="1",  # where in a line a signal comes is by chance
        **death.settings,
        **settings,
    ) as process:
        if death.sent is not None:
            wait_for(process, "ready")
            process.send_signal(death.sent)
        return ended(process)


@cache
def without_us(name: str) -> Ended:
    """Return what is left of the program when it runs without us."""
    return run(DEATHS[name], heard=False)


def said_by(discord: FakeDiscord) -> list[tuple[str, str]]:
    """Return who has said what, in order. Each of them speaks under a name of its own."""
    return [(message.payload["username"], title_of(embed)) for message in discord.messages for embed in message.embeds]


def title_of(embed: dict[str, Any]) -> str:
    """Return the title, or what stands in place of one, as Discord shows it."""
    return str(embed.get("title") or embed.get("description")).replace("\\", "")


def output(of: Ended) -> tuple[list[str], str]:
    """Return what was written, but for the addresses of objects and threads, which are others each time."""
    return of.lines, re.sub("0x[0-9a-f]+", "0x…", of.complaints)


# ---- the table


@pytest.mark.parametrize("repetition", range(REPETITIONS))
@pytest.mark.parametrize("is_supervised", [False, True], ids=["alone", "supervised"])
@pytest.mark.parametrize("name", DEATHS)
def test_a_death_is_told_once_by_who_can_tell_it_and_is_otherwise_as_without_us(
    name: str, is_supervised: bool, repetition: int, state: Path
) -> None:
    death = DEATHS[name]
    expected = death.supervised if is_supervised else death.alone

    with FakeDiscord() as discord:
        ours = {"NOTIFY_STATE_DIR": str(state), "DISCORD_WEBHOOK_URL": discord.url}
        if is_supervised:
            command = [*SUPERVISE, *death.options, "--", "env", f"NAME={PROGRAM}"]
            left = run(death, command, heard=True, NAME=SUPERVISOR, **ours)
        else:
            left = run(death, heard=True, NAME=PROGRAM, **ours)
        told = said_by(discord)
    told += [(NEXT_START, title) for title in delivered_by_the_next_start(state)]

    assert [who for who, _ in told] == [who for who, _ in expected], told
    assert all(part in title for (_, title), (_, part) in zip(told, expected, strict=True)), told
    assert left.code == (death.supervised_code if is_supervised else death.code)
    assert output(left) == output(without_us(name))
    assert without_us(name).code == death.code


# ---- what it looks like


def test_a_crash_is_red_on_discord_with_the_mention_and_within_two_seconds(state: Path) -> None:
    crash = DEATHS["main thread"]._replace(script=f"{FAILS}\nsay(time.monotonic())\nfail()")

    with FakeDiscord() as discord:
        left = run(
            crash,
            heard=True,
            NOTIFY_STATE_DIR=str(state),
            DISCORD_WEBHOOK_URL=discord.url,
            DISCORD_MENTION="42",
        )
        (message,) = discord.messages

    (embed,) = message.embeds
    assert (embed["color"], message.payload["content"]) == (RED, "<@42>")
    assert message.payload["allowed_mentions"] == {"parse": [], "users": ["42"]}
    assert "in fail" in embed["description"]  # the place
    assert "INFO root: Cycle 1" in str(embed)  # the last log lines
    assert message.time - float(left.lines[-1]) < PROMPT
