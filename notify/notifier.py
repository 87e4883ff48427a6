"""The front: what programs call."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Self, TypedDict, Unpack

from notify import diagnostics
from notify.backend import Backend
from notify.capture.handler import NotifyHandler
from notify.capture.ring import RingBuffer
from notify.clock import Clock, SystemClock
from notify.delivery.dispatcher import Dispatcher
from notify.delivery.intake import Intake
from notify.delivery.lane import Lane
from notify.delivery.ticket import Ticket
from notify.errors import ConfigError
from notify.event import Attachment, Event, Source, new_id
from notify.exceptions import Raised
from notify.levels import TRADE
from notify.plain import MAX_ITEMS, clean, keep, keep_fields, safe_str
from notify.rules.routing import Route, least_level

_RING_LEVEL = logging.INFO


class Parts(TypedDict, total=False):
    """The keyword arguments of `Notifier.notify`."""

    body: str
    level: int
    topic: str
    key: str | None
    fields: Mapping[str, object] | None
    attachments: Sequence[Attachment]
    exc: BaseException | None


class Notifier:
    """Takes what a program says and has it delivered.

    No method raises into the caller or waits for a network, but for `flush` and `close`, which wait as long
    as they are told. Thread-safe; a context manager that closes itself.

    Args:
        backends: where to, by name.
        routes: what each backend gets; INFO and above of every topic for those not named.
        clock: tells the time and waits.

    Raises `RuntimeError` when no thread can be started.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        *,
        routes: Mapping[str, Route] | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        routes = routes or {}
        self.clock: Clock = clock
        self._settled = threading.Condition()
        self._closing = threading.RLock()  # a signal handler may close what is being closed
        self._closed = False
        self._on_close: list[Callable[[], None]] = []
        self._lanes = tuple(
            Lane(name, backend, routes.get(name, Route()), clock=clock, settled=self._settled)
            for name, backend in backends.items()
        )
        self._intake = Intake(wake_level=TRADE)
        self._dispatcher = Dispatcher(self._intake, self._lanes, settled=self._settled)
        self._ring = RingBuffer()
        wanted = least_level([lane.route for lane in self._lanes])
        self.handler: logging.Handler = NotifyHandler(self._intake, self._ring, min(wanted, _RING_LEVEL))
        """The logging handler, for those who attach handlers themselves."""

    def __repr__(self) -> str:
        return f"Notifier({', '.join(lane.name for lane in self._lanes)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def notify(
        self,
        message: str,
        /,
        *,
        body: str = "",
        level: int = logging.INFO,
        topic: str = "log",
        key: str | None = None,
        fields: Mapping[str, object] | None = None,
        attachments: Sequence[Attachment] = (),
        exc: BaseException | None = None,
    ) -> Ticket:
        """Say that something happened. Returns at once.

        Args:
            message: what happened; the first line is what people see first.
            body: more text. A line that holds only `…` separates sections.
            level: severity, in logging's numbers.
            topic: what it is about; routes choose by it.
            key: the ongoing matter it belongs to.
            fields: names and values, shown as such.
            attachments: files. An image is shown under the text.
            exc: the exception to show with its traceback.

        Returns a ticket that tells what became of it. Never raises: what cannot be shown is marked in the event.
        """
        return self.accept(
            _event(
                self.clock.time(),
                _caller(),
                message,
                body=body,
                level=level,
                topic=topic,
                key=key,
                fields=fields,
                attachments=attachments,
                exc=exc,
            )
        )

    def trade(self, message: str, /, **same: Unpack[Parts]) -> Ticket:
        """Say that something was bought or sold: `notify` at level TRADE with the topic `trade`."""
        parts: Parts = {"level": TRADE, "topic": "trade", **same}
        return self.accept(_event(self.clock.time(), _caller(), message, **parts))

    def accept(self, event: Event) -> Ticket:
        """Take an event that was made elsewhere. Returns at once, never raises."""
        ticket = Ticket(event.id, durable=False, changed=self._settled)
        try:
            if not self._intake.accept(_Said(event, ticket)):
                self._refuse(event, ticket)
        except Exception as error:  # noqa: BLE001 - an event whose parts are not what Event says
            ticket.routed(())
            diagnostics.report("draft", f"an event could not be taken: {type(error).__name__}")
        return ticket

    def tail(self, count: int) -> tuple[str, ...]:
        """Return the last *count* log records as lines, oldest first."""
        return self._ring.tail(count)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every lane is empty, *timeout* seconds at most. True: they are."""
        deadline = time.monotonic() + min(timeout, threading.TIMEOUT_MAX)
        self._intake.wake()
        with self._settled:
            while not self._empty():
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._settled.wait(remaining)
        return True

    def close(self, timeout: float = 5.0) -> None:
        """Deliver what waits, *timeout* seconds at most, then stop every thread. Idempotent and re-entrant.

        A thread whose backend does not return is given a tenth of a second more, and then left to end when it does.
        """
        timeout = min(max(0.0, timeout), threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        if not self._closing.acquire(timeout=timeout):
            return  # another thread is at it
        try:
            if self._closed:
                return
            self._closed = True
            for undo in self._on_close:
                _run_undo(undo)
            try:
                self.flush(deadline - time.monotonic())
            finally:  # also when Ctrl-C ends the wait
                self._stop(deadline)
        finally:
            self._closing.release()

    def stats(self) -> dict[str, dict[str, object]]:
        """Return counts per backend.

        The keys are accepted, delivered, retried, pending, dropped (by reason), last_success_at (epoch seconds) and
        last_error.
        """
        return {lane.name: lane.stats() for lane in self._lanes}

    def attach(self, logger: logging.Logger | None = None) -> None:
        """Put the logging handler on *logger*, the root logger by default, if it is not there. Other handlers stay."""
        logger = logger or logging.getLogger()
        if self.handler not in logger.handlers:
            logger.addHandler(self.handler)

    def at_close(self, undo: Callable[[], None]) -> None:
        """Call *undo* when this notifier is closed, before what waits is delivered."""
        self._on_close.append(undo)

    def _stop(self, deadline: float) -> None:
        self._intake.close()
        self._dispatcher.stop(max(0.1, deadline - time.monotonic()))
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join(max(0.1, deadline - time.monotonic()))

    def _refuse(self, event: Event, ticket: Ticket) -> None:
        reason = "closed" if self._closed else "intake full"
        ticket.routed(())
        for lane in self._lanes:
            if lane.route.wants(event):
                ticket.settle(lane.name, f"dropped: {reason}")
        diagnostics.report("intake", f"an event was dropped: {reason}")

    def _empty(self) -> bool:
        return self._dispatcher.idle() and not any(lane.pending() for lane in self._lanes)


class _Said(NamedTuple):
    """An event that is made already, as the intake takes it."""

    made: Event
    ticket: Ticket | None

    @property
    def level(self) -> int:
        return self.made.level

    def event(self) -> Event:
        return self.made


def _run_undo(undo: Callable[[], None]) -> None:
    try:
        undo()
    except Exception as error:  # noqa: BLE001 - what waits must be delivered all the same
        diagnostics.report("close", f"something could not be undone: {type(error).__name__}")


def _caller() -> Source:
    """Return the place two frames up: who called the method that asks."""
    thread = clean(safe_str(threading.current_thread().name))
    try:
        frame = sys._getframe(2)
    except ValueError:  # called by C: as an atexit callback, or as all that a thread runs
        return Source(process=os.getpid(), thread=thread)
    code = frame.f_code
    return Source(clean(code.co_filename), frame.f_lineno or 0, code.co_name, os.getpid(), thread)


def _event(now: float, source: Source, message: object, **parts: Unpack[Parts]) -> Event:
    """Make an event of whatever was passed, even of what breaks when it is looked at."""
    try:
        return _read(now, source, message, **parts)
    except Exception as error:  # noqa: BLE001 - such as an object whose __class__ raises
        level = parts.get("level")
        return Event(
            id=new_id(now),
            time=now,
            message=clean(safe_str(message)),
            level=level if type(level) is int else logging.WARNING,
            fields={"notify": f"<unreadable arguments: {type(error).__name__}>"},
            source=source,
        )


def _read(
    now: float,
    source: Source,
    message: object,
    *,
    body: object = "",
    level: object = logging.INFO,
    topic: object = "log",
    key: object = None,
    fields: Mapping[str, object] | None = None,
    attachments: Iterable[object] | None = (),
    exc: object = None,
) -> Event:
    """Make an event of what was passed. What cannot be used is shown in it instead."""
    kept = keep_fields(fields) if fields is not None else {}
    files: tuple[Attachment, ...] = ()
    try:
        one = isinstance(attachments, Attachment)  # instead of a list of one
        given = (attachments,) if one else tuple(islice(attachments or (), MAX_ITEMS + 1))
        files = tuple(file for file in given[:MAX_ITEMS] if isinstance(file, Attachment))
        if len(files) < len(given):
            kept["attachments"] = f"{len(given) - len(files)} of {len(given)} are no Attachment, or too many"
    except Exception as error:  # noqa: BLE001 - a hostile iterator
        kept["attachments"] = f"<unreadable: {type(error).__name__}>"
    if not isinstance(level, int):
        kept["level"] = keep(level)
        level = logging.INFO
    if exc is not None and not isinstance(exc, BaseException):
        kept["exc"] = keep(exc)
    return Event(
        id=new_id(now),
        time=now,
        message=clean(safe_str(message)),
        body=clean(safe_str(body)),
        level=int.__int__(level),
        topic=clean(safe_str(topic)),
        key=None if key is None else clean(safe_str(key)),
        fields=kept,
        attachments=files,
        exception=Raised(exc).info() if isinstance(exc, BaseException) else None,
        source=source,
    )


_current: Notifier | None = None


def current_notifier() -> Notifier | None:
    """Return the notifier that `setup()` made, None before."""
    return _current


def get_notifier() -> Notifier:
    """Return the notifier that `setup()` made.

    Raises `ConfigError` when there is none: what is said would be heard by nobody.
    """
    if _current is None:
        raise ConfigError("call notify.setup() first: there is no notifier yet")
    return _current


def set_notifier(notifier: Notifier | None) -> None:
    """Make *notifier* the one that `get_notifier` returns. For `setup()` and tests."""
    global _current
    _current = notifier
