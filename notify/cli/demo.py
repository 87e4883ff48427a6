"""`notify demo`: the example program, and a table of where its events went."""

import atexit
import sys
from contextlib import suppress

import notify
from notify.cli.output import print_table
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.notifier import Notifier

_WHO = {"NAME": "notify demo", "EXECUTOR_ID": "demo"}


def run_demo(env: Environment, *, days: int, speed: float, crash: bool) -> None:
    """Run the demo in this process, and end the process with exit code 1 when it crashes.

    Raises `ConfigError` when the extra `demo` is not installed or a setting is unusable.
    """
    try:
        import currency_converter  # noqa: F401 - only to say early, and in words, that it is missing
    except ImportError:
        raise ConfigError("the demo needs real exchange rates: pip install 'executor-notify[demo]'") from None
    from notify.demo import run

    unnamed = {name: value for name, value in _WHO.items() if not env.get(name)}
    # No run of the program whose settings these may be: its port and its heartbeat are its own.
    notifier = notify.setup(env=env.but(HTTP_ENABLED="false", HEARTBEAT_URL="", **unnamed))
    # What is registered last runs first, so that everything is delivered before the table is printed.
    atexit.register(print_received, notifier)
    atexit.register(notifier.close)
    try:
        run(notifier, days=days, speed=speed, crash=crash)
    except Exception as error:  # noqa: BLE001 - whatever its bug raises
        # What Python does with an exception that nobody catches, without the frames of the command line above it.
        traceback = error.__traceback__.tb_next if error.__traceback__ is not None else None
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        sys.exit(1)


def print_received(notifier: Notifier) -> None:
    """Print how many events each backend got, delivered, and why not."""
    rows = []
    for name, counts in notifier.stats().items():
        if "delivered" not in counts:
            continue  # the outbox
        dropped = counts["dropped"]
        if name == "intake" and not dropped:
            continue  # nothing but what no backend wants
        rows.append(
            (
                name,
                str(counts["accepted"]),
                str(counts["delivered"]),
                str(counts["retried"]),
                ", ".join(f"{count} {reason}" for reason, count in dropped.items())
                if isinstance(dropped, dict)
                else "",
                str(counts["last_error"] or ""),
            )
        )
    with suppress(BrokenPipeError, SystemExit):  # `notify demo | head`; the latter is what rich makes of it
        print()
        print_table(
            "What every backend received", ("backend", "events", "delivered", "retries", "lost", "last error"), rows
        )
