"""The logging handler: from any logger to the intake, at the price of a snapshot."""

import logging
from threading import get_ident

from notify import diagnostics, threads
from notify.capture.ring import RingBuffer
from notify.capture.snapshot import Snapshot
from notify.delivery.intake import Intake


class NotifyHandler(logging.Handler):
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

    def emit(self, record: logging.LogRecord) -> None:
        """Take *record*."""
        if threads.is_ours(get_ident()):
            return
        try:
            snapshot = Snapshot(record)
            self._ring.append(snapshot)
            intake = self._intake
            if record.levelno < intake.wake_level and len(intake) < intake.capacity:
                intake.append(snapshot)
            else:
                intake.accept(snapshot)
        except Exception as error:  # noqa: BLE001 - guarantee 1: a log call never raises into the program
            diagnostics.report("handler", f"a record of {record.name} was lost: {type(error).__name__}")
