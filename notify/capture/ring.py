"""The last records, for the tail of a crash report: of each what a reader needs, so that none of them is large."""

import time
from collections import deque
from typing import NamedTuple

from notify.capture.deferred import formatted
from notify.capture.snapshot import Snapshot
from notify.clip import clip_end
from notify.exceptions import Outline
from notify.levels import level_name
from notify.plain import clean

CAPACITY = 2000  # records, as many as trade-executor keeps
_MESSAGE = 500  # code points of a message
_NAME = 100  # code points of a logger's name


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


Said = tuple[float, int, str, str, tuple[object, ...]]
"""What is kept of a record that is formatted later: the first three of `Remembered`, its template and arguments."""


class RingBuffer:
    """Remembers the last records. Thread-safe: a deque's append is atomic.

    Args:
        capacity: how many.
        longest: code points of a message that are kept.
    """

    def __init__(self, capacity: int = CAPACITY, *, longest: int = _MESSAGE) -> None:
        self._longest = longest
        self._records: deque[Remembered | Said] = deque(maxlen=capacity)
        self.add = self._records.append
        """The logging handler adds by this what it defers, which saves it a call."""

    def __len__(self) -> int:
        return len(self._records)

    def append(self, snapshot: Snapshot) -> None:
        """Add what is kept of *snapshot* and forget the oldest."""
        raised = snapshot.exception
        outline = None if raised is None else raised.outline()
        self.add(self._remembered(snapshot.time, snapshot.level, snapshot.logger, snapshot.message, outline))

    def records(self) -> list[Remembered]:
        """Return what is remembered, oldest first."""
        return self._last(len(self._records))

    def _last(self, count: int) -> list[Remembered]:
        kept = tuple(self._records)  # one call into C: nobody appends meanwhile
        return [
            each if isinstance(each, Remembered) else self._remembered(*each[:3], formatted(*each[3:]), None)
            for each in kept[max(0, len(kept) - count) :]
        ]

    def _remembered(self, moment: float, level: int, logger: str, message: str, outline: Outline | None) -> Remembered:
        if len(message) > self._longest:
            message = clip_end(message, self._longest)
        return Remembered(moment, level, clean(clip_end(logger, _NAME)), message, outline)

    def tail(self, count: int) -> tuple[str, ...]:
        """Return the last *count* records as lines of text, oldest first."""
        return tuple(map(_line, self._last(count)))


def _line(record: Remembered) -> str:
    moment = time.strftime("%H:%M:%S", time.gmtime(record.time))
    line = f"{moment} {level_name(record.level)} {record.logger}: {_first_line(record.message)}"
    if record.exception is not None:
        line += f" [{record.exception.type}: {_first_line(record.exception.message)}]"
    return clean(line)


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
