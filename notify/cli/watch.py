"""`notify watch`: the uptime monitor as a command."""

import signal

import notify
from notify import diagnostics, settings
from notify.cli.check import credentials
from notify.clock import SystemClock
from notify.destinations import is_offline
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.fleet.strategies import Strategies, parse_strategies
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
            count = len(strategies.strategies)
            notifier.notify(
                f"Watching {count} {'strategy' if count == 1 else 'strategies'}, every {interval:g} s", topic="startup"
            )
            Watch(strategies, interval=interval, notifier=notifier, file=file, credentials=sent, max_age=max_age).run()
    except KeyboardInterrupt:  # the notifier has announced it
        return 128 + signal.SIGINT
    except AnotherWatch as error:
        raise ConfigError(str(error)) from None
    return 0  # somebody has closed the notifier


def watched(config: Settings) -> Strategies:
    """Return whom to watch, with a line on stderr for each thing that is wrong with the list.

    Raises `ConfigError` when that leaves nobody, or nothing may leave this machine.
    """
    name = settings.TS_PUBLIC_STRATEGIES.name
    strategies = parse_strategies(config.get(settings.TS_PUBLIC_STRATEGIES))
    for problem in strategies.problems:
        diagnostics.report(f"{name} {problem}", f"{name}: {problem}")
    if not strategies.strategies:
        raise ConfigError(f"{name}: names no strategy to watch; it is a JSON list of {{id, name, url}}")
    if is_offline(config):
        raise ConfigError(
            f"nothing may leave this machine ({settings.UNIT_TESTING.name} or {settings.SIMULATE.name} is true), "
            "and nobody would be watched"
        )
    return strategies
