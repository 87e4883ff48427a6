"""`notify doctor`: everything that can be checked without sending anything."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from notify import settings
from notify.backend import Backend
from notify.bootstrap import destinations
from notify.cli.receipts import print_json, print_table
from notify.errors import ConfigError, DeliveryError
from notify.levels import level_name
from notify.settings import Settings

OK, WARNING, WRONG = "ok", "warning", "wrong"


class Finding(NamedTuple):
    """What was looked at and what was found."""

    subject: str
    verdict: str
    text: str


def examine(env: Mapping[str, str], *, as_json: bool) -> int:
    """Print what was found, and return the exit code: 1 when something is wrong."""
    found = findings(Settings(env))
    if as_json:
        print_json([finding._asdict() for finding in found])
    else:
        print_table("", ("checked", "", "found"), found)
    return 1 if any(finding.verdict == WRONG for finding in found) else 0


def findings(config: Settings) -> list[Finding]:
    """Check every setting, then every destination."""
    found = [_setting(config, setting) for setting in settings.TABLE if config.is_set(setting)]
    for name, near in config.unknown():
        hint = f"; did you mean {near}?" if near else ""
        found.append(Finding(name, WARNING, f"no setting of ours{hint}"))
    try:
        reached, routes = destinations(config, {})
    except ConfigError as error:
        found.append(Finding("setup()", WRONG, str(error)))
        return found
    for name, backend in reached.items():
        route = routes[name]
        level, topics = level_name(route.level), settings.shown(route.topics)
        found.append(_destination(name, backend, f"gets {level} and above, topics: {topics}"))
    if not reached:
        found.append(Finding("setup()", WARNING, "no backend at all: what the program says is heard by nobody"))
    return found


def _setting(config: Settings, setting: settings.Setting[object]) -> Finding:
    try:
        value = config.get(setting)
    except ConfigError as error:
        return Finding(setting.name, WRONG, str(error).partition(": ")[2])
    return Finding(setting.name, OK, "set" if setting.secret else settings.shown(value))


def _destination(name: str, backend: Backend, route: str) -> Finding:
    check: Callable[[], str] | None = getattr(backend, "check", None)
    try:
        reached = check() if check is not None else ""
    except (DeliveryError, OSError) as error:
        text = str(error) if isinstance(error, DeliveryError) else type(error).__name__
        return Finding(name, WRONG, f"{text}; {route}")
    finally:
        backend.close()
    return Finding(name, OK, "; ".join(filter(None, (reached, route))))
