"""`notify caddyfile`: a reverse proxy's configuration from the list of strategies."""

import sys
from collections.abc import Mapping

from notify.errors import ConfigError
from notify.fleet.caddyfile import Domain, make_caddyfile, parse_domain
from notify.fleet.strategies import parse_strategies
from notify.settings import TS_PUBLIC_STRATEGIES, Settings


def print_caddyfile(env: Mapping[str, str], domain: str | None) -> None:
    """Print a Caddyfile; what is wrong with the list goes to stderr, a line each.

    Args:
        env: whose TS_PUBLIC_STRATEGIES is the list.
        domain: below which the sites are; None: the urls say where they are.

    Raises `ConfigError` when *domain* is none, or no strategy can have a site.
    """
    below = None if domain is None else _domain(domain)
    found = parse_strategies(Settings(env).get(TS_PUBLIC_STRATEGIES))
    made = make_caddyfile(found.strategies, below)
    for problem in (*found.problems, *made.problems):
        print(f"notify: {TS_PUBLIC_STRATEGIES.name}: {problem}", file=sys.stderr)
    if not made.text:
        raise ConfigError(
            f"{TS_PUBLIC_STRATEGIES.name}: no strategy in it can have a site; "
            "it is a JSON list of {id, name, url, upstream}"
        )
    print(made.text, end="")


def _domain(text: str) -> Domain:
    try:
        return parse_domain(text)
    except ValueError as error:
        raise ConfigError(f"--domain: {error}") from None
