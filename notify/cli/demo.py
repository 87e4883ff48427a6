"""`notify demo`: the example program, and a table of where its events went."""

import atexit
import sys
from collections.abc import Mapping

import notify
from notify.cli.receipts import print_table
from notify.errors import ConfigError
from notify.notifier import Notifier


def run_demo(env: Mapping[str, str], *, days: int, speed: float, crash: bool) -> None:
    """Run the demo in this process. With *crash*, what its bug raises is raised here.

    Raises `ConfigError` when the extra `demo` is not installed or a setting is unusable.
    """
    try:
        import currency_converter  # noqa: F401 - only to say early, and in words, that it is missing
    except ImportError:
        raise ConfigError("the demo needs real exchange rates: pip install 'executor-notify[demo]'") from None
    from notify.demo import run

    notifier = notify.setup(env={"NAME": "notify demo", "EXECUTOR_ID": "demo", **env})
    # setup() has registered the notifier's own end, which is to come first: the last registered runs first.
    atexit.unregister(notifier.close)
    atexit.register(print_received, notifier)
    atexit.register(notifier.close)
    run(notifier, days=days, speed=speed, crash=crash)


def print_received(notifier: Notifier) -> None:
    """Print how many events each backend got, delivered, and why not."""
    rows = []
    for name, counts in notifier.stats().items():
        dropped = counts["dropped"]
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
    sys.stdout.write("\n")
    print_table(
        "What every backend received", ("backend", "events", "delivered", "retries", "lost", "last error"), rows
    )
