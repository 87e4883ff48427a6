"""Ongoing matters: what is announced, what is only counted, and when the count is told.

A state machine without threads and without a clock of its own: every call is told the time, as UTC epoch seconds that
never go back. What it remembers is bounded, and what it forgets before it was told goes into a digest.
"""

import heapq
import math
from collections.abc import Iterator, Mapping
from logging import CRITICAL
from typing import NamedTuple

from notify import levels
from notify.event import Event, Phase
from notify.rules.fingerprint import Subject
from notify.rules.matter import Going, is_told_of_a_row
from notify.rules.storm import Held, Storm
from notify.rules.verdict import Saying, Verdict

EDIT_EVERY = 30.0  # seconds between two changes of one message, at least
_MAX_NAMED = 1024  # matters that the program has named: these it may resolve, and a flood of others forgets none
_MAX_OTHERS = 3072  # as many as the storm limit lets through in an interval of an hour, nearly
MOST_MATTERS = _MAX_NAMED + _MAX_OTHERS
"""How many a process knows of at a time."""
_AT_ONCE = 64  # matters whose count is told by one call


class Lanes(NamedTuple):
    """Backends by what they do with repeats.

    Args:
        folding: get no repeats.
        editing: of these, those that change what they have sent.
    """

    folding: frozenset[str]
    editing: frozenset[str]


