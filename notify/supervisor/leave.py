"""The end of the supervisor: what waits is delivered, the rest of the output passed on, and what came of it is said."""

import os
import threading
import time
from dataclasses import dataclass
from typing import cast

from notify import diagnostics, threads
from notify.delivery.ticket import DELIVERED, Ticket
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.plain import clean
from notify.plural import plural
from notify.supervisor.child import wait_for_stop
from notify.supervisor.signals import Signals
from notify.supervisor.streams import Streams

# Seconds for the delivery of what waits when nobody has asked us to end: enough for a few attempts.
_DELIVERY = 10.0
# When somebody has, counted from when they asked: within the 5 s of guarantee 7.
_DELIVERY_ASKED = 4.0
# More than once, or when the program has used up that time: no more than a healthy destination needs.
_DELIVERY_AT_LEAST = 0.5
# Seconds between two looks at whether somebody has asked us to end, while the output's reader takes nothing.
_LOOK = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """How the supervisor is to end.

    Args:
        program: what the program is called.
        exit_code: to end with.
        asked: how often somebody has asked it to end.
        seconds_since_asked: since the last time.
        ticket: of what tells of the program's death; None when nothing had to be told.
    """

    program: str
    exit_code: int
    asked: int = 0
    seconds_since_asked: float = 0.0
    ticket: Ticket | None = None


def leave(leaving: Leaving, notifier: Notifier, signals: Signals, streams: Streams) -> None:
    """Deliver what waits and pass on the rest of the output, both at once, and end the process if it is told to.

    While nobody has asked us to end, a reader of the output that pauses is waited for, as the program would wait. What
    it has not taken when somebody has asked is lost, and people are told how much that was.
    """
    patience = _patience(leaving)
    stopping = threading.Event()
    if leaving.asked:
        stopping.set()
    passing = None
    try:
        threads.start("stop", lambda: _end_when_asked(leaving, stopping, signals))
        passing = threads.start("output", lambda: _pass_on_rest(streams, stopping, patience / 2))
    except RuntimeError:
        pass  # no thread can be had: then nobody listens, and one thing is done after the other
    deadline = time.monotonic() + patience
    if leaving.asked and passing is not None:
        passing.join(patience)
    told = streams.lost
    if told:
        notifier.notify(_lost(leaving, told), level=TRADE, topic="shutdown")
    notifier.close(max(_DELIVERY_AT_LEAST, deadline - time.monotonic()))
    if passing is None:
        streams.close()
    else:
        passing.join()
    if streams.lost > told:
        diagnostics.report("output", _lost(leaving, streams.lost))
    if leaving.ticket is not None:
        _say_if_untold(leaving, leaving.ticket, notifier)


def _patience(leaving: Leaving) -> float:
    if not leaving.asked:
        return _DELIVERY
    if leaving.asked > 1:
        return _DELIVERY_AT_LEAST
    return max(_DELIVERY_AT_LEAST, _DELIVERY_ASKED - leaving.seconds_since_asked)


def _pass_on_rest(streams: Streams, stopping: threading.Event, patience: float) -> None:
    while not streams.close(patience if stopping.is_set() else _LOOK):
        if stopping.is_set():
            return


def _end_when_asked(leaving: Leaving, stopping: threading.Event, signals: Signals) -> None:
    wait_for_stop(signals, None)
    stopping.set()
    if not leaving.asked:
        wait_for_stop(signals, _DELIVERY_ASKED)
    os._exit(leaving.exit_code)


def _lost(leaving: Leaving, count: int) -> str:
    return f"{count} bytes of the last output of {clean(leaving.program)} were lost: nobody took them"


def _say_if_untold(leaving: Leaving, ticket: Ticket, notifier: Notifier) -> None:
    """Say on stderr how the program ended when nobody has been told by now."""
    outcomes = ticket.wait(0.0)
    if DELIVERED in outcomes.values() or not (outcomes or ticket.durable):
        return  # or nobody is to be told
    said = f"{clean(leaving.program)} ended with exit code {leaving.exit_code}; nobody was told"
    if ticket.durable:
        count = max([1, *(cast("int", lane.get("pending", 0)) for lane in notifier.stats().values())])
        said = f"{said} yet: {count} {plural(count, 'event waits', 'events wait')} in the outbox"
    diagnostics.report("untold", said)
