"""`notify run`: a supervisor with the notifier that the environment asks for, around any program."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from notify import diagnostics, settings
from notify.bootstrap import open_outbox, redactor, serving, status_url
from notify.crash.stay import AFTER_CRASH
from notify.destinations import destinations
from notify.env_file import Environment, above_file
from notify.errors import ConfigError
from notify.notifier import Notifier
from notify.plain import class_name
from notify.settings import Settings
from notify.supervisor.after_crash import AfterCrash, CrashPolicy
from notify.supervisor.child import StartError
from notify.supervisor.death import Death
from notify.supervisor.run import Program
from notify.supervisor.signals import Signals
from notify.supervisor.streams import Streams
from notify.supervisor.supervise import supervise

if TYPE_CHECKING:
    from notify.rules.redaction import Redactor

_PYTHON = re.compile(r"(python|pypy)[0-9.]*")
_OPTIONS_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})  # of Python, that may be two arguments


def run_program(
    command: Sequence[str],
    env_file: Path | None,
    *,
    insecure: bool,
    after_crash: AfterCrash,
    hang_after: float | None,
    kill_hung: bool,
) -> int:
    """Run *command*, say how it ended, and return the exit code: its own, 127 or 126 when it cannot be started.

    An unusable setting does not keep the program from running: it is said on stderr that nobody will hear how it ends.
    Has to be called before this process has any thread. Raises `ConfigError` on systems other than Linux.
    """
    signals = Signals()
    streams = Streams()
    name = name_of(command)
    with redirect_stdout(sys.stderr):  # a dry run prints, and so may a third party's backend
        ready = _ready(name, env_file, insecure, after_crash)
        state_dir = _state_dir(ready.config)
        program = Program(
            name=ready.config.get(settings.NAME) or name,
            command=command,
            env={**_child_env(ready.executor_id, state_dir), AFTER_CRASH: after_crash.value},
            state_dir=state_dir,
            redact_text=ready.redact.text,
            status_url=ready.notifier.status_url,
            hang_after=hang_after,
            kill_hung=kill_hung,
        )
        try:
            return supervise(program, ready.policy, notifier=ready.notifier, signals=signals, streams=streams)
        except StartError as error:
            print(f"notify: {error}", file=sys.stderr)
            return error.exit_code


def name_of(command: Sequence[str]) -> str:
    """Return what the program of *command* calls itself, as `settings.program_name` does in there.

    Of a shell's script that starts another program only the name of the script is known.
    """
    first, *rest = command
    script = first
    if _PYTHON.fullmatch(PurePath(first).name):
        script = _script(rest)
    return PurePath(script).stem or "python"


def _script(arguments: Sequence[str]) -> str:
    """Return what Python is to run: a file, the last name of a module, or `python`."""
    waiting = iter(arguments)
    for each in waiting:
        if each in _OPTIONS_WITH_VALUE:
            next(waiting, None)
        elif each.startswith("-m"):
            module = each[2:] or next(waiting, "")
            return module.removesuffix(".__main__").rpartition(".")[2]
        elif each.startswith("-c") or each == "-":
            break
        elif not each.startswith("-"):
            return each
    return "python"


class _Ready(NamedTuple):
    config: Settings
    redact: "Redactor"
    policy: CrashPolicy
    notifier: Notifier
    executor_id: str = ""  # when the environment or the file says it


def _ready(name: str, env_file: Path | None, insecure: bool, then: AfterCrash) -> _Ready:
    """Return what the settings ask for; a notifier that reaches nobody when they are unusable."""
    config = Settings(_speaking_as(name, Environment(os.environ)))
    try:
        env = above_file(os.environ, env_file, insecure=insecure)
        config = Settings(_speaking_as(name, env))
        redact = redactor(config)
        notifier = _notifier(config, redact)
        policy = _policy(config, then, notifier, redact.text)
        return _Ready(config, redact, policy, notifier, env.get(settings.EXECUTOR_ID.name, "").strip())
    except Exception as error:  # noqa: BLE001 - a third party's backend may raise anything
        why = error if isinstance(error, ConfigError) else class_name(error)
        diagnostics.report("nobody", f"NOBODY WILL HEAR HOW THIS PROGRAM ENDS: {why} (`notify doctor` shows it all)")
        return _Ready(config, redactor(config), CrashPolicy(then=then), Notifier({}))


def _policy(config: Settings, then: AfterCrash, notifier: Notifier, redact_text: Callable[[str], str]) -> CrashPolicy:
    """Return what is done after a crash. Settings that are unusable for that keep nobody from being told of it."""
    crashed = _heard_by_monitor(config, notifier, redact_text)
    try:
        good_startup = config.get(settings.HTTP_WAIT_GOOD_STARTUP_SECONDS)
        how = serving(config)
        notifier.status_url = status_url(config, None if then is AfterCrash.EXIT else how)
    except ConfigError as error:
        diagnostics.report("status server", f"a crash will not be served: {error} (`notify doctor` shows it all)")
        return CrashPolicy(then=then, crashed=crashed)
    if how is None or then is not AfterCrash.SERVE:
        return CrashPolicy(then=then, good_startup=good_startup, crashed=crashed)
    from notify.supervisor.serve import serve_death  # with the whole server, for those who ask for it

    serve = partial(serve_death, how=how, stats=notifier.stats, redact_text=redact_text)
    return CrashPolicy(then=then, good_startup=good_startup, serve=serve, crashed=crashed)


def _heard_by_monitor(
    config: Settings, notifier: Notifier, redact_text: Callable[[str], str]
) -> Callable[[Death], object]:
    if not config.is_set(settings.HEARTBEAT_URL):
        return lambda death: None
    from notify.status.heartbeat import monitor_url  # for those who ask for it
    from notify.supervisor.monitor import Monitor

    try:
        url = monitor_url(config)
    except ConfigError as error:
        diagnostics.report("heartbeat", f"the monitor will not hear of a crash: {error}")
        url = None
    if url is None:
        return lambda death: None
    monitor = Monitor(url, redact_text)
    notifier.at_close(monitor.close)
    return monitor.crashed


def _speaking_as(name: str, env: Environment) -> Environment:
    """Return *env* with the program's name where it says none, for this command's, and nothing on standard output."""
    names = {setting: env.get(setting, "").strip() or name for setting in ("NAME", "EXECUTOR_ID")}
    return env.but(NOTIFY_STDOUT="off", **names)


def _state_dir(config: Settings) -> Path:
    try:
        return settings.state_dir(config)
    except (OSError, RuntimeError) as error:  # there is no such user, whose home it should be in
        diagnostics.report("state directory", f"{settings.NOTIFY_STATE_DIR.name}: {error}")
        return Path(os.devnull)


def _child_env(executor_id: str, state_dir: Path) -> dict[str, str]:
    """Return our environment, and in it what a program that uses this package finds its state directory by.

    Of the secrets file it gets who it is, if that is said there, and nothing else.
    """
    decided = {settings.EXECUTOR_ID.name: executor_id, settings.NOTIFY_STATE_DIR.name: str(state_dir)}
    if str(state_dir) == os.devnull:
        del decided[settings.NOTIFY_STATE_DIR.name]
    missing = {name: value for name, value in decided.items() if value and not os.environ.get(name, "").strip()}
    return {**os.environ, **missing}


def _notifier(config: Settings, redact: "Redactor") -> Notifier:
    reached, routes = destinations(config, None)
    if not reached and not settings.is_offline(config):
        diagnostics.report("nobody", "no backend is set up: nobody will hear how this program ends")
    return Notifier(
        reached,
        routes=routes,
        outbox=open_outbox(config, reached),
        durable_level=config.get(settings.NOTIFY_DURABLE_LEVEL),
        redact=redact,
        remembers=False,
    )
