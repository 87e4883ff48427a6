"""The last records, for the tail of a crash report: of each what a reader needs, so that none of them is large."""

import time
from collections import deque
from typing import NamedTuple

from notify.capture.snapshot import Snapshot
from notify.clip import clip_end
from notify.clock import is_time
from notify.exceptions import Outline
from notify.levels import level_name
from notify.plain import clean

CAPACITY = 2000  # records, as many as trade-executor keeps
_MESSAGE = 500  # code points of a message
LONGEST_NAME = 100  # code points of a logger's name


class Remembered(NamedTuple):
    """What is kept of a record.

    Args:
        time: UTC epoch seconds.
        level: severity, in logging's numbers.
        logger: name of the logger.
        message: its first code points, 500 by default, with a count of those that were more.
        exception: what was raised, when something was.
    """

    time: float
    level: int
    logger: str
    message: str
    exception: Outline | None


class RingBuffer:
    """Remembers the last records. Thread-safe: a deque's append is atomic.

    Args:
        capacity: how many.
        longest: code points of a message that are kept.
    """

    def __init__(self, capacity: int = CAPACITY, *, longest: int = _MESSAGE) -> None:
        self.longest = longest
        # Plain tuples: to make a named one costs the caller of a log call five times as much.
        self._records: deque[tuple[float, int, str, str, Outline | None]] = deque(maxlen=capacity)
        self.add = self._records.append
        """Takes what `Remembered` has; the time may be none. The logging handler adds by this what has no exception and
        is short, which saves it a call."""

    def __len__(self) -> int:
        return len(self._records)

    def append(self, snapshot: Snapshot) -> None:
        """Add what is kept of *snapshot* and forget the oldest."""
        message, raised = snapshot.message, snapshot.exception
        if len(message) > self.longest:
            message = clip_end(message, self.longest)
        outline = None if raised is None else raised.outline()
        self.add((snapshot.time, snapshot.level, snapshot.logger[:LONGEST_NAME], message, outline))

    def records(self) -> list[Remembered]:
        """Return what is remembered, oldest first."""
        return list(map(_remembered, tuple(self._records)))  # one call into C: nobody appends meanwhile

    def tail(self, count: int) -> tuple[str, ...]:
        """Return the last *count* records as lines of text, oldest first."""
        records = self.records()
        return tuple(map(_line, records[max(0, len(records) - count) :]))


def _remembered(kept: tuple[float, int, str, str, Outline | None]) -> Remembered:
    created, level, logger, message, exception = kept
    return Remembered(created if is_time(created) else 0.0, level, clean(logger), message, exception)


def _line(record: Remembered) -> str:
    moment = time.strftime("%H:%M:%S", time.gmtime(record.time))
    line = f"{moment} {level_name(record.level)} {record.logger}: {_first_line(record.message)}"
    if record.exception is not None:
        line += f" [{record.exception.type}: {_first_line(record.exception.message)}]"
    return clean(line)


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
