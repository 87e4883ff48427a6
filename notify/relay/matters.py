"""Ongoing matters of the whole fleet: what one worker announces, all of them count.

The rules are those of one process, `rules/grouping`. Each worker has them at hand with all that is known, follows what
the others have changed, and judges while nobody else does.

Matters that programs have named, by a key, are each executor's own: its end ends no other's, and each has a wallet of
its own that is low on gas. What was logged, or happened at one place in the code, is one matter for all executors.
Backends that get the events of the same executors count together, so that the channel of one strategy does not count
what others did.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from logging import WARNING
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from notify import diagnostics
from notify.backend import Backend, edits, folds
from notify.backends.relay.wire import Entry
from notify.clock import Clock, SystemClock
from notify.delivery.folding import texts
from notify.event import Event, Matter, Phase, with_matter
from notify.levels import severity
from notify.relay import noted
from notify.relay.judging import Given, Judged
from notify.relay.ledger import Asked, Known, Ledger, Plan
from notify.rules.fingerprint import Subject, id_in_fleet
from notify.rules.grouping import Grouping, Lanes
from notify.rules.matter import Going
from notify.rules.routing import Route
from notify.rules.verdict import Verdict

if TYPE_CHECKING:
    from redis import Redis

_SET_BACK = 5.0  # seconds that the server's clock may be behind what it was: two answers may pass each other
_FOLLOW_EVERY = 5.0  # seconds: whoever told of a matter may be dead when there is more to say of it
_OURS = (Phase.COUNTED, Phase.REMINDED)  # what the relay itself says of a matter
_Result = TypeVar("_Result")
_MOST_NAMED = 16_384  # enough for 10,000 executors, most of which are low on gas at a time; a kilobyte each
_MANY = 1000  # changes, which take some hundredths of a second to learn; all there are take one
_KEPT = 86400.0  # seconds, at least, that a matter's executors are remembered


class _Case(NamedTuple):
    given: Given
    executor: str
    subject: Subject


class SharedFolding:
    """Says of each event of the fleet whether people get it or a count of it. A `Judging`, for one thread.

    Every method raises `Away` and `LeaseLost` as the stream does; then the same may be asked again. What was decided
    is noted in one step with all that it means for the entries, so that none is counted twice.

    Args:
        client: of Redis, with deadlines of its own.
        worker: the name of this one.
        backends: all there are, by name.
        routes: of each.
        interval: seconds between two reminders of a matter that goes on.
        storm_limit: different matters announced a minute.
        clock: tells when to look again.
    """

    def __init__(
        self,
        client: "Redis",
        worker: str,
        backends: Mapping[str, Backend],
        routes: Mapping[str, Route],
        *,
        interval: float,
        storm_limit: int,
        clock: Clock | None = None,
    ) -> None:
        folding = frozenset(name for name, backend in backends.items() if folds(backend))
        self._lanes = Lanes(folding, frozenset(name for name in folding if edits(backends[name])))
        self._group_of = {name: _name_of(routes[name].executors) for name in backends}
        self._interval = interval
        self._storm_limit = storm_limit
        self._clock: Clock = clock or SystemClock()
        self._ledger = Ledger(client, worker, kept_seconds=max(_KEPT, 2 * interval))
        self._now = -math.inf  # of the server; it never goes back here
        self._followed_at = -math.inf  # of our clock
        self._groups: dict[str, Grouping] = {}
        self._storms: dict[str, str] = {}
        self._forget()

    def judge_batch(self, given: Sequence[Given]) -> Sequence[Judged]:
        """Return what becomes of each event, once and for all: it is noted before this returns.

        What is of no matter goes to all who want it, and so does what the relay itself says of one.
        """
        cases = [case for each in given if (case := _case(each)) is not None]
        decided = dict(zip((case.given.entry for case in cases), self._decide(cases), strict=True)) if cases else {}
        return [decided.get(each.entry) or Judged(((_plain(each), each.wanted),)) for each in given]

    def judged_before(self, given: Given, noted_json: bytes) -> Judged:
        """Return what was decided of an entry, from what was noted of it by a worker that may have had other settings.

        Backends that are none any more are left out. What cannot be read, as of another version, decides nothing.
        """
        try:
            judged = noted.decode(given.event, noted_json)
        except (TypeError, ValueError):
            diagnostics.report("relay judged", "what was decided of an event cannot be read: all who want it get it")
            return Judged(((_plain(given), given.wanted),))
        said = ((event, names & self._group_of.keys()) for event, names in judged.said)
        return Judged(tuple(each for each in said if each[1]), judged.folded & self._group_of.keys())

    def due(self) -> None:
        """Publish what is to be said of matters that go on."""
        since = self._clock.monotonic() - self._followed_at
        due_at = min((grouping.due_at for grouping in self._groups.values()), default=math.inf)
        if since >= _FOLLOW_EVERY or self._now + since >= due_at:
            self._alone(Asked(matters=None), lambda known, plan: self._say(plan))

    def lost(self, event: Event, backends: frozenset[str]) -> None:
        """Note that *event*, which told *backends* how a matter goes on, was set aside: that is said again."""
        matter, groups = event.matter, {self._group_of[name] for name in backends if name in self._group_of}
        if matter is not None:
            self._alone(Asked(), lambda known, plan: self._say_again(matter.id, groups, plan))

    # ---- one worker at a time

    def _alone(self, asked: Asked, work: Callable[[Known, Plan], _Result]) -> _Result:
        """Do *work* while no other worker does any, and return its result when it was noted."""
        while True:
            try:
                known, plan = self._begin(asked), Plan()
                self._settle(asked, known, plan)
                result = work(known, plan)
                self._note(plan)
                if self._ledger.commit(plan):
                    return result
            except BaseException:  # a commit without an answer may have been made
                self._forget()
                raise
            self._forget()

    def _begin(self, asked: Asked) -> Known:
        """Take the lock, and learn what others have changed."""
        known = self._ledger.begin(asked)
        self._follow(known)
        if len(known.changes) > _MANY:  # on a slow machine the lock is over by now; what has changed since is little
            self._ledger.commit(Plan())
            known = self._ledger.begin(asked)
            self._follow(known)
        return known

    def _forget(self) -> None:
        """Know nothing, and be told everything at the next time."""
        self._ledger.forget()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._groups = {
            group: Grouping(self._lanes, interval=self._interval, storm_limit=self._storm_limit, most_named=_MOST_NAMED)
            for group in self._group_of.values()
        }
        self._storms = {group: _storm(grouping) for group, grouping in self._groups.items()}

    def _follow(self, known: Known) -> None:
        """Learn what others have changed."""
        followed_at = self._clock.monotonic()
        if known.now < self._now - _SET_BACK:
            self._now += followed_at - self._followed_at  # or nothing would be due, and a storm last, until it is again
        else:
            self._now = max(self._now, known.now)
        self._followed_at = followed_at
        if known.is_all:
            self._begin_anew()
        changes: dict[str, dict[str, Any]] = {}
        for name, value in known.changes.items():
            group, _, matter_id = name.partition("/")
            if group not in self._groups:
                continue  # of workers with other routes
            if matter_id:
                changes.setdefault(group, {})[matter_id] = _parsed(value)
            else:
                self._groups[group].storm.become(_parsed(value) or {})
                self._storms[group] = (value or b"").decode("utf-8", "replace")
        for group, changed in changes.items():
            in_order = dict(sorted(changed.items(), key=lambda item: _last(item[1]))) if known.is_all else changed
            self._groups[group].follow(in_order, self._now)

    def _settle(self, asked: Asked, known: Known, plan: Plan) -> None:
        """Note of the matters that were asked for what has arrived."""
        names = asked.matters
        if names is None:
            names = [f"{group}/{matter_id}" for group, each in self._groups.items() for matter_id in each.waiting]
        for name in names:
            group, _, matter_id = name.partition("/")
            going = self._groups[group].find(matter_id)
            if going is not None and going.waits and name not in known.waiting:
                self._groups[group].told(matter_id, lost=False)
                plan.arrived.append(name)

    def _note(self, plan: Plan) -> None:
        """Have noted what has changed."""
        for group, grouping in self._groups.items():
            for matter_id, going in grouping.take_changes().items():
                plan.changes[f"{group}/{matter_id}"] = "" if going is None else json.dumps(going.as_it_is())
            storm = _storm(grouping)
            if storm != self._storms[group]:
                plan.changes[f"{group}/"] = self._storms[group] = storm

    # ---- what becomes of an event

    def _decide(self, cases: Sequence[_Case]) -> Sequence[Judged]:
        matters = [(f"{group}/{case.subject.id}", case) for case in cases for group in self._by_group(case.given)]
        asked = Asked(
            entries=[case.given.entry for case in cases],
            heard=list(dict.fromkeys((name, case.executor) for name, case in matters if not case.subject.named)),
            matters=list(dict.fromkeys(name for name, _ in matters)),
        )
        return self._alone(asked, lambda known, plan: [self._judge(case, known, plan) for case in cases])

    def _judge(self, case: _Case, known: Known, plan: Plan) -> Judged:
        given = case.given
        if given.entry not in known.judged:
            return Judged(())  # it was acknowledged: this is asked again because the answer was lost
        if before := known.judged[given.entry]:
            return self.judged_before(given, before)
        is_end = given.event.matter is not None and given.event.matter.phase is Phase.RESOLVED
        judged = self._end(case) if is_end else self._count(case, known, plan)
        if judged.said:
            plan.judged[given.entry] = noted.encode(given.event, judged)
        else:
            plan.acknowledged.append((given.entry, given.executor))
        return judged

    def _count(self, case: _Case, known: Known, plan: Plan) -> Judged:
        event, subject = case.given.event, case.subject
        announced: list[tuple[Event, frozenset[str]]] = []
        plain: frozenset[str] = frozenset()
        folded: frozenset[str] = frozenset()
        for group, wanted in self._by_group(case.given).items():
            grouping, folding = self._groups[group], wanted & self._lanes.folding
            if not (subject.named or folding):
                plain |= wanted
                continue
            verdict, going = grouping.judge(subject, severity(event.level), wanted, self._now)
            if going is not None:
                _hear(going, f"{group}/{going.id}", case.executor, known, plan)
            if verdict is Verdict.ANNOUNCE and going is not None:
                grouping.describe(going.id, event)
                grouping.expect(going.id)
                plan.announced[f"{group}/{going.id}"] = case.given.entry
                phase = Phase.LIVING if subject.living else Phase.ANNOUNCED
                announced.append((with_matter(event, going.matter(phase)), wanted))
                continue
            if verdict is Verdict.HOLD:
                grouping.storm.sample(folding, event.message)
            folded |= folding
            plain |= wanted - folding
        if plain:
            announced.append((with_matter(event, None), plain))
        return Judged(tuple(announced), folded)

    def _end(self, case: _Case) -> Judged:
        said: list[tuple[Event, frozenset[str]]] = []
        for grouping in self._groups.values():
            going = grouping.resolve(case.subject.id)
            told = going.told & self._group_of.keys() if going is not None else frozenset()
            if going is not None and told:
                said.append((texts.resolved(case.given.event, going, self._now), told))
        return Judged(tuple(said))

    def _by_group(self, given: Given) -> dict[str, frozenset[str]]:
        """Return the backends that want an event, by who counts together."""
        groups: dict[str, frozenset[str]] = {}
        for name in sorted(given.wanted & self._group_of.keys()):
            group = self._group_of[name]
            groups[group] = groups.get(group, frozenset()) | {name}
        return groups

    # ---- what is to be said

    def _say(self, plan: Plan) -> None:
        for group, grouping in self._groups.items():
            while grouping.due_at <= self._now:
                for saying in grouping.due(self._now):
                    event = texts.goes_on(saying.going, saying.phase, self._now)
                    plan.sayings.append((f"{group}/{saying.going.id}", Entry(event, saying.to)))
                for name, held in grouping.digest(self._now).items():
                    plan.sayings.append(("", Entry(texts.digest(held, self._now), frozenset({name}))))

    def _say_again(self, matter_id: str, groups: set[str], plan: Plan) -> None:
        for group in groups:
            self._groups[group].told(matter_id, lost=True)
            plan.arrived.append(f"{group}/{matter_id}")


def _name_of(executors: frozenset[str]) -> str:
    """Return what those are called who get the events of the same executors."""
    if not executors:
        return "all"
    return blake2b("\n".join(sorted(executors)).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _case(given: Given) -> _Case | None:
    """Return whose and what an event is about; None for what is not counted, as in one process."""
    event, matter = given.event, given.event.matter
    if matter is None or matter.phase in _OURS:
        return None
    if severity(event.level) < WARNING and matter.phase is not Phase.RESOLVED:
        return None
    named = event.key is not None
    subject = Subject(
        _id_of(given, matter),
        event.topic,
        named=named,
        living=matter.phase is Phase.LIVING,
        rarely=event.topic == "crash" and not named,
    )
    return _Case(given, _executor(given), subject)


def _plain(given: Given) -> Event:
    """Return an event that is not counted, of a matter that nobody takes for another executor's."""
    matter = given.event.matter
    if matter is None or matter.phase in _OURS:
        return given.event
    return with_matter(given.event, replace(matter, id=_id_of(given, matter)))


def _id_of(given: Given, matter: Matter) -> str:
    return id_in_fleet(matter.id, _executor(given) if given.event.key is not None else None)


def _executor(given: Given) -> str:
    return given.executor.decode("utf-8", "replace")


def _hear(going: Going, name: str, executor: str, known: Known, plan: Plan) -> None:
    """Count the executors that have told of a matter. One that is named has one."""
    if going.named:
        return
    if going.count == 1:
        plan.heard[name] = (True, {executor})
        going.executors = 1
        return
    anew, others = plan.heard.setdefault(name, (False, set()))
    if executor not in others and (anew or (name, executor) not in known.heard):
        others.add(executor)
        going.executors += 1


def _storm(grouping: Grouping) -> str:
    return json.dumps(grouping.storm.as_it_is())


def _parsed(value: bytes | None) -> Any:
    """Return what somebody has noted, None when nothing is left of it."""
    try:
        return None if value is None else json.loads(value)
    except ValueError:
        return None


def _last(plain: Any) -> float:
    """Return when a matter has happened last, to bring all into that order."""
    match plain:
        case {"times": [_, int() | float() as last, *_]}:
            return float(last)
    return -math.inf
