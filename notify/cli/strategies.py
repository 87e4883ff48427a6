"""What the commands about strategies have in common: whom they look at, and what they send."""

import sys
from collections.abc import Iterable

from notify import settings
from notify.errors import ConfigError
from notify.fleet.fetch import Credentials
from notify.fleet.strategies import Strategies, parse_strategies
from notify.plural import plural
from notify.settings import Settings


def listed(config: Settings) -> Strategies:
    """Return what TS_PUBLIC_STRATEGIES says, with a line on stderr for each thing that is wrong with it."""
    found = parse_strategies(config.get(settings.TS_PUBLIC_STRATEGIES))
    say_problems(found.problems)
    return found


def say_problems(problems: Iterable[str]) -> None:
    """Say on stderr what is wrong with TS_PUBLIC_STRATEGIES, a line each."""
    for problem in problems:
        print(f"notify: {settings.TS_PUBLIC_STRATEGIES.name}: {problem}", file=sys.stderr, flush=True)


def counted(strategies: Strategies) -> str:
    """Return how many there are: `1 strategy`, `2 strategies`."""
    count = len(strategies.strategies)
    return f"{count} {plural(count, 'strategy', 'strategies')}"


def credentials(config: Settings) -> Credentials:
    """Return what `--auth` sends. Raises `ConfigError` when it is not set."""
    username, password = config.get(settings.HTTP_USERNAME), config.get(settings.HTTP_PASSWORD)
    if username is None or password is None:
        raise ConfigError("--auth: set HTTP_USERNAME and HTTP_PASSWORD, in the environment or with --env-file")
    return Credentials(username, password)


def need_network(config: Settings, otherwise: str) -> None:
    """Raise `ConfigError` when nothing may leave this machine; *otherwise* says what would come of it."""
    if settings.is_offline(config):
        raise ConfigError(
            f"nothing may leave this machine ({settings.UNIT_TESTING.name} or {settings.SIMULATE.name} is true), "
            f"and {otherwise}"
        )
