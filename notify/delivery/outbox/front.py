"""The durable part of the lanes: what must not be lost is on disk before its caller goes on.

    a caller       accept                   one INSERT, 50 ms at most, flushed only for CRITICAL
    a lane         delivered, dead, park
    now and then   adopt, maintain

Two connections, the callers' and the lanes': nobody holds the callers' lock while something is flushed.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from logging import CRITICAL
from pathlib import Path
from typing import NamedTuple

from notify import diagnostics
from notify.clock import Clock, SystemClock
from notify.delivery.outbox import adoption, fork, owner
from notify.delivery.outbox.adoption import Adopted
from notify.delivery.outbox.errors import StoreBusy, StoreError
from notify.delivery.outbox.file import NAME, make_ready
from notify.delivery.outbox.limits import Dropped, Limits, enforce
from notify.delivery.outbox.row import Name, rows_of
from notify.delivery.outbox.settled import DELIVERED, PARKED, Fate, Settled
from notify.delivery.outbox.store import Store
from notify.delivery.outbox.writer import Writer
from notify.delivery.state_dir import StateDirError
from notify.event import Event

_PATIENCE = 2.0  # seconds that a lane waits for other processes
_LOG_BYTES = 2**20  # of SQLite's log, from which on a lane moves it into the file
_ALERTS = 20  # that wait to be told
_TROUBLE = (StoreError, StateDirError, OSError)


class Upkeep(NamedTuple):
    """What `maintain` has to tell.

    Args:
        alerts: what went wrong, for people.
        dropped: what was removed undelivered.
        empty: nothing waits on disk, of whichever process.
        renewed: it works again after it did not: what was on disk may be there no more.
    """

    alerts: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    empty: bool = False
    renewed: bool = False


class _Numbers(NamedTuple):
    """What was on disk when somebody last looked."""

    waiting: int = 0
    dead: int = 0
    bytes: int = 0
    counted_at: float = 0.0


class Outbox:
    """Keeps events on disk until they are delivered. No method raises for what is wrong with the disk.

    When the disk fails the outbox is `broken`: it takes nothing until `maintain` finds it working again, and events
    wait in memory meanwhile. Thread-safe, `accept` also where a signal handler interrupts it. A forked child begins
    with nothing to deliver. A closed one still writes what it is told, until the interpreter takes the modules apart.

    Args:
        directory: the state directory, made when it is missing. Processes may share it.
        clock: tells the time.
        limits: how much is kept.
    """

    def __init__(self, directory: Path, *, clock: Clock | None = None, limits: Limits | None = None) -> None:
        self.locks = fork.Locks()
        self._directory = directory
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._writer = Writer(directory, self.locks)
        self._broken: str | None = None
        self._alerts: deque[str] = deque(maxlen=_ALERTS)
        self._numbers = _Numbers()
        self._closed = False
        # Under locks.lanes:
        self._renewals = 0  # how often it worked again
        self._lanes: Store | None = None
        self._settled = Settled()
        self._knows_marks = False  # False: rows may belong to owners whose lock's file is gone
        self._for_good = False  # broken beyond repair
        with self.locks.lanes:
            self._begin()
        fork.follow(self)

    @property
    def broken(self) -> str | None:
        """Why nothing is kept on disk at present, None while all is well."""
        return self._broken

    def stats(self) -> dict[str, object]:
        """Return why it is `broken`, how many rows are `waiting` and `dead`, and the `bytes` they take on disk.

        The numbers are of all processes, and of the moment `counted_at` (UTC epoch seconds), up to a minute ago: the
        disk is not asked.
        """
        return {"broken": self._broken, **self._numbers._asdict()}

    # ---- a caller

    def accept(self, event: Event, destinations: Sequence[str]) -> bool:
        """Write *event* for each of *destinations* before returning. False: it is not on disk, keep it in memory.

        When other threads or processes hold the file for 50 ms, the answer is False. What is CRITICAL is also flushed.
        After `close` the event goes to whoever looks next, this may take a second and may flush. Never raises an
        Exception.
        """
        if self._broken is not None or not destinations:
            return False
        try:
            rows = rows_of(event, destinations)
            store = self._writer.write(rows)
        except _TROUBLE as error:
            self._break(error)
            return False
        except Exception as error:  # noqa: BLE001 - an event made by hand may hold anything
            diagnostics.report("outbox event", f"an event cannot be kept on disk: {type(error).__name__}")
            return False
        if store is not None and not self._closed and not store.is_linked():
            self._break(StoreError("its file was moved or removed"))
            return False
        if store is not None and rows[0].severity >= CRITICAL:
            try:
                store.flush()
            except StoreError as error:  # it is written all the same, and survives the process
                self._break(error)
        return store is not None

    # ---- a lane

    def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
        """Remove what *destination* has got. What cannot be removed now is removed later."""
        self._settle(destination, event_ids, DELIVERED)

    def dead(self, destination: str, event_id: str, reason: str) -> None:
        """Give up one event for *destination*, but keep it listed with the *reason*. That must hold no credentials."""
        self._settle(destination, [event_id], Fate(reason=reason))

    def park(self, destination: str, event_ids: Iterable[str]) -> None:
        """Leave events that memory has no room for on disk, where the next `adopt` finds them, here or elsewhere."""
        self._settle(destination, event_ids, PARKED)

    def _settle(self, destination: str, event_ids: Iterable[str], fate: Fate) -> None:
        with self.locks.lanes:
            self._settled.add(destination, event_ids, fate)
            self._write_down()
            if self._closed:
                self._leave_when_done()
                self.let_go()

    def _write_down(self) -> None:
        try:
            store = self._store()
            self._write_settled(store)
            if store.bytes_of_log() > _LOG_BYTES:
                self._checkpoint(store)
        except _TROUBLE as error:
            self._break(error)

    def _write_settled(self, store: Store) -> None:
        if self._settled.parks():  # before the rows are nobody's, so that somebody looks for them whatever happens
            owner.offer_to_adopters(self._directory)
        if self._settled.write(store, mine=self._writer.mark(), now=self._clock.time()):
            self._writer.written = True

    # ---- now and then

    def adopt(self, destinations: Collection[str], limit: int = 1000) -> list[Adopted]:
        """Take over what was parked and what dead processes left for *destinations*, in the order of writing.

        Rows for other destinations stay where they are, for a process that has them. Of processes that do this at the
        same time, each row goes to one. Ask at the start and every minute, and again until the answer is empty: it is
        the oldest rows, *limit* at most, but may be fewer although there are more, for instance when some are damaged.
        """
        adopted: list[Adopted] = []
        with self.locks.lanes:
            if self._closed:
                return []
            try:
                store = self._store()
                self._write_settled(store)
                mine = self._writer.mark()
                if not self._knows_marks:
                    adoption.find_owners(store, self._directory)
                    self._knows_marks = True
                for each in adoption.adopt(
                    store, self._directory, destinations, mine=mine, limit=limit, now=self._clock.time()
                ):
                    adopted.append(each)  # one by one: an error must not take those before it along
                self._count(store)
            except _TROUBLE as error:
                self._knows_marks = False
                self._break(error)
        return adopted

    def left_behind(self, destinations: Collection[str]) -> dict[str, int]:
        """Return how many events dead processes left for others than *destinations*, by destination.

        Nobody adopts them as long as nobody has such a destination.
        """
        with self.locks.lanes:
            try:
                if not self._closed:
                    return adoption.left_behind(self._store(), self._directory, destinations, mine=self._writer.mark())
            except _TROUBLE as error:
                self._break(error)
        return {}

    def maintain(self) -> Upkeep:
        """Repair, tidy up and enforce the limits. For a lane's thread, once a minute; flushes."""
        dropped: list[Dropped] = []
        empty = renewed = False
        with self.locks.lanes:
            try:
                renewals = self._renewals
                if not self._closed and self._works():
                    store = self._store()
                    self._write_settled(store)
                    for row in enforce(store, self._limits, self._clock.time()):
                        dropped.append(row)
                    self._count(store)
                    empty = not self._numbers.waiting
                    renewed = self._renewals > renewals
                    if self._writer.written or store.bytes_of_log() > _LOG_BYTES:
                        self._checkpoint(store)
            except _TROUBLE as error:
                self._break(error)
            alerts = tuple(self._alerts)
            self._alerts.clear()
        return Upkeep(alerts, tuple(dropped), empty, renewed)

    def _works(self) -> bool:
        """Say whether the outbox works, having tried to repair it."""
        if self._broken is None and not self._store().is_in_place():
            self._break(StoreError("its file was moved or removed"))
        if not self.retry():
            return False
        self._writer.reclaim_mark()
        return True

    def retry(self) -> bool:
        """Take a broken outbox into use again if it works, and say whether it does. For a lane's thread."""
        with self.locks.lanes:
            return self._broken is None or (not (self._for_good or self._closed) and self._begin())

    def close(self, in_hand: Collection[Name] = ()) -> None:
        """Leave what is on disk to the next process, and what is still to come. Idempotent.

        Args:
            in_hand: destinations and ids of what a backend that hangs may deliver yet. Nobody else gets these while
                this process lives, until it was said what became of them all.
        """
        with self.locks.lanes:
            if not self._closed:
                self._write_down()
                self._closed = True
                self._writer.close()
                self._leave(in_hand)
                self.let_go()

    # ---- inside, under locks.lanes

    def _leave(self, in_hand: Collection[Name]) -> None:
        if not in_hand:
            self._writer.leave()
            return
        with suppress(*_TROUBLE):  # with the disk in trouble all of it is left to the end of the process
            owner.offer_to_adopters(self._directory)
            self._store().give_others(in_hand, old=self._writer.mark(), new=owner.NOBODY)
        self._leave_when_done()

    def _leave_when_done(self) -> None:
        with suppress(*_TROUBLE):
            if self._writer.mark() not in self._store().owners():
                self._writer.leave()

    def _store(self) -> Store:
        if self._broken is not None or fork.in_progress():
            raise StoreBusy("it is out of use")
        if self._lanes is None or not self._lanes.is_open():
            self._lanes = Store(self._directory / NAME, patience=_PATIENCE)
        return self._lanes

    def _count(self, store: Store) -> None:
        self._numbers = _Numbers(*store.counts(), store.bytes_used(), self._clock.time())

    def _checkpoint(self, store: Store) -> None:
        self._writer.written = False
        store.checkpoint()

    def _begin(self) -> bool:
        self.let_go()
        try:
            told = make_ready(self._directory, self._clock.time())
            self._lanes = Store(self._directory / NAME, patience=_PATIENCE)
            self._lanes.touch()
            self._count(self._lanes)
            self._writer.connect()
        except _TROUBLE as error:
            self._break(error, also_busy=True)
            return False
        self._knows_marks = False
        if told:
            self._say(told)
        if self._broken is not None:
            self._broken = None
            self._renewals += 1
            self._say("The outbox works again: events are kept on disk.")
        return True

    # ---- inside, anywhere

    def _break(self, error: Exception, *, also_busy: bool = False) -> None:
        if self._broken is not None or self._closed or (isinstance(error, StoreBusy) and not also_busy):
            return
        reason = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
        self._broken = reason
        self._say(f"The outbox cannot be used: {reason}. Events wait in memory, and are lost if the process dies.")

    def _say(self, text: str) -> None:
        self._alerts.append(text)
        diagnostics.report("outbox", text)

    # ---- forks

    def let_go(self) -> None:
        """Close every connection; whoever needs one opens it again. Called before a fork, too."""
        self._writer.disconnect()
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            lanes.close()

    def be_child(self, *, clean: bool) -> None:
        """Begin with nothing to deliver, in a forked child. Not *clean*: without the disk, for good."""
        self._settled.clear()
        self._alerts.clear()
        self._knows_marks = False
        self._writer.be_child(clean=clean)
        if not clean:
            lanes, self._lanes = self._lanes, None
            if lanes is not None:
                lanes.abandon()
            self._for_good = True
            self._broken = self._broken or "the process was forked in the middle of a write"
