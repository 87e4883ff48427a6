"""The one crash path: everything that learns of a crash ends here."""

import logging
import os
import sys
import threading
from _thread import allocate_lock, start_new_thread
from types import TracebackType

from notify import diagnostics
from notify.crash.content import circumstances, text_of
from notify.delivery.ticket import Ticket
from notify.event import Event, Source, new_id
from notify.exceptions import Raised, leaves
from notify.notifier import Notifier, get_notifier
from notify.plain import class_name, clean, safe_str
from notify.reported import Report, claim, withdraw

TAIL = 30  # log lines that go with a crash

_ROOM = 200  # calls: four times what a report needs
_PATIENCE = 2.0  # seconds that a report from another thread may take

# Bytes of address space: pages that nobody touches take no memory. Given back when there is none left, so that what
# delivers the report can still import what it needs.
_reserve = bytes(16 * 2**20)


def report_crash(exception: BaseException, *, where: str = "main loop", notifier: Notifier | None = None) -> Ticket:
    """Say at level CRITICAL that *exception* ended what runs at *where*.

    One crash is one report: an exception that was reported before gives the same ticket again, and so does one that
    was raised `from` it, and a group of nothing but such. When another thread is about to report it, or another process
    did, the ticket knows the event's id and nothing of its delivery. Thread-safe.

    Args:
        exception: what was raised.
        where: what it ended, for people: `main loop`, `thread worker-1`.
        notifier: says it; the one that `setup()` made by default.

    Returns the ticket of the event. Raises `ConfigError` when there is no notifier, and nothing of the exception's.
    """
    notifier = notifier or get_notifier()
    if _is_deep():
        return _with_a_stack_of_its_own(exception, where, notifier)
    return _report(exception, where, notifier, threading.current_thread().name)


def report_from_hook(
    exception: BaseException, *, where: str, notifier: Notifier, traceback: TracebackType | None = None
) -> None:
    """Report what a hook was given. Raises no Exception: the program has trouble enough, and its own hooks come next.

    Args:
        exception: what was raised.
        where: what it ended, for people.
        notifier: says it. One that is closed says nothing.
        traceback: put on an exception that has none of its own.
    """
    try:
        if notifier.closed:
            return
        if exception.__traceback__ is None and traceback is not None:
            exception = exception.with_traceback(traceback)
        report_crash(exception, where=where, notifier=notifier)
    except Exception as error:  # noqa: BLE001 - see above
        diagnostics.report("crash hook", f"a crash could not be reported: {class_name(error)}")


def is_wanted(exception: BaseException, ends: tuple[type[BaseException], ...]) -> bool:
    """Say whether *exception* is one of *ends*, or a group of nothing else: an end that somebody wanted is no crash."""
    return all(issubclass(type(one), ends) for one in leaves(exception))


def _report(exception: BaseException, where: str, notifier: Notifier, thread: str) -> Ticket:
    global _reserve
    if not issubclass(type(exception), BaseException):  # isinstance() believes what an object says of its own class
        exception = TypeError(f"reported as a crash, and no exception: {safe_str(exception)}")
    if issubclass(type(exception), MemoryError):
        _reserve = b""
    now = notifier.clock.time()
    report = Report(new_id(now))
    try:
        first = claim(exception, report)
        if first is not report:
            return first.outcome if isinstance(first.outcome, Ticket) else _unknown(first.id)
        report.outcome = ticket = notifier.accept(_event(exception, where, notifier, now, report.id, thread))
    except BaseException as error:
        withdraw(exception, report)  # whoever sees it next may have more luck
        if not isinstance(error, Exception):
            raise
        diagnostics.report("crash hook", f"a crash could not be reported: {class_name(error)}")
        return _unknown(report.id)
    return ticket


def _event(exception: BaseException, where: str, notifier: Notifier, now: float, event_id: str, thread: str) -> Event:
    text = text_of(exception, clean(safe_str(where)))
    return Event(
        id=event_id,
        time=now,
        message=text.message,
        body=text.body,
        level=logging.CRITICAL,
        topic="crash",
        fields=circumstances(notifier),
        exception=Raised(exception).info(),
        tail=notifier.tail(TAIL),
        source=Source(*text.place, os.getpid(), clean(safe_str(thread))),
    )


def _unknown(event_id: str) -> Ticket:
    ticket = Ticket(event_id, changed=threading.Condition())
    ticket.routed({})
    return ticket


def _is_deep() -> bool:
    """Say whether a RecursionError is near: a report calls deeper than what has just run into one."""
    frame = sys._getframe()
    depth = 0
    while frame.f_back is not None:
        frame = frame.f_back
        depth += 1
    return depth + _ROOM > sys.getrecursionlimit()


def _with_a_stack_of_its_own(exception: BaseException, where: str, notifier: Notifier) -> Ticket:
    """Report from a thread, whose recursion begins anew. Calls nothing of Python's own here: there is no room."""
    tickets: list[Ticket] = []
    done = allocate_lock()
    done.acquire()
    thread = threading.current_thread().name

    def report() -> None:
        try:
            tickets.append(_report(exception, where, notifier, thread))
        finally:
            done.release()

    start_new_thread(report, ())
    done.acquire(timeout=_PATIENCE)
    return tickets[0] if tickets else _unknown("")
