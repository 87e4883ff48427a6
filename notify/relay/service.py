"""A relay's worker as a service: one life after the other, until it is told to end."""

import math
import os
import secrets
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from notify import diagnostics, settings
from notify.backend import Backend
from notify.backends.relay.address import Address, parse_address
from notify.backends.relay.server import look as look_at_server
from notify.backends.relay.server import open_client, outdated, unfit
from notify.backends.relay.trouble import trouble
from notify.backends.relay.wire import EVENTS
from notify.clock import SystemClock
from notify.destinations import destinations
from notify.errors import ConfigError, Gone
from notify.relay.look import Overview, look
from notify.relay.matters import SharedFolding
from notify.relay.report import Reporter
from notify.relay.share import share
from notify.relay.stream import LEASE, LeaseLost, Stream
from notify.relay.worker import Stopping, Worker
from notify.rules.routing import Route
from notify.run_state import RunState
from notify.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

    from notify.rules.redaction import Redactor

CLOSING = 4.0  # seconds that are left for what is in hand when the service is told to end
_GOODBYE = 0.3  # more, to leave what is not delivered to others
_LOOK_EVERY = 0.05  # seconds between two looks whether it is to end
_AGAIN = 2.0  # seconds between two looks for a server that is not there yet
_LOOK_SECONDS = 1.0  # that the server may take when its numbers are asked for over HTTP


class Destinations(NamedTuple):
    """Where to.

    Args:
        backends: by name.
        routes: of each.
    """

    backends: dict[str, Backend]
    routes: dict[str, Route]


class Stop:
    """Set when the service is told to end, which it does by then whether Redis answers or not.

    Without a lock: a signal handler that interrupts a `wait` would wait for that of `threading.Event` for ever.
    """

    def __init__(self) -> None:
        self.ends_at = math.inf
        """When nobody waits for Redis any more, in monotonic seconds."""

    def set(self) -> None:
        """Have the service end."""
        self.ends_at = min(self.ends_at, time.monotonic() + CLOSING + _GOODBYE)

    def is_set(self) -> bool:
        """Say whether the service is to end."""
        return self.ends_at < math.inf

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, *timeout* seconds at most. Say whether it is."""
        ends_at = time.monotonic() + timeout
        while not self.is_set() and (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY))
        return self.is_set()

    def left(self) -> float:
        """Return the seconds that are left for what is in hand, once it is set."""
        return max(0.0, self.ends_at - _GOODBYE - time.monotonic())


def address_of(config: Settings) -> Address:
    """Return where the relay's Redis is. Raises `ConfigError`, without the URL, also where redis is not installed."""
    if find_spec("redis") is None:
        raise ConfigError("this needs redis: pip install 'executor-notify[relay]'")
    url = config.get(settings.NOTIFY_RELAY_URL)
    name = settings.NOTIFY_RELAY_URL.name
    if url is None:
        raise ConfigError(f"{name}: not set; it says which Redis the executors publish to, such as redis://host:6379/0")
    try:
        return parse_address(url)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


def open_destinations(config: Settings) -> Destinations:
    """Return where events go. Raises `ConfigError` when that is nowhere, or a setting is unusable."""
    # On the standard output of a worker nobody waits for the events of a fleet, unless he asks for them.
    if config.get(settings.NOTIFY_STDOUT) == "auto":
        config = Settings({**config.env, settings.NOTIFY_STDOUT.name: "off"})
    backends, routes = destinations(config, {}, in_relay=True)
    if not backends:
        raise ConfigError(
            "there is no backend to deliver to: set DISCORD_WEBHOOK_URL, TELEGRAM_API_KEY, APPRISE_URLS or "
            "NOTIFY_BACKENDS; NOTIFY_STDOUT=text prints what comes"
        )
    return Destinations(backends, routes)


