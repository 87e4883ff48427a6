"""The logging handler: from any logger to the intake, at the price of a snapshot."""

import logging
from logging import LogRecord
from threading import get_ident

from notify import diagnostics
from notify.capture.ring import LONGEST_NAME, RingBuffer
from notify.capture.snapshot import Snapshot
from notify.delivery.intake import HEAVY, Intake
from notify.plain import came_from_a_signal, class_name, safe_str
from notify.reported import report_of
from notify.threads import idents

ASYNCIO = "asyncio"
"""The logger through which asyncio and uvloop say what nobody awaited. What is reported there as a crash is not said
a second time."""


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
        self._ring = ring
        self._remember, self._longest = ring.add, ring.longest

    def handle(self, record: LogRecord) -> bool:
        """Take *record* if the filters let it pass; False if not.

        Done without the lock that `logging` holds around `emit`: nothing here needs one.
        """
        if self.filters:
            passed = self._filtered(record)
            if passed is None:
                return False
            record = passed
        if get_ident() in idents:
            return True
        try:
            # No call that can be done without: on a thread that has just woken up, each costs its caller a microsecond.
            snapshot = Snapshot(record)
            message, name, created = snapshot.message, snapshot._origin[0], snapshot._created
            if (
                snapshot.exception is None
                and len(message) <= self._longest
                and type(created) is float
                and type(name) is str
                and len(name) <= LONGEST_NAME
            ):
                self._remember((created, snapshot.level, name, message, None))
            else:
                self._ring.append(snapshot)
                if name == ASYNCIO and _is_said(record):
                    return True
            intake = self._intake
            is_light = snapshot.level < intake.wake_level and snapshot.weight < HEAVY
            if is_light and len(intake.waiting) < intake.capacity:
                intake.waiting.append(snapshot)
            else:
                snapshot.note_template(record)
                intake.accept(snapshot)
        except BaseException as error:  # guarantee 1: a log call raises nothing into the program but what is its own
            if came_from_a_signal(error):
                raise
            diagnostics.report("handler", f"a record of {safe_str(record.name)} was lost: {class_name(error)}")
        return True

    def _filtered(self, record: LogRecord) -> LogRecord | None:
        """Return what the filters make of *record*, None when one holds it back.

        A filter may return another record, as Python has it from 3.12 on.
        """
        for each in self.filters:
            passed = each.filter(record) if hasattr(each, "filter") else each(record)
            if not passed:
                return None
            if isinstance(passed, LogRecord):
                record = passed
        return record

    def emit(self, record: LogRecord) -> None:
        """See `handle`. For those who call it themselves."""
        self.handle(record)


def _is_said(record: LogRecord) -> bool:
    exc_info = record.exc_info
    exception = exc_info[1] if type(exc_info) is tuple and len(exc_info) > 1 else None
    return isinstance(exception, BaseException) and report_of(exception) is not None
