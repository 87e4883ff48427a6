"""The durable part of the lanes: what must not be lost is on disk before its caller goes on.

    a caller       accept                   one INSERT, 50 ms at most, flushed only for CRITICAL
    a lane         delivered, dead, park, move
    housekeeping   adopt, left_behind, is_fit, maintain, and still_waiting, store_again when it compares

Two connections, the callers' and the lanes': nobody holds the callers' lock while something is flushed.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from logging import CRITICAL
from pathlib import Path

from notify import diagnostics
from notify.clock import Clock, SystemClock
from notify.delivery.outbox import adoption, fork, owner
from notify.delivery.outbox.acknowledgements import DELIVERED, PARKED, Acknowledgements, Fate
from notify.delivery.outbox.adoption import Adopted
from notify.delivery.outbox.errors import NotFlushed, StoreBusy, StoreError, StoreHeld, moved
from notify.delivery.outbox.file import NAME, make_ready
from notify.delivery.outbox.health import Health
from notify.delivery.outbox.lanes_store import LanesStore
from notify.delivery.outbox.limits import Dropped, Limits
from notify.delivery.outbox.row import Name, in_parts, rows_of, rows_or_none
from notify.delivery.outbox.store import Store
from notify.delivery.outbox.upkeep import LOG_BYTES, Numbers, Upkeep, counted, tidy_up
from notify.delivery.outbox.writer import Writer
from notify.delivery.state_dir import StateDirError
from notify.event import Event
from notify.interruption import came_from_outside
from notify.plain import class_name

_PATIENCE = 0.5  # seconds that a lane waits for other processes: less than a fork waits for a lane
_IMPATIENCE = 0.02  # the same when others were waited for in vain
_AGAIN = 5.0  # seconds between two repairs when something waits to be written down
_TROUBLE = (StoreError, StateDirError, OSError)


class Outbox:
    """Keeps events on disk until they are delivered. No method raises for what is wrong with the disk.

    When the disk fails the outbox is `broken`: it takes nothing until `maintain` finds it working again, and events
    wait in memory meanwhile. Thread-safe, `accept` and `close` also where a signal handler interrupts it. A forked
    child begins with nothing to deliver. A closed one still writes what it is told, until the interpreter takes the
    modules apart.

    Args:
        directory: the state directory, made when it is missing. Processes may share it.
        clock: tells the time.
        limits: how much is kept.
    """

    def __init__(self, directory: Path, *, clock: Clock | None = None, limits: Limits | None = None) -> None:
        self.locks = fork.Locks()
        self.wake: Callable[[], None] = lambda: None
        """Called by a caller of `accept` when so much was accepted that `maintain` should come soon."""
        self.directory = directory
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._writer = Writer(directory, self.locks, much=self._limits.max_bytes // 4, wake=lambda: self.wake())
        self._health = Health()
        self._numbers = Numbers()
        self._closed = False
        # Under locks.lanes:
        self._renewed = False  # and nobody was told
        self._repaired_at = 0.0  # monotonic seconds: the last attempt
        self._lanes = LanesStore(directory / NAME)
        self._acknowledgements = Acknowledgements()
        self._in_hand: set[Name] = set()  # of backends that hung when it was closed
        self._knows_marks = False  # False: rows may belong to owners whose lock's file is gone
        self._for_good = False  # broken beyond repair
        with self.locks.lanes:
            self._begin()
        fork.follow(self)

    @property
    def broken(self) -> str | None:
        """Why nothing is kept on disk at present, None while all is well."""
        return self._health.trouble

    def stats(self) -> dict[str, object]:
        """Return why it is `broken`, how many rows are `waiting` and `dead`, and the `bytes` they take on disk.

        The bytes are those of the file and of SQLite's log. The numbers are of all processes, and of the moment
        `counted_at` (UTC epoch seconds), up to a minute ago: the disk is not asked.
        """
        return {"broken": self.broken, **self._numbers._asdict()}

    # ---- a caller

    def accept(self, event: Event, destinations: Sequence[str]) -> bool:
        """Write *event* for each of *destinations* before returning. False: it is not on disk, keep it in memory.

        When other threads or processes hold the file for 50 ms, the answer is False, and at once after a few such
        answers. What is CRITICAL is also flushed. After `close` the event goes to whoever looks next, this may take a
        second and may flush. Never raises an Exception.
        """
        health = self._health
        if not destinations or not health.usable:
            return False
        try:
            rows = rows_of(event, destinations)
            self._writer.write(rows, flush=rows[0].severity >= CRITICAL, patient=health.patient)
        except NotFlushed as error:  # it is written all the same, and survives the process
            self._failed(error)
            return True
        except Exception as error:  # noqa: BLE001 - an event made by hand may hold anything
            if isinstance(error, _TROUBLE) or came_from_outside(error):
                self._failed(error)
            else:
                diagnostics.report("outbox event", f"an event cannot be kept on disk: {class_name(error)}")
            return False
        health.worked()
        return True

    # ---- a lane

    def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
        """Remove what *destination* has got. What cannot be removed now is removed later."""
        self._acknowledge(destination, event_ids, DELIVERED)

    def dead(self, destination: str, event_id: str, reason: str) -> None:
        """Give up one event for *destination*, but keep it listed with the *reason*. That must hold no credentials."""
        self._acknowledge(destination, [event_id], Fate(reason=reason))

    def park(self, destination: str, event_ids: Iterable[str]) -> None:
        """Leave events that memory has no room for on disk, where the next `adopt` finds them, here or elsewhere."""
        self._acknowledge(destination, event_ids, PARKED)

    def move(self, destination: str, events: Iterable[Event], to: str) -> None:
        """Make *events* for *destination* events for *to*, as they are now: each by one statement, wholly or not."""
        given = list(events)
        with self.locks.lanes:
            for event in given:
                for row in rows_or_none(event, to):
                    self._acknowledgements.move((destination, event.id), row)
            self._acknowledge(destination, [event.id for event in given], None)

    def still_waiting(self, destination: str, ids: Collection[str]) -> set[str]:
        """Return which of *ids* wait on disk as rows of this process or of nobody; when in trouble all of them."""
        with self._trying():
            store = self._store()
            names = store.waiting_of(((destination, each) for each in ids), (self._writer.mark(), owner.NOBODY))
            return {event_id for _, event_id in names}
        return set(ids)

    def store_again(self, destination: str, events: Sequence[Event]) -> set[str]:
        """Write *events* into a new file, as theirs was removed, and return the ids of those that are on disk now."""
        stored: set[str] = set()
        rows = [(row, len(row.payload)) for event in events for row in rows_or_none(event, destination)]
        with self._trying():
            store = self._store()
            mark = self._writer.mark()
            for part in in_parts(rows):
                store.insert([row.owned_by(mark) for row, _ in part])
                stored.update(row.event_id for row, _ in part)
            self._writer.written = True
        return stored

    def _acknowledge(self, destination: str, event_ids: Iterable[str], fate: Fate | None) -> None:
        with self.locks.lanes:
            ids = list(event_ids)
            if fate is not None:
                self._acknowledgements.add(destination, ids, fate)
            if not self._health.usable and self._clock.monotonic() - self._repaired_at >= _AGAIN:
                self._repair()
            self._write_down()
            if self._closed:
                self._in_hand.difference_update((destination, each) for each in ids)
                if not self._in_hand and not self._acknowledgements:
                    self._writer.leave()

    def _write_down(self) -> None:
        with self._trying():
            store = self._store(late=True)
            self._write_acknowledgements(store)
            if store.bytes_of_log() > LOG_BYTES:
                self._writer.written = False
                store.checkpoint()

    def _write_acknowledgements(self, store: Store) -> None:
        if self._acknowledgements.parks():  # before the rows are nobody's: then they are looked for whatever happens
            owner.offer_to_adopters(self.directory)
        if self._acknowledgements.write(store, mine=self._writer.mark(), now=self._clock.time()):
            self._writer.written = True
            self._health.worked()

    # ---- now and then

    def adopt(self, destinations: Collection[str], limit: int = 1000) -> list[Adopted]:
        """Take over what was parked and what dead processes left for *destinations*, in the order of writing.

        Rows for other destinations stay where they are, for a process that has them. Of processes that do this at the
        same time, each row goes to one. Ask at the start and every minute, and again until the answer is empty: it is
        the oldest rows, *limit* at most, but may be fewer although there are more, for instance when some are damaged,
        or large: one answer has 16 MiB at most, or one event.
        """
        adopted: list[Adopted] = []
        with self._trying():
            store = self._store()
            try:
                self._write_acknowledgements(store)
                if not self._knows_marks:
                    adoption.make_owners_known(store, self.directory)
                    self._knows_marks = True
                mine, now = self._writer.mark(), self._clock.time()
                for each in adoption.adopt(store, self.directory, destinations, mine=mine, limit=limit, now=now):
                    adopted.append(each)  # one by one: an error must not take those before it along
                self._numbers = counted(store, now)
            except BaseException:
                self._knows_marks = False
                raise
        return adopted

    def left_behind(self, destinations: Collection[str]) -> dict[str, int]:
        """Return how many events dead processes left for others than *destinations*, by destination.

        Nobody adopts them as long as nobody has such a destination. Those that a living process has are left out.
        """
        with self._trying():
            store, mine, now = self._store(), self._writer.mark(), self._clock.time()
            return adoption.left_behind(store, self.directory, destinations, mine=mine, now=now)
        return {}

    def is_fit(self) -> bool:
        """Say whether it works, and its file is where the next process looks for it. Changes nothing."""
        with self._trying():
            return self._health.usable and self._store().is_in_place()
        return False

    def maintain(self) -> Upkeep:
        """Repair, tidy up and enforce the limits. For housekeeping, once a minute and when `wake` asks; flushes."""
        dropped: list[Dropped] = []
        renewed = False
        with self.locks.lanes:
            if not self._closed and self._works():
                with self._trying():
                    store = self._store()
                    self._write_acknowledgements(store)
                    living = owner.others(self.directory, but=self._writer.mark()).living
                    written, self._writer.written = self._writer.written, False
                    now = self._clock.time()
                    for row in tidy_up(store, self._limits, now=now, living=living, written=written):
                        dropped.append(row)  # one by one, as in `adopt`
                    self._numbers = counted(store, now)
                    self._writer.kept_up(store.bytes_of_log())
                renewed, self._renewed = self._renewed, False
            alerts = self._health.alerts()
        return Upkeep(alerts, tuple(dropped), renewed)

    def _works(self) -> bool:
        """Say whether there is a file that may be used, having tried to repair it."""
        try:
            if self._health.usable and not self._store().is_in_place():
                self._failed(moved())
            if not (self._health.usable or self._repair()):
                return False
            self._writer.reclaim_mark()
        except _TROUBLE as error:
            self._failed(error)
        return True

    # ---- at the end

    def close(self, in_hand: Collection[Name] = (), *, timeout: float = 5.0) -> None:
        """Leave what is on disk to the next process, and what is still to come. Idempotent.

        Args:
            in_hand: destinations and ids of what a backend that hangs may deliver yet. Nobody else gets these while
                this process lives, until it was said what became of them all.
            timeout: seconds that this may take, whoever holds the file or a lock.
        """
        deadline = time.monotonic() + timeout
        with self.locks.lanes_within(timeout) as alone:
            if self._closed:
                return
            if alone:
                self._write_last(deadline)
            self._in_hand.update(in_hand)
            self._closed = True
            self._writer.close()
            if not in_hand:
                self._writer.leave()
            elif alone:
                self._leave_all_but(in_hand, deadline)
            if alone:
                self._close_connections()
            else:  # whoever has the lock closes the lanes' one
                with suppress(StoreBusy):
                    self._writer.disconnect()

    def _write_last(self, deadline: float) -> None:
        """Write down what lanes have said, be it into a file that did not work when somebody last tried."""
        if self._for_good:
            return
        try:
            store = self._lanes.get()
            if not store.is_in_place():
                self._failed(moved())
                return
            store.wait_at_most(max(0.0, deadline - time.monotonic()) / 2)  # half is for what comes after this
            self._write_acknowledgements(store)
        except _TROUBLE as error:
            self._failed(error)

    def _leave_all_but(self, in_hand: Collection[Name], deadline: float) -> None:
        with suppress(*_TROUBLE):  # with the disk in trouble all is left when nothing is in hand any more
            store = self._store(late=True)
            store.wait_at_most(max(0.0, deadline - time.monotonic()))
            self._writer.keep_only(store, in_hand)

    def _close_connections(self) -> None:
        with suppress(StoreBusy):  # a caller is at it, and closes them when it comes to its end
            self.let_go()

    # ---- inside, under locks.lanes

    @contextmanager
    def _trying(self) -> Iterator[None]:
        """Do something with the lanes' lock; what goes wrong with the disk is noted, and ends it."""
        with self.locks.lanes:
            try:
                yield
            except _TROUBLE as error:
                self._failed(error)
            finally:
                if self._closed:
                    self._close_connections()

    def _store(self, *, late: bool = False) -> Store:
        if not self._health.usable or fork.in_progress() or (self._closed and not late):
            raise StoreBusy("it is out of use")
        store = self._lanes.get()
        store.wait_at_most(_PATIENCE if self._health.patient else _IMPATIENCE)
        return store

    def _repair(self) -> bool:
        """Take a broken outbox into use again if it works, and say whether it does."""
        return not self._for_good and not self._closed and self._begin()

    def _begin(self) -> bool:
        self._repaired_at = self._clock.monotonic()
        try:
            self.let_go()
            told = make_ready(self.directory, self._clock.time())
            store = self._lanes.get(patience=_PATIENCE)
            store.touch()
            self._numbers = counted(store, self._clock.time())
            self._writer.connect()
        except _TROUBLE as error:
            self._failed(error, also_busy=True)
            return False
        self._knows_marks = False
        if told:
            self._health.say(told)
        self._renewed = self.broken is not None
        self._health.repaired()
        return True

    # ---- inside, anywhere

    def _failed(self, error: Exception, *, also_busy: bool = False) -> None:
        if came_from_outside(error):  # TimeoutError is an OSError
            raise error
        if not self._closed:
            self._health.failed(error, also_busy=also_busy)
        elif isinstance(error, StoreHeld):
            self._health.wait_no_more()

    # ---- forks

    def let_go(self) -> None:
        """Close every connection; whoever needs one opens it again. Called before a fork, too. Raises `StoreBusy`."""
        self._lanes.close()
        self._writer.disconnect()

    def begin_in_child(self) -> None:
        """Begin anew in a forked child, if that was not done yet. For who does so before Python asks for it."""
        fork.begin_in_child()

    def be_child(self, *, clean: bool) -> None:
        """Begin with nothing to deliver, in a forked child. Not *clean*: without the disk, for good."""
        self._acknowledgements.clear()
        self._in_hand.clear()
        self._health.be_child()
        self._knows_marks = False
        self._writer.be_child(clean=clean)
        if not clean:
            self._lanes.abandon()
            self._for_good = True
            self._failed(StoreError("the process was forked in the middle of a write"))