def refuse_unfit(client: "Redis", stop: Stopping, *, takes_any: bool) -> None:
    """Wait until the server answers, and refuse one that may lose what it has, unless any is taken.

    Raises `ConfigError` then, for one that is too old, and for one that refuses us.
    """
    while not stop.is_set():
        try:
            server = look_at_server(client)
        except Exception as error:  # noqa: BLE001 - redis-py's
            means = trouble(error)
            if isinstance(means, Gone):
                raise ConfigError(f"{settings.NOTIFY_RELAY_URL.name}: {means}") from None
            diagnostics.report("relay away", f"{means}; it is tried again")
            stop.wait(_AGAIN)
            continue
        name = settings.NOTIFY_RELAY_URL.name
        for line in outdated(server):
            raise ConfigError(f"{name}: {line}")
        wrong = [] if takes_any else unfit(server)
        if wrong:
            raise ConfigError(f"{name}: {'; '.join(wrong)}. --any-redis takes it all the same")
        return


class Service:
    """Works until it is told to end: when others have taken over, it begins anew under another name.

    Args:
        config: the settings.
        client: of the server, which waits for nothing when `Stop.ends_at` is over.
        first: where to, as it was opened to see whether that can be done.
        redactor: takes secrets out of events and texts.
        run_state: refreshed with each look at the stream.
    """

    def __init__(
        self, config: Settings, client: "Redis", first: Destinations, *, redactor: "Redactor", run_state: RunState
    ) -> None:
        self._config = config
        self._client = client
        self._destinations: Destinations | None = first
        self._redactor = redactor
        self._run_state = run_state
        self._worker: Worker | None = None
        self._had_group = False

    def run(self, stop: Stop) -> None:
        """Work until *stop* is set; then deliver what is in hand, for four seconds at most."""
        while not stop.is_set():
            self._live(stop)

    def stats(self) -> dict[str, dict[str, Any]]:
        """Return the counts of this worker's lanes, and under `notify:events` what is measured of all."""
        told: dict[str, dict[str, Any]] = {} if self._worker is None else self._worker.stats()
        client = open_client(address_of(self._config), request_seconds=_LOOK_SECONDS)
        try:
            told[EVENTS] = numbers(look(client))
        except Exception as error:  # noqa: BLE001 - redis-py's; what this worker knows is told all the same
            told[EVENTS] = {"away": str(trouble(error))}
        finally:
            client.close()
        return told

    def _live(self, stop: Stop) -> None:
        to, self._destinations = self._destinations or open_destinations(self._config), None
        share(to.backends, self._client)
        name = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(3)}"
        stream = Stream(self._client, name, lease=LEASE)
        reporter = Reporter(stream)

        def refreshed() -> None:
            self._run_state.refresh()
            reporter.tell(worker)

        self._worker = worker = Worker(
            stream,
            to.backends,
            to.routes,
            judging=SharedFolding(
                self._client,
                name,
                to.backends,
                to.routes,
                interval=self._config.get(settings.NOTIFY_REPEAT_INTERVAL),
                storm_limit=self._config.get(settings.NOTIFY_STORM_LIMIT),
            ),
            redact=self._redactor.events,
            redact_text=self._redactor.text,
            clock=SystemClock(),
            lease=LEASE,
            had_group=self._had_group,
            refreshed=refreshed,
        )
        try:
            worker.run(stop)
        except LeaseLost as error:
            diagnostics.report("relay lost", f"{error}: it begins anew")
            self._had_group = True
            worker.close(0.0)
        else:
            worker.close(stop.left())


def numbers(overview: Overview) -> dict[str, Any]:
    """Return what is measured of a relay."""
    return {
        "waiting": overview.waiting,
        "pending": overview.pending,
        "oldest_seconds": overview.oldest or 0.0,
        "rate": round(overview.rate, 2),
        "workers": sum(each.lives for each in overview.workers),
        "limits": len(overview.limits),
        "dead_letters": overview.dead,
        "memory_bytes": overview.memory,
        "memory_limit_bytes": overview.memory_limit,
    }
