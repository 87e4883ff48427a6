"""From settings to backends, each with its route."""

import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from notify import diagnostics, settings
from notify.backend import Backend
from notify.backends.registry import adapt, imports, load
from notify.backends.stdout import StdoutBackend
from notify.errors import ConfigError
from notify.event import Event, Origin
from notify.route_setting import executors_setting, fallback_setting
from notify.rules.routing import Route, wrong_fallback
from notify.setting import NEVER, NO_BACKENDS, Setting
from notify.settings import Settings, program_name, route_settings

if TYPE_CHECKING:
    from notify.backends.relay.lines import Lines

T = TypeVar("T")


def destinations(
    config: Settings, passed: Mapping[str, object] | None, *, in_relay: bool = False, growing: bool = False
) -> tuple[dict[str, Backend], dict[str, Route]]:
    """Return the backends that *config* and the program ask for, and the route of each, by name.

    Args:
        config: the settings.
        passed: further ones, or others in place of those of *config*, by name: what the program passes to `setup()`.
            None: that is not known here, and so a fallback that is not among the backends may be one of these, and is
            left out.
        in_relay: for who delivers what others have published: people are reached from here, and `<BACKEND>_EXECUTORS`
            counts.
        growing: for who adds them to a notifier: a fallback that is not among them may be there, or come later.

    Raises `ConfigError`, naming the variable or the argument.
    """
    reached: dict[str, Backend] = {}
    routes: dict[str, Route] = {}
    if (stdout := _stdout(config)) is not None:
        reached["stdout"] = stdout
        routes["stdout"] = _route(config, "stdout")
    if settings.is_offline(config):
        pass  # what is made for tests may open what it likes, so nothing is even made
    elif config.get(settings.NOTIFY_DRY_RUN):
        json = config.get(settings.NOTIFY_STDOUT) == "json"
        for name, backend, route in _networked(config, in_relay=in_relay):
            backend.close()  # made all the same, so that a dry run finds what is wrong with the settings
            reached[name], routes[name] = StdoutBackend(json=json, destination=name, env=config.env), route
    else:
        for name, backend, route in _networked(config, in_relay=in_relay):
            reached[name], routes[name] = backend, route
    for name, candidate in (passed or {}).items():
        if name in NO_BACKENDS:
            raise ConfigError(f"backends[{name!r}]: this name stands for something else in stats()")
        if name in reached:
            reached[name].close()
        try:
            reached[name] = adapt(candidate)
        except ValueError as error:
            raise ConfigError(f"backends[{name!r}]: {error}") from None
        routes[name] = _route(config, name)
    if in_relay:
        for name, route in routes.items():
            family = "apprise" if name.startswith("apprise_") else name
            routes[name] = replace(route, executors=config.get(executors_setting(family)))
    return reached, _with_fallbacks(config, routes, all_known=passed is not None, growing=growing)


def needed(config: Settings, reached: Mapping[str, Backend]) -> list[str]:
    """Return the names of what our backends among *reached* import when they send; none where nobody is reached."""
    if settings.reaches_nobody(config):
        return []
    return [name for backend in reached.values() for name in imports(backend)]


def _with_fallbacks(
    config: Settings, routes: Mapping[str, Route], *, all_known: bool, growing: bool
) -> dict[str, Route]:
    """Return *routes*, each with its fallback."""
    names = {name.lower(): name for name in routes}
    found: dict[str, Route] = {}
    for name, route in routes.items():
        named = config.get(fallback_setting(name))
        fallback = None if named is None else names.get(named, named)
        itself = fallback == name and name.startswith("apprise") and "apprise_2" in routes  # these share a setting
        # Without a network hardly any backend is made.
        missing = fallback not in routes and (not all_known or settings.is_offline(config))
        found[name] = route if itself or (missing and not growing) else replace(route, fallback=fallback)
    for name, route in found.items():
        if growing and route.fallback not in found:
            continue
        if (wrong := wrong_fallback(name, found)) is not None:
            raise ConfigError(f"{fallback_setting(name).name}: {wrong}")
    return found


