"""How a run is seen from outside: the status server of the process, and the heartbeat."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from notify import settings
from notify.crash.identity import is_child
from notify.notifier import Notifier
from notify.settings import Settings

if TYPE_CHECKING:
    from notify.rules.redaction import Redactor
    from notify.status.serving import Serving

_end_serving: list[Callable[[], None]] = []  # what ends the status server of this process


def serving(config: Settings) -> "Serving | None":
    """Return how the status of the run is to be served, None when it is not to be.

    Raises `ConfigError` when that is asked for with settings that are unusable.
    """
    if not config.get(settings.HTTP_ENABLED):
        return None
    from notify.status.serving import serving as served  # with the whole server, for those who ask for it

    return served(config)


def status_url(config: Settings, served: "Serving | None") -> str | None:
    """Return where people see the status of the run: by the list of all strategies, or else as it is *served*."""
    if config.is_set(settings.TS_PUBLIC_STRATEGIES):
        from notify.fleet.strategies import parse_strategies

        me = config.get(settings.EXECUTOR_ID) or settings.program_name()
        for strategy in parse_strategies(config.get(settings.TS_PUBLIC_STRATEGIES)).strategies:
            if strategy.id == me:
                return f"{strategy.url}/status"
    return None if served is None else f"{served.url}/status"


def stop_serving() -> None:
    """End the status server of this process, if it has one. For a further `setup()` and for tests."""
    while _end_serving:
        _end_serving.pop()()


def at_end_of_serving(undo: Callable[[], None]) -> None:
    """Call *undo* when the status server of this process ends."""
    _end_serving.append(undo)


def be_seen(notifier: Notifier, config: Settings, served: "Serving | None", redact: "Redactor") -> str | None:
    """Serve the status of the run and begin its heartbeat, as far as that is asked for; return where it is served.

    Whatever was served before ends. Raises `ConfigError` when something of it cannot be done.
    """
    stop_serving()
    url = None if served is None else _serve(notifier, served, redact)
    _begin_heartbeat(notifier, config, redact)
    return url


def _serve(notifier: Notifier, served: "Serving", redact: "Redactor") -> str:
    """Serve the status of the run that *notifier* tells of, and return where it is served."""
    from notify.status.serving import serve

    server = serve(served, notifier.run_state, logs=notifier.records, stats=notifier.stats, redact_text=redact.text)
    _end_serving.append(server.close)
    return f"{server.url}/status"


def _begin_heartbeat(notifier: Notifier, config: Settings, redact: "Redactor") -> None:
    if not config.is_set(settings.HEARTBEAT_URL) or is_child():
        return
    from notify.status.heartbeat import heartbeat  # for those who ask for it

    beating = heartbeat(config, notifier.run_state, redact_text=redact.text, clock=notifier.clock)
    if beating is not None:
        notifier.at_close(beating.close)
        beating.begin()
