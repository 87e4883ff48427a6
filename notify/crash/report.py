"""The one crash path: everything that learns of a crash ends here."""

import logging
import os
import sys
import threading

from notify.delivery.ticket import Ticket
from notify.event import Event, Source, new_id
from notify.exceptions import Raised
from notify.notifier import Notifier, get_notifier
from notify.plain import clean, safe_str

TAIL = 30  # log lines that go with a crash


def report_crash(exception: BaseException, *, where: str = "main loop", notifier: Notifier | None = None) -> Ticket:
    """Say at level CRITICAL that *exception* ended what runs at *where*.

    Args:
        exception: what was raised.
        where: what it ended, for people: `main loop`, `thread worker-1`.
        notifier: says it; the one that `setup()` made by default.

    Returns the ticket of the event. Raises `ConfigError` when there is no notifier.
    """
    notifier = notifier or get_notifier()
    now = notifier.clock.time()
    raised = Raised(exception).info()
    path, line, function = _deepest_frame(exception)
    return notifier.accept(
        Event(
            id=new_id(now),
            time=now,
            message=clean(f"Crashed in {where}: {raised.type}: {raised.message}".rstrip(": ")),
            level=logging.CRITICAL,
            topic="crash",
            exception=raised,
            tail=notifier.tail(TAIL),
            source=Source(path, line, function, os.getpid(), clean(safe_str(threading.current_thread().name))),
        )
    )


def _deepest_frame(exception: BaseException) -> tuple[str, int, str]:
    traceback = exception.__traceback__
    if traceback is None:
        return (clean(sys.argv[0]) if sys.argv else "", 0, "")
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return (clean(code.co_filename), traceback.tb_lineno or 0, code.co_name)
