"""From the environment to a running notifier: the only module that sees everyone."""

import atexit
import logging
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from notify import diagnostics, settings, threads
from notify.backend import Backend, durable
from notify.crash import asyncio_errors, children, hooks, stay, unraisable
from notify.crash.identity import is_child
from notify.crash.report import listen, report_from_hook
from notify.crash.signals import install as install_signals
from notify.destinations import destinations
from notify.env_file import above_file
from notify.errors import ConfigError
from notify.notifier import Notifier, current_notifier, set_notifier
from notify.setting import NEVER
from notify.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from notify.crash.marker import RunMarker
    from notify.delivery.outbox import Outbox
    from notify.rules.redaction import Redactor
    from notify.status.serving import Serving

_setting_up = threading.RLock()  # two threads that begin at once get one notifier
_end_serving: list[Callable[[], None]] = []  # what ends the status server of this process


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

    With `HTTP_ENABLED` the status is served from now on until the process ends: closing the notifier ends what is
    delivered, and not what is served. A call after that begins a new run, which takes the place of the one before.
    A child of `multiprocessing` serves nothing, and has no heartbeat.

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

    served = None if is_child() else serving(config)
    hang_after = config.get(settings.NOTIFY_HANG_AFTER)
    reached, routes = destinations(config, backends or {})
    outbox = open_outbox(config, reached)
    redact = redactor(config)
    notifier = Notifier(
        reached,
        routes=routes,
        outbox=outbox,
        durable_level=config.get(settings.NOTIFY_DURABLE_LEVEL),
        redact=redact,
        repeat_interval=config.get(settings.NOTIFY_REPEAT_INTERVAL),
        storm_limit=config.get(settings.NOTIFY_STORM_LIMIT),
    )
    notifier.run_state.executor_id = config.get(settings.EXECUTOR_ID) or settings.program_name()
    notifier.status_url = status_url(config, served)
    try:
        stop_serving()
        url = None if served is None else _serve(notifier, served, redact)
        _begin_heartbeat(notifier, config, redact)
    except ConfigError:
        stop_serving()
        notifier.close(0)
        raise
    if not reached and _is_unasked(config):
        diagnostics.report(
            "no backend",
            "there is no backend: nothing is configured, and NOTIFY_STDOUT=auto leaves the console to the program's "
            "own logging; set NOTIFY_STDOUT=text to have events there",
        )
    _listen(notifier)
    # In a prompt or a notebook every typing mistake is an uncaught exception.
    if not hooks.is_interactive():
        # Before the mark: who is told to stop while he starts was not killed.
        unhandle = install_signals(notifier) if signals else None
        marker = _mark_run(notifier, settings.state_dir(config)) if outbox is not None else None
        again = partial(setup, None if env is None else dict(env), env_file, signals=False)
        # Before the other hooks, which so come first.
        leave = stay.install(notifier, url=url, good_startup=served.good_startup if served is not None else 0.0)
        _hear_of_crashes(notifier, marker, again)
        if url is None:
            notifier.at_close(leave)
        else:
            _end_serving.append(leave)
        if unhandle is not None:
            notifier.at_close(unhandle)
        if hang_after:
            notifier.at_close(_watch(notifier, hang_after))
    _close_at_exit(notifier)
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


def serving(config: Settings) -> "Serving | None":
    """Return how the status of the run is to be served, None when it is not to be.

    Raises `ConfigError` when that is asked for with settings that are unusable.
    """
    if not config.get(settings.HTTP_ENABLED):
        return None
    from notify.status.serving import serving as served  # with the whole server, for those who ask for it

    return served(config)


def status_url(config: Settings, served: "Serving | None") -> str | None:
    """Return where people see the status of the run: by the list of all strategies, or else as it is *served*."""
    if config.is_set(settings.TS_PUBLIC_STRATEGIES):
        from notify.fleet.strategies import parse_strategies

        me = config.get(settings.EXECUTOR_ID) or settings.program_name()
        for strategy in parse_strategies(config.get(settings.TS_PUBLIC_STRATEGIES)).strategies:
            if strategy.id == me:
                return f"{strategy.url}/status"
    return None if served is None else f"{served.url}/status"


def stop_serving() -> None:
    """End the status server of this process, if it has one. For a further `setup()` and for tests."""
    while _end_serving:
        _end_serving.pop()()


def _serve(notifier: Notifier, served: "Serving", redact: "Redactor") -> str:
    """Serve the status of the run that *notifier* tells of, and return where it is served."""
    from notify.status.serving import serve

    server = serve(served, notifier.run_state, logs=notifier.records, stats=notifier.stats, redact_text=redact.text)
    _end_serving.append(server.close)
    return f"{server.url}/status"


def _begin_heartbeat(notifier: Notifier, config: Settings, redact: "Redactor") -> None:
    if not config.is_set(settings.HEARTBEAT_URL) or is_child():
        return
    from notify.status.heartbeat import heartbeat  # for those who ask for it

    beating = heartbeat(config, notifier.run_state, redact_text=redact.text, clock=notifier.clock)
    if beating is not None:
        notifier.at_close(beating.close)
        beating.begin()


def _is_unasked(config: Settings) -> bool:
    """Say whether nobody has asked for silence: neither for a run without network, nor for nothing on stdout."""
    return not settings.is_offline(config) and config.get(settings.NOTIFY_STDOUT) == "auto"


def _listen(notifier: Notifier) -> None:
    """Have logging and warnings go through *notifier*."""
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


def _mark_run(notifier: Notifier, directory: "Path") -> "RunMarker":
    """Leave a mark of this run where the next one finds it, and say how those before it ended."""
    from notify.crash.aftermath import install as mark_run  # with JSON and faulthandler, for those who keep events

    return mark_run(notifier, directory, notifier.run_state)


def _hear_of_crashes(notifier: Notifier, marker: "RunMarker | None", again: Callable[[], Notifier]) -> None:
    """Have every exception that nobody catches reported, and what the program says is its failure."""

    def crashed(exception: BaseException | None) -> None:
        if marker is not None:
            marker.crash_reported()

    def failed(exception: BaseException | None) -> None:
        if exception is None or report_from_hook(exception, where="the main loop", notifier=notifier, folds=False):
            crashed(exception)

    if marker is not None:
        notifier.at_close(listen(partial(marker.crash_reported, stands=False)))
    notifier.at_close(hooks.install(notifier, crashed=crashed))
    for install in (unraisable.install, asyncio_errors.install):
        notifier.at_close(install(notifier))
    notifier.at_close(children.install(notifier, again))
    notifier.at_close(notifier.run_state.listen(failed=failed))


def _watch(notifier: Notifier, hang_after: float) -> Callable[[], None]:
    from notify.crash.watchdog import install as watch  # for those who ask for it

    return watch(notifier, notifier.run_state, hang_after)


def _close_at_exit(notifier: Notifier) -> None:
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
