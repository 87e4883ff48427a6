"""One worker: takes events from the stream, and has them delivered in the order in which each executor said them."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from notify import diagnostics
from notify.backend import Backend
from notify.clock import Clock
from notify.delivery.announcer import Announcer
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry
from notify.event import Event, Phase
from notify.relay.fence import Fence, Fenced
from notify.relay.hands import Hands
from notify.relay.judging import Given, Judged, Judging
from notify.relay.reading import Read, Redact, read
from notify.relay.stream import Away, Found, LeaseLost, Settled, Stream
from notify.relay.telling import Telling
from notify.rules.routing import Route

_AT_ONCE = 256  # entries
_LOOK_EVERY = 1.0  # seconds between two looks for workers that are dead, and for what is to be said
_TRIM_EVERY = 1.0  # seconds: a Redis that is full has room again that soon
_SURVIVED = 60.0  # seconds that a worker has lived with an event in hand, which so is not what kills workers
_TELL_EVERY = 60.0  # seconds between two announcements of what was set aside
_PATIENCE = 1.0  # seconds that nothing new is waited for
_WHILE_PARKED = 0.1  # the same while a lane is short of room
_AGAIN = 0.5  # seconds between two tries to reach the server
_UNDER_WAY = 1.5  # seconds, of those for closing, that are left for what is being sent to arrive, and be noted
_LAST_MOMENT = 0.1  # seconds that threads are given to end when no time is left


class Stopping(Protocol):
    """Is set when a worker is to end. `threading.Event` is one."""

    def is_set(self) -> bool:
        """Say whether it is set."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, *timeout* seconds at most. Say whether it is."""
        ...


