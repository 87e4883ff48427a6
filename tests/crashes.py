"""Programs that crash, each run in a process of its own: with a notifier that hears of it, or as it is without us."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import notify

ENDING = 60.0  # seconds after which a process counts as hanging

# What is told goes to a file, so that the output stays the program's own.
PRELUDE = """
import json, logging, os, sys, threading, time
from contextlib import nullcontext

logging.basicConfig(format="%(name)s %(levelname)s %(message)s")  # on stderr, so that it can be compared
WITH = sys.argv[1] == "with"

if WITH:
    import atexit
    import notify
    from notify.crash import asyncio_errors, children, hooks, unraisable
    from notify.crash.guard import guard
    from notify.crash.report import report_crash
    from notify.notifier import Notifier, set_notifier

    class Told:
        folds = False

        def send(self, events, /):
            told = events[0]
            line = {name: getattr(told, name) for name in ("message", "body", "level", "topic", "fields", "tail")}
            line["source"] = f"{told.source.path}:{told.source.line}"
            if told.exception is not None:
                line["exception"] = told.exception.type
                line["traceback"] = told.exception.traceback
            with open(sys.argv[2], "a") as file:
                file.write(json.dumps(line) + "\\n")
            return 1

        def close(self):
            pass

    def make():
        notifier = Notifier({"told": Told()})
        set_notifier(notifier)
        return notifier

    def watch():
        notifier = make()
        notifier.attach()
        for install in (hooks.install, unraisable.install, asyncio_errors.install):
            notifier.at_close(install(notifier))
        notifier.at_close(children.install(notifier, make))
        atexit.register(notifier.close)
        return notifier
else:
    def guard(where):
        return nullcontext()

if __name__ == "__main__" and WITH:
    notifier = watch()
"""


class Ran(NamedTuple):
    """What is left of a process."""

    code: int
    told: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def crashes(self) -> list[dict[str, Any]]:
        return [event for event in self.told if event["topic"] == "crash"]

    @property
    def messages(self) -> list[str]:
        return [event["message"] for event in self.crashes]


def run(directory: Path, code: str, *arguments: str, heard: bool = True) -> Ran:
    """Run *code* in *directory*, which gets its files; not *heard*: without us."""
    script, told = directory / "program.py", directory / "told"
    script.write_text(PRELUDE + dedent(code))
    ended = subprocess.run(
        # From 3.12 on Python warns of forks beside threads.
        [
            *(sys.executable, "-W", "ignore::DeprecationWarning"),
            *(script, "with" if heard else "without", told),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=ENDING,
        check=False,
        cwd=directory,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(notify.__file__).parents[1]),
            "PYTHONIOENCODING": "utf-8",
            "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
        },
    )
    lines = told.read_text().splitlines() if told.exists() else []
    told.unlink(missing_ok=True)
    return Ran(ended.returncode, list(map(json.loads, lines)), ended.stdout, ended.stderr)


def run_both(directory: Path, code: str, *arguments: str) -> Ran:
    """Run *code* with us and without, and see that nobody else can tell the difference."""
    alone = run(directory, code, *arguments, heard=False)
    heard = run(directory, code, *arguments)
    assert _without_addresses(heard) == _without_addresses(alone)
    return heard


def _without_addresses(ran: Ran) -> tuple[int, str, str]:
    address = re.compile("0x[0-9a-f]+")
    return ran.code, address.sub("0x…", ran.stdout), address.sub("0x…", ran.stderr)