def without_effect(config: Settings) -> Iterator[tuple[str, str]]:
    """Yield every setting that counts for nothing in a program, as opposed to a relay, and why.

    Raises `ConfigError` as `destinations` does.
    """
    for setting in config.rows():
        if setting.name.endswith("_EXECUTORS") and config.is_set(setting):
            yield setting.name, "has no effect here: it is for `notify relay`, where many executors speak"
    relay, listed = config.is_set(settings.NOTIFY_RELAY_URL), config.get(settings.NOTIFY_RELAY_LOGSTASH)
    if listed and not relay:
        yield settings.NOTIFY_RELAY_LOGSTASH.name, f"has no effect without {settings.NOTIFY_RELAY_URL.name}"
    if relay:
        people = [f"{prefix}WEBHOOK_URL" for prefix in config.discord_prefixes()]
        people += [one.name for one in (settings.TELEGRAM_API_KEY, settings.APPRISE_URLS) if config.is_set(one)]
        for name in people:
            yield name, f"has no effect with {settings.NOTIFY_RELAY_URL.name}: `notify relay` reaches people from there"
    if relay and listed and config.is_set(settings.LOGSTASH_SERVER):
        yield settings.LOGSTASH_SERVER.name, f"has no effect with {settings.NOTIFY_RELAY_LOGSTASH.name}"


def _networked(config: Settings, *, in_relay: bool) -> Iterator[tuple[str, Backend, Route]]:
    relayed = config.is_set(settings.NOTIFY_RELAY_URL) and not in_relay
    if relayed:
        yield "relay", _relay(config), _route(config, "relay")
    else:
        yield from _discord_channels(config)
    if config.is_set(settings.LOGSTASH_SERVER) and not (relayed and config.get(settings.NOTIFY_RELAY_LOGSTASH)):
        yield "logstash", _logstash(config), _route(config, "logstash")
    if not relayed:
        yield from _other_services(config)
    for name in config.get(settings.NOTIFY_BACKENDS):
        backend = load(name, config.env)
        if backend is None:
            diagnostics.report(f"backend {name}", f"backend {name!r} is named in NOTIFY_BACKENDS but not configured")
        else:
            yield name, backend, _route(config, name)


def _discord_channels(config: Settings) -> Iterator[tuple[str, Backend, Route]]:
    for prefix in config.discord_prefixes():
        route = Route(
            config.get(settings.DISCORD_LEVEL.under("DISCORD_", prefix)),
            config.get(settings.DISCORD_TOPICS.under("DISCORD_", prefix)),
        )
        yield prefix.rstrip("_").lower(), _discord(config, prefix), route


def _other_services(config: Settings) -> Iterator[tuple[str, Backend, Route]]:
    if config.is_set(settings.TELEGRAM_API_KEY) or config.is_set(settings.TELEGRAM_CHAT_ID):
        yield "telegram", _telegram(config), _route(config, "telegram")
    if config.is_set(settings.APPRISE_URLS):
        for number, service in enumerate(_apprise(config), start=1):
            yield "apprise" if number == 1 else f"apprise_{number}", service, _route(config, "apprise")


def _route(config: Settings, name: str) -> Route:
    level, topics = route_settings(name)
    return Route(config.get(level), config.get(topics))


def _stdout(config: Settings) -> Backend | None:
    wanted = config.get(settings.NOTIFY_STDOUT)
    if config.get(settings.LOG_LEVEL) == NEVER or wanted == "off":
        return None
    if wanted == "auto" and any(map(prints_to_console, logging.getLogger().handlers)):
        return None
    return StdoutBackend(json=wanted == "json", env=config.env)


def prints_to_console(handler: logging.Handler) -> bool:
    """Say whether *handler* writes to standard output or standard error, by itself or by Rich."""
    consoles = [stream for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if stream is not None]
    return hasattr(handler, "console") or any(getattr(handler, "stream", None) is console for console in consoles)