class Worker:
    """Takes what is its own, hands it to lanes, and has it acknowledged as each backend takes it.

    It is one life of a worker: it ends when others have taken over. The thread that calls `run` does everything but
    what lanes do.

    Args:
        stream: of a worker that nobody was before.
        backends: where to, by name.
        routes: what each gets.
        judging: knows the repeats of the fleet.
        redact: takes secrets out of events: as many as it is given, in their order.
        redact_text: the same for the reasons that backends give.
        clock: tells the time and waits.
        lease: seconds that a lease lasts.
        had_group: whether this process has been in the group of workers. That it has to be made again is told then.
        refreshed: called after each look at the stream.
    """

    def __init__(
        self,
        stream: Stream,
        backends: Mapping[str, Backend],
        routes: Mapping[str, Route],
        *,
        judging: Judging,
        redact: Redact,
        redact_text: Callable[[str], str],
        clock: Clock,
        lease: float,
        had_group: bool = False,
        refreshed: Callable[[], None] = lambda: None,
    ) -> None:
        self._stream = stream
        self._judging = judging
        self._redact = redact
        self._had_group = had_group
        self._refreshed = refreshed
        self._fence = Fence(clock, lease)
        self._hands = Hands(stream, backends)
        lock = threading.RLock()
        settled = threading.Condition(lock)
        announcer = Announcer(clock)
        self._telling = Telling(stream, announcer)
        lanes = [
            Lane(
                name,
                Fenced(backend, self._fence),
                routes[name],
                clock=clock,
                lock=lock,
                settled=settled,
                outbox=self._hands,
                on_gone=lambda about, text: self._telling.gone(about, text, routes[about].fallback),
                redact=redact_text,
            )
            for name, backend in backends.items()
        ]
        self._lanes = {lane.name: lane for lane in lanes}
        for lane in lanes:
            if lane.route.fallback is not None:
                lane.fall_back_to(self._lanes[lane.route.fallback])
        announcer.lanes = lanes
        self._parked = dict.fromkeys(self._lanes, 0)
        self._cursor = "0-0"
        self._caught_up = False  # with what is pending
        self._claims = False  # there is more to take over
        self._next: defaultdict[str, float] = defaultdict(float)  # monotonic seconds
        self.counts: Counter[str] = Counter()
        """What came of entries: taken, duplicates, aside, claimed."""

    @property
    def in_hand(self) -> int:
        """How many entries are in memory."""
        return len(self._hands)

    def stats(self) -> dict[str, dict[str, Any]]:
        """Return the counts of each lane, as `Notifier.stats()` has them; those parked in Redis are `pending`, too."""
        told = {}
        for name, lane in self._lanes.items():
            counts: dict[str, Any] = lane.stats()
            told[name] = counts | {"pending": counts["pending"] + self._parked[name], "parked": self._parked[name]}
        return told

    def run(self, stop: Stopping) -> None:
        """Work until *stop* is set. Raises `LeaseLost` when others have taken over."""
        self._hands.is_unsure = True
        joined = False
        while not stop.is_set():
            try:
                if not joined:
                    asked_at = self._fence.now()
                    is_new = self._stream.join()
                    self._fence.renewed(asked_at)
                    joined = True
                    if is_new and self._had_group:
                        self._telling.emptied()
                self._round()
                self._refreshed()
            except Away as error:
                self._hands.is_unsure = True
                diagnostics.report("relay away", f"{error}; it is tried again, and nothing is lost meanwhile")
                stop.wait(_AGAIN)
            except LeaseLost:
                self._hands.is_lost = True
                raise

    def close(self, timeout: float) -> None:
        """Deliver what is in hand, *timeout* seconds at most, and leave the rest to others."""
        deadline = time.monotonic() + timeout
        if self._hands.is_lost or timeout <= 0:
            self._fence.shut()
        while len(self._hands) and not self._hands.is_lost and time.monotonic() < deadline - _UNDER_WAY:
            self._renew()
            self._hands.wait_for_room(0.1)
        for lane in self._lanes.values():
            lane.stop()
        self._fence.shut()
        ends = max(deadline, time.monotonic() + _LAST_MOMENT)
        for lane in self._lanes.values():
            lane.join(max(0.0, ends - time.monotonic()))
        self._hands.end()
        if not self._hands.is_lost:
            try:
                self._stream.leave()
            except (Away, LeaseLost) as error:
                diagnostics.report("relay leave", f"others learn in half a minute that this worker has ended: {error}")

    def _renew(self) -> None:
        if self._is_time("renew", _LOOK_EVERY):
            try:
                asked_at = self._fence.now()
                self._stream.take(self._cursor, 0)
                self._fence.renewed(asked_at)
            except Away:
                return
            except LeaseLost:
                self._hands.is_lost = True

    # ---- one look

    def _round(self) -> None:
        if self._hands.is_lost:
            raise LeaseLost
        for lane in self._lanes.values():
            lane.revive()
        if self._hands.is_unsure:
            self._begin_anew()
        self._look_after_others()
        for name, parked in self._parked.items():
            if parked:
                self._bring_back(name)
        is_roomy = any(not self._parked[name] and self._hands.room(name) for name in self._lanes)
        asked_at = self._fence.now()
        taken = self._stream.take(self._cursor, _AT_ONCE if is_roomy else 0)
        self._fence.renewed(asked_at)
        if taken.is_elsewhere:  # what was settled or parked may be unknown there, behind the cursor
            self._hands.is_unsure = True
            self._fence.moved()
            return
        self.counts["taken"] += len(taken.found)
        self.counts["duplicates"] += taken.duplicates
        self._deliver(taken.found)
        self._cursor = taken.cursor  # last: whatever fails before that is read again
        self._caught_up |= taken.caught_up
        if not is_roomy:
            self._hands.wait_for_room(_WHILE_PARKED)
        elif taken.end is not None and not taken.found:
            self._stream.wait(taken.end, _WHILE_PARKED if any(self._parked.values()) else _PATIENCE)

    def _begin_anew(self) -> None:
        """Read all that is pending once more: what is in memory is known, and the rest is handed out in its order."""
        self._hands.is_unsure = False
        self._caught_up = False
        self._stream.rescan()
        self._parked = dict.fromkeys(self._lanes, 0)
        self._cursor = "0-0"

    def _look_after_others(self) -> None:
        # What is taken over comes behind what is read once more, or the order would not be kept.
        is_time = self._is_time("look", _LOOK_EVERY)
        if self._caught_up and (is_time or self._claims):
            found, poison, self._claims = self._stream.claim(_AT_ONCE, is_sure=self._fence.is_steady)
            self.counts["claimed"] += len(found)
            self.counts["aside"] += poison
            self._deliver(found)
        if is_time:
            self._tell_refused()
            self._judging.due()
        if self._is_time("trim", _TRIM_EVERY):
            self._stream.trim()
        if self._is_time("absolve", _SURVIVED / 4):
            self._stream.absolve(self._hands.harmless(_SURVIVED))
        if self._is_time("tell", _TELL_EVERY):
            self._telling.dropped(list(self._lanes.values()))

    def _tell_refused(self) -> None:
        while self._hands.refused:
            event, name = self._hands.refused[0]
            if event.matter is not None and event.matter.phase in (Phase.COUNTED, Phase.REMINDED):
                self._judging.lost(event, frozenset({name}))
            self._hands.refused.popleft()

    def _is_time(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._next[what]:
            return False
        self._next[what] = now + every
        return True

    # ---- from entries to lanes

    def _deliver(self, found: Sequence[Found]) -> None:
        """Hand out entries, in their order, that no lane has yet."""
        known = [each for each in found if self._hands.of(each.entry) is None]
        again = [Settled(each.entry, each.executor) for each in known if self._hands.was_settled(each.entry)]
        readable, aside = read([each for each in found if not self._hands.was_settled(each.entry)], self._redact)
        for each in aside:
            diagnostics.report("relay aside", f"an entry of the stream was set aside in notify:dead: {each.reason}")
        self.counts["aside"] += len(aside)
        self._hands.settle([*again, *aside])
        self._hand_out(readable, self._judge(readable))

    def _judge(self, readable: Sequence[Read]) -> list[Judged]:
        given = [Given(each.found.entry, each.found.executor, each.event, self._wanted(each)) for each in readable]
        known = [self._judged_before(one, each) for one, each in zip(given, readable, strict=True)]
        fresh = iter(
            self._judging.judge_batch([one for one, is_known in zip(given, known, strict=True) if not is_known])
        )
        return [next(fresh) if each is None else each for each in known]

    def _judged_before(self, given: Given, one: Read) -> Judged | None:
        """Return what is known to become of an event: of what was judged before, and of what the relay itself says."""
        if one.found.judged is not None:
            return self._judging.judged_before(given, one.found.judged)
        hand = self._hands.of(given.entry)
        if hand is not None or one.to:
            return Judged(((given.event, given.wanted if hand is None else hand.wanted),))
        return None

    def _wanted(self, one: Read) -> frozenset[str]:
        if one.to:
            return one.to & self._lanes.keys()
        return frozenset(name for name, lane in self._lanes.items() if lane.route.wants(one.event))

    def _hand_out(self, readable: Sequence[Read], judged: Sequence[Judged]) -> None:
        queued: defaultdict[str, list[Entry]] = defaultdict(list)
        parked: defaultdict[str, list[str]] = defaultdict(list)
        over: list[Settled] = []
        for one, decided in zip(readable, judged, strict=True):
            found = one.found
            hand, missing = self._hands.look_up(found, decided.lanes)
            for name in decided.folded:
                self._lanes[name].fold()
            if not hand.wanted - hand.has:
                over.append(Settled(found.entry, found.executor))
            for event, names in decided.said:
                entry = _entry(event, decided)
                fitting = []
                for name in names & missing:
                    if self._parked[name] or parked[name] or not self._hands.room(name):
                        parked[name].append(found.entry)
                    else:
                        fitting.append(name)
                        queued[name].append(entry)
                if fitting:
                    self._hands.hold(event, hand, dict.fromkeys(fitting, entry.weight))
        for name, entries in queued.items():
            self._lanes[name].put(entries)
        for name, ids in parked.items():
            if ids:
                self._parked[name] = self._stream.park(name, ids)
        self._hands.settle(over)

    def _bring_back(self, name: str) -> None:
        """Give the lane *name* what is parked for it, when a quarter of its room is free."""
        room = min(_AT_ONCE, self._hands.room(name, part=0.25))
        if not room:
            return
        found, left = self._stream.unpark(name, room)
        readable, _ = read(found, self._redact)
        entries = []
        for one, decided in zip(readable, self._judge(readable), strict=True):
            hand, missing = self._hands.look_up(one.found, decided.lanes)
            mine = [event for event, names in decided.said if name in names]
            if mine and name in missing:
                entry = _entry(mine[0], decided)
                self._hands.hold(entry.event, hand, {name: entry.weight})
                entries.append(entry)
        self._parked[name] = left
        self._lanes[name].put(entries)


def _entry(event: Event, decided: Judged) -> Entry:
    # Whoever else gets it, or a count of it, needs nobody's to stand in for. Routes do not tell: some of what the relay
    # itself says is for one alone.
    return Entry.of(event, None, stored=True)._replace(to=decided.lanes | decided.folded)
