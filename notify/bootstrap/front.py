"""`setup()` and `extend()`: from the environment to a running notifier, and to one that reaches more."""

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from notify import diagnostics, misspelt, settings, threads
from notify.bootstrap.logged import listen_to_logging
from notify.bootstrap.parts import make_notifier, open_outbox, redactor
from notify.bootstrap.seen import at_end_of_serving, be_seen, serving, status_url, stop_serving
from notify.crash import asyncio_errors, children, hooks, stay, unraisable
from notify.crash.identity import is_child
from notify.crash.report import listen, report_from_hook
from notify.crash.signals import install as install_signals
from notify.destinations import destinations, needed, without_effect
from notify.env_file import above_file
from notify.imports import load_early
from notify.notifier import Notifier, current_notifier, get_notifier, set_notifier
from notify.settings import Settings

if TYPE_CHECKING:
    from notify.crash.marker import RunMarker
    from notify.rules.redaction import Redactor
    from notify.status.serving import Serving

_setting_up = threading.RLock()  # two threads that begin at once get one notifier
_NOTHING = (None, None, None)
_asked_for: tuple[object, ...] = _NOTHING  # by the call that has made the notifier


def _renew_lock() -> None:
    """In a forked child: who held the lock there does not exist here."""
    global _setting_up
    _setting_up = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


@dataclass(slots=True)
class _Run:
    """What a notifier was made from, for what is added to it and for children of `multiprocessing`.

    Args:
        env: names and values, those that were added among them; None: the process environment.
        env_file: below it.
        redactor: takes the secrets of all that out of what is said.
        marker: of this run, if it leaves a mark.
    """

    env: dict[str, str] | None
    env_file: str | os.PathLike[str] | None
    redactor: "Redactor | None" = None
    marker: "RunMarker | None" = None

    def again(self) -> Notifier:
        """Make such a notifier once more, in a child."""
        return setup(self.env, self.env_file, signals=False)

    def __reduce__(self) -> tuple[type["_Run"], tuple[object, ...]]:
        return _Run, (self.env, self.env_file)  # the rest is of this process


_runs: WeakKeyDictionary[Notifier, _Run] = WeakKeyDictionary()


