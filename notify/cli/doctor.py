"""`notify doctor`: everything that can be checked without sending anything."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from notify import settings
from notify.backend import Backend
from notify.bootstrap import destinations, open_outbox
from notify.cli.output import print_json, print_table
from notify.errors import ConfigError, DeliveryError
from notify.levels import level_name
from notify.rules.redaction import Redactor
from notify.rules.routing import Route
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
    found = [_setting(config, setting) for setting in config.rows() if config.is_set(setting)]
    for name, near in config.unknown():
        hint = f"; did you mean {near}?" if near else ""
        found.append(Finding(name, WARNING, f"no setting of ours{hint}"))
    try:
        reached, routes = destinations(config, {})
    except ConfigError as error:
        subject, _, text = str(error).partition(": ")
        # Some settings are looked at twice, and the second, closer look is what counts.
        found = [finding for finding in found if finding.subject != subject]
        return [*found, Finding(subject, WRONG, text)]
    found += _outbox(config, reached)
    found += [_destination(name, backend, _described(routes[name])) for name, backend in reached.items()]
    if not reached:
        found.append(Finding("setup()", WARNING, "no backend at all: what the program says is heard by nobody"))
    return found


def _setting(config: Settings, setting: settings.Setting[object]) -> Finding:
    try:
        config.get(setting)
    except ConfigError as error:
        return Finding(setting.name, WRONG, str(error).partition(": ")[2])
    return Finding(setting.name, OK, "set" if setting.secret else Redactor().text(config.env[setting.name]))


def _outbox(config: Settings, reached: Mapping[str, Backend]) -> list[Finding]:
    """Say whether the disk works, by using it, when there is anything to be kept on it."""
    try:
        outbox = open_outbox(config, reached)
    except ConfigError:  # of a setting, which has a row of its own
        return []
    if outbox is None:
        return []
    broken = outbox.broken
    outbox.close()
    where = settings.state_dir(config)
    if broken is not None:
        return [Finding("outbox", WRONG, f"events are not kept on disk: {broken}")]
    return [Finding("outbox", OK, f"{where}: durable events are kept there until they are delivered")]


def _described(route: Route) -> str:
    if route.level == settings.NEVER:
        return "gets nothing: its level is off"
    return f"gets {level_name(route.level)} and above, topics: {route.topics}"


def _destination(name: str, backend: Backend, route: str) -> Finding:
    check: Callable[[], str] | None = getattr(backend, "check", None)
    try:
        reached = check() if check is not None else ""
    except Exception as error:  # noqa: BLE001 - a third party's check() may raise anything
        return Finding(name, WRONG, f"{_reason(error)}; {route}")
    finally:
        backend.close()
    return Finding(name, OK, "; ".join(filter(None, (reached, route))))


def _reason(error: Exception) -> str:
    """Say what went wrong. Of what others raise only what the system says is known to hold no credentials."""
    if isinstance(error, DeliveryError):
        return str(error)
    said = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
