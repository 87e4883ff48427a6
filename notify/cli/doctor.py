"""`notify doctor`: everything that can be checked without sending or changing anything."""

import difflib
import os
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from notify import misspelt, settings
from notify.backend import Backend, durable
from notify.cli.doctor_status import status_findings
from notify.cli.finding import OK, WARNING, WRONG, Finding
from notify.cli.outbox import age
from notify.cli.output import print_json, print_table
from notify.delivery.outbox.look import Look, look
from notify.destinations import destinations, without_effect
from notify.errors import ConfigError, DeliveryError, Unfit
from notify.fleet.strategies import parse_strategies
from notify.levels import level_name
from notify.plural import plural
from notify.route_setting import fallback_setting
from notify.rules.redaction import Redactor
from notify.rules.routing import TOPICS, Route, Topics
from notify.rules.secret_values import SHORTEST
from notify.rules.silence import Silence
from notify.setting import NEVER, Setting
from notify.settings import Settings

_OFFLINE = (settings.UNIT_TESTING, settings.SIMULATE, settings.NOTIFY_DRY_RUN)
_LONG = 3600.0  # seconds that an event may wait before that is worth a warning


def examine(env: Mapping[str, str], *, as_json: bool) -> int:
    """Print what was found, and return the exit code: 1 when something is wrong."""
    found = findings(env)
    if as_json:
        print_json([finding._asdict() for finding in found])
    else:
        print_table("", ("checked", "", "found"), found)
    return 1 if any(finding.verdict == WRONG for finding in found) else 0


def findings(env: Mapping[str, str]) -> list[Finding]:
    """Check every setting, then the outbox and every destination. Changes nothing."""
    config = Settings(env)
    found = []
    for setting in config.rows():
        if config.is_set(setting):
            found += _strategies(config) if setting is settings.TS_PUBLIC_STRATEGIES else [_setting(config, setting)]
            found += _unusual_topics(config, setting)
    found += [Finding(name, WARNING, why.removeprefix("is ")) for name, why in misspelt.unknown(config)]
    with suppress(ConfigError):  # of a setting, which has a row of its own
        found += [Finding(name, WARNING, why) for name, why in without_effect(config)]
    found += _short_secrets(config, getattr(env, "file", {}))
    found += _network(config)
    found = _replaced(found, status_findings(config))
    try:
        reached, routes = destinations(config, None)
    except ConfigError as error:
        subject, _, text = str(error).partition(": ")
        return _replaced(found, [Finding(subject, WRONG, text)])
    found += _outbox(config, reached)
    found = _replaced(found, _unset_backends(config, reached))
    found += _unknown_fallbacks(config, routes)
    found += [_destination(name, backend, _described(routes[name])) for name, backend in reached.items()]
    if not reached:
        found.append(Finding("setup()", WARNING, "no backend at all: what the program says is heard by nobody"))
    return found


def _replaced(found: list[Finding], closer: list[Finding]) -> list[Finding]:
    """Return *found* and *closer*: some settings are looked at twice, and the second, closer look is what counts."""
    subjects = {finding.subject for finding in closer}
    return [*(finding for finding in found if finding.subject not in subjects), *closer]


def _setting(config: Settings, setting: Setting[object]) -> Finding:
    try:
        config.get(setting)
    except ConfigError as error:
        return Finding(setting.name, WRONG, str(error).partition(": ")[2])
    return Finding(setting.name, OK, "set" if setting.secret else Redactor().text(config.env[setting.name]))


def _unusual_topics(config: Settings, setting: Setting[object]) -> list[Finding]:
    """Name the topics that are none of those in use: the program's own, or slips."""
    with suppress(ConfigError):  # which the setting's own row tells
        value = config.get(setting)
        topics = value.topics if isinstance(value, Silence) else value
        if isinstance(topics, Topics):
            return [
                Finding(setting.name, WARNING, _unusual(topic))
                for topic in sorted((topics.wanted | topics.unwanted) - set(TOPICS))
            ]
    return []


def _unusual(topic: str) -> str:
    near = difflib.get_close_matches(topic, TOPICS, n=1, cutoff=0.7)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"'{Redactor().text(topic)}' is no topic of ours, and right only if the program has one of that name{hint}"


def _strategies(config: Settings) -> list[Finding]:
    """Read the list of strategies, and ask none of them."""
    name = settings.TS_PUBLIC_STRATEGIES.name
    listed = parse_strategies(config.get(settings.TS_PUBLIC_STRATEGIES))
    count = len(listed.strategies)
    verdict = OK if count or not listed.problems else WRONG
    text = f"{count or 'no'} {plural(count, 'strategy', 'strategies')} can be watched and shown"
    return [Finding(name, verdict, text), *(Finding(name, WARNING, problem) for problem in listed.problems)]


def _short_secrets(config: Settings, in_file: Mapping[str, str]) -> list[Finding]:
    """Name what the secrets file has that is too short to be told from ordinary words."""
    shown = {setting.name for setting in config.rows() if not setting.secret}
    short = [name for name, value in in_file.items() if name not in shown and 0 < len(value.strip()) < SHORTEST]
    if not short:
        return []
    text = f"of the secrets file: shorter than {SHORTEST} characters, so not recognised and not hidden in events"
    return [Finding(", ".join(short), WARNING, text)]


