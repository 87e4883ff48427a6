"""The last log records, as the executor's `/logs` serves them."""

import logging
from operator import itemgetter
from typing import TypedDict, cast

from notify.capture.exported import exported
from notify.capture.ring import CAPACITY, RingBuffer
from notify.capture.snapshot import Snapshot
from notify.integrations.trade_executor.redaction import redaction

_LONGEST = 20_000  # code points of a message: the report of a rebalance is whole


class ExportedRecord(TypedDict):
    """A record as front ends read it. All keys are always there.

    Args:
        timestamp: UTC epoch seconds.
        level: name of the level in lower case.
        message: formatted.
        exception_type: class of what was raised, such as `<class 'ValueError'>`.
        traceback_data: its frames, in the shape of tblib.
        level_number: in logging's numbers.
        formatted_data: its lines.
    """

    timestamp: float
    level: str
    message: str
    exception_type: str | None
    traceback_data: dict[str, object] | None
    level_number: int
    formatted_data: list[str] | None


class RingBufferHandler(logging.Handler):
    """Keeps the last records in memory. Thread-safe.

    Args:
        level: least level.
        buffer_size: records.
    """

    def __init__(self, level: int = logging.NOTSET, buffer_size: int = CAPACITY) -> None:
        super().__init__(level)
        self._ring = RingBuffer(buffer_size, longest=_LONGEST)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is needed to show *record* later, and nothing of it that may change."""
        self._ring.append(Snapshot(record))

    def export(self) -> list[ExportedRecord]:
        """Return what is kept, oldest first, as strict JSON without secrets. One odd record costs no other."""
        from notify.status.records import records  # with orjson, for those who serve them

        kept = records(map(exported, self._ring.records()), redaction())
        return cast("list[ExportedRecord]", sorted(kept, key=itemgetter("timestamp")))


_kept: RingBufferHandler | None = None


def setup_in_memory_logging(logger: logging.Logger) -> None:
    """Keep the last 2000 records at INFO and above that reach *logger*. A logger that has such a handler keeps it."""
    global _kept
    if _kept is None or _kept not in logger.handlers:
        _kept = RingBufferHandler(logging.INFO)
        logger.addHandler(_kept)


def get_ring_buffer_handler() -> RingBufferHandler | None:
    """Return what `setup_in_memory_logging` has put on a logger last; None before."""
    return _kept
