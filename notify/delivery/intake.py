"""The one door that events come in by, on the caller's thread."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from notify import diagnostics
from notify.delivery.queue import weight
from notify.delivery.ticket import CLOSED, Ticket
from notify.event import Event

if TYPE_CHECKING:
    from notify.delivery.folding.judged import Judged
    from notify.rules.fingerprint import Subject

CAPACITY = 100_000  # events that may wait for the dispatcher: 0.7 s of the fastest caller measured, at 6.7 us a call
HEAVY = 1024  # code points: whoever has so many takes one place more for each time that he has them
FULL = "intake full"
NOT_MADE = "could not be made"
RESERVE = 10_000  # more, for what is important: a flood of ordinary events must not cost those


class Draft(Protocol):
    """What waits in the intake: everything that is needed to make the event later."""

    @property
    def level(self) -> int:
        """Severity, in logging's numbers."""
        ...

    @property
    def ticket(self) -> Ticket | None:
        """The ticket that the caller holds, if any."""
        ...

    @property
    def weight(self) -> int:
        """About how many characters of text and bytes of files it has."""
        ...

    def event(self) -> Event:
        """Make the event. Called once or more; never raises."""
        ...


class NewDraft(Draft, Protocol):
    """A draft as its caller leaves it, compared with no other yet."""

    def subject(self) -> "Subject | None":
        """Return what the event is about, None when it is sent whatever was sent before.

        Raises what a hostile object raises.
        """
        ...


Deferred = tuple[*tuple[Any, ...], int]
"""An ordinary draft as a tuple, which saves its caller a call: what `events_of` makes its event of, and as the last of
that its weight. Nobody has its ticket, and it is below `wake_level`."""


class Kept(NamedTuple):
    """A draft that was made into an event on the caller's thread: redacted, and on disk if that was possible."""

    made: Event
    ticket: Ticket | None
    stored: bool
    judged: "Judged | None" = None

    @property
    def level(self) -> int:
        """Severity, in logging's numbers."""
        return self.made.level

    @property
    def weight(self) -> int:
        """About how many characters of text and bytes of files it has."""
        return weight(self.made)

    def event(self) -> Event:
        """Return the event."""
        return self.made


class Keeper(Protocol):
    """Keeps what must not be lost before its caller goes on."""

    @property
    def level(self) -> int:
        """Drafts below it are none of its business."""
        ...

    def keep(self, draft: NewDraft) -> Draft | None:
        """Put *draft* on disk, if it is to be there, and say what becomes of it. Never raises an Exception.

        None when nothing is to be said of that.
        """
        ...


def is_deferred(draft: Draft | Deferred) -> bool:
    """Say whether the handler has deferred *draft*."""
    return type(draft) is tuple  # and not `Kept`, which is one, too


