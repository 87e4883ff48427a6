"""From the environment to a running notifier: the only module that sees everyone."""

import atexit
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from notify import diagnostics, settings, threads
from notify.backend import Backend, durable
from notify.backends.registry import adapt, load
from notify.backends.stdout import StdoutBackend
from notify.crash import hooks
from notify.crash.signals import install as install_signals
from notify.env_file import above_file
from notify.errors import ConfigError
from notify.notifier import Notifier, current_notifier, set_notifier
from notify.rules.routing import Route
from notify.setting import NEVER, Setting
from notify.settings import Settings, route_settings

if TYPE_CHECKING:
    from notify.delivery.outbox import Outbox
    from notify.rules.redaction import Redactor

T = TypeVar("T")

_TAKEN = ("intake", "outbox")  # keys of `Notifier.stats()` that are no backends
_setting_up = threading.RLock()  # two threads that begin at once get one notifier


def setup(
    env: Mapping[str, str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    backends: Mapping[str, object] | None = None,
    *,
    signals: bool = True,
) -> Notifier:
    """Make the notifier that the environment asks for, and have logging, warnings and crashes go through it.

    Idempotent: while that notifier is open, a further call returns it, and only puts the logging handler back on the
    root logger if something has taken it off.

    Args:
        env: names and values; the process environment by default.
        env_file: a file of `NAME=value` lines below it: what *env* has wins.
        backends: more backends, or others in place of the environment's, by name: a backend, a `logging.Handler` or a
            function of one event.
        signals: announce SIGTERM and Ctrl-C, deliver what waits for four seconds at most, and do then what would have
            happened without us. Only in the main thread.

    Returns the notifier, which `get_notifier()` returns from now on.

    Raises `ConfigError` when a setting is unusable; its text names the variable and never shows the value.
    """
    with _setting_up:
        return _set_up(env, env_file, backends, signals=signals)


def _set_up(
    env: Mapping[str, str] | None,
    env_file: str | os.PathLike[str] | None,
    backends: Mapping[str, object] | None,
    *,
    signals: bool,
) -> Notifier:
    existing = current_notifier()
    if existing is not None and not existing.closed:
        existing.attach()  # dictConfig() and the like may have taken the handler off meanwhile
        if env is not None or env_file is not None or backends is not None:
            diagnostics.report("setup", "setup() was called again: its arguments are ignored")
        return existing
    config = Settings(above_file(os.environ if env is None else env, env_file))
    for name, near in config.unknown():
        hint = f"; did you mean {near}?" if near else ""
        diagnostics.report(f"unknown {name}", f"{name} is no setting of ours{hint}")

    reached, routes = destinations(config, backends or {})
    notifier = Notifier(
        reached,
        routes=routes,
        outbox=open_outbox(config, reached),
        durable_level=config.get(settings.NOTIFY_DURABLE_LEVEL),
        redact=redactor(config).events,
    )
    if not reached and _is_unasked(config):
        diagnostics.report(
            "no backend",
            "there is no backend: nothing is configured, and NOTIFY_STDOUT=auto leaves the console to the program's "
            "own logging; set NOTIFY_STDOUT=text to have events there",
        )
    _listen(notifier, signals=signals)
    set_notifier(notifier)
    return notifier


def redactor(config: Settings) -> "Redactor":
    """Return what takes the secrets of *config*, and all that looks like one, out of events."""
    from notify.rules.redaction import Redactor  # a seventh of what a program without backends would pay to start

    return Redactor(config.secrets())


def open_outbox(config: Settings, reached: Mapping[str, Backend]) -> "Outbox | None":
    """Return what keeps events on disk, None when no backend is worth it or nothing is to be kept."""
    if config.get(settings.NOTIFY_DURABLE_LEVEL) == NEVER or not any(map(durable, reached.values())):
        return None
    from notify.delivery.outbox import Outbox  # with SQLite, for those who need it

    return Outbox(settings.state_dir(config))


def _is_unasked(config: Settings) -> bool:
    """Say whether nobody has asked for silence: neither for a run without network, nor for nothing on stdout."""
    silent = config.get(settings.UNIT_TESTING) or config.get(settings.SIMULATE)
    return not silent and config.get(settings.NOTIFY_STDOUT) == "auto"


def destinations(config: Settings, passed: Mapping[str, object]) -> tuple[dict[str, Backend], dict[str, Route]]:
    """Return the backends that *config* and the program ask for, and the route of each, by name.

    Raises `ConfigError`, naming the variable or the argument.
    """
    reached: dict[str, Backend] = {}
    routes: dict[str, Route] = {}
    if (stdout := _stdout(config)) is not None:
        reached["stdout"] = stdout
        routes["stdout"] = _route(config, "stdout")
    offline = config.get(settings.UNIT_TESTING) or config.get(settings.SIMULATE)
    if offline:
        pass  # what is made for tests may open what it likes, so nothing is even made
    elif config.get(settings.NOTIFY_DRY_RUN):
        json = config.get(settings.NOTIFY_STDOUT) == "json"
        for name, backend, route in _networked(config):
            backend.close()  # made all the same, so that a dry run finds what is wrong with the settings
            reached[name], routes[name] = StdoutBackend(json=json, destination=name, env=config.env), route
    else:
        for name, backend, route in _networked(config):
            reached[name], routes[name] = backend, route
    for name, candidate in passed.items():
        if name in _TAKEN:
            raise ConfigError(f"backends[{name!r}]: this name stands for something else in stats()")
        if name in reached:
            reached[name].close()
        try:
            reached[name] = adapt(candidate)
        except ValueError as error:
            raise ConfigError(f"backends[{name!r}]: {error}") from None
        routes[name] = _route(config, name)
    return reached, routes


def _networked(config: Settings) -> Iterator[tuple[str, Backend, Route]]:
    for prefix in config.discord_prefixes():
        route = Route(
            config.get(settings.DISCORD_LEVEL.under("DISCORD_", prefix)),
            config.get(settings.DISCORD_TOPICS.under("DISCORD_", prefix)),
        )
        yield prefix.rstrip("_").lower(), _discord(config, prefix), route
    if config.is_set(settings.LOGSTASH_SERVER):
        yield "logstash", _logstash(config), _route(config, "logstash")
    for name in config.get(settings.NOTIFY_BACKENDS):
        backend = load(name, config.env)
        if backend is None:
            diagnostics.report(f"backend {name}", f"backend {name!r} is named in NOTIFY_BACKENDS but not configured")
        else:
            yield name, backend, _route(config, name)


def _route(config: Settings, name: str) -> Route:
    level, topics = route_settings(name)
    return Route(config.get(level), config.get(topics))


def _stdout(config: Settings) -> Backend | None:
    wanted = config.get(settings.NOTIFY_STDOUT)
    if config.get(settings.LOG_LEVEL) == NEVER or wanted == "off":
        return None
    if wanted == "auto" and _prints_to_console(logging.getLogger()):
        return None
    return StdoutBackend(json=wanted == "json", env=config.env)


def _prints_to_console(logger: logging.Logger) -> bool:
    consoles = [stream for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if stream is not None]
    return any(
        hasattr(handler, "console")  # Rich's
        or any(getattr(handler, "stream", None) is console for console in consoles)
        for handler in logger.handlers
    )


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
        username=config.get(own(settings.DISCORD_USERNAME)) or config.get(settings.NAME) or settings.program_name(),
        avatar_url=config.get(own(settings.DISCORD_AVATAR_URL)) or config.get(settings.ICON_URL),
        mention=config.get(own(settings.DISCORD_MENTION)),
        thread_id=config.get(own(settings.DISCORD_THREAD_ID)),
        silent=config.get(own(settings.DISCORD_SILENT)),
    )


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
        application=f"executor-{config.get(settings.EXECUTOR_ID) or settings.program_name()}",
        tags=config.get(settings.LOGSTASH_TAGS),
        ecs=config.get(settings.LOGSTASH_ECS),
    )


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    """Turn a ValueError into a ConfigError that names *variable*. The text of the former never holds the value."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{variable}: {error}") from None


def _listen(notifier: Notifier, *, signals: bool) -> None:
    """Have logging, warnings, uncaught exceptions and the end of the program go through *notifier*."""
    root = logging.getLogger()
    wanted = notifier.handler.level
    if root.level > wanted and notifier.stats():
        if root.handlers:
            diagnostics.report(
                "root level",
                f"the root logger is at {logging.getLevelName(root.level)} and keeps back what is wanted here; "
                f"logging.getLogger().setLevel({logging.getLevelName(wanted)!r}) lets it through",
            )
        else:
            # Nobody has configured logging: WARNING is Python's default, not the program's choice.
            notifier.at_close(_lower(root, wanted))
    notifier.attach()
    notifier.at_close(lambda: root.removeHandler(notifier.handler))
    notifier.at_close(_capture_warnings())
    # In a REPL every typing mistake is an uncaught exception.
    if not hasattr(sys, "ps1"):
        notifier.at_close(hooks.install(notifier))
        if signals:
            notifier.at_close(install_signals(notifier))

    def at_exit() -> None:
        threads.start_no_more()
        notifier.close()

    atexit.register(at_exit)
    notifier.at_close(lambda: atexit.unregister(at_exit))


def _lower(logger: logging.Logger, level: int) -> Callable[[], None]:
    """Set *level*, and return what undoes it unless the program has set another one since."""
    before = logger.level
    logger.setLevel(level)

    def undo() -> None:
        if logger.level == level:
            logger.setLevel(before)

    return undo


def _capture_warnings() -> Callable[[], None]:
    """Have warnings go through logging, unless the program has arranged that itself; return what undoes it."""
    before = warnings.showwarning
    logging.captureWarnings(True)
    if warnings.showwarning is before:
        return lambda: None
    return lambda: logging.captureWarnings(False)