def setup(
    env: Mapping[str, str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    backends: Mapping[str, object] | None = None,
    *,
    signals: bool = True,
) -> Notifier:
    """Make the notifier that the environment asks for, and have logging, warnings and crashes go through it.

    Idempotent: while that notifier is open, a further call returns it, puts the logging handler back on the root logger
    if something has taken it off, and hides the secret variables that the process has by now.

    With `HTTP_ENABLED` the status is served from now on until the process ends: closing the notifier ends what is
    delivered, and not what is served. A call after that begins a new run, which takes the place of the one before.
    A child of `multiprocessing` serves nothing, and has no heartbeat.

    Waits for no network. Imports what our backends need, which takes up to a quarter of a second: call it before the
    event loop begins, which no thread of ours then holds up by importing.

    Args:
        env: names and values; the process environment by default.
        env_file: a file of `NAME=value` lines below it: what *env* has wins.
        backends: more backends, or others in place of the environment's, by name: a backend, a `logging.Handler` or a
            function of one event.
        signals: announce SIGTERM and Ctrl-C, deliver what waits for four seconds at most, and do then what would have
            happened without us. Only in the main thread.

    Returns the notifier, which `get_notifier()` returns from now on.

    Raises `ConfigError` when a setting is unusable; its text names the variable and never shows the value. Nothing
    that it has opened stays open then.
    """
    with _setting_up:
        notifier, imports = _set_up(env, env_file, backends, signals=signals)
    load_early(*imports)  # who sets up once more meanwhile, in a signal handler for one, gets what is there
    return notifier


def extend(env: Mapping[str, str]) -> Notifier:
    """Have the notifier that `setup()` made deliver to what *env* asks for, too, from now on. Waits for no network.

    What is durable is kept on disk from now on, if that is wanted and nothing was until now, and the run leaves its
    mark. A backend of a name that is there already stays as it is, and one line on stderr says so, but for standard
    output and a relay. Fallbacks count between what is there, what is added, and what is added later.

    Args:
        env: names and values, the whole of what is to count for the backends that are added.

    Returns the notifier. Raises `ConfigError` when a setting is unusable, or there is no notifier.
    """
    with _setting_up:
        notifier = get_notifier()
        config = Settings(dict(env))
        if (run := _runs.get(notifier)) is not None and run.redactor is not None:
            run.redactor.learn(settings.known_secrets(config))
        reached, routes = destinations(config, None, growing=True)
        for name in [name for name in reached if name in notifier]:
            reached.pop(name).close()
            if name not in ("stdout", "relay"):  # which nobody has asked for once more: they are in any environment
                diagnostics.report(f"extend {name}", f"there is a backend {name} already, which stays as it is")
        imports = needed(config, reached)
        outbox = None if notifier.has_outbox else open_outbox(config, reached)
        try:
            for name in list(reached):
                notifier.add(name, reached[name], routes[name], outbox=outbox)
                del reached[name]
                outbox = None  # it has it now
        finally:
            for backend in reached.values():  # of one that could not be added, and those behind it
                backend.close()
            if outbox is not None:
                outbox.close()
        if run is not None:
            run.env = {**(os.environ if run.env is None else run.env), **env}
            if notifier.has_outbox and run.marker is None and not hooks.is_interactive():
                run.marker = _mark_run(notifier, config)
    load_early(*imports)
    return notifier


def redactor_of(notifier: Notifier) -> "Redactor | None":
    """Return what takes secrets out of what *notifier* says, those of its file too; None: `setup()` did not make it."""
    run = _runs.get(notifier)
    return None if run is None else run.redactor


def _set_up(
    env: Mapping[str, str] | None,
    env_file: str | os.PathLike[str] | None,
    backends: Mapping[str, object] | None,
    *,
    signals: bool,
) -> tuple[Notifier, list[str]]:
    """Return the notifier, and what threads of ours would import."""
    global _asked_for
    asked = (None if env is None else dict(env), env_file, None if backends is None else dict(backends))
    existing = current_notifier()
    if existing is not None and not existing.closed:
        existing.attach()  # dictConfig() and the like may have taken the handler off meanwhile
        if (run := _runs.get(existing)) is not None and run.redactor is not None:
            run.redactor.learn(Settings(os.environ).secrets())  # a program may read a file of its own meanwhile
        if asked not in (_NOTHING, _asked_for):  # a notebook's cell may run many times
            diagnostics.report("setup", "setup() was called again: its arguments are ignored")
        return existing, []
    config = Settings(above_file(os.environ if env is None else env, env_file))
    misspelt.report(config)
    for name, why in without_effect(config):
        diagnostics.report(f"no effect {name}", f"{name} {why}")
    served = None if is_child() else serving(config)
    hang_after = config.get(settings.NOTIFY_HANG_AFTER)
    redact = redactor(config)
    notifier, reached = make_notifier(config, backends or {}, redact)
    run = _Run(None if env is None else dict(env), env_file, redact)
    try:
        _begin(notifier, run, config, served, redact, heard=bool(reached), signals=signals, hang_after=hang_after)
    except BaseException:  # Ctrl-C among them
        stop_serving()
        notifier.close(0)
        raise
    _close_at_exit(notifier)
    _runs[notifier] = run
    set_notifier(notifier)
    _asked_for = asked
    settings.report_unusable(config)
    return notifier, needed(config, reached)


def _begin(
    notifier: Notifier,
    run: _Run,
    config: Settings,
    served: "Serving | None",
    redact: "Redactor",
    *,
    heard: bool,
    signals: bool,
    hang_after: float | None,
) -> None:
    """Have the run seen, and logging, warnings, signals and crashes go through *notifier*, until it is closed.

    Raises `ConfigError` when the status cannot be served.
    """
    notifier.run_state.executor_id = config.get(settings.EXECUTOR_ID) or settings.program_name()
    notifier.status_url = status_url(config, served)
    url = be_seen(notifier, config, served, redact)
    listen_to_logging(notifier, config, heard=heard)
    # In a prompt or a notebook every typing mistake is an uncaught exception.
    if hooks.is_interactive():
        return
    # Before the mark: who is told to stop while he starts was not killed.
    unhandle = install_signals(notifier) if signals else None
    if notifier.has_outbox:
        run.marker = _mark_run(notifier, config)
    # Before the other hooks, which so come first.
    staying = stay.install(notifier, url=url, good_startup=served.good_startup if served is not None else 0.0)
    _hear_of_crashes(notifier, run, staying.ending)
    if url is None:
        notifier.at_close(staying.undo)
    else:
        at_end_of_serving(staying.undo)
    if unhandle is not None:
        notifier.at_close(unhandle)
    if hang_after:
        notifier.at_close(_watch(notifier, hang_after))


def _mark_run(notifier: Notifier, config: Settings) -> "RunMarker":
    """Leave a mark of this run where the next one finds it, and say how those before it ended."""
    from notify.crash.aftermath import install as mark_run  # with JSON and faulthandler, for those who keep events

    marker = mark_run(notifier, settings.state_dir(config), notifier.run_state)
    notifier.at_close(listen(partial(marker.crash_reported, stands=False)))
    return marker


def _hear_of_crashes(notifier: Notifier, run: _Run, ending: Callable[[], None]) -> None:
    """Have every exception that nobody catches reported, and what the program says is its failure."""

    def crashed() -> None:
        if run.marker is not None:
            run.marker.crash_reported()

    def failed(exception: BaseException | None) -> None:
        if exception is None or report_from_hook(exception, where="the main loop", notifier=notifier, folds=False):
            crashed()

    notifier.at_close(hooks.install(notifier, ending=ending, crashed=crashed))
    for install in (unraisable.install, asyncio_errors.install):
        notifier.at_close(install(notifier))
    notifier.at_close(children.install(notifier, run.again))
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