class Grouping:
    """Knows every matter that was announced. Not thread-safe.

    Args:
        lanes: the backends that fold.
        interval: seconds between two reminders of a matter that goes on, and of silence that end one.
        storm_limit: different matters announced a minute. What is CRITICAL is announced all the same.
        most_named: matters that the program has named, which are known at a time.
    """

    def __init__(self, lanes: Lanes, *, interval: float, storm_limit: int, most_named: int = _MAX_NAMED) -> None:
        self.lanes = lanes
        """May be replaced when there are more backends."""
        self._interval = interval
        self.storm = Storm(storm_limit)
        self._most_named = most_named
        # In the order in which they last happened.
        self._named: dict[str, Going] = {}
        self._others: dict[str, Going] = {}
        self._timers: list[tuple[float, str]] = []
        self._changed: dict[str, None] = {}
        self.pressing = False
        """Whether something has changed that must not be forgotten: somebody was told, or was told of an end."""

    def __len__(self) -> int:
        return len(self._named) + len(self._others)

    @property
    def due_at(self) -> float:
        """When `due` may have something to say."""
        return min(self._timers[0][0] if self._timers else math.inf, self.storm.digest_at)

    # ---- what happens

    def judge(
        self, subject: Subject, severity: int, wanted: frozenset[str], now: float
    ) -> tuple[Verdict, Going | None]:
        """Say what becomes of an event, and of which announced matter it is.

        Args:
            subject: what it is about.
            severity: in logging's numbers.
            wanted: the backends that would get it, those that do not fold among them.
            now: see above.
        """
        going = self.find(subject.id)
        if going is not None and self._is_over(going, now):
            self._forget(going, now)
            going = None
        folding = wanted & self.lanes.folding
        holds = bool(folding) and severity < CRITICAL and not subject.living and self.storm.is_full(now)
        if going is None:
            if holds:
                self.storm.hold(folding, subject.id, severity, now)
                return Verdict.HOLD, None
            self.storm.count(now)
            going = Going(id=subject.id, named=subject.named, since=now, last=now)
            self._announce(going, severity, wanted, now)
            return Verdict.ANNOUNCE, going
        is_told = severity <= going.severity and wanted <= going.told | going.elsewhere
        if holds and not is_told:
            self.storm.hold(folding, subject.id, severity, now)
            return Verdict.HOLD, None
        was_quiet = now - going.last >= self._interval
        going.count += 1
        going.last = now
        again = not is_told or was_quiet or (subject.rarely and is_told_of_a_row(going.count))
        if subject.living or (again and not holds):
            if not subject.living:
                self.storm.count(now)
            self._announce(going, severity, wanted, now)
            return Verdict.ANNOUNCE, going
        self._place(going)
        self._schedule(going)
        self._changed[going.id] = None
        return Verdict.FOLD, going

    def learn(self, subject_id: str, event: Event, backend: str, now: float) -> None:
        """Note that *backend* gets, or has got, the announcement of a matter, which another process has judged."""
        going = self.find(subject_id)
        if going is None:
            last = min(event.time, now)
            going = Going(id=subject_id, named=event.key is not None, since=last, last=last)
            # It is told now, and the next change of its message comes as long after it as ever.
            self._announce(going, levels.severity(event.level), frozenset({backend}), now)
            going.describe(event)
        else:
            going.told |= {backend}
        self._changed[subject_id] = None

    def moved(self, subject_id: str, old: str, new: str, *, first: bool) -> None:
        """Note that *new* is told of a matter in the place of *old*, which if it is the *first* of it knows nothing."""
        going = self.find(subject_id)
        if going is not None:
            going.told |= {new}
            if first:
                going.told -= {old}
                going.elsewhere |= {old}
            self._schedule(going)
            self._changed[subject_id] = None
            self.pressing = True

    def describe(self, subject_id: str, event: Event) -> None:
        """Note the texts of the *event* that announces a matter, which hold no secrets."""
        going = self.find(subject_id)
        if going is not None:
            going.describe(event)
            self._changed[subject_id] = None
            self.pressing = True

    def resolve(self, subject_id: str) -> Going | None:
        """End a matter and return it, None when nobody was told of it."""
        going = self.find(subject_id)
        if going is not None:
            self._remove(going)
            self.pressing = True
        return going

    def find(self, subject_id: str) -> Going | None:
        """Return a matter that was announced and has not ended."""
        return self._named.get(subject_id) or self._others.get(subject_id)

    # ---- what is to be said

    def due(self, now: float) -> list[Saying]:
        """Return what is to be said now; call again while `due_at` is not later, and `told` when it has arrived."""
        said: list[Saying] = []
        timers = self._timers
        while timers and timers[0][0] <= now and len(said) < _AT_ONCE:
            at, subject_id = heapq.heappop(timers)
            going = self.find(subject_id)
            if going is None or going.timer != at:
                continue
            going.timer = math.inf
            if going.waits:
                self._set_timer(going, now + EDIT_EVERY)
            elif self._is_over(going, now):
                self._forget(going, now)
            else:
                said += self._sayings(going, now)
                self._schedule(going)
        return said

    def last(self, now: float, *, everything: bool) -> list[Saying]:
        """Return what is to be said at the end of the process.

        Args:
            now: see above.
            everything: nobody comes after this one who would tell the rest.
        """
        said: list[Saying] = []
        for going in [*self._named.values(), *self._others.values()]:
            editing, plain = self._told(going)
            if editing and going.count > going.shown:
                said.append(self._shown(going, Phase.COUNTED, editing, now))
            if everything and plain and going.count > going.summed:
                said.append(self._summed(going, plain, now))
        return said

    def expect(self, subject_id: str) -> None:
        """Note that what is said of a matter is on its way: nothing more is said until `told`."""
        going = self.find(subject_id)
        if going is not None:
            going.waits = True
            self._changed[subject_id] = None

    @property
    def waiting(self) -> list[str]:
        """The matters of which something is on its way."""
        return [going.id for going in (*self._named.values(), *self._others.values()) if going.waits]

    def told(self, subject_id: str, *, lost: bool) -> None:
        """Note that what was said of a matter has arrived, or is *lost* and to be said again."""
        going = self.find(subject_id)
        if going is None:
            return
        going.waits = False
        if lost:
            going.forget_told()
        self._schedule(going)
        self._changed[subject_id] = None

    def digest(self, now: float) -> dict[str, Held]:
        """Return what is to be told of a storm now, by backend."""
        return self.storm.take() if now >= self.storm.digest_at else {}

    # ---- what outlives the process

    def changes(self) -> dict[str, dict[str, object] | None]:
        """Return what has changed since the last call, by id; None for a matter that has ended."""
        taken = self.take_changes()
        return {subject_id: None if going is None else going.as_plain() for subject_id, going in taken.items()}

    def take_changes(self) -> dict[str, Going | None]:
        """Return the matters that have changed since the last call, by id; None for one that has ended."""
        changed, self._changed = self._changed, {}
        self.pressing = False
        return {subject_id: self.find(subject_id) for subject_id in changed}

    def everything(self) -> dict[str, dict[str, object] | None]:
        """Return all that there is, as `changes` does, and what has ended since that was called."""
        self._changed |= dict.fromkeys([*self._named, *self._others])
        return self.changes()

    def restore(self, plain: Mapping[str, object], now: float) -> None:
        """Take up what `changes` told in an earlier process, oldest first. What is nothing of that kind is left out."""
        for subject_id, given in plain.items():
            going = Going.from_plain(subject_id, given, now)
            if going is not None and not self._is_over(going, now):
                self._insert(going, now)
                self._schedule(going)
        self._changed = {}

    def follow(self, changes: Mapping[str, object], now: float) -> None:
        """Do what others did who share these matters, given `Going.as_it_is` by id, or None for one that has ended."""
        for subject_id, given in changes.items():
            known = self.find(subject_id)
            going = Going.from_plain(subject_id, given, now)
            if going is None:
                if known is not None:
                    self._remove(known)
            else:
                if known is not None and known.last == going.last:  # it has not happened again, and keeps its place
                    (self._named if known.named else self._others)[subject_id] = going
                else:
                    self._place(going)
                self._schedule(going)
        self._changed = {}

    def begin_in_child(self) -> None:
        """Begin anew in a forked child: it knows what was announced, and counts what happens here.

        The counts so far are the parent's to tell, and so are the messages that could be changed.
        """
        self.storm.take()
        self._changed = {}
        self._timers = []
        for going in [*self._named.values(), *self._others.values()]:
            going.count = going.shown = going.summed = 0
            going.own = going.waits = False
            going.timer = math.inf
            self._schedule(going)

    # ---- inside

    def _announce(self, going: Going, severity: int, wanted: frozenset[str], now: float) -> None:
        going.severity = max(going.severity, severity)
        if going.told <= wanted:  # otherwise somebody does not get this, and waits for the count
            going.shown = going.summed = going.count
        if not wanted <= going.told:
            going.told |= wanted
        going.elsewhere -= wanted
        going.shown_at = going.summed_at = going.reminded_at = now
        going.own = True
        self._insert(going, now)
        self._schedule(going)
        self._changed[going.id] = None
        self.pressing = True

    def _insert(self, going: Going, now: float) -> None:
        self._place(going)
        for matters, most in ((self._named, self._most_named), (self._others, _MAX_OTHERS)):
            while len(matters) > most:
                self._forget(next(iter(matters.values())), now)

    def _place(self, going: Going) -> None:
        """Put *going* behind all others."""
        matters = self._named if going.named else self._others
        matters.pop(going.id, None)
        matters[going.id] = going

    def _remove(self, going: Going) -> None:
        self._named.pop(going.id, None)
        self._others.pop(going.id, None)
        going.timer = math.inf
        self._changed[going.id] = None

    def _forget(self, going: Going, now: float) -> None:
        editing, plain = self._told(going)
        for lanes, told in ((editing, going.shown), (plain, going.summed)):
            if lanes and going.count > told:
                self.storm.hold(lanes, going.id, going.severity, now, events=going.count - told)
                self.storm.sample(lanes, going.title)
        self._remove(going)

    def _is_over(self, going: Going, now: float) -> bool:
        """Say whether a matter that nobody can resolve has been silent for long enough, and everything was told."""
        if going.named or going.waits or now - going.last < self._interval:
            return False
        return not any(self._untold(going))

    def _untold(self, going: Going) -> Iterator[int]:
        editing, plain = self._told(going)
        if editing:
            yield going.count - going.shown
        if plain:
            yield going.count - going.summed

    def _told(self, going: Going) -> tuple[frozenset[str], frozenset[str]]:
        """Return the folding backends that know of it: those that have a message to change, and the others."""
        folding = going.told & self.lanes.folding
        editing = folding & self.lanes.editing if going.own else frozenset()
        return editing, folding - editing

    def _sayings(self, going: Going, now: float) -> Iterator[Saying]:
        editing, plain = self._told(going)
        if plain and going.count > going.summed and now >= going.summed_at + self._interval:
            yield self._summed(going, plain, now)
        if editing and going.count > going.shown:
            if going.last >= going.reminded_at + self._interval:
                going.reminded_at = now
                yield self._shown(going, Phase.REMINDED, editing, now)
            elif now >= going.shown_at + EDIT_EVERY:
                yield self._shown(going, Phase.COUNTED, editing, now)

    def _shown(self, going: Going, phase: Phase, to: frozenset[str], now: float) -> Saying:
        going.shown, going.shown_at = going.count, now
        return self._saying(going, phase, to)

    def _summed(self, going: Going, to: frozenset[str], now: float) -> Saying:
        going.summed, going.summed_at = going.count, now
        if not going.own:  # from now on there is a message of this process
            going.own = True
            going.shown, going.shown_at, going.reminded_at = going.count, now, now
        return self._saying(going, Phase.REMINDED, to)

    def _saying(self, going: Going, phase: Phase, to: frozenset[str]) -> Saying:
        going.waits = True
        self._changed[going.id] = None
        return Saying(going.copy(), phase, to)

    def _schedule(self, going: Going) -> None:
        """Set the timer to when there is something to say of it, or to forget it."""
        editing, plain = self._told(going)
        at = math.inf
        if editing and going.count > going.shown:
            reminds = going.last >= going.reminded_at + self._interval
            at = going.last if reminds else going.shown_at + EDIT_EVERY
        if plain and going.count > going.summed:
            at = min(at, going.summed_at + self._interval)
        if at == math.inf and not going.named:
            at = going.last + self._interval
        if at < going.timer:
            self._set_timer(going, at)

    def _set_timer(self, going: Going, at: float) -> None:
        going.timer = at
        heapq.heappush(self._timers, (at, going.id))
        if len(self._timers) > 2 * len(self) + _AT_ONCE:  # most of them are out of date
            self._timers = [
                (one.timer, one.id) for one in (*self._named.values(), *self._others.values()) if one.timer < math.inf
            ]
            heapq.heapify(self._timers)
