"""One backend's queue and the one thread that empties it."""

import threading
from collections.abc import Callable, Sequence

from notify import diagnostics, threads
from notify.backend import Backend, folds, in_order, max_batch, passes_matters
from notify.clock import Clock
from notify.delivery.absence import AT_ONCE, Absence, StandIn
from notify.delivery.attempt import Disposition, Outcome, attempt, welcome_in
from notify.delivery.disk import Disk, NoDisk
from notify.delivery.holdings import Holdings, stored_ids
from notify.delivery.queue import CAPACITY, Entry, LaneQueue
from notify.delivery.retry import PROBE_INTERVAL, Retry
from notify.delivery.ticket import CLOSED, DELIVERED
from notify.event import Event
from notify.plain import class_name
from notify.rules.routing import Route


class Lane(Holdings):
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
        outbox: where stored entries are on disk. For a backend that is durable, or stands in for one that is.
        on_gone: called with this lane's name and a text when the destination is gone, and when it is there again.
        redact: takes secrets out of what a backend gives as its reason.
        on_room: called when there is room again for what is on disk only.
        on_moved: called with an event that another lane gets in this one's place, this one's name and the other's.
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
        outbox: Disk | None,
        on_gone: Callable[[str, str], None],
        redact: Callable[[str], str],
        on_room: Callable[[], None] = lambda: None,
        on_moved: Callable[[Event, str, str], None] = lambda event, old, new: None,
        capacity: int = CAPACITY,
    ) -> None:
        disk = outbox if outbox is not None else NoDisk()
        super().__init__(name, LaneQueue(capacity=capacity, in_order=in_order(backend)), disk, lock, settled)
        self.route = route
        self.durable = outbox is not None
        """Whether there are stored entries in this lane."""
        self.folds = folds(backend)
        """Whether repeats are counted here rather than sent."""
        self.passes = passes_matters(backend)
        """Whether they are counted behind the backend, so that all of them come here."""
        self._backend = backend
        self._max_batch = max_batch(backend)
        self._clock = clock
        self._on_room = on_room
        self._redact = redact
        self._changed = threading.Condition(lock)
        self._retry = Retry()
        self._not_before = 0.0  # monotonic seconds
        self._absence = Absence(self, disk, on_gone=on_gone, on_moved=on_moved)
        self._hands_over: StandIn | None = None  # to whom the batch goes that was taken last
        self._has_guests = False  # what came in the place of others may be here
        self._stopping = False
        self._worker = threads.Worker(f"lane-{name}", self._run)

    # ---- the dispatcher's side

    def put(self, entries: Sequence[Entry]) -> None:
        """Queue *entries*, which are stored only where this lane is durable. Never waits for the backend."""
        self._put(entries)

    def _put(self, entries: Sequence[Entry], *, is_older: bool = False) -> None:
        self._worker.revive()
        with self._lock:
            self._tally.accepted += len(entries)
            if self._parked:
                entries = [self._come_back(entry) for entry in entries]
            if self._closed:
                self._leave(entries, CLOSED)
                return
            self._has_guests = self._has_guests or (bool(entries) and entries[0].home is not None)
            fitting = self._queue.fitting(entries)
            surplus = self._queue.put(fitting)
            if is_older:
                self._queue.bring_forward({entry.event.id for entry in fitting})
            self._leave(surplus, "queue full")
            self._changed.notify()
        if len(fitting) < len(entries):
            self._give_up([entry for entry in entries if not self._queue.fits(entry)])
        self._park(stored_ids(surplus))

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

    def next_attempt_in(self) -> float:
        """Return in how many seconds a failed delivery is tried again, 0 or less when that is due or nothing failed."""
        with self._lock:
            return 0.0 if self._absence.room() else self._not_before - self._clock.monotonic()

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
            self._leave(self._queue.clear(), CLOSED)
        if in_hand:
            text = f"{self.name}: nobody knows what became of {len(in_hand)} of its events: send() has not returned"
            diagnostics.report(f"in hand {self.name}", text)
        return stored_ids(in_hand)

    def store_in(self, outbox: Disk) -> None:
        """Have stored entries from now on, which *outbox* has on disk, too."""
        with self._lock:
            self._disk = self._absence.disk = outbox
            self.durable = True

    # ---- the other lanes' side

    def fall_back_to(self, stand_in: "Lane") -> None:
        """Have *stand_in* get what waits here while the destination is gone. It must be durable if this lane is.

        One that is younger than what waits here has got nothing of that, whatever its route wants.
        """
        if self._absence.stand_in is not stand_in:
            with self._lock:
                self._queue.address(self.name)
                self._absence.stand_in = stand_in
            stand_in.wake_for_absent(self._look_again)
            self._look_again()  # the destination may be gone already

    def wake_for_absent(self, absent: Callable[[], None]) -> None:
        """Have *absent* called when the destination is there again after it was gone."""
        self._absence.wake_at_end(absent)

    def takes(self) -> int:
        """Return how many events of others are welcome: any number, one to try the destination with, or none."""
        with self._lock:
            if not self._absence.is_gone:
                return AT_ONCE
            return max(self._absence.room(), int(not len(self._queue) and self._is_due()))

    def take_back(self, entries: Sequence[Entry]) -> None:
        """Queue *entries*, which were handed over from here and come back, before what was said since."""
        with self._lock:
            self._tally.accepted -= len(entries)
            self._tally.handed_over -= len(entries)
            self._absence.forget_told()
        self._put(entries, is_older=True)

    # ---- housekeeping's side; what else it asks for is in `Holdings`

    def revive(self) -> None:
        """Start the thread again if it died."""
        self._worker.revive()

    # ---- the thread's side

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                if self._hands_over is not None:
                    self._absence.hand_over(batch, self._hands_over)
                    self._say_room()
                    continue
                outcome = attempt(self._backend, [entry.event for entry in batch])
                if outcome.reason:
                    outcome = outcome._replace(reason=self._redact(outcome.reason))
                self._finish(batch, outcome)
        finally:  # also of a thread that dies
            self._give_back()
        try:
            self._backend.close()
        except BaseException as error:  # noqa: BLE001 - a third party's close() may raise anything
            diagnostics.report(f"close {self.name}", f"{self.name}: close() failed: {class_name(error)}")

    def _give_back(self) -> None:
        with self._lock:
            self._queue.give_back()
            left = self._queue.clear() if self._closed else []  # it was in hand when `join` looked
            self._leave(left, CLOSED)
        self._park(stored_ids(left))

    def _next_batch(self) -> list[Entry]:
        """Wait until something may be sent and return it; empty when the lane is to end."""
        while self._wait_for_entries():
            # Without a lock, since it is a third party's; what it says may be old when it is used, and send() knows.
            if self._is_due() and (seconds := welcome_in(self._backend)) > 0:
                self._not_before = self._clock.monotonic() + seconds
            with self._lock:
                if self._stopping:
                    return []
                stand_in = self._absence.stand_in
                if self._is_due():
                    self._hands_over = None
                    alone = self._retry.alone or (self._absence.is_gone and stand_in is not None)
                    return self._queue.take(1 if alone else self._max_batch)
                if room := self._absence.room():
                    self._hands_over = stand_in
                    return self._queue.take(min(room, AT_ONCE))
                if sends_home := self._cannot_help():
                    self._has_guests = False
            if sends_home:
                self._absence.send_home()
        return []

    def _look_again(self) -> None:
        with self._lock:
            self._changed.notify()

    def _cannot_help(self) -> bool:
        """Say whether others had better wait for their own destination than for this one."""
        return self._has_guests and self._absence.is_gone

    def _is_due(self) -> bool:
        return self._not_before <= self._clock.monotonic()

    def _wait_for_entries(self) -> bool:
        """Wait until there is something to send, and for what a failure asks for. False: the lane is to end."""
        with self._lock:
            while not self._stopping:
                waiting = len(self._queue) > 0
                if waiting and (self._is_due() or self._absence.room() or self._cannot_help()):
                    return True
                self._clock.wait_until(self._changed, self._not_before if waiting else None)
            return False

    def _finish(self, batch: list[Entry], outcome: Outcome) -> None:
        """Do what *outcome* asks for."""
        disposition = self._retry.judge(batch[0], outcome)
        if disposition is Disposition.DELIVERED:
            self._acknowledge(batch[: outcome.delivered])
        elif disposition is Disposition.REJECTED:
            self._reject(batch[0], outcome.reason)
        else:
            if disposition is Disposition.GONE:
                self._absence.begin(outcome.reason)  # first, so that who closes the notifier waits for the stand-in
            after = self._retry.wait(outcome)
            if outcome.after is None and self._absence.is_gone and self._absence.stand_in is not None:
                after = max(after, PROBE_INTERVAL)  # nobody waits for it
            self._try_again(after, outcome.reason)

    def _acknowledge(self, delivered: Sequence[Entry]) -> None:
        if stored := stored_ids(delivered):
            self._disk.delivered(self.name, stored)
        with self._lock:
            done = self._queue.acknowledge(len(delivered))
            self._queue.give_back()
            self._tally.delivered += len(done)
            self._tally.last_success_at = self._clock.time()
            self._retry.reset()
            self._settle(done, DELIVERED)
        self._absence.end()
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
        self._absence.end()
        self._say_room()

    def _try_again(self, after: float, reason: str) -> None:
        diagnostics.report(f"retry {self.name}", f"{self.name}: {reason}; next attempt in {max(1.0, after):.0f} s")
        with self._lock:
            self._queue.give_back()
            self._tally.retried += 1
            self._tally.last_error = reason
            self._not_before = self._clock.monotonic() + after
            self._settled.notify_all()  # who closes the notifier need not wait for this

    def _say_room(self) -> None:
        if self._awaits_room:
            with self._lock:
                self._awaits_room = not self._queue.roomy
                room = not self._awaits_room
            if room:
                self._on_room()

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
