"""The logging handler: from any logger to the intake, at the price of three tuples and a dict where they are enough."""

import logging
import sys
from itertools import islice
from logging import LogRecord
from threading import get_ident

from notify import diagnostics
from notify.capture import context
from notify.capture.context import STRUCTLOG
from notify.capture.deferred import DeferredRecord, allow_deferring, events_of, narrow
from notify.capture.event_dict import exception_in
from notify.capture.log_record import BEFORE_LAST, LAST, place_of
from notify.capture.ring import RingBuffer
from notify.capture.snapshot import Snapshot
from notify.clock import YEAR_10000
from notify.delivery.intake import HEAVY, Intake
from notify.interruption import came_from_outside
from notify.plain import SCALARS, class_name, safe_str
from notify.reported import report_of
from notify.threads import idents

ASYNCIO = "asyncio"
"""The logger through which asyncio and uvloop say what nobody awaited. What is reported there as a crash is not said
a second time."""

_modules = sys.modules


class IntakeHandler(logging.Handler):
    """Hands every record at or above its level to a notifier, and keeps the last ones.

    What our own threads log is left alone, so that a delivery cannot cause another one.
    Thread-safe; never raises, never waits for a network.

    Args:
        intake: where records go.
        ring: remembers the last records.
        level: least level taken.
    """

    def __init__(self, intake: Intake, ring: RingBuffer, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._intake = intake
        intake.defer_with(events_of)
        self._ring = ring
        self._remember = ring.add

    def handle(self, record: LogRecord) -> bool:
        """Take *record* if the filters let it pass; False if not.

        Done without the lock that `logging` holds around `emit`: nothing here needs one.
        """
        if self.filters:
            passed = filtered(self, record)
            if passed is None:
                return False
            record = passed
        if get_ident() in idents:
            return True
        intake = self._intake
        deferred: DeferredRecord | None = None
        try:
            # The way of an ordinary record. No call that can be done without: on a thread that has just woken up, each
            # costs its caller a microsecond.
            if type(record) is LogRecord and type(level := record.levelno) is int and level < intake.wake_level:
                attributes = record.__dict__
                names = islice(attributes, BEFORE_LAST, None)
                if (
                    next(names, None) == LAST
                    and type(template := attributes["msg"]) is type(logger := attributes["name"]) is str
                    and type(args := attributes["args"]) is tuple
                    and attributes["exc_info"] is attributes["exc_text"] is attributes["stack_info"] is None
                    and type(created := attributes["created"]) is float
                    and 0.0 <= created < YEAR_10000
                    and not (context.bound if context.is_known else STRUCTLOG in _modules)
                ):
                    weight = len(template) + len(logger)
                    for value in args:
                        kind = type(value)
                        if kind is str:
                            weight += len(value)
                        elif kind not in SCALARS:
                            weight += HEAVY  # it may change, and can wait as little as what is heavy
                    extras = {}
                    for name in names:
                        extras[name] = value = attributes[name]
                        kind = type(value)
                        if kind is str:
                            weight += len(value)
                        elif kind not in SCALARS:
                            weight += HEAVY
                    if weight < HEAVY and len(intake.waiting) < intake.capacity and (not args or template in narrow):
                        deferred = (place_of(attributes), created, level, template, args, extras, weight)
        except BaseException as error:  # it is no ordinary record, then
            if came_from_outside(error):
                raise
        if deferred is None:
            self._take(record)
            return True
        try:
            # What another thread or a signal raises here is not caught, so that no record is taken twice.
            self._remember((created, level, logger, template, args))
            intake.waiting.append(deferred)
        except MemoryError:
            diagnostics.report("handler", f"a record of {logger} was lost: MemoryError")
        return True

    def _take(self, record: LogRecord) -> None:
        """Take a record that may have anything in it."""
        try:
            snapshot = Snapshot(record)
            self._ring.append(snapshot)
            if snapshot.logger == ASYNCIO and _is_said(record):
                return
            snapshot.prepare_subject(record)
            allow_deferring(getattr(record, "msg", None))
            self._intake.accept(snapshot)
        except BaseException as error:  # guarantee 1: a log call raises nothing into the program but what is its own
            if came_from_outside(error):
                raise
            diagnostics.report(
                "handler", f"a record of {safe_str(getattr(record, 'name', None))} was lost: {class_name(error)}"
            )

    def emit(self, record: LogRecord) -> None:
        """See `handle`. For those who call it themselves."""
        self.handle(record)


def filtered(handler: logging.Handler, record: LogRecord) -> LogRecord | None:
    """Return what the filters of *handler* make of *record*, None when one holds it back.

    A filter may return another record, as Python has it from 3.12 on. Raises what a filter raises.
    """
    for each in handler.filters:
        passed = each.filter(record) if hasattr(each, "filter") else each(record)
        if not passed:
            return None
        if isinstance(passed, LogRecord):
            record = passed
    return record


def _is_said(record: LogRecord) -> bool:
    exception = exception_in(getattr(record, "exc_info", None))
    return exception is not None and report_of(exception) is not None
