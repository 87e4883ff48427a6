"""Runs the program, and after a crash does what was asked for: stay, end, or start it again."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from notify import diagnostics
from notify.crash.stay import crashed_early
from notify.delivery.backoff import Backoff
from notify.event import Event, new_id
from notify.notifier import Notifier
from notify.plain import class_name, clean
from notify.supervisor.after_crash import AfterCrash, CrashPolicy
from notify.supervisor.child import StartError, wait_for_stop
from notify.supervisor.death import Death, title
from notify.supervisor.leave import Leaving, leave
from notify.supervisor.run import Outcome, Program, Run
from notify.supervisor.signals import Signals
from notify.supervisor.streams import Streams

_LONG_RUN = 600.0  # seconds after which a crash is a matter of its own, and no more of a row


def supervise(program: Program, after: CrashPolicy, *, notifier: Notifier, signals: Signals, streams: Streams) -> int:
    """Run *program* as often as need be, and return the exit code to end with: its own, 128 + signal if it died of one.

    The notifier and the streams are closed then, and the signals still blocked. While the program runs, signals are its
    affair; after that, the first one that asks to stop ends the supervisor within 5 s, and the second at once.

    Args:
        program: what is run.
        after: what to do after a crash.
        notifier: says what became of it, and sends what it has left in its outbox.
        signals: of this process.
        streams: what the program writes to.

    Raises `StartError` when the program cannot be started. Only for the main thread.
    """
    backoff = Backoff()
    runs_well = False
    restarts = 0
    leaving = Leaving(program=program.name, exit_code=0)
    try:
        while True:
            good_startup = 0.0 if runs_well else after.good_startup
            run = Run(program, notifier=notifier, signals=signals, streams=streams, good_startup=good_startup)
            outcome = run.outcome()
            if outcome.seconds >= after.good_startup:
                runs_well = True
            if outcome.seconds >= _LONG_RUN:
                backoff.reset()
            leaving = _after(program, outcome)
            if outcome.death is not None:
                with _reporting("the monitor hears nothing of the crash"):
                    after.crashed(outcome.death)
            if outcome.asked or not outcome.is_crash:
                break
            if not runs_well:
                _say_that_it_ends(after, outcome)
                break
            if after.then is AfterCrash.SERVE and after.serve is not None:
                _stay(after.serve, program, outcome.death, signals)
                leaving = replace(leaving, asked=1)
            if after.then is not AfterCrash.RESTART:
                break
            if _is_stopped_before_restart(backoff.next(), signals):
                leaving = replace(leaving, asked=1)
                break
            restarts += 1
    except StartError as error:
        if restarts:
            notifier.accept(_not_restarted(program, error, notifier.clock.time()))
        leave(replace(leaving, exit_code=error.exit_code, ticket=None), notifier, signals, streams)
        raise
    leave(leaving, notifier, signals, streams)
    return outcome.exit_code


def _say_that_it_ends(after: CrashPolicy, outcome: Outcome) -> None:
    """Say why what was asked for after a crash is not done. A program that would have stayed has said so itself."""
    if after.then is AfterCrash.RESTART:
        so = "so it is not started again"
    elif after.then is AfterCrash.SERVE and after.serve is not None and not outcome.has_told:
        so = "so its status is not served"
    else:
        return
    diagnostics.report("after crash", f"{crashed_early(after.good_startup)}, {so}")


def _after(program: Program, outcome: Outcome) -> Leaving:
    return Leaving(
        program=program.name,
        exit_code=outcome.exit_code,
        asked=outcome.asked,
        seconds_since_asked=outcome.seconds_since_asked,
        ticket=outcome.ticket,
    )


def _stay(serve: Callable[[Death], object], program: Program, death: Death | None, signals: Signals) -> None:
    what = "the program has crashed" if death is None else program.redact_text(title(death))
    where = f" and serves {death.status_url}" if death is not None and death.status_url is not None else ""
    diagnostics.report("after crash", f"{what}; this process stays{where} until Ctrl-C, or kill {os.getpid()}")
    if death is not None:
        with _reporting("the crash cannot be served"):
            serve(death)
    wait_for_stop(signals, None)


@contextmanager
def _reporting(consequence: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whoever looks at this process must find it, and not another crash
        diagnostics.report(consequence, f"{consequence}: {class_name(error)}")


def _is_stopped_before_restart(pause: float, signals: Signals) -> bool:
    diagnostics.report("after crash", f"the program has crashed, and is started again in {pause:.1f} s")
    return wait_for_stop(signals, pause) is not None


def _not_restarted(program: Program, error: StartError, now: float) -> Event:
    return Event(
        id=new_id(now),
        time=now,
        message=f"{clean(program.name)} cannot be started again",
        body=clean(str(error)),
        level=logging.CRITICAL,
        topic="crash",
    )
