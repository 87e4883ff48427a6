"""From settings to the status server."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notify import diagnostics, settings
from notify.backends.http import is_loopback
from notify.clock import Clock
from notify.errors import ConfigError
from notify.run_state import RunState
from notify.settings import Settings
from notify.status import auth
from notify.status.app import make_app
from notify.status.server import StatusServer

_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - nothing is bound to them here


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the status of a run is served.

    Args:
        host: the address to listen on.
        port: of it.
        username: with *password*: who may see more than `/ping`; None: everybody.
        password: see *username*.
        public_logs: whether `/logs` is served to everybody.
        stale_after: seconds without progress after which the run is stale.
        good_startup: seconds after which a run has begun well, and is served also when it has crashed.
        executor_id: what machines call the program.
        name: what people call it.
        icon_url: its picture.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    public_logs: bool = False
    stale_after: float = 3600.0
    good_startup: float = 60.0
    executor_id: str
    name: str
    icon_url: str | None = None

    @property
    def url(self) -> str:
        """Where others reach it, as far as that can be known from here: `http://127.0.0.1:3456`."""
        host = os.uname().nodename if self.host in _ANY else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Whether others than this machine see it without a password."""
        return self.username is None and not is_loopback(self.host)


def serving(config: Settings) -> Serving | None:
    """Return how the status is to be served; None when it is not to be, or nothing may be on the network.

    A dry run serves nothing, since the program itself may be running on the same machine; its settings are looked at.

    Raises `ConfigError`, naming the variable, when one is unusable, or there is a username and no password.
    """
    if not config.get(settings.HTTP_ENABLED):
        return None
    readers(config)
    found = Serving(
        host=config.get(settings.HTTP_HOST),
        port=config.get(settings.HTTP_PORT),
        username=config.get(settings.HTTP_USERNAME),
        password=config.get(settings.HTTP_PASSWORD),
        public_logs=config.get(settings.HTTP_PUBLIC_LOGS),
        stale_after=config.get(settings.NOTIFY_STALE_AFTER),
        good_startup=config.get(settings.HTTP_WAIT_GOOD_STARTUP_SECONDS),
        executor_id=config.get(settings.EXECUTOR_ID) or settings.program_name(),
        name=config.get(settings.NAME) or settings.program_name(),
        icon_url=config.get(settings.ICON_URL),
    )
    return None if settings.reaches_nobody(config) else found


def readers(config: Settings) -> auth.Readers | None:
    """Return who may read what is served, None for everybody.

    Raises `ConfigError`, naming the variable, when there is a username and no password, or the other way round.
    """
    try:
        return auth.readers(config.get(settings.HTTP_USERNAME), config.get(settings.HTTP_PASSWORD))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def serve(
    how: Serving,
    run_state: RunState,
    *,
    logs: Callable[[], Iterable[object]],
    stats: Callable[[], Mapping[str, Any]],
    redact_text: Callable[[str], str],
    clock: Clock | None = None,
) -> StatusServer:
    """Serve the status of a run from now on. When everybody on the network may see it, that is said on stderr.

    Args:
        how: it is served.
        run_state: the facts of the run.
        logs: returns its last log records.
        stats: returns the counts of the delivery.
        redact_text: takes secrets out of what is served.
        clock: tells the time since now.

    Raises `ConfigError`, naming the variable, when nothing can listen there.
    """
    app = make_app(
        run_state,
        logs=logs,
        stats=stats,
        metadata={"name": how.name, "icon_url": how.icon_url},
        username=how.username,
        password=how.password,
        public_logs=how.public_logs,
        stale_after=how.stale_after,
        redact_text=redact_text,
        clock=clock,
    )
    server = StatusServer(app, how.host, how.port)
    if how.is_open:
        diagnostics.report(
            "open status",
            f"everybody who reaches {how.host} can see the status of the run; "
            "HTTP_USERNAME and HTTP_PASSWORD have it ask for them",
        )
    return server