def _discord(config: Settings, prefix: str) -> Backend:
    # Imported for those who have it: all of it together is most of what importing this package would cost.
    from notify.backends.discord import DiscordBackend
    from notify.backends.discord.identity import parse_mention
    from notify.backends.discord.url import parse_webhook_url

    def own(setting: Setting[T]) -> Setting[T]:
        return setting.under("DISCORD_", prefix)

    with _naming(own(settings.DISCORD_WEBHOOK_URL).name):
        parse_webhook_url(config.get(own(settings.DISCORD_WEBHOOK_URL)) or "")
    with _naming(own(settings.DISCORD_MENTION).name):
        parse_mention(config.get(own(settings.DISCORD_MENTION)) or "0")
    return DiscordBackend(
        config.get(own(settings.DISCORD_WEBHOOK_URL)) or "",
        username=config.get(own(settings.DISCORD_USERNAME)) or config.get(settings.NAME) or program_name(),
        avatar_url=config.get(own(settings.DISCORD_AVATAR_URL)) or config.get(settings.ICON_URL),
        mention=config.get(own(settings.DISCORD_MENTION)),
        thread_id=config.get(own(settings.DISCORD_THREAD_ID)),
        silent=_silent(config, config.get(own(settings.DISCORD_SILENT))),
    )


def _silent(config: Settings, silence: Callable[[Event], bool] | None) -> Callable[[Event], bool] | None:
    """Return which events make no sound: those of *silence*, and in quiet hours all that the backend may silence."""
    quiet = config.get(settings.NOTIFY_QUIET_HOURS)
    if quiet is None:
        return silence
    # By the time of the post, and not of the event: that is when a phone rings.
    return lambda event: quiet.covers(time.time()) or (silence is not None and silence(event))


def _logstash(config: Settings) -> Backend:
    from notify.backends.logstash import LogstashBackend, parse_address

    with _naming(settings.LOGSTASH_SERVER.name):
        transport, host, port = parse_address(
            config.get(settings.LOGSTASH_SERVER) or "", config.get(settings.LOGSTASH_PORT)
        )
    return LogstashBackend(
        host,
        port,
        transport=transport,
        application=_application(config),
        tags=config.get(settings.LOGSTASH_TAGS),
        ecs=config.get(settings.LOGSTASH_ECS),
    )


def _relay(config: Settings) -> Backend:
    from notify.backends.relay.backend import RelayBackend

    origin = Origin(
        executor=config.get(settings.EXECUTOR_ID) or program_name(),
        name=config.get(settings.NAME) or config.get(settings.EXECUTOR_ID) or program_name(),
        icon_url=config.get(settings.ICON_URL) or "",
    )
    lines = _lines(config) if config.get(settings.NOTIFY_RELAY_LOGSTASH) else None
    with _naming(settings.NOTIFY_RELAY_URL.name):
        return RelayBackend(config.get(settings.NOTIFY_RELAY_URL) or "", origin, lines=lines)


def _lines(config: Settings) -> "Lines":
    from notify.backends.logstash import wire
    from notify.backends.relay.lines import Lines

    speaker = wire.Speaker(_application(config), socket.gethostname(), config.get(settings.LOGSTASH_TAGS))
    return Lines(speaker, config.get(settings.LOGSTASH_ECS), _route(config, "logstash"))


def _application(config: Settings) -> str:
    named = config.get(settings.LOGSTASH_APPLICATION)
    return named or f"executor-{config.get(settings.EXECUTOR_ID) or program_name()}"


def _telegram(config: Settings) -> Backend:
    from notify.backends.telegram import TelegramBackend
    from notify.backends.telegram.address import TELEGRAM, parse_base, parse_token

    base = config.get(settings.TELEGRAM_API_BASE) or TELEGRAM
    with _naming(settings.TELEGRAM_API_KEY.name):
        token = parse_token(_needed(config.get(settings.TELEGRAM_API_KEY), settings.TELEGRAM_CHAT_ID))
    with _naming(settings.TELEGRAM_CHAT_ID.name):
        chat_id = _needed(config.get(settings.TELEGRAM_CHAT_ID), settings.TELEGRAM_API_KEY)
    with _naming(settings.TELEGRAM_API_BASE.name):
        parse_base(base)
    return TelegramBackend(token, chat_id, base=base, silent=_silent(config, None))


def _needed(value: T | None, other: Setting[object]) -> T:
    if value is None:
        raise ValueError(f"not set, while {other.name} is")
    return value


def _apprise(config: Settings) -> list[Backend]:
    from notify.backends.apprise import open_services

    with _naming(settings.APPRISE_URLS.name):
        return open_services(config.get(settings.APPRISE_URLS) or "", config.get(settings.NAME) or program_name())


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    """Turn a ValueError into a ConfigError that names *variable*. The text of the former never holds the value."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{variable}: {error}") from None
