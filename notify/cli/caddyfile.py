"""`notify caddyfile`: a reverse proxy's configuration from the list of strategies."""

from collections.abc import Mapping

from notify.cli.strategies import listed, say_problems
from notify.errors import ConfigError
from notify.fleet.caddyfile import Domain, make_caddyfile, parse_domain
from notify.settings import TS_PUBLIC_STRATEGIES, Settings


def print_caddyfile(env: Mapping[str, str], domain: str | None) -> None:
    """Print a Caddyfile; what is wrong with the list goes to stderr, a line each.

    Args:
        env: whose TS_PUBLIC_STRATEGIES is the list.
        domain: below which the sites are; None: the urls say where they are.

    Raises `ConfigError` when *domain* is none, or no strategy can have a site.
    """
    below = None if domain is None else _domain(domain)
    found = listed(Settings(env))
    made = make_caddyfile(found.strategies, below)
    say_problems(made.problems)
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
