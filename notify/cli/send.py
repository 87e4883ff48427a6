"""`notify send`: one message from the shell."""

import mimetypes
import sys
from collections.abc import Sequence
from pathlib import Path

import notify
from notify.cli.output import arrived, only_json, print_json, print_table, receipt_rows, say_if_none, told
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.event import Attachment
from notify.setting import NO_BACKENDS


def send_message(
    env: Environment,
    message: str,
    body: str,
    level: int,
    topic: str,
    fields: Sequence[str],
    files: Sequence[Path],
    *,
    timeout: float,
    as_json: bool,
) -> int:
    """Send it, print a receipt from each backend, and return the exit code: 0 when all that want it took it.

    Raises `ConfigError` for a field without `=` or a file that cannot be read.
    """
    named = dict(_field(text) for text in fields)
    attachments = [_attachment(path) for path in files]
    # Whoever asks learns at once what became of it: nothing is left for another process to deliver. And this is no run
    # of the program, whose settings these are: its port and its heartbeat are its own.
    here_only = env.but(NOTIFY_DURABLE_LEVEL="off", HTTP_ENABLED="false", HEARTBEAT_URL="")
    with only_json(here_only, wanted=as_json) as heard, notify.setup(env=heard) as notifier:
        ticket = notifier.notify(
            message,
            body=sys.stdin.read() if body == "-" else body,
            level=level,
            topic=topic,
            fields=named,
            attachments=attachments,
        )
        notifier.close(timeout)  # and no longer than something may still come of it
    outcomes = told(ticket, notifier)
    backends = [name for name in notifier.stats() if name not in NO_BACKENDS]
    rows = receipt_rows(outcomes, backends)
    say_if_none(backends)
    if as_json:
        print_json({"id": ticket.id, "outcomes": dict(outcomes)})
    else:
        print_table("", ("backend", "outcome"), rows)
    return 0 if outcomes and all(map(arrived, outcomes.values())) else 1


def _field(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ConfigError("--field: not of the form NAME=VALUE")
    return name, value


def _attachment(path: Path) -> Attachment:
    try:
        return Attachment(path.name, path.read_bytes(), mimetypes.guess_type(path.name)[0])
    except OSError as error:
        raise ConfigError(f"--attach: {path}: {error.strerror}") from None