def _network(config: Settings) -> list[Finding]:
    """Say that nothing is sent, where that is so, and where to it would be."""
    on = [setting.name for setting in _OFFLINE if _is_on(config, setting)]
    if not on:
        return []
    with suppress(ConfigError):  # of a setting, which has a row of its own
        names = [prefix.rstrip("_").lower() for prefix in config.discord_prefixes()]
        names += ["logstash"] if config.is_set(settings.LOGSTASH_SERVER) else []
        names += ["telegram"] if config.is_set(settings.TELEGRAM_API_KEY) else []
        names += ["apprise"] if config.is_set(settings.APPRISE_URLS) else []
        if config.is_set(settings.NOTIFY_RELAY_URL):
            names = ["relay", *(["logstash"] if "logstash" in names else [])]
        names += config.get(settings.NOTIFY_BACKENDS)
        reached = f"; otherwise events would go to {', '.join(names)}" if names else ""
        return [Finding("network", WARNING, f"nothing leaves this machine: {' and '.join(on)} is true{reached}")]
    return []


def _is_on(config: Settings, setting: Setting[bool]) -> bool:
    try:
        return config.get(setting)
    except ConfigError:
        return False


def _unset_backends(config: Settings, reached: Mapping[str, Backend]) -> list[Finding]:
    """Name the backends of others that are to be loaded, and find nothing in the settings that turns them on."""
    if any(_is_on(config, setting) for setting in _OFFLINE):
        return []
    setting = settings.NOTIFY_BACKENDS
    unset = [name for name in config.get(setting) if name not in reached]
    return [Finding(setting.name, WARNING, f"{name} is installed, and not set up") for name in unset]


def _unknown_fallbacks(config: Settings, routes: Mapping[str, Route]) -> list[Finding]:
    if any(_is_on(config, setting) for setting in _OFFLINE):
        return []
    text = "no backend of these settings has this name: setup() refuses it, unless the program passes one that has"
    unknown = {
        fallback_setting(name).name: Finding(fallback_setting(name).name, WARNING, text)
        for name, route in routes.items()
        if route.fallback is None and config.get(fallback_setting(name)) not in (None, name)
    }
    return list(unknown.values())


def _outbox(config: Settings, reached: Mapping[str, Backend]) -> list[Finding]:
    """Look at the disk where events are to be kept, and at what waits there."""
    if any(_is_on(config, setting) for setting in _OFFLINE):
        return []
    try:
        where = settings.state_dir(config)
        needed = config.get(settings.NOTIFY_DURABLE_LEVEL) != NEVER and any(map(durable, reached.values()))
    except ConfigError:  # of a setting, which has a row of its own
        return []
    seen = look(where)
    found = []
    if needed and seen.trouble is not None:
        found.append(Finding("outbox", WRONG, f"cannot be used, events would wait in memory: {seen.trouble}"))
    elif needed and not _is_named(config):
        text = (
            f"{where.parent}/PROGRAM: without EXECUTOR_ID it is named after the program, which nobody knows here; set "
        )
        found.append(Finding("outbox", WARNING, f"{text}EXECUTOR_ID or NOTIFY_STATE_DIR to have it looked at"))
    elif needed:
        made = "" if seen.made else " will be made;"
        found.append(Finding("outbox", OK, f"{where}:{made} durable events are kept there until they are delivered"))
    return [*found, *_backlog(seen, _option(where)), *_unclaimed(seen, reached, _option(where))]


def _is_named(config: Settings) -> bool:
    """Say whether the settings alone say where the state directory is."""
    return config.is_set(settings.NOTIFY_STATE_DIR) or config.is_set(settings.EXECUTOR_ID)


def _backlog(seen: Look, option: str) -> list[Finding]:
    if not seen.waiting and not seen.dead:
        return []
    waited = time.time() - (seen.oldest or time.time())
    oldest = f" (oldest {age(waited)})" if seen.oldest is not None else ""
    letters = f"{seen.dead:,} {plural(seen.dead, 'dead letter')}"
    text = f"{seen.waiting:,} {plural(seen.waiting, 'waits', 'wait')}{oldest}, {letters}"
    if not seen.dead and waited <= _LONG:
        return [Finding("backlog", OK, text)]
    return [Finding("backlog", WARNING, f"{text}: see `notify outbox list{option}`")]


def _unclaimed(seen: Look, reached: Mapping[str, Backend], option: str) -> list[Finding]:
    """Say what waits for destinations that are not set up, and would wait until it is too old."""
    found = []
    for name, count in seen.destinations.items():
        if name not in reached:
            waiting = f"{count:,} {plural(count, 'event waits', 'events wait')}"
            command = f"`notify outbox drop --destination {shlex.quote(name)}{option}`"
            removes = f"{command} removes {plural(count, 'it', 'them')}"
            found.append(Finding(name, WARNING, f"{waiting} for '{name}', which is not set up: {removes}"))
    return found


def _option(where: Path) -> str:
    """Return what a command needs to look at *where* when it is given without a secrets file."""
    with suppress(ConfigError):
        if settings.state_dir(Settings(os.environ)) == where:
            return ""
    return f" --state-dir {shlex.quote(str(where))}"


def _described(route: Route) -> str:
    if route.level == NEVER:
        return "gets nothing: its level is off"
    stand_in = "" if route.fallback is None else f"; while it is gone, {route.fallback} gets that"
    return f"gets {level_name(route.level)} and above, topics: {route.topics}{stand_in}"


def _destination(name: str, backend: Backend, route: str) -> Finding:
    check: Callable[[], str] | None = getattr(backend, "check", None)
    try:
        reached = check() if check is not None else ""
    except Unfit as error:
        return Finding(name, WARNING, f"{error}; {route}")
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
