"""`notify watch`: the uptime monitor as a command."""

import signal

import notify
from notify import settings
from notify.cli.strategies import counted, credentials, listed, need_network
from notify.clock import SystemClock
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.fleet.strategies import Strategies
from notify.fleet.watch import Watch
from notify.fleet.watch_file import AnotherWatch, WatchFile
from notify.settings import Settings

_WHO = {"NAME": "notify watch", "EXECUTOR_ID": "notify-watch"}


def watch(env: Environment, *, interval: float, auth: bool) -> int:
    """Watch until a signal ends it, and return the exit code of one that Ctrl-C has ended.

    Raises `ConfigError` when there is nobody to watch or a setting is unusable.
    """
    # Names of its own, and so a state directory of its own, unless it is given some.
    env = env.but(**{name: value for name, value in _WHO.items() if not env.get(name, "").strip()})
    config = Settings(env)
    strategies = watched(config)
    sent = credentials(config) if auth else None
    max_age = config.get(settings.NOTIFY_STALE_AFTER)
    try:
        with WatchFile(settings.state_dir(config), SystemClock()) as file, notify.setup(env=env) as notifier:
            notifier.notify(f"Watching {counted(strategies)}, every {interval:g} s", topic="startup")
            Watch(strategies, interval=interval, notifier=notifier, file=file, credentials=sent, max_age=max_age).run()
    except KeyboardInterrupt:  # the notifier has announced it
        return 128 + signal.SIGINT
    except AnotherWatch as error:
        raise ConfigError(str(error)) from None
    return 0  # somebody has closed the notifier


def watched(config: Settings) -> Strategies:
    """Return whom to watch. Raises `ConfigError` when that is nobody, or nothing may leave this machine."""
    strategies = listed(config)
    if not strategies.strategies:
        name = settings.TS_PUBLIC_STRATEGIES.name
        raise ConfigError(f"{name}: names no strategy to watch; it is a JSON list of {{id, name, url}}")
    need_network(config, "nobody would be watched")
    return strategies
