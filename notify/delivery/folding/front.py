"""What all threads of a process know of the matters that go on."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum, auto
from functools import partial
from logging import CRITICAL, WARNING
from typing import NamedTuple, TypeVar

from notify import diagnostics
from notify.backend import Backend, edits, folds, passes_matters
from notify.clock import Clock
from notify.delivery.folding import texts
from notify.delivery.folding.journal import Journal
from notify.delivery.folding.judged import Judged
from notify.delivery.folding.posted import Posted
from notify.delivery.intake import Draft, NewDraft
from notify.delivery.ticket import PENDING, Ticket
from notify.event import Event, Matter, Phase
from notify.interruption import came_from_outside
from notify.levels import severity
from notify.locks import Turn
from notify.plain import class_name
from notify.rules.fingerprint import Subject, id_of_key
from notify.rules.grouping import Grouping, Lanes
from notify.rules.matter import Going
from notify.rules.routing import Route
from notify.rules.storm import Held
from notify.rules.verdict import Saying, Verdict

INTERVAL = 3600.0  # seconds between two reminders
STORM_LIMIT = 60  # different matters announced a minute
_SAVE_EVERY = 5.0  # seconds between two notes of counts: a kill costs no more than what was counted meanwhile
_PATIENCE = 0.05  # seconds: then an event is sent as if nothing were known of its matter
_UNREAD = 5000  # announcements that may wait to be made into events; what the intake has dropped is among them
_ROUTES = 1000  # pairs of level and topic whose backends are remembered


_T = TypeVar("_T")
_O = TypeVar("_O")


class _Other(Enum):
    NOT_ALONE = auto()


class ToSay(NamedTuple):
    """An event of ours and where it goes.

    Args:
        event: redacted, as what it was made of was.
        to: backends.
        ticket: of the event.
    """

    event: Event
    to: frozenset[str]
    ticket: Ticket


class Folding:
    """Says of each event whether people get it or a count of it, and what is to be told later.

    Thread-safe. Who interrupts it in a signal handler is told nothing, so that his event is sent.

    Args:
        backends: all there are, by name.
        routes: of each.
        redact: takes secrets out of events: as many as it is given, in their order.
        clock: tells the time.
        journal: remembers it beyond the process; None: nobody does.
        interval: seconds between two reminders of a matter that goes on.
        storm_limit: different matters announced a minute.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        routes: Mapping[str, Route],
        *,
        redact: Callable[[Sequence[Event]], Sequence[Event]],
        clock: Clock,
        journal: Journal | None,
        interval: float,
        storm_limit: int,
    ) -> None:
        self.names = frozenset(name for name, backend in backends.items() if folds(backend))
        """The backends that fold."""
        self.passing = frozenset(name for name, backend in backends.items() if _passes(backend, routes[name]))
        """Those that pass matters on, and learn of each end. Who gets nothing at all is none of them."""
        self._editing = frozenset(name for name in self.names if edits(backends[name]))
        self._routes = dict(routes)
        self._redact = redact
        self._clock = clock
        self._journal = journal
        # From here on the time never goes back, and a clock that is set moves nothing.
        self._began = clock.time() - clock.monotonic()
        self._grouping = Grouping(Lanes(self.names, self._editing), interval=interval, storm_limit=storm_limit)
        self._wanted: dict[tuple[int, str], frozenset[str]] = {}
        self._on_the_way: dict[str, tuple[Ticket, ...]] = {}  # what was said of a matter and has not arrived yet
        self._unread: dict[str, Draft] = {}  # announcements that were not made into events yet, by matter
        self._saved_at = clock.monotonic()
        self._lock = threading.RLock()
        self._ended: list[str] = []  # by who has interrupted us, or waited in vain
        if journal is not None:
            self._restore(journal)

    def _restore(self, journal: Journal) -> None:
        found = journal.read()
        self._grouping.restore(found.matters, self.now())
        self._grouping.storm.restore(found.held, self.now())

    def add(self, name: str, backend: Backend, route: Route) -> None:
        """Know of one more backend."""
        with self._lock:
            if folds(backend):
                self.names |= {name}
                self._editing |= {name} if edits(backend) else set()
                self._grouping.lanes = Lanes(self.names, self._editing)
            self.passing |= {name} if _passes(backend, route) else set()
            self._routes = {**self._routes, name: route}
            self._wanted = {}

    def remember_in(self, journal: Journal) -> None:
        """Remember from now on beyond the process, and know what *journal* has of earlier ones."""
        with self._lock:
            self._journal = journal
            self._restore(journal)

    def posted(self, backend: str) -> Posted:
        """Return the place where *backend* notes what it needs to find its messages again."""
        return self._journal.posted(backend) if self._journal is not None else Posted({})

    # ---- any thread

    def judge(self, draft: NewDraft) -> Judged | None:
        """Return what becomes of *draft*; None: it is sent as if there were no folding.

        Raises what a hostile object may raise.
        """
        subject = draft.subject()
        if subject is None:
            return None
        if subject.reported:
            return Judged(draft, folded=True)
        wanted = self._wanted_by(draft.level, subject.topic)
        passed = None
        if wanted & self.passing:
            passed = Matter(subject.id, Phase.LIVING if subject.living else Phase.ANNOUNCED)
            wanted -= self.passing  # what is known here is what others have been told
        if not (wanted & self.names or (subject.named and (wanted or passed is None))):
            return None if passed is None else Judged(draft, passed=passed)
        return self._alone(
            lambda: self._judged(draft, subject, wanted, passed),
            otherwise=None if passed is None else Judged(draft, passed=passed),
        )

    def _judged(self, draft: Draft, subject: Subject, wanted: frozenset[str], passed: Matter | None) -> Judged:
        verdict, going = self._grouping.judge(subject, severity(draft.level), wanted, self.now())
        if verdict is Verdict.HOLD:
            return Judged(draft, folded=True, held=wanted & self.names, passed=passed)
        if verdict is Verdict.FOLD or going is None:
            return Judged(draft, folded=True, passed=passed)
        if len(self._unread) >= _UNREAD:
            self._unread.clear()
        self._unread[going.id] = draft
        phase = Phase.LIVING if subject.living else Phase.ANNOUNCED
        return Judged(draft, matter=going.matter(phase))

    def describe(self, matter_id: str, event: Event) -> None:
        """Note what a matter is called: *event* announces it, and is redacted."""
        self._unread.pop(matter_id, None)
        self._alone(lambda: self._grouping.describe(matter_id, event), otherwise=None)

    def resolve(self, key: str) -> Going | None:
        """End the matter that the program calls *key* and return it; None when nobody was told of it."""
        matter_id = id_of_key(key)
        self._read(matter_id)
        going = self._alone(lambda: self._grouping.resolve(matter_id), otherwise=_Other.NOT_ALONE)
        if going is _Other.NOT_ALONE:
            going = self._grouping.find(matter_id)
            self._ended.append(matter_id)
        if going is not None:
            self._on_the_way.pop(going.id, None)
        return going

    # ---- our own threads

    def now(self) -> float:
        """Return the time of everything here: UTC epoch seconds that never go back."""
        return self._began + self._clock.monotonic()

    def sample(self, held: frozenset[str], event: Event) -> None:
        """Keep a line of *event*, which is redacted and which the backends *held* are not sent."""
        self._alone(lambda: self._grouping.storm.sample(held, event.message), otherwise=None)

    def learn(self, event: Event, backend: str) -> None:
        """Note what an event of an earlier process, which was on disk, says of its matter."""
        matter = event.matter
        if (
            matter is None
            or backend in self.passing
            or (severity(event.level) < WARNING and matter.phase is not Phase.RESOLVED)
        ):
            return
        if matter.phase is Phase.RESOLVED:
            self._alone(lambda: self._grouping.resolve(matter.id), otherwise=None)
        else:
            self._alone(lambda: self._grouping.learn(matter.id, event, backend, self.now()), otherwise=None)

    def moved(self, event: Event, old: str, new: str) -> None:
        """Note that the backend *new* gets *event*, which tells of a matter, in the place of *old*."""
        matter = event.matter
        if matter is not None:
            first = matter.count == 1
            self._alone(lambda: self._grouping.moved(matter.id, old, new, first=first), otherwise=None)

    def due(self, make_ticket: Callable[[str], Ticket], now: float) -> Iterator[ToSay]:
        """Yield what is to be said by the moment *now*, one of `now`."""
        while self._grouping.due_at <= now:
            self._settle()
            due = self._alone(lambda: (self._grouping.due(now), self._grouping.digest(now)), otherwise=None)
            if due is None:
                return
            yield from self._to_say(*due, now, make_ticket)

    def last(self, make_ticket: Callable[[str], Ticket]) -> Iterator[ToSay]:
        """Yield what is to be said at the end of the process: the next one tells the rest, if there will be one."""
        for matter_id in list(self._unread):
            self._read(matter_id)
        now = self.now()
        everything = self._journal is None
        last = self._alone(
            lambda: (self._grouping.last(now, everything=everything), self._grouping.storm.take()), otherwise=None
        )
        if last is not None:
            yield from self._to_say(*last, now, make_ticket)

    def save(self, *, now_or_never: bool = False) -> None:
        """Note what has changed where it outlives the process: announcements at once, counts now and then."""
        journal, grouping = self._journal, self._grouping
        if journal is None:
            if grouping.pressing:
                self._alone(grouping.take_changes, otherwise=None)  # nobody asks, and they would be ever more
            return
        at = self._clock.monotonic()
        if not (grouping.pressing or now_or_never or at - self._saved_at >= _SAVE_EVERY):
            return
        self._saved_at = at
        if not journal.is_ready(at):
            return
        self._settle()
        changes_of = grouping.everything if journal.lacks_all else grouping.changes
        changed = self._alone(lambda: (changes_of(), grouping.storm.as_plain()), otherwise=None)
        if changed is None:
            return
        try:
            journal.write(*changed, at)
        except Exception as error:  # noqa: BLE001 - an event made by hand may hold anything
            diagnostics.report("folding", f"what was announced cannot be noted: {class_name(error)}")

    def begin_in_child(self) -> None:
        """Begin anew in a forked child, which knows what was announced, and counts and remembers for itself."""
        self._lock = threading.RLock()
        self._ended = []
        self._on_the_way = {}
        self._unread = {}
        self._journal = None
        self._grouping.begin_in_child()

    # ---- inside

    def _alone(self, change: Callable[[], _T], *, otherwise: _O) -> _T | _O:
        """Return what *change* returns with the lock held, or *otherwise*: when somebody was interrupted who holds it.

        Raises what *change* raises.
        """
        is_inside = self._lock._is_owned()  # type: ignore[attr-defined]  # of the standard library's class
        held = False
        try:
            # At the end of the interpreter, who holds it may stand still for good.
            with Turn(self._lock, _PATIENCE) as held:
                if held and not is_inside:
                    self._end_matters()  # of who could not have it, and came too late for the one before
                    try:
                        return change()
                    finally:
                        self._end_matters()
        except RuntimeError as error:
            if held or came_from_outside(error):
                raise
        return otherwise

    def _end_matters(self) -> None:
        while self._ended:
            self._grouping.resolve(self._ended.pop())

    def _wanted_by(self, level: int, topic: str) -> frozenset[str]:
        remembered = self._wanted  # replaced when there is one more backend
        known = remembered.get((level, topic))
        if known is None:
            if len(remembered) >= _ROUTES:
                remembered.clear()
            asked = Event(id="", time=0.0, message="", level=level, topic=topic)
            known = frozenset(name for name, route in self._routes.items() if route.wants(asked))
            remembered[level, topic] = known
        return known

    def _settle(self) -> None:
        """Note what has arrived of what was said. Asks without the lock: the lanes' one is taken for it."""
        for matter_id, tickets in list(self._on_the_way.items()):
            outcomes = [outcome for ticket in tickets for outcome in ticket.wait(0).values()]
            if PENDING in outcomes:
                continue
            lost = any(outcome.startswith("dropped") for outcome in outcomes)
            self._alone(partial(self._told, matter_id, lost=lost), otherwise=None)

    def _told(self, matter_id: str, *, lost: bool) -> None:
        self._on_the_way.pop(matter_id, None)
        self._grouping.told(matter_id, lost=lost)

    def _read(self, matter_id: str) -> None:
        """Note what a matter is called that was announced a moment ago, if nobody has done so yet."""
        draft = self._unread.pop(matter_id, None)
        if draft is not None:
            try:
                (event,) = self._redact((draft.event(),))
                self.describe(matter_id, event)
            except Exception as error:  # a hostile object; whoever delivers the event says so
                if came_from_outside(error):
                    raise

    def _to_say(
        self, sayings: Sequence[Saying], digests: Mapping[str, Held], now: float, make_ticket: Callable[[str], Ticket]
    ) -> Iterator[ToSay]:
        for saying in sayings:
            event = texts.goes_on(saying.going, saying.phase, now)
            ticket = make_ticket(event.id)
            self._on_the_way[saying.going.id] = (*self._on_the_way.get(saying.going.id, ()), ticket)
            yield ToSay(event, saying.to, ticket)
        for name, held in digests.items():
            event = texts.digest(held, now)
            yield ToSay(event, frozenset({name}), make_ticket(event.id))


def _passes(backend: Backend, route: Route) -> bool:
    return passes_matters(backend) and severity(route.level) <= CRITICAL
