"""What is wrong with an outbox, told to whoever gave the command: one line of text, or JSON."""

import json
import os
import pwd
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from notify.backends.stdout import escape
from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.listing import NoOutbox
from notify.delivery.state_dir import StateDirError
from notify.errors import NotifyError


class Refused(NotifyError):
    """A command cannot do what it is told. The text says why."""


@contextmanager
def errors_told(directory: Path, *, as_json: bool) -> Iterator[None]:
    """End the command with exit code 1 and one line on stderr, or JSON on stdout, when it cannot be done."""
    try:
        yield
    except Refused as error:
        _tell(str(error), as_json=as_json)
    except NoOutbox as error:
        hint = "say where the program has its own: --state-dir, NOTIFY_STATE_DIR or EXECUTOR_ID"
        _tell(f"{error}; {hint}", as_json=as_json)
    except (StoreError, StateDirError, OSError) as error:
        said = f"the outbox cannot be used: {error.strerror}" if isinstance(error, OSError) else str(error)
        _tell(_not_ours(directory) or said, as_json=as_json)
    else:
        return
    raise typer.Exit(1)


def say(text: str) -> None:
    """Say on stderr what went wrong."""
    print(f"notify: {escape(text)}", file=sys.stderr)


def _tell(text: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": text}, ensure_ascii=False))
    else:
        say(text)


def _not_ours(directory: Path) -> str | None:
    """Return what to do about an outbox that belongs to another user; None when it does not."""
    for path in (directory / NAME, directory):
        with suppress(OSError):
            owner = path.lstat().st_uid
            if owner != os.geteuid():
                command = f"sudo -u {shlex.quote(_sudo_name(owner))} notify outbox …"
                where = f"--state-dir {shlex.quote(str(directory))}"
                return f"{path} belongs to user {_user_name(owner)}; run it as that user: {command} {where}"
    return None


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _sudo_name(user: int) -> str:
    """Return what sudo calls a user: `#1234` where there is no name."""
    name = _user_name(user)
    return f"#{name}" if name.isdigit() else name
