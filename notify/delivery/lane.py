"""One backend's queue and the one thread that empties it."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Sequence

from notify import diagnostics, threads
from notify.backend import Backend, durable, folds, in_order, max_batch
from notify.clock import Clock
from notify.delivery.attempt import Outcome, Verdict, attempt, welcome_in
from notify.delivery.disk import Disk, NoDisk
from notify.delivery.queue import CAPACITY, Entry, LaneQueue
from notify.delivery.retry import Retry
from notify.delivery.tally import Tally
from notify.delivery.ticket import DELIVERED, Ticket
from notify.rules.routing import Route


class Lane:
    """Delivers events to one backend, in order, urgent ones first, and says what became of each.

    Thread-safe. The thread starts with the object, is started again when it dies, and ends with `stop`.

    Args:
        name: the backend's name in settings, stats and outcomes.
        backend: called by this lane's thread only.
        route: which events come here; the dispatcher asks.
        clock: tells the time and waits.
        lock: one for all lanes and for who waits for them. A signal handler that closes what it has interrupted lets
            go of it while it waits; of two it would keep the other, and who takes the first would wait for ever.
        settled: notified whenever entries leave the queue, with the same lock.
        outbox: where stored entries are on disk. For a backend that is durable.
        on_gone: called with this lane's name and a text when the destination is gone, and when it is there again.
        on_room: called when there is room again for what is on disk only.
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
        lock: threading.RLock,
        settled: threading.Condition,
        outbox: Disk | None = None,
        on_gone: Callable[[str, str], None] = lambda name, text: None,
        on_room: Callable[[], None] = lambda: None,
        redact: Callable[[str], str] = lambda text: text,
        capacity: int = CAPACITY,
    ) -> None:
        self.name = name
        self.route = route
        self.durable = outbox is not None and durable(backend)
        """Whether there are stored entries in this lane."""
        self.folds = folds(backend)
        """Whether repeats are counted here rather than sent."""
        self._backend = backend
        self._max_batch = max_batch(backend)
        self._clock = clock
        self._lock = lock
        self._settled = settled
        self._disk = outbox if outbox is not None and self.durable else NoDisk()
        self._on_gone = on_gone
        self._on_room = on_room
        self._redact = redact
        self._changed = threading.Condition(lock)
        self._queue = LaneQueue(capacity=capacity, in_order=in_order(backend))
        self._retry = Retry()
        self._not_before = 0.0  # monotonic seconds
        self._gone = False
        self._parked: dict[str, Ticket | None] = {}  # by id: what is on disk only, for want of room here
        self._behind = False  # more may be on disk than there was room for when somebody looked
        self._awaits_room = False  # `on_room` is to be called
        self._stopping = False
        self._closed = False
        self._tally = Tally()
        self._worker = threads.Worker(f"lane-{name}", self._run)

    # ---- the dispatcher's side

    def put(self, entries: Sequence[Entry]) -> None:
        """Queue *entries*, which are stored only where this lane is durable. Never waits for the backend."""
        self._worker.revive()
        with self._lock:
            self._tally.accepted += len(entries)
            if self._parked:
                entries = [self._come_back(entry) for entry in entries]
            if self._closed:
                self._leave(entries, "closed")
                return
            fitting = [entry for entry in entries if self._queue.fits(entry)]
            surplus = self._queue.put(fitting)
            self._leave(surplus, "queue full")
            self._changed.notify()
        if len(fitting) < len(entries):
            self._give_up([entry for entry in entries if not self._queue.fits(entry)])
        self._park(_stored(surplus))

    def park(self, entry: Entry) -> None:
        """Leave *entry*, which is stored and which nobody has in memory, on disk until there is room for it."""
        with self._lock:
            self._tally.accepted += 1
            self._leave([entry], "")
        self._park([entry.event.id])

    def refuse(self, entry: Entry, reason: str) -> None:
        """Count *entry*, for which there was no room on the way, as dropped."""
        with self._lock:
            self._tally.accepted += 1
            self._drop([entry], reason)

    def fold(self) -> None:
        """Count an event that is not sent, since it is counted in what is said of its matter."""
        with self._lock:
            self._tally.accepted += 1
            self._tally.folded += 1

    def parked(self) -> set[str]:
        """Return the ids of what is on disk only."""
        with self._lock:
            return set(self._parked)

    def pending(self) -> int:
        """Return how many events wait in memory or are under way."""
        with self._lock:  # while the thread moves an entry about, it is nowhere for a moment
            return len(self._queue)

    def next_attempt_in(self) -> float:
        """Return in how many seconds a failed delivery is tried again, 0 or less when that is due or nothing failed."""
        return self._not_before - self._clock.monotonic()

    def stats(self) -> dict[str, object]:
        """Return counts since the start, the time of the last success (epoch seconds) and the last error's text.

        `restarted` is there only when the thread had to be started again.
        """
        restarts = self._worker.restarts
        with self._lock:
            counts = self._tally.as_stats(len(self._queue) + len(self._parked))
            return counts | ({"restarted": restarts} if restarts else {})

    def stop(self) -> None:
        """Make the thread end after what it is doing. Does not wait."""
        with self._lock:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout: float) -> list[str]:
        """Wait for the thread to end, *timeout* seconds at most, and settle what waits as dropped.

        What is on disk stays pending: whoever uses the outbox next delivers it. So does what is in the hands of a
        backend that hangs: it may arrive yet, and what becomes of it is settled and counted when the backend returns.
        Returns the ids of what is both.
        """
        self._worker.join(timeout)
        with self._lock:
            self._closed = True
            in_hand = self._queue.taken()
            self._leave(self._queue.clear(), "closed")
        if in_hand:
            text = f"{self.name}: nobody knows what became of {len(in_hand)} of its events: send() has not returned"
            diagnostics.report(f"in hand {self.name}", text)
        return _stored(in_hand)

    # ---- housekeeping's side

    def roomy(self) -> bool:
        """Say whether there is room for what is on disk only."""
        with self._lock:
            return self._queue.roomy

    def fall_behind(self, *, behind: bool) -> bool:
        """Note whether more may be on disk than there was room for, and say whether there is room for it by now."""
        with self._lock:
            self._behind = behind
            self._settled.notify_all()
            room = self._queue.roomy
            if behind and not room:
                self._awaits_room = True
            return behind and room

    def is_behind(self) -> bool:
        """Say whether anything is on disk only, or may be."""
        with self._lock:
            return self._behind or bool(self._parked)

    def dropped(self) -> Counter[str]:
        """Return how many events were dropped, by reason."""
        with self._lock:
            return self._tally.dropped.copy()

    def stored(self) -> set[str]:
        """Return the ids of what is on disk, in memory too or there only."""
        with self._lock:
            return {*self._parked, *_stored(self._queue.stored())}

    def stored_entries(self) -> list[Entry]:
        """Return what is in memory and on disk."""
        with self._lock:
            return self._queue.stored()

    def unstore(self, ids: Container[str]) -> None:
        """Note that these events, which were on disk, are in memory only."""
        with self._lock:
            self._queue.unstore(ids)

    def forget_parked(self, ids: Iterable[str]) -> None:
        """Count these no more, nor as accepted: other processes have taken them over."""
        with self._lock:
            for event_id in self._parked.keys() & ids:
                del self._parked[event_id]
                self._tally.accepted -= 1
            self._settled.notify_all()

    def discard(self, ids: Collection[str], reason: str) -> set[str]:
        """Drop what the outbox has given up of *ids*, and return those that wait here, on disk or in memory.

        What is in the hands of the backend goes on, in memory only, and is among them.
        """
        with self._lock:
            in_hand = {entry.event.id for entry in self._queue.taken()}.intersection(ids)
            self._queue.unstore(in_hand)
            held = self._queue.discard(frozenset(ids))
            self._settle(held, f"dropped: {reason}")
            on_disk = self._parked.keys() & ids
            for event_id in on_disk:
                if (ticket := self._parked.pop(event_id)) is not None:
                    ticket.settle(self.name, f"dropped: {reason}")
            self._tally.dropped[reason] += len(held) + len(on_disk)
            self._settled.notify_all()
            return {entry.event.id for entry in held} | on_disk | in_hand

    def revive(self) -> None:
        """Start the thread again if it died."""
        self._worker.revive()

    # ---- the thread's side

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                outcome = attempt(self._backend, [entry.event for entry in batch])
                if outcome.reason:
                    outcome = outcome._replace(reason=self._redact(outcome.reason))
                self._finish(batch, outcome)
        finally:  # also of a thread that dies
            self._give_back()
        try:
            self._backend.close()
        except BaseException as error:  # noqa: BLE001 - a third party's close() may raise anything
            diagnostics.report(f"close {self.name}", f"{self.name}: close() failed: {type(error).__name__}")

    def _give_back(self) -> None:
        with self._lock:
            self._queue.give_back()
            left = self._queue.clear() if self._closed else []  # it was in hand when `join` looked
            self._leave(left, "closed")
        self._park(_stored(left))

    def _next_batch(self) -> list[Entry]:
        """Wait until something may be sent and return it; empty when the lane is to end."""
        while self._wait_for_entries():
            # Without a lock, since it is a third party's; what it says may be old when it is used, and send() knows.
            if (seconds := welcome_in(self._backend)) > 0:
                self._not_before = self._clock.monotonic() + seconds
            with self._lock:
                if self._not_before <= self._clock.monotonic() and not self._stopping:
                    return self._queue.take(1 if self._retry.alone else self._max_batch)
        return []

    def _wait_for_entries(self) -> bool:
        """Wait until there is something to send, and for what a failure asks for. False: the lane is to end."""
        with self._lock:
            while not self._stopping:
                waiting = len(self._queue) > 0
                if waiting and self._not_before <= self._clock.monotonic():
                    return True
                self._clock.wait_until(self._changed, self._not_before if waiting else None)
            return False

    def _finish(self, batch: list[Entry], outcome: Outcome) -> None:
        """Do what *outcome* asks for."""
        verdict = self._retry.judge(batch[0], outcome)
        if verdict is Verdict.DELIVERED:
            self._acknowledge(batch[: outcome.delivered])
        elif verdict is Verdict.REJECTED:
            self._reject(batch[0], outcome.reason)
        else:
            self._try_again(self._retry.wait(outcome), outcome.reason)
            if verdict is Verdict.GONE:
                self._say_gone(outcome.reason)

    def _acknowledge(self, delivered: Sequence[Entry]) -> None:
        if stored := _stored(delivered):
            self._disk.delivered(self.name, stored)
        with self._lock:
            done = self._queue.acknowledge(len(delivered))
            self._queue.give_back()
            self._tally.delivered += len(done)
            self._tally.last_success_at = self._clock.time()
            self._retry.reset()
            self._settle(done, DELIVERED)
        self._say_back()
        self._say_room()

    def _reject(self, entry: Entry, reason: str) -> None:
        diagnostics.report(f"rejected {self.name}", f"{self.name}: an event was refused: {reason}")
        if entry.stored:
            self._disk.dead(self.name, entry.event.id, reason)
        with self._lock:
            done = self._queue.acknowledge(1)
            self._queue.give_back()
            self._tally.dropped["rejected"] += len(done)
            self._tally.last_error = reason
            self._retry.reset()
            self._settle(done, f"rejected: {reason}")
        self._say_back()
        self._say_room()

    def _try_again(self, after: float, reason: str) -> None:
        diagnostics.report(f"retry {self.name}", f"{self.name}: {reason}; next attempt in {after:.0f} s")
        with self._lock:
            self._queue.give_back()
            self._tally.retried += 1
            self._tally.last_error = reason
            self._not_before = self._clock.monotonic() + after
            self._settled.notify_all()  # who closes the notifier need not wait for this

    def _say_gone(self, reason: str) -> None:
        if not self._gone:
            self._gone = True
            self._on_gone(
                self.name, f"{self.name} takes no messages any more: {reason}. It is tried again every ten minutes."
            )

    def _say_back(self) -> None:
        if self._gone:
            self._gone = False
            self._on_gone(self.name, f"{self.name} takes messages again.")

    def _say_room(self) -> None:
        if self._awaits_room:
            with self._lock:
                self._awaits_room = not self._queue.roomy
                room = not self._awaits_room
            if room:
                self._on_room()

    # ---- either side, holding the lock, so that counts, tickets and flush() agree

    def _leave(self, entries: Sequence[Entry], reason: str) -> None:
        """Leave on disk what is there, and settle the rest as dropped."""
        self._parked.update((entry.event.id, entry.ticket) for entry in entries if entry.stored)
        self._drop([entry for entry in entries if not entry.stored], reason)

    def _drop(self, lost: Sequence[Entry], reason: str) -> None:
        if lost:
            self._tally.dropped[reason] += len(lost)
            self._settle(lost, f"dropped: {reason}")
            diagnostics.report(f"dropped {self.name}", f"{self.name}: dropped {len(lost)} of its events: {reason}")

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

    # ---- either side, not holding it

    def _give_up(self, entries: Sequence[Entry]) -> None:
        """Drop what is larger than all that may wait here together."""
        reason = "too large"
        for entry in entries:
            if entry.stored:
                self._disk.dead(self.name, entry.event.id, reason)
        with self._lock:
            self._tally.dropped[reason] += len(entries)
            self._settle(entries, f"dropped: {reason}")

    def _park(self, ids: Sequence[str]) -> None:
        if ids:
            self._disk.park(self.name, ids)
            self._awaits_room = not self._closed
            self._say_room()


def _stored(entries: Sequence[Entry]) -> list[str]:
    return [entry.event.id for entry in entries if entry.stored]
