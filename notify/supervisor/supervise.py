"""Runs the program, and after a crash does what was asked for: stay, end, or start it again."""

import logging
import os

from notify import diagnostics, threads
from notify.delivery.backoff import Backoff
from notify.event import Event, new_id
from notify.notifier import Notifier
from notify.plain import class_name, clean
from notify.supervisor.after_crash import AfterCrash, CrashPolicy
from notify.supervisor.child import StartError, wait_for_stop
from notify.supervisor.run import Outcome, Program, Run
from notify.supervisor.signals import Signals
from notify.supervisor.streams import Streams

# Seconds for the delivery of what waits when nobody has asked us to end: enough for a few attempts.
_DELIVERY = 10.0
# When somebody has: within the 5 s of guarantee 7. More than once: no more than a healthy destination needs.
_DELIVERY_ASKED = 4.0
_DELIVERY_ASKED_AGAIN = 0.5


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
    asked = 0
    try:
        while True:
            outcome = Run(program, notifier=notifier, signals=signals, streams=streams).outcome()
            if outcome.seconds >= after.good_startup:
                runs_well = True
                backoff.reset()
            asked = outcome.asked
            if not (outcome.is_crash and runs_well):
                break
            if after.then is AfterCrash.SERVE and after.stays:
                _stay(after, outcome, signals)
                asked = 1
            if after.then is not AfterCrash.RESTART:
                break
            if _is_stopped_before_restart(backoff.next(), signals):
                asked = 1
                break
            restarts += 1
    except StartError as error:
        if restarts:
            notifier.accept(_not_restarted(program, error, notifier.clock.time()))
        _leave(error.exit_code, asked, notifier, signals, streams)
        raise
    _leave(outcome.exit_code, asked, notifier, signals, streams)
    return outcome.exit_code


def _stay(after: CrashPolicy, outcome: Outcome, signals: Signals) -> None:
    diagnostics.report("after crash", "the program has crashed; this process stays until somebody stops it")
    if after.serve is not None:
        try:
            after.serve(outcome.event)
        except Exception as error:  # noqa: BLE001 - whoever looks at this process must find it, and not another crash
            diagnostics.report("serve", f"the crash cannot be served: {class_name(error)}")
    wait_for_stop(signals, None)


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


def _leave(exit_code: int, asked: int, notifier: Notifier, signals: Signals, streams: Streams) -> None:
    """Deliver what waits and pass on the rest of the output, both at once, and end the process if it is told to."""
    closing = None
    try:
        threads.start("stop", lambda: _end_when_asked(exit_code, asked, signals))
        closing = threads.start("output", lambda: _close(streams))
    except RuntimeError:
        pass  # no thread can be had: then nobody listens, and one thing is done after the other
    notifier.close((_DELIVERY, _DELIVERY_ASKED, _DELIVERY_ASKED_AGAIN)[min(asked, 2)])
    if closing is None:
        streams.close()
    else:
        closing.join()


def _close(streams: Streams) -> None:
    streams.close()


def _end_when_asked(exit_code: int, asked: int, signals: Signals) -> None:
    wait_for_stop(signals, None)
    if not asked:
        wait_for_stop(signals, _DELIVERY_ASKED)
    os._exit(exit_code)
