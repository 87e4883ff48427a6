"""Runs programs under `notify run`, with a stand-in for Discord that hears of it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import missing

import notify
from notify.supervisor.oom import counter
from notify.testing.fake_discord import FakeDiscord

_LIMIT = 100 * 2**20  # bytes of memory; Python needs a tenth of it, a supervisor half

PATIENCE = 60.0  # seconds after which a process counts as hanging; most need one

# What setup() does under a supervisor, as far as the supervisor sees it: the program marks itself, and writes its
# stacks down when it is asked to.
MARKED = """
import os, signal, sys, threading, time
from pathlib import Path
from notify.crash import stacks
from notify.crash.marker import RunMarker
from notify.crash.run_file import fault_path
directory = Path(os.environ["NOTIFY_STATE_DIR"])
marker = RunMarker(directory, program="executor-1")
marker.begin()
(mark,) = (directory / "runs").glob(f"{os.getpid()}-*.json")
undo = stacks.answer(os.open(fault_path(mark), os.O_WRONLY | os.O_APPEND))
"""


@dataclass
class Supervision:
    """What `notify run` is called with, and who hears of it."""

    discord: FakeDiscord
    state: Path
    env: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> dict[str, Any]:
        """Return the arguments of `subprocess.run` and `Popen`: *arguments* are the options, `--` and a command."""
        return {
            "args": [sys.executable, "-m", "notify", "run", *arguments],
            "env": {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(notify.__file__).parents[1]),
                "NOTIFY_STATE_DIR": str(self.state),
                "DISCORD_WEBHOOK_URL": self.discord.url,
                "NAME": "my-strategy",
                **self.env,
            },
        }

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run to the end."""
        return subprocess.run(**self.command(*arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)

    @contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """Start it, and kill it when the test does not see it end."""
        pipe = subprocess.PIPE
        with subprocess.Popen(**self.command(*arguments), stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def embeds(self) -> list[dict[str, Any]]:
        """What Discord was sent, in order."""
        return [embed for message in list(self.discord.messages) for embed in message.embeds]

    @property
    def titles(self) -> list[str]:
        """The titles of that, without their emoji."""
        return [embed.get("title", "").lstrip("🆘❌⚠️ ") for embed in self.embeds]

    def wait_for(self, title: str) -> None:
        """Wait until a title begins so."""
        deadline = time.monotonic() + PATIENCE
        while not any(each.startswith(title) for each in self.titles):
            assert time.monotonic() < deadline, f"{title!r} did not come, but {self.titles}"
            time.sleep(0.02)


def fields(embed: dict[str, Any]) -> dict[str, str]:
    """Return the fields of an embed by name."""
    return {each["name"]: each["value"] for each in embed["fields"]}


def python(script: str) -> list[str]:
    """The command line of a small Python program."""
    return ["--", sys.executable, "-c", script]


def shell(script: str) -> list[str]:
    """The command line of a small program that is not written in Python."""
    return ["--", "sh", "-c", script]


@contextmanager
def memory_cgroup() -> Iterator[Path]:
    """Make a memory cgroup of 100 MiB below this process's own. Skips the test where that is not allowed."""
    above = counter() or Path("/nowhere/none")
    mine = above.parent / f"notify-test-{os.getpid()}"
    limit = "memory.max" if above.name == "memory.events" else "memory.limit_in_bytes"
    try:
        mine.mkdir()
        (mine / limit).write_text(str(_LIMIT))
    except OSError:
        if mine.exists():
            mine.rmdir()
        missing("only root can make a memory cgroup")
    try:
        yield mine
    finally:
        mine.rmdir()
