"""One backend's queue and the one thread that empties it."""

import threading
from collections import Counter
from collections.abc import Sequence

from notify import diagnostics, threads
from notify.backend import Backend, in_order, max_batch, ready_in
from notify.clock import Clock
from notify.delivery.backoff import Backoff
from notify.delivery.queue import CAPACITY, Entry, LaneQueue
from notify.delivery.ticket import DELIVERED
from notify.errors import DeliveryError, Gone, Rejected, RetryLater
from notify.plain import clean, safe_str
from notify.rules.routing import Route

PROBE_INTERVAL = 600.0  # seconds between attempts at a destination that said it is gone
LONGEST_WAIT = 86_400.0  # seconds that a destination may ask for; a nonsense Retry-After must not end a lane
_SHORTEST_WAIT = 0.1  # seconds, also for a destination that keeps saying "at once"
_TRIES_OF_A_BUG = 5  # attempts at an event whose delivery raises what no destination says
_REASON_LENGTH = 300  # characters of an error text in stats() and outcomes


class Lane:
    """Delivers events to one backend, in order, urgent ones first, and says what became of each.

    Thread-safe. The thread starts with the object and ends with `stop`.

    Args:
        name: the backend's name in settings, stats and outcomes.
        backend: called by this lane's thread only.
        route: which events come here; the dispatcher asks.
        clock: tells the time and waits.
        settled: notified whenever entries leave the queue.
        capacity: events that may wait.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        route: Route,
        *,
        clock: Clock,
        settled: threading.Condition,
        capacity: int = CAPACITY,
    ) -> None:
        self.name = name
        self.route = route
        self._backend = backend
        self._max_batch = max_batch(backend)
        self._clock = clock
        self._settled = settled
        self._changed = threading.Condition()
        self._queue = LaneQueue(capacity=capacity, in_order=in_order(backend))
        self._backoff = Backoff()
        self._not_before = 0.0  # monotonic seconds
        self._failing: Entry | None = None  # the first event of the last attempt, if that met a bug
        self._tries = 0  # attempts at it
        self._stopping = False
        self._closed = False
        self._accepted = 0
        self._delivered = 0
        self._retried = 0
        self._dropped: Counter[str] = Counter()
        self._last_success_at: float | None = None
        self._last_error: str | None = None
        self._thread = threads.start(f"lane-{name}", self._run)

    # ---- the dispatcher's side

    def put(self, entries: Sequence[Entry]) -> None:
        """Queue *entries*. Never waits for the backend."""
        with self._settled, self._changed:
            self._accepted += len(entries)
            reason = "closed" if self._closed else "queue full"
            dropped = entries if self._closed else [lost for entry in entries for lost in self._queue.put(entry)]
            self._drop(dropped, reason)
            self._changed.notify()
        self._say_dropped(len(dropped), reason)

    def pending(self) -> int:
        """Return how many events are not settled yet."""
        with self._changed:  # while the thread moves an entry about, it is nowhere for a moment
            return len(self._queue)

    def next_attempt_in(self) -> float:
        """Return in how many seconds a failed delivery is tried again, 0 or less when that is due or nothing failed."""
        return self._not_before - self._clock.monotonic()

    def stats(self) -> dict[str, object]:
        """Return counts since the start, the time of the last success (epoch seconds) and the last error's text."""
        with self._changed:
            return {
                "accepted": self._accepted,
                "delivered": self._delivered,
                "retried": self._retried,
                "pending": len(self._queue),
                "dropped": {reason: count for reason, count in self._dropped.items() if count},
                "last_success_at": self._last_success_at,
                "last_error": self._last_error,
            }

    def stop(self) -> None:
        """Make the thread end after what it is doing. Does not wait."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, *timeout* seconds at most, and settle what is left as dropped."""
        if self._thread is not threading.current_thread():  # a backend may close the notifier that it serves
            self._thread.join(timeout)
        with self._settled, self._changed:
            self._closed = True
            left = self._queue.clear()
            self._drop(left, "closed")
        self._say_dropped(len(left), "closed")

    # ---- the thread's side

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                self._deliver(batch)
        finally:
            try:
                self._backend.close()
            except BaseException as error:  # noqa: BLE001 - a third party's close() may raise anything
                diagnostics.report(f"close {self.name}", f"{self.name}: close() failed: {_describe(error)}")

    def _next_batch(self) -> list[Entry]:
        """Wait until something may be sent and return it; empty when the lane is to end."""
        with self._changed:
            while not self._stopping:
                if not len(self._queue):
                    self._clock.wait_until(self._changed, None)
                elif (moment := self._next_moment()) > self._clock.monotonic():
                    self._clock.wait_until(self._changed, moment)
                else:
                    # Alone after a bug: in a batch, nobody knows whose it was.
                    return self._queue.take(1 if self._failing else self._max_batch)
            return []

    def _next_moment(self) -> float:
        """Return when the next attempt is due (monotonic seconds): after a failure, or by the destination's limits."""
        try:
            return max(self._not_before, self._clock.monotonic() + min(ready_in(self._backend), LONGEST_WAIT))
        except BaseException:  # noqa: BLE001 - a third party's; send() will say what is wrong
            return self._not_before

    def _deliver(self, batch: list[Entry]) -> None:
        events = [entry.event for entry in batch]
        try:
            count = self._backend.send(events)
        except RetryLater as error:
            self._try_again(self._welcome(getattr(error, "after", None)), error)
        except Rejected as error:
            self._reject_first(error)
        except Gone as error:
            self._try_again(PROBE_INTERVAL, error)
        except OSError as error:
            self._try_again(self._backoff.next(), error)
        except BaseException as error:  # noqa: BLE001 - whatever a third party's backend raises, sys.exit() included
            self._tries = self._tries + 1 if batch[0] is self._failing else 1
            self._failing = batch[0]
            if self._tries < _TRIES_OF_A_BUG:
                self._try_again(self._backoff.next(), error)
            else:
                self._reject_first(error)
        else:
            self._acknowledge(min(max(1, count), len(events)) if isinstance(count, int) else 1)

    def _welcome(self, after: object) -> float:
        """Return the wait that a destination asks for, or the next of ours when it asks for none or nonsense."""
        if isinstance(after, int | float) and after >= 0:
            return max(_SHORTEST_WAIT, min(after, LONGEST_WAIT))
        return self._backoff.next()

    def _acknowledge(self, count: int) -> None:
        with self._settled, self._changed:
            done = self._queue.acknowledge(count)
            self._queue.give_back()
            self._delivered += len(done)
            self._last_success_at = self._clock.time()
            self._backoff.reset()
            self._failing = None
            self._settle(done, DELIVERED)

    def _try_again(self, after: float, error: BaseException) -> None:
        text = _describe(error)
        diagnostics.report(f"retry {self.name}", f"{self.name}: {text}; next attempt in {after:.0f} s")
        with self._settled, self._changed:
            self._queue.give_back()
            self._retried += 1
            self._last_error = text
            self._not_before = self._clock.monotonic() + after
            self._settled.notify_all()  # who closes the notifier need not wait for this

    def _reject_first(self, error: BaseException) -> None:
        text = _describe(error)
        diagnostics.report(f"rejected {self.name}", f"{self.name}: an event was refused: {text}")
        with self._settled, self._changed:
            done = self._queue.acknowledge(1)
            self._queue.give_back()
            self._dropped["rejected"] += len(done)
            self._last_error = text
            self._failing = None
            self._backoff.reset()  # the destination has spoken: it is well
            self._settle(done, f"rejected: {text}")

    # ---- either side, holding both locks: `_settled` is taken first, so that counts, tickets and flush() agree

    def _drop(self, entries: Sequence[Entry], reason: str) -> None:
        self._dropped[reason] += len(entries)
        self._settle(entries, f"dropped: {reason}")

    def _settle(self, entries: Sequence[Entry], outcome: str) -> None:
        for entry in entries:
            if entry.ticket is not None:
                entry.ticket.settle(self.name, outcome)
        if entries:
            self._settled.notify_all()

    # ---- either side, holding none: stderr may be a pipe that nobody reads

    def _say_dropped(self, count: int, reason: str) -> None:
        if count:
            diagnostics.report(f"dropped {self.name}", f"{self.name}: dropped {count} of its events: {reason}")


def _describe(error: BaseException) -> str:
    """Say what went wrong without saying where to: only our own errors are known to hold no credentials."""
    text = safe_str(error) if isinstance(error, DeliveryError) else type(error).__name__
    return clean(text[:_REASON_LENGTH])
