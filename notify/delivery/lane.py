"""One backend's queue and the one thread that empties it."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from notify import diagnostics, threads
from notify.backend import Backend, durable, in_order, max_batch, ready_in
from notify.clock import Clock
from notify.delivery.attempt import LONGEST_WAIT, Outcome, Verdict, attempt
from notify.delivery.queue import CAPACITY, Entry, LaneQueue
from notify.delivery.retry import Retry
from notify.delivery.tally import Tally
from notify.delivery.ticket import DELIVERED, Ticket
from notify.rules.routing import Route

if TYPE_CHECKING:  # a program whose backends are not durable need not load SQLite
    from notify.delivery.outbox import Outbox


class Lane:
    """Delivers events to one backend, in order, urgent ones first, and says what became of each.

    Thread-safe. The thread starts with the object, is started again when it dies, and ends with `stop`.

    Args:
        name: the backend's name in settings, stats and outcomes.
        backend: called by this lane's thread only.
        route: which events come here; the dispatcher asks.
        clock: tells the time and waits.
        settled: notified whenever entries leave the queue.
        outbox: where stored entries are on disk. For a backend that is durable.
        tell: called with this lane's name and a text when the destination is gone, and when it is there again.
        more: called when nothing waits here any more, and something on disk that had no room.
        redact: takes secrets out of what a backend gives as its reason.
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
        outbox: "Outbox | None" = None,
        tell: Callable[[str, str], None] = lambda name, text: None,
        more: Callable[[], None] = lambda: None,
        redact: Callable[[str], str] = lambda text: text,
        capacity: int = CAPACITY,
    ) -> None:
        self.name = name
        self.route = route
        self._backend = backend
        self._max_batch = max_batch(backend)
        self._clock = clock
        self._settled = settled
        self._outbox = outbox if durable(backend) else None
        self._tell = tell
        self._more = more
        self._redact = redact
        self._changed = threading.Condition()
        self._queue = LaneQueue(capacity=capacity, in_order=in_order(backend))
        self._retry = Retry()
        self._not_before = 0.0  # monotonic seconds
        self._gone = False
        self._parked: dict[str, Ticket | None] = {}  # by id: what is on disk only, for want of room here
        self._stopping = False
        self._closed = False
        self._tally = Tally()
        self._worker = threads.Worker(f"lane-{name}", self._run)

    @property
    def durable(self) -> bool:
        """Whether stored entries are on disk for this lane, too."""
        return self._outbox is not None

    # ---- the dispatcher's side

    def put(self, entries: Sequence[Entry]) -> None:
        """Queue *entries*. Never waits for the backend."""
        self._worker.revive()
        with self._settled, self._changed:
            self._tally.accepted += len(entries)
            if self._parked:
                entries = [self._come_back(entry) for entry in entries]
            if self._closed:
                self._drop(entries, "closed")
                self._remember_parked(entries)
                return
            fitting = [entry for entry in entries if self._queue.fits(entry)]
            surplus = self._queue.put(fitting)
            self._drop(surplus, "queue full")
            self._remember_parked(surplus)
            self._changed.notify()
        if len(fitting) < len(entries):
            self._give_up([entry for entry in entries if not self._queue.fits(entry)])
        self._park(self._stored(surplus))

    def park(self, entry: Entry) -> None:
        """Leave *entry*, which nobody has in memory, on disk until there is room for it. Only where it is on disk."""
        if self._outbox is not None:
            with self._settled, self._changed:
                self._tally.accepted += 1
                self._remember_parked([entry])
            self._park([entry.event.id])

    def parked(self) -> int:
        """Return how many events are on disk only."""
        with self._settled, self._changed:
            return len(self._parked)

    def pending(self) -> int:
        """Return how many events wait in memory or are under way."""
        with self._settled, self._changed:  # while the thread moves an entry about, it is nowhere for a moment
            return len(self._queue)

    def next_attempt_in(self) -> float:
        """Return in how many seconds a failed delivery is tried again, 0 or less when that is due or nothing failed."""
        return self._not_before - self._clock.monotonic()

    def stats(self) -> dict[str, object]:
        """Return counts since the start, the time of the last success (epoch seconds) and the last error's text.

        `restarted` is there only when the thread had to be started again.
        """
        restarts = self._worker.restarts
        with self._settled, self._changed:
            counts = self._tally.as_stats(len(self._queue) + len(self._parked))
            return counts | ({"restarted": restarts} if restarts else {})

    def stop(self) -> None:
        """Make the thread end after what it is doing. Does not wait."""
        with self._settled, self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout: float) -> list[str]:
        """Wait for the thread to end, *timeout* seconds at most, and settle what is left as dropped.

        What is on disk stays pending: whoever uses the outbox next delivers it. Returns the ids of what is on disk
        and in the hands of a backend that hangs: it may arrive yet, and is handed over when the backend returns.
        """
        self._worker.join(timeout)
        with self._settled, self._changed:
            self._closed = True
            in_hand = self._stored(self._queue.taken()) if self._outbox is not None else []
            left = self._queue.clear()
            self._drop(left, "closed")
            self._remember_parked(left)
        return in_hand

    # ---- housekeeping's side

    def roomy(self) -> bool:
        """Say whether there is room for what was parked."""
        with self._changed:
            return self._queue.roomy

    def dropped(self) -> Counter[str]:
        """Return how many events were dropped, by reason."""
        with self._changed:
            return self._tally.dropped.copy()

    def parked_ids(self) -> list[str]:
        """Return which events are on disk only."""
        with self._settled, self._changed:
            return list(self._parked)

    def store_again(self) -> None:
        """Write what is to be on disk there once more: its file was removed, and there is a new one."""
        if self._outbox is None:
            return
        with self._settled, self._changed:
            entries = self._queue.stored()
        for entry in entries:
            self._outbox.accept(entry.event, [self.name])
        with self._settled, self._changed:
            waiting = {entry.event.id for entry in self._queue.stored()}
        if settled := [entry.event.id for entry in entries if entry.event.id not in waiting]:
            self._outbox.delivered(self.name, settled)

    def forget_parked(self, ids: Iterable[str]) -> None:
        """Count these no more, nor as accepted: other processes have taken them over."""
        with self._settled, self._changed:
            for event_id in self._parked.keys() & ids:
                del self._parked[event_id]
                self._tally.accepted -= 1

    def discard(self, ids: Collection[str], reason: str) -> int:
        """Drop events that the outbox has given up, and return how many of them waited here, on disk or in memory."""
        with self._settled, self._changed:
            held = self._queue.discard(frozenset(ids))
            self._settle(held, f"dropped: {reason}")
            on_disk = self._parked.keys() & ids
            for event_id in on_disk:
                if (ticket := self._parked.pop(event_id)) is not None:
                    ticket.settle(self.name, f"dropped: {reason}")
            self._tally.dropped[reason] += len(held) + len(on_disk)
            return len(held) + len(on_disk)

    def revive(self) -> None:
        """Start the thread again if it died."""
        self._worker.revive()

    # ---- the thread's side

    def _run(self) -> None:
        with self._changed:
            self._queue.give_back()  # what a thread that died had taken
        while batch := self._next_batch():
            outcome = attempt(self._backend, [entry.event for entry in batch])
            if outcome.reason:
                outcome = outcome._replace(reason=self._redact(outcome.reason))
            done = self._finish(batch, outcome)
            if self._closed:
                self._park(self._stored(batch[done:]))
        try:
            self._backend.close()
        except BaseException as error:  # noqa: BLE001 - a third party's close() may raise anything
            diagnostics.report(f"close {self.name}", f"{self.name}: close() failed: {type(error).__name__}")

    def _next_batch(self) -> list[Entry]:
        """Wait until something may be sent and return it; empty when the lane is to end."""
        while self._wait_for_entries():
            # Without a lock, since it is a third party's; what it says may be old when it is used, and send() knows.
            self._limit()
            with self._changed:
                if self._not_before <= self._clock.monotonic() and not self._stopping:
                    return self._queue.take(1 if self._retry.alone else self._max_batch)
        return []

    def _wait_for_entries(self) -> bool:
        """Wait until there is something to send, and for what a failure asks for. False: the lane is to end."""
        with self._changed:
            while not self._stopping:
                waiting = len(self._queue) > 0
                if waiting and self._not_before <= self._clock.monotonic():
                    return True
                self._clock.wait_until(self._changed, self._not_before if waiting else None)
            return False

    def _limit(self) -> None:
        """Note when the destination's limits allow the next attempt."""
        try:
            seconds = min(ready_in(self._backend), LONGEST_WAIT)
            if seconds > 0:
                self._not_before = self._clock.monotonic() + seconds
        except BaseException:  # noqa: BLE001 - a third party's; send() will say what is wrong
            return

    def _finish(self, batch: list[Entry], outcome: Outcome) -> int:
        """Do what *outcome* asks for, and return how many of the first of *batch* are done with."""
        verdict = self._retry.judge(batch[0], outcome)
        if verdict is Verdict.DELIVERED:
            self._acknowledge(batch[: outcome.delivered])
            return outcome.delivered
        if verdict is Verdict.REJECTED:
            self._reject(batch[0], outcome.reason)
            return 1
        self._try_again(self._retry.wait(outcome), outcome.reason)
        if verdict is Verdict.GONE:
            self._say_gone(outcome.reason)
        return 0

    def _acknowledge(self, delivered: Sequence[Entry]) -> None:
        if self._outbox is not None and (stored := self._stored(delivered)):
            self._outbox.delivered(self.name, stored)
        with self._settled, self._changed:
            done = self._queue.acknowledge(len(delivered))
            self._queue.give_back()
            self._tally.delivered += len(done)
            self._tally.last_success_at = self._clock.time()
            self._retry.reset()
            self._settle(done, DELIVERED)
            room = bool(self._parked) and not len(self._queue)
        self._say_back()
        if room:
            self._more()

    def _reject(self, entry: Entry, reason: str) -> None:
        diagnostics.report(f"rejected {self.name}", f"{self.name}: an event was refused: {reason}")
        if self._outbox is not None and entry.stored:
            self._outbox.dead(self.name, entry.event.id, reason)
        with self._settled, self._changed:
            done = self._queue.acknowledge(1)
            self._queue.give_back()
            self._tally.dropped["rejected"] += len(done)
            self._tally.last_error = reason
            self._retry.reset()
            self._settle(done, f"rejected: {reason}")
        self._say_back()

    def _give_up(self, entries: Sequence[Entry]) -> None:
        """Drop what is larger than all that may wait here together."""
        reason = "too large"
        for entry in entries:
            if self._outbox is not None and entry.stored:
                self._outbox.dead(self.name, entry.event.id, reason)
        with self._settled, self._changed:
            self._tally.dropped[reason] += len(entries)
            self._settle(entries, f"dropped: {reason}")

    def _try_again(self, after: float, reason: str) -> None:
        diagnostics.report(f"retry {self.name}", f"{self.name}: {reason}; next attempt in {after:.0f} s")
        with self._settled, self._changed:
            self._queue.give_back()
            self._tally.retried += 1
            self._tally.last_error = reason
            self._not_before = self._clock.monotonic() + after
            self._settled.notify_all()  # who closes the notifier need not wait for this

    def _say_gone(self, reason: str) -> None:
        if not self._gone:
            self._gone = True
            self._tell(
                self.name, f"{self.name} takes no messages any more: {reason}. It is tried again every ten minutes."
            )

    def _say_back(self) -> None:
        if self._gone:
            self._gone = False
            self._tell(self.name, f"{self.name} takes messages again.")

    # ---- either side, holding both locks, so that counts, tickets and flush() agree. Whoever may be interrupted by a
    # signal handler takes `_settled` first also where `_changed` would do: the handler takes both, in this order.

    def _drop(self, entries: Sequence[Entry], reason: str) -> None:
        """Settle as dropped those of *entries* that are not on disk."""
        lost = [entry for entry in entries if self._outbox is None or not entry.stored]
        if lost:
            self._tally.dropped[reason] += len(lost)
            self._settle(lost, f"dropped: {reason}")
            diagnostics.report(f"dropped {self.name}", f"{self.name}: dropped {len(lost)} of its events: {reason}")

    def _remember_parked(self, entries: Sequence[Entry]) -> None:
        if self._outbox is not None:
            self._parked.update((entry.event.id, entry.ticket) for entry in entries if entry.stored)

    def _come_back(self, entry: Entry) -> Entry:
        """Return *entry* with the ticket that it had before it was parked, if it was."""
        if not entry.stored or entry.event.id not in self._parked:
            return entry
        self._tally.accepted -= 1  # it was counted when it came first
        return entry._replace(ticket=self._parked.pop(entry.event.id))

    def _settle(self, entries: Sequence[Entry], outcome: str) -> None:
        for entry in entries:
            if entry.ticket is not None:
                entry.ticket.settle(self.name, outcome)
        if entries:
            self._settled.notify_all()

    # ---- either side, holding none

    def _park(self, ids: Sequence[str]) -> None:
        if self._outbox is not None and ids:
            self._outbox.park(self.name, ids)

    def _stored(self, entries: Sequence[Entry]) -> list[str]:
        return [entry.event.id for entry in entries if entry.stored]
