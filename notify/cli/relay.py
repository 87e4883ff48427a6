"""`notify relay`: a worker of the relay as a command."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from notify import misspelt, settings
from notify.backends.relay.server import open_client
from notify.bootstrap import redactor
from notify.cli.strategies import need_network
from notify.clock import SystemClock
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.relay.service import Service, Stop, address_of, open_destinations, refuse_unfit
from notify.run_state import RunState
from notify.settings import Settings

_STALE_AFTER = "60"  # seconds; it looks at the stream once a second


def work(env: Environment, *, any_redis: bool) -> int:
    """Deliver what executors publish, until a signal ends it, and return the exit code.

    Raises `ConfigError` when there is nowhere to deliver to, Redis may lose what it has, or a setting is unusable.
    """
    if not env.get(settings.NOTIFY_STALE_AFTER.name, "").strip():
        env = env.but(**{settings.NOTIFY_STALE_AFTER.name: _STALE_AFTER})
    config = Settings(env)
    need_network(config, "nothing would be delivered")
    if config.get(settings.NOTIFY_DRY_RUN):
        name = settings.NOTIFY_DRY_RUN.name
        raise ConfigError(f"{name}: a worker that only prints would take events from those that deliver")
    misspelt.report(config)
    address = address_of(config)
    to = open_destinations(config)
    search = redactor(config)
    run_state = RunState()
    run_state.executor_id = config.get(settings.EXECUTOR_ID) or "notify-relay"
    stop = Stop()
    client = open_client(address, ends_at=lambda: stop.ends_at)
    service = Service(config, client, to, redactor=search, run_state=run_state)
    with _set_by_signals(stop), ExitStack() as stack:
        stack.callback(client.close)
        if config.get(settings.HTTP_ENABLED):
            from notify.status.serving import serve, serving  # with the whole server, for who asks for it

            served = serving(config)
            if served is not None:
                server = serve(served, run_state, logs=list, stats=service.stats, redact_text=search.text)
                stack.callback(server.close)
                _say(f"its status is at {server.url}/status")
        refuse_unfit(client, stop, takes_any=any_redis)
        if config.is_set(settings.HEARTBEAT_URL):
            from notify.status.heartbeat import heartbeat  # as above

            beating = heartbeat(config, run_state, redact_text=search.text, clock=SystemClock())
            if beating is not None:
                stack.callback(beating.close)
                beating.begin()
        _say(f"delivers to {', '.join(to.backends)} (Ctrl-C ends it)")
        service.run(stop)
    return 0


@contextmanager
def _set_by_signals(stop: Stop) -> Iterator[None]:
    """Have SIGTERM and Ctrl-C set *stop*. A second one ends the process at once."""

    def end(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(f"notify: {text}", file=sys.stderr, flush=True)
