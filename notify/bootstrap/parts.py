"""What a notifier is made of: backends, what redacts, and what keeps events on disk."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from notify import settings
from notify.backend import Backend, durable
from notify.destinations import destinations
from notify.notifier import Notifier
from notify.setting import NEVER
from notify.settings import Settings

if TYPE_CHECKING:
    from notify.delivery.outbox import Outbox
    from notify.rules.redaction import Redactor


def make_notifier(
    config: Settings, backends: Mapping[str, object], redact: "Redactor"
) -> tuple[Notifier, Mapping[str, Backend]]:
    """Return a notifier that delivers to what *config* and the program ask for, and the backends that it has.

    Args:
        config: the settings.
        backends: of the program.
        redact: takes secrets out of events.

    Raises `ConfigError` when a setting is unusable; nothing is left open then.
    """
    durable_level = config.get(settings.NOTIFY_DURABLE_LEVEL)
    repeat_interval = config.get(settings.NOTIFY_REPEAT_INTERVAL)
    storm_limit = config.get(settings.NOTIFY_STORM_LIMIT)
    reached, routes = destinations(config, backends)
    with ExitStack() as opened:
        for backend in reached.values():
            opened.callback(backend.close)
        if (outbox := open_outbox(config, reached)) is not None:
            opened.callback(outbox.close)
        notifier = Notifier(
            reached,
            routes=routes,
            outbox=outbox,
            durable_level=durable_level,
            redact=redact,
            repeat_interval=repeat_interval,
            storm_limit=storm_limit,
        )
        opened.pop_all()  # it is the notifier's now
    return notifier, reached


def redactor(config: Settings) -> "Redactor":
    """Return what takes the secrets of *config* and of the process, and all that looks like one, out of events."""
    from notify.rules.redaction import Redactor  # a seventh of what a program without backends would pay to start

    return Redactor(settings.known_secrets(config))


def open_outbox(config: Settings, reached: Mapping[str, Backend]) -> "Outbox | None":
    """Return what keeps events on disk, None when no backend is worth it or nothing is to be kept."""
    if config.get(settings.NOTIFY_DURABLE_LEVEL) == NEVER or not any(map(durable, reached.values())):
        return None
    from notify.delivery.outbox import Outbox  # with SQLite, for those who need it

    return Outbox(settings.state_dir(config))
