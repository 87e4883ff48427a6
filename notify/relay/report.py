"""What a worker tells of itself, for who looks at the relay."""

import json
import os
import time
from collections import deque

from notify.relay.stream import Away, Stream
from notify.relay.worker import Worker

_EVERY = 5.0  # seconds
_KEPT = 60  # seconds that a report is told after the worker's death
_WINDOW = 12  # reports that a rate is of: a minute


class Reporter:
    """Has the worker's counts told, now and then. For one thread.

    Args:
        stream: of the worker.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._since = time.time()
        self._next = 0.0  # monotonic seconds
        self._delivered: deque[tuple[float, int]] = deque(maxlen=_WINDOW + 1)

    def tell(self, worker: Worker) -> None:
        """Tell what *worker* has counted, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        backends = worker.stats()
        self._delivered.append((now, sum(each["delivered"] for each in backends.values())))
        document = {
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "since": self._since,
            "rate": round(self._rate(), 2),
            "in_hand": worker.in_hand,
            **worker.counts,
            "backends": {
                name: {what: each[what] for what in ("delivered", "pending", "parked", "last_error", "last_success_at")}
                for name, each in backends.items()
            },
        }
        try:
            self._stream.report(json.dumps(document).encode(), seconds=_KEPT)
        except Away:  # the next one tells more
            return

    def _rate(self) -> float:
        (began, first), (ends, last) = self._delivered[0], self._delivered[-1]
        return (last - first) / (ends - began) if ends > began else 0.0