class Intake:
    """Takes drafts from any thread, signal handlers included, and hands them to the dispatcher.

    Args:
        wake_level: drafts at or above this level wake the dispatcher at once, the others wait
            for its next look.
        keeper: sees what is durable before anybody else does.
    """

    # No lock on this path: deque.append and SimpleQueue.put are single C calls that a signal handler may
    # interrupt and repeat. A Condition or queue.Queue deadlocks there, and costs the caller 28 to 37 us instead of 3.6.
    # What is heavy is no number either, which threads would read and write over each other: it takes more places. So
    # 100,000 of them hold 100 MB of text at most, whatever is said.

    def __init__(self, *, wake_level: int, keeper: Keeper) -> None:
        self._wakes_from = wake_level
        self.capacity = CAPACITY
        self._reserve = RESERVE
        self.judge_with(keeper)
        self._closed = False
        self._dropped: Counter[str] = Counter()
        self._left_on_disk = 0  # for the next process
        self._unrouted = 0
        self.waiting: deque[Draft | Deferred | None] = deque()
        """What was left and not taken; before what is heavy, None for each further place that it takes. The logging
        handler itself appends, as `Deferred`, what is below `wake_level`, lighter than `HEAVY` and fits `capacity`:
        that saves it calls."""
        self.events_of: Callable[[Sequence[Any]], Sequence[Event]] = lambda deferred: ()
        """Makes the events of what is `Deferred`. See `defer_with`."""
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._awake = False
        self._parked: deque[Kept] = deque()
        self.trouble: str | None = None
        """Why less comes in than the program says; None: all does."""
        self.revive: Callable[[], None] = lambda: None
        """Starts the dispatcher's thread again if it has died. Asked with what is important, or when it is late."""

    def judge_with(self, keeper: Keeper) -> None:
        """Have *keeper* see what is durable from now on."""
        self._keeper = keeper
        self.wake_level = min(self._wakes_from, keeper.level)

    def defer_with(self, events_of: Callable[[Sequence[Any]], Sequence[Event]]) -> None:
        """Have *events_of* make the events of what its caller will append to `waiting` as `Deferred`: as many."""
        self.events_of = events_of

    def __len__(self) -> int:
        """Return how many places are taken."""
        return len(self.waiting)

    def accept(self, new: NewDraft) -> bool:
        """Leave *new*, and wake the dispatcher if it is worth it. False: there was no room for it in memory.

        Then it was dropped and counted, unless it is on disk, where it waits for room or for the next process.
        """
        self.revive()
        draft: Draft = new
        important = draft.level >= self.wake_level
        if important and draft.level >= self._keeper.level:
            draft = self._keeper.keep(new) or new
        try:
            if len(self.waiting) >= self.capacity + (self._reserve if important else 0):
                self._refuse(draft)
                return False
            places = (*repeat(None, draft.weight // HEAVY), draft)
        except BaseException:
            self.rescue(draft)
            raise
        self.waiting.extend(places)
        if important or len(places) > 1:  # what is heavy would soon leave no room for others
            self.wake()
        return True

    def rescue(self, draft: Draft) -> None:
        """Take *draft*, whose caller was interrupted before it was here, by a signal or by another thread.

        It may be on disk, where nobody would look for it while this process lives, and its repeats are not sent.
        """
        if len(self.waiting) >= self.capacity + self._reserve:
            self._refuse(draft)
        else:
            self.waiting.append(draft)
            self.wake()

    def _refuse(self, draft: Draft | Deferred) -> None:
        reason = self.refusal
        if type(draft) is Kept and draft.stored:
            if self._closed:
                self._left_on_disk += 1
            else:
                self._parked.append(draft)
        else:
            self._dropped[reason] += 1
            diagnostics.report("intake", f"an event was dropped: {reason}")

    def clear(self) -> list[Draft]:
        """Remove what nobody has taken, dropped but for what is on disk. For the end, after `close`.

        Returns all of it but what was deferred: nobody has a ticket for that.
        """
        left = self.take(len(self.waiting))
        for draft in left:
            self._refuse(draft)
        return [cast("Draft", draft) for draft in left if not is_deferred(draft)]

    def count_dropped(self, reason: str) -> None:
        """Count a draft that was taken, and of which nothing came."""
        self._dropped[reason] += 1

    def count_unrouted(self) -> None:
        """Count a draft that was taken, and that no backend wants. For the dispatcher."""
        self._unrouted += 1

    def take_parked(self) -> list[Kept]:
        """Remove and return the events that are on disk only. For the dispatcher."""
        parked: list[Kept] = []
        with suppress(IndexError):
            while True:
                parked.append(self._parked.popleft())
        return parked

    @property
    def refusal(self) -> str:
        """Why nothing is taken, when nothing is."""
        return CLOSED if self._closed else FULL

    @property
    def dropped(self) -> Counter[str]:
        """How many drafts were not taken, by reason."""
        return self._dropped.copy()

    def stats(self) -> dict[str, object]:
        """Return the same counts as a lane, and how many events no backend wants: nothing is delivered from here.

        What waits is accepted where it goes, and not here: that number never falls.
        """
        waiting = tuple(self.waiting)  # one call into C: nobody adds to it meanwhile
        pending = len(waiting) - waiting.count(None) + len(self._parked) + self._left_on_disk
        return {
            "accepted": self._dropped.total() + self._left_on_disk + self._unrouted,
            "delivered": 0,
            "retried": 0,
            "pending": pending,
            "dropped": dict(self._dropped),
            "unrouted": self._unrouted,
            "last_success_at": None,
            "last_error": self.trouble,
        }

    def close(self) -> None:
        """Take nothing any more."""
        self._closed = True
        self.capacity = self._reserve = 0

    def forget(self) -> None:
        """Begin anew in a forked child: what waits is the parent's, and so is who waits for a wake."""
        self.waiting.clear()
        self._parked.clear()
        self._dropped.clear()
        self._left_on_disk = self._unrouted = 0
        self._wake = SimpleQueue()
        self._awake = False

    def wake(self) -> None:
        """Make the dispatcher look now."""
        if not self._awake:
            self._awake = True
            self._wake.put(None)

    def wait(self, timeout: float) -> bool:
        """Wait until somebody calls `wake`, *timeout* seconds at most; say whether. For the dispatcher."""
        try:
            self._wake.get(timeout=timeout)
            return True
        except Empty:
            return False
        finally:
            self._awake = False

    def take(self, limit: int) -> list[Draft | Deferred]:
        """Remove and return the oldest drafts, *limit* at most. For the dispatcher."""
        take_one = self.waiting.popleft
        taken: list[Draft | Deferred] = []
        with suppress(IndexError):  # there may be fewer
            while len(taken) < limit:
                draft = take_one()
                if draft is not None:
                    taken.append(draft)
        return taken
