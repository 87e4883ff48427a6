"""The one crash path: everything that learns of a crash ends here."""

import logging
import os
import sys
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

from notify import diagnostics
from notify.crash.content import circumstances, text_of, traceback_of
from notify.crash.seen import seen_by
from notify.crash.turn import let_stdout_first
from notify.delivery.ticket import Ticket
from notify.event import Event, Source, new_id
from notify.exceptions import Raised, leaves
from notify.interruption import came_from_a_signal
from notify.notifier import Notifier, get_notifier
from notify.plain import class_name, clean, safe_str
from notify.reported import Report, claim, report_of, withdraw

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
    made = _made(exception, where, notifier or get_notifier())
    if made.is_reported:
        _tell_listeners()
    return made.ticket


def listen(reported: Callable[[], object]) -> Callable[[], None]:
    """Have *reported* called after each report of what may end this process, and return what ends that.

    That is every crash, but not what Python has nobody to give to, in finalisers. It is called in the thread that
    reports, and must not raise.
    """
    _listeners.append(reported)

    def undo() -> None:
        with suppress(ValueError):
            _listeners.remove(reported)

    return undo


def report_from_hook(
    exception: BaseException,
    *,
    where: str,
    notifier: Notifier,
    traceback: TracebackType | None = None,
    folds: bool = True,
    may_end: bool = True,
    is_printed: bool = False,
) -> bool:
    """Report what a hook was given. Raises no Exception: the program has trouble enough, and its own hooks come next.

    Args:
        exception: what was raised.
        where: what it ended, for people.
        notifier: says it. One that is closed says nothing.
        traceback: put on an exception that has none of its own.
        folds: report only one of those alike in ten minutes, with how many were held back. Not for the program's end.
        may_end: whether the program may end of it.
        is_printed: whether Python prints it on standard error next.

    Returns whether *exception* is reported, now or before. One that is held back is not.
    """
    try:
        if notifier.closed:
            return False
        if traceback is not None and traceback_of(exception) is None:
            BaseException.with_traceback(exception, traceback)
        made = _made(exception, where, notifier, folds=folds)
    except Exception as error:  # noqa: BLE001 - see above
        diagnostics.report("crash hook", f"a crash could not be reported: {class_name(error)}")
        return False
    if made.is_reported and may_end:
        _tell_listeners()
    if made.is_reported and is_printed:
        with suppress(Exception):
            let_stdout_first(made.ticket)
    return made.is_reported


def is_wanted(exception: BaseException, ends: tuple[type[BaseException], ...]) -> bool:
    """Say whether *exception* is one of *ends*, or a group of nothing else: an end that somebody wanted is no crash."""
    return all(issubclass(type(one), ends) for one in leaves(exception))


class _Made(NamedTuple):
    """What came of a report.

    Args:
        ticket: of its event.
        is_reported: whether there is one.
    """

    ticket: Ticket
    is_reported: bool


_listeners: list[Callable[[], object]] = []


def _tell_listeners() -> None:
    for reported in tuple(_listeners):
        reported()


def _made(exception: BaseException, where: str, notifier: Notifier, *, folds: bool = False) -> _Made:
    if _is_deep():
        return _with_a_stack_of_its_own(exception, where, notifier, folds=folds)
    return _report(exception, where, notifier, threading.current_thread().name, folds=folds)


def _report(exception: BaseException, where: str, notifier: Notifier, thread: str, *, folds: bool) -> _Made:
    global _reserve
    if not issubclass(type(exception), BaseException):  # isinstance() believes what an object says of its own class
        exception = TypeError(f"reported as a crash, and no exception: {safe_str(exception)}")
    if issubclass(type(exception), MemoryError):
        _reserve = b""
    now = notifier.clock.time()
    report = Report(new_id(now))
    ended = where
    try:
        if folds and report_of(exception) is None:
            more = seen_by(notifier).due(exception, where, notifier.clock.monotonic())
            if more is None:
                return _Made(_unknown(""), is_reported=False)
            where += f" (and {more} like it)" if more else ""
        first = claim(exception, report)
        if first is not report:
            return _Made(first.outcome if isinstance(first.outcome, Ticket) else _unknown(first.id), is_reported=True)
        report.outcome = ticket = notifier.accept(
            _event(exception, where, notifier, now, report.id, thread), folds=not folds
        )
    except BaseException as error:
        withdraw(exception, report)  # whoever sees it next may have more luck
        seen_by(notifier).forget(exception, ended)
        if not isinstance(error, Exception) or came_from_a_signal(error):
            raise
        diagnostics.report("crash hook", f"a crash could not be reported: {class_name(error)}")
        return _Made(_unknown(report.id), is_reported=False)
    return _Made(ticket, is_reported=True)


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


def _with_a_stack_of_its_own(exception: BaseException, where: str, notifier: Notifier, *, folds: bool) -> _Made:
    """Report from a thread, whose recursion begins anew. Calls nothing of Python's own here: there is no room."""
    made: list[_Made] = []
    done = allocate_lock()
    done.acquire()
    thread = threading.current_thread().name

    def report() -> None:
        try:
            made.append(_report(exception, where, notifier, thread, folds=folds))
        finally:
            done.release()

    start_new_thread(report, ())
    done.acquire(timeout=_PATIENCE)
    return made[0] if made else _Made(_unknown(""), is_reported=False)
