"""Takes drafts out of the intake, makes events of them and puts each into the lanes that want it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import cast

from notify import diagnostics, threads
from notify.delivery.folding import Folding, Judged, ToSay
from notify.delivery.intake import FULL, NOT_MADE, Deferred, Draft, Intake, Kept, is_deferred
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry, entries_of
from notify.delivery.ticket import FOLDED, PENDING, Ticket
from notify.event import Event
from notify.plain import class_name

_BATCH = 256  # drafts taken at once, so that lanes start on the first while the last are being made

# Seconds that the dispatcher sleeps when nobody wakes it. Waking it for each ordinary record costs the caller
# 13 to 28 us. Looking every 5 ms while there is work made paced calls a tenth dearer than looking every 50 ms does.
_LOOK_EVERY = 0.05

# Of 20,000 calls in a row each takes 8 to 10 us when we leave them alone, and mostly 11 to 13 when we do not. That they
# are over is seen soon enough at such looks.
_RUSH = 100  # drafts that come between two looks
_LOOK_IN_RUSH = 0.005  # seconds
_LONGEST_RUSH = 0.1  # seconds

Group = tuple[bool, Sequence[Draft | Deferred]]
"""Drafts that came one after the other, and whether they are deferred."""


class Dispatcher:
    """The thread between the callers and the lanes.

    Args:
        intake: where callers leave drafts.
        lanes: every lane, each with its route.
        settled: notified after each round.
        redact: takes secrets out of events: as many as it is given, in their order.
        before_first: done before the first event is handed over.
        folding: knows what was announced, and what is to be said of it.
    """

    def __init__(
        self,
        intake: Intake,
        lanes: Sequence[Lane],
        *,
        settled: threading.Condition,
        redact: Callable[[Sequence[Event]], Sequence[Event]],
        before_first: Callable[[], None],
        folding: Folding,
    ) -> None:
        self._intake = intake
        self._lanes = tuple(lanes)
        self._settled = settled
        self._redact = redact
        self._before_first: Callable[[], None] | None = before_first
        self._folding = folding
        self._working = True
        self._stopping = False
        self._worker = threads.Worker("dispatcher", self._run, marked=False)

    def add(self, lane: Lane) -> None:
        """Hand over to *lane*, too, from the next batch on."""
        self._lanes = (*self._lanes, lane)

    def idle(self) -> bool:
        """Say whether everything that was in the intake is in the lanes."""
        # In this order: the dispatcher raises its flag before it takes, so what is in neither place is in a lane.
        return not len(self._intake) and not self._working

    def stop(self, timeout: float) -> None:
        """Hand over what is in the intake, end the thread, and wait for that *timeout* seconds at most."""
        self._stopping = True
        self._intake.wake()
        self._worker.join(timeout)

    def forget(self) -> None:
        """Note, in a forked child, that the thread does not exist there, nor what it was about to do."""
        self._working = False

    def revive(self) -> None:
        """Start the thread again if it died."""
        self._worker.revive()

    def _run(self) -> None:
        before_first, self._before_first = self._before_first, None
        if before_first is not None:
            try:
                before_first()
            except BaseException as error:  # noqa: BLE001 - whatever was left on disk must not end what comes now
                diagnostics.report("adopt", f"what was left on disk could not be read: {class_name(error)}")
        while True:
            stopping = self._stopping
            taken = self._round()
            if stopping and not taken:
                return
            if taken < _BATCH:
                self._wait_for_more()

    def _wait_for_more(self) -> None:
        """Wait to be woken, or for the time to look.

        While very much is being logged it is left alone, 0.1 s at most: our work would slow its caller.
        """
        if self._intake.wait(_LOOK_EVERY):
            return
        end = time.monotonic() + _LONGEST_RUSH
        before, waiting = 0, len(self._intake)
        while waiting - before >= _RUSH and time.monotonic() < end and not self._intake.wait(_LOOK_IN_RUSH):
            before, waiting = waiting, len(self._intake)

    def _round(self) -> int:
        """Hand over what waits, a batch at most, and return how much that was."""
        self._working = True
        try:
            # What is counted comes after what was announced. So the time is that before anything is taken: what is
            # announced from here on, however long the rest takes, waits for the next round, and so does its count.
            now = self._folding.now()
            drafts = self._intake.take(_BATCH)
            self._folding.save()  # before anybody can have got what was announced
            if drafts:
                self._hand_over(drafts)
            if len(drafts) < _BATCH:
                self._say_due(now)
            for kept in self._intake.take_parked():
                self._park(kept)
            return len(drafts)
        finally:
            self._working = False
            with self._settled:
                self._settled.notify_all()

    def _hand_over(self, drafts: Sequence[Draft | Deferred]) -> None:
        lanes = self._lanes  # one more may come meanwhile
        batches: dict[Lane, list[Entry]] = {lane: [] for lane in lanes}
        groups = _by_kind(drafts)
        events = iter(self._events(groups, len(drafts)))
        for are_deferred, group in groups:
            made = list(islice(events, len(group)))
            if are_deferred:
                self._sort_deferred(cast("Sequence[Deferred]", group), made, batches)
            else:
                self._sort(cast("Sequence[Draft]", group), made, batches)
        for lane, entries in batches.items():
            if entries:
                lane.put(entries)

    def _sort_deferred(
        self, deferred: Sequence[Deferred], made: Sequence[Event | None], batches: Mapping[Lane, list[Entry]]
    ) -> None:
        """Do what `_sort` does, with what is ordinary, of which there may be very much."""
        level = topic = None
        put: list[Callable[[Entry], None]] = []
        for entry in self._entries(deferred, made):
            event = entry.event
            if event.topic is not topic or event.level != level:  # of what is said here, routes look at nothing else
                level, topic = event.level, event.topic
                put = [batches[lane].append for lane in _wanted(tuple(batches), event)]
            if not put:
                self._intake.count_unrouted()
            for add in put:
                add(entry)

    def _entries(self, deferred: Sequence[Deferred], made: Sequence[Event | None]) -> Sequence[Entry]:
        try:
            events = (
                self._redact(self._intake.events_of(deferred)) if made[0] is None else cast("Sequence[Event]", made)
            )
            return entries_of(events, map(itemgetter(-1), deferred))
        except BaseException as error:  # noqa: BLE001 - whatever a hostile object raises must not end the dispatcher
            if len(deferred) > 1:
                return [entry for each in deferred for entry in self._entries((each,), (None,))]
            self._note_not_made(error)
            return ()

    def _sort(
        self, drafts: Sequence[Draft], events: Sequence[Event | None], batches: Mapping[Lane, list[Entry]]
    ) -> None:
        """Add an entry for each of *drafts* to the *batches* of the lanes that get it.

        Its event is None where it could not be made together with the others.
        """
        lanes = tuple(batches)
        routed: dict[tuple[int, str], list[Lane]] = {}  # of what is said here, routes look at nothing else
        for draft, made in zip(drafts, events, strict=True):
            try:
                event = self._event(draft) if made is None else made
                stored, judged = False, None
                if type(draft) is Kept:
                    stored, judged = draft.stored, draft.judged
                elif type(draft) is Judged:
                    judged = draft
                entry = Entry.of(event, draft.ticket, stored=stored)
                known = routed.get((event.level, event.topic))
                if known is None:
                    known = routed[event.level, event.topic] = _wanted(lanes, event)
            except BaseException as error:  # noqa: BLE001 - whatever a hostile object raises must not end the dispatcher
                self._note_not_made(error)
                if draft.ticket is not None:
                    draft.ticket.routed(dict.fromkeys((lane.name for lane in lanes), f"dropped: {NOT_MADE}"))
                continue
            if not known and (judged is None or judged.to is None):
                self._intake.count_unrouted()
            if judged is not None:
                known = self._as_judged(event, judged, draft.ticket, known, lanes)
                entry = entry._replace(to=judged.to, repeats=judged.folded)
            elif draft.ticket is not None:
                draft.ticket.routed({lane.name: PENDING for lane in known})
            if entry.stored:
                in_memory = entry._replace(stored=False)
                for lane in known:
                    batches[lane].append(entry if lane.durable else in_memory)
            else:
                for lane in known:
                    batches[lane].append(entry)

    def _note_not_made(self, error: BaseException) -> None:
        self._intake.count_dropped(NOT_MADE)
        diagnostics.report("draft", f"an event could not be made: {class_name(error)}")

    def _as_judged(
        self, event: Event, judged: Judged, ticket: Ticket | None, wanted: Sequence[Lane], every: Sequence[Lane]
    ) -> list[Lane]:
        """Return the lanes of *wanted* that get *event*, count it in the others, and note what is said of it later."""
        lanes = list(wanted)
        if judged.to is not None:
            lanes = [lane for lane in every if lane.name in judged.to]
        folding = [lane for lane in lanes if lane.folds] if judged.folded else []
        for lane in folding:
            lane.fold()
        if ticket is not None:
            ticket.routed({lane.name: FOLDED if lane in folding else PENDING for lane in lanes})
        if judged.matter is not None:
            self._folding.describe(judged.matter.id, event)
        elif judged.held:
            self._folding.sample(judged.held, event)
        return [lane for lane in lanes if lane not in folding]

    def _say_due(self, now: float) -> None:
        """Say what is to be said by *now* of matters that go on."""
        try:
            for each in self._folding.due(self._ticket, now):
                self.say(each)
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, events go on
            diagnostics.report("folding", f"what goes on could not be told: {class_name(error)}")

    def _ticket(self, event_id: str) -> Ticket:
        return Ticket(event_id, changed=self._settled)

    def say(self, said: ToSay) -> None:
        """Hand an event of ours over to the lanes that it is for."""
        lanes = [lane for lane in self._lanes if lane.name in said.to]
        said.ticket.routed({lane.name: PENDING for lane in lanes})
        for lane in lanes:
            lane.put([Entry.of(said.event, said.ticket)._replace(to=said.to)])

    def _park(self, kept: Kept) -> None:
        """Leave on disk what the intake had no room for. The lanes that do without the disk have lost it."""
        entry = Entry(kept.made, kept.ticket, 0, stored=True)
        lanes = _wanted(self._lanes, kept.made)
        if kept.judged is not None:
            lanes = self._as_judged(kept.made, kept.judged, None, lanes, self._lanes)
        for lane in lanes:
            if lane.durable:
                lane.park(entry)
            else:
                lane.refuse(entry, FULL)

    def _events(self, groups: Sequence[Group], count: int) -> Sequence[Event | None]:
        """Return the events of all *groups*, redacted together, or None for each when that fails with one of them.

        Whoever asks for each by itself then learns which it is.
        """
        fresh: list[Event] = []
        try:
            for are_deferred, group in groups:
                if are_deferred:
                    fresh += self._intake.events_of(cast("Sequence[Deferred]", group))
                else:
                    fresh += [draft.event() for draft in cast("Sequence[Draft]", group) if type(draft) is not Kept]
            redacted = self._redact(fresh)
        except BaseException:  # noqa: BLE001 - see above
            return [None] * count
        if len(redacted) == count:
            return redacted
        each = iter(redacted)
        return [draft.made if type(draft) is Kept else next(each) for _, group in groups for draft in group]

    def _event(self, draft: Draft) -> Event:
        if type(draft) is Kept:
            return draft.made
        (event,) = self._redact((draft.event(),))
        return event


def _by_kind(drafts: Sequence[Draft | Deferred]) -> Sequence[Group]:
    """Part *drafts* where those that are deferred begin or end, and say of each part whether it is of these."""
    kinds = set(map(type, drafts))
    if tuple not in kinds or len(kinds) == 1:  # as nearly always
        return [(tuple in kinds, drafts)]
    return [(are_deferred, list(group)) for are_deferred, group in groupby(drafts, is_deferred)]


def _wanted(lanes: Sequence[Lane], event: Event) -> list[Lane]:
    return [lane for lane in lanes if lane.route.wants(event)]
