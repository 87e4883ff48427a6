"""Any `logging.Handler` as a backend, so that python-logstash's, syslog's or journald's work unchanged."""

import inspect
import logging
import os
import socket
import sys
from collections.abc import Sequence

from notify import imports
from notify.errors import RetryLater
from notify.event import Event
from notify.levels import level_name
from notify.plain import class_name, unshared

_TAKEN = frozenset(dir(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class HandlerBackend:
    """Gives each event to a handler, as a log record.

    What the handler reports through `handleError` is tried again, when it is an OSError, or counts as the
    error of this event; nothing is printed. So is what a `SocketHandler`, which python-logstash's TCP handler is,
    hides while it waits to reconnect. Other handlers that hide their errors lose events without a word. A forked child
    has a connection of its own with every handler of the standard library.

    Args:
        handler: called by the lane's thread only, if it is attached nowhere else.

    Raises `ValueError` for a handler whose `emit` or `handle` is a coroutine function: nobody would await it.
    """

    folds = False
    imports = ("logging.handlers",)

    def __init__(self, handler: logging.Handler) -> None:
        if inspect.iscoroutinefunction(handler.emit) or inspect.iscoroutinefunction(handler.handle):
            raise ValueError("a handler with a coroutine function as emit() cannot be a backend")
        self._handler = handler
        self._process = os.getpid()
        self._failure: BaseException | None = None
        handler.handleError = self._note  # type: ignore[method-assign]  # the hook that Handler has for this

    def send(self, events: Sequence[Event], /) -> int:
        """Hand over the first event."""
        record = log_record(events[0])
        if record.levelno < self._handler.level:
            return 1
        if self._process != os.getpid():
            self._process = os.getpid()
            _leave_connection(self._handler)
        self._failure = None
        self._handler.handle(record)
        failure = self._failure
        if isinstance(failure, OSError):
            raise RetryLater(None, class_name(failure))
        if failure is not None:
            raise failure
        if _lost_connection(self._handler):
            raise RetryLater(None, "not connected")
        return 1

    def close(self) -> None:
        """Close the handler."""
        self._handler.close()

    def _note(self, record: logging.LogRecord) -> None:
        self._failure = sys.exc_info()[1]


def _lost_connection(handler: logging.Handler) -> bool:
    imports.load("logging.handlers")
    from logging.handlers import SocketHandler

    # Its send() drops the record when there is no connection, and says nothing; afterwards it has no socket.
    return isinstance(handler, SocketHandler) and handler.sock is None


def _leave_connection(handler: logging.Handler) -> None:
    """Have *handler* connect anew, and leave the connection that it has to the parent process."""
    for name in ("sock", "socket"):  # of a SocketHandler, of a SysLogHandler: both connect when there is none
        connection = getattr(handler, name, None)
        if isinstance(connection, socket.socket):
            connection.close()
            setattr(handler, name, None)


def log_record(event: Event) -> logging.LogRecord:
    """Return *event* as a log record: fields are extras, the traceback is both `exc_text` and `stack_trace`.

    What handlers, filters and formatters change in it, the event does not show.
    """
    record = logging.LogRecord(
        name=event.logger or "notify",
        level=event.level,
        pathname=event.source.path,
        lineno=event.source.line,
        msg=f"{event.message}\n{event.body}" if event.body else event.message,
        args=(),
        exc_info=None,
        func=event.source.function or None,
    )
    record.created = event.time
    record.msecs = int(event.time % 1 * 1000)
    record.levelname = level_name(event.level)
    record.threadName = event.source.thread or record.threadName
    record.process = event.source.process or record.process
    if event.exception is not None:
        record.exc_text = event.exception.traceback.rstrip("\n")
        record.__dict__["stack_trace"] = event.exception.traceback  # formatters that only know extras show it too
    for name, value in {"topic": event.topic, "event_id": event.id, **unshared(event.fields)}.items():
        record.__dict__[f"extra_{name}" if name in _TAKEN else name] = value
    return record
