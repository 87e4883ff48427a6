"""The last records, for the tail of a crash report."""

import time
from collections import deque

from notify.capture.snapshot import Snapshot
from notify.plain import clean

CAPACITY = 2000  # records, as many as trade-executor keeps


class RingBuffer:
    """Remembers the last records. Thread-safe: a deque's append is atomic.

    Args:
        capacity: how many.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._records: deque[Snapshot] = deque(maxlen=capacity)
        self.append = self._records.append
        """Add one snapshot and forget the oldest."""

    def __len__(self) -> int:
        return len(self._records)

    def tail(self, count: int) -> tuple[str, ...]:
        """Return the last *count* records as lines of text, oldest first."""
        records = list(self._records)  # one call into C: nobody appends meanwhile
        return tuple(_line(snapshot) for snapshot in records[max(0, len(records) - count) :])


def _line(snapshot: Snapshot) -> str:
    moment = time.strftime("%H:%M:%S", time.gmtime(snapshot.time))
    first = snapshot.message.splitlines()[0] if snapshot.message else ""
    return clean(f"{moment} {snapshot.level_name} {snapshot.logger}: {first}")
