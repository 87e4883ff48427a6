"""Everything between a caller and the backends, put together: begun, waited for, stopped, begun anew after a fork."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from notify import diagnostics
from notify.backend import Backend, edits, remember_in
from notify.clock import Clock
from notify.delivery.announcer import Announcer
from notify.delivery.dispatcher import Dispatcher
from notify.delivery.folding import Addressed, Folding, Judging
from notify.delivery.folding.journal import Journal
from notify.delivery.folding.texts import resolved
from notify.delivery.housekeeping import Housekeeping
from notify.delivery.intake import NOT_MADE, Intake, NewDraft
from notify.delivery.lane import Lane
from notify.delivery.made import Made
from notify.delivery.ticket import PENDING, Ticket
from notify.delivery.write_ahead import WriteAhead, durable_among
from notify.event import Event, Matter, Phase
from notify.interruption import came_from_outside
from notify.levels import TRADE
from notify.locks import Condition
from notify.plain import class_name
from notify.rules.fingerprint import id_of_key
from notify.rules.routing import Route, least_level

if TYPE_CHECKING:  # a program whose backends are not durable need not load SQLite
    from notify.delivery.outbox import Outbox

_LAST_MOMENT = 0.1  # seconds that threads are given to end when no time is left


class Redaction(Protocol):
    """Takes secrets out of what leaves the process. Thread-safe."""

    def events(self, events: Sequence[Event], /) -> Sequence[Event]:
        """Return *events* without secrets, as many, in their order."""
        ...

    def text(self, text: str, /) -> str:
        """Return *text* without secrets."""
        ...


class Pipeline:
    """Takes drafts from any thread and has them delivered.

    Args:
        backends: where to, by name.
        routes: what each backend gets; INFO and above of every topic for those not named.
        outbox: keeps what is durable on disk; None: everything waits in memory.
        durable_level: least level that is durable.
        redact: takes secrets out of events, and of the reasons that backends give.
        clock: tells the time and waits.
        repeat_interval: seconds between two reminders of a matter that goes on.
        storm_limit: different matters announced a minute.
        remembers: whether what was announced outlives the process, beside the outbox.
        unheard: says why nothing is heard of what the program logs, None while all is well.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        routes: Mapping[str, Route],
        *,
        outbox: "Outbox | None",
        durable_level: int,
        redact: Redaction,
        clock: Clock,
        repeat_interval: float,
        storm_limit: int,
        remembers: bool,
        unheard: Callable[[], str | None],
    ) -> None:
        self._backends = dict(backends)
        self._routes = {name: routes.get(name, Route()) for name in backends}
        self._durable = durable_among(backends, self._routes) if outbox is not None else set()
        self._outbox = outbox
        self._durable_level = durable_level
        self._redact = redact
        self._unheard = unheard
        self._clock = clock
        self._closed = False
        self._begun = False  # a signal handler may notify before everything is there
        journal = _journal(outbox, clock) if outbox is not None and remembers else None
        self._folding = Folding(
            self._backends,
            self._routes,
            redact=redact.events,
            clock=clock,
            journal=journal,
            interval=repeat_interval,
            storm_limit=storm_limit,
        )
        self._remembers = remembers
        self.intake = Intake(wake_level=TRADE, keeper=Judging(self._folding, self._write_ahead()))
        self.intake.revive = self.revive
        if outbox is not None:
            outbox.wake = lambda: self._housekeeping.wake()
        self._begin()

    def _write_ahead(self) -> WriteAhead | None:
        routes = {name: route for name, route in self._routes.items() if name in self._durable}
        if self._outbox is None or not routes:
            return None
        return WriteAhead(
            self._outbox,
            routes,
            folding=self._folding.names,
            level=self._durable_level,
            redact=self._redact.events,
            broke=lambda: self._housekeeping.wake(),
            describe=self._folding.describe,
            rescue=lambda draft: self.intake.rescue(draft),
        )

    def _begin(self) -> None:
        self._begun = False
        for name, backend in self._backends.items():
            if edits(backend):
                remember_in(backend, self._folding.posted(name))
        self._lock = threading.RLock()
        self._settled = Condition(self._lock)
        self._announcer = announcer = Announcer(self._clock)
        self.lanes = announcer.lanes = tuple(map(self._lane, self._backends))
        self._name_stand_ins(self.lanes)
        self._housekeeping = Housekeeping(
            self.intake,
            self.lanes,
            self._outbox,
            announcer=announcer,
            revive=lambda: self._dispatcher.revive(),
            learn=self._folding.learn,
            unheard=self._unheard,
        )
        self._dispatcher = Dispatcher(
            self.intake,
            self.lanes,
            settled=self._settled,
            redact=self._redact.events,
            before_first=self._housekeeping.adopt,
            folding=self._folding,
        )
        self._housekeeping.begin()
        self._begun = True

    def _lane(self, name: str) -> Lane:
        announcer = self._announcer
        return Lane(
            name,
            self._backends[name],
            self._routes[name],
            clock=self._clock,
            lock=self._lock,
            settled=self._settled,
            outbox=self._outbox if name in self._durable else None,
            on_gone=lambda about, text: announcer.say(
                text, level=logging.ERROR, but_not_to=about, also_to=self._routes[about].fallback
            ),
            on_moved=self._folding.moved,
            on_room=lambda: self._housekeeping.adopt_soon(),
            redact=self._redact.text,
        )

    def _name_stand_ins(self, lanes: Sequence[Lane]) -> None:
        by_name = {lane.name: lane for lane in self.lanes}
        for lane in lanes:
            if (stand_in := by_name.get(lane.route.fallback or "")) is not None:  # otherwise it may be added later
                lane.fall_back_to(stand_in)

    def add(self, name: str, backend: Backend, route: Route, outbox: "Outbox | None") -> None:
        """Deliver to *backend*, too, from now on: see `Notifier.add`. One call at a time."""
        if self._outbox is None and outbox is not None:
            self._outbox = outbox
            outbox.wake = lambda: self._housekeeping.wake()
            if self._remembers:
                self._folding.remember_in(_journal(outbox, self._clock))
        self._routes = {**self._routes, name: route}  # first: what is forked meanwhile has a route for each backend
        self._backends = {**self._backends, name: backend}
        self._durable = durable_among(self._backends, self._routes) if self._outbox is not None else set()
        self._folding.add(name, backend, route)
        if edits(backend):
            remember_in(backend, self._folding.posted(name))
        if self._outbox is not None:
            for each in self.lanes:  # one of them may stand in for this one, or the outbox be new
                if each.name in self._durable:
                    each.store_in(self._outbox)
        lane = self._lane(name)
        self.lanes = self._announcer.lanes = (*self.lanes, lane)
        self._name_stand_ins([lane])
        # What was left for it on disk comes before what is said now.
        self._housekeeping.add(lane, self._outbox)
        self._dispatcher.add(lane)
        self._name_stand_ins(self.lanes)  # now that what the others get goes there, too, if it is wanted there
        self.intake.judge_with(Judging(self._folding, self._write_ahead()))
        if self._closed:  # by a signal handler, which has interrupted this and does not know of all of it
            lane.stop()
            if outbox is not None:
                outbox.close()

    def begin_in_child(self, *, closed: bool) -> None:
        """Begin anew in a forked child: with locks and threads of its own, and without its parent's events.

        What is *closed*, or was about to be by a thread that does not exist here, begins nothing and refuses all.
        """
        if self._outbox is not None:
            self._outbox.begin_in_child()  # first: a thread that does not exist here may have its locks
        if not self._lock._is_owned():  # type: ignore[attr-defined]  # the thread that has it does not exist here
            # Tickets of the parent are waited for with it. Python does the same with locks of its own.
            self._settled._at_fork_reinit()  # type: ignore[attr-defined]  # not for the public
        self.intake.forget()
        self._folding.begin_in_child()
        if not (closed or self._closed):
            self._begin()
            return
        self._closed = True
        self._settled = Condition()
        self.lanes = ()
        self._dispatcher.forget()
        self.intake.close()
        if self._outbox is not None:
            self._outbox.close()

    @property
    def least_level(self) -> int:
        """The lowest level that any backend wants."""
        return least_level(list(self._routes.values()))

    @property
    def routes(self) -> Mapping[str, Route]:
        """What each backend gets, by name."""
        return self._routes

    def backend(self, name: str) -> Backend:
        """Return the backend of this name. Raises `KeyError`."""
        return self._backends[name]

    def ticket(self, event_id: str) -> Ticket:
        """Return the ticket of an event that is about to be accepted."""
        return Ticket(event_id, changed=self._settled)

    def accept(self, event: Event, ticket: Ticket, *, folds: bool = True) -> None:
        """Take *event*. Never raises an Exception, whatever the parts of the event are.

        Args:
            event: what is said.
            ticket: of it.
            folds: whether it may be counted in a message rather than sent.
        """
        self._take(Made(event, ticket, folds=folds), event, ticket)

    def resolve(self, key: str, event: Event, ticket: Ticket) -> None:
        """Take *event*, which says that the matter *key* has ended, if anybody was told that it had begun.

        Who passes matters on gets it in any case: others may have been told.
        """
        going = self._folding.resolve(key)
        to = self._folding.passing if going is None else self._folding.passing | going.told
        if not to:
            ticket.routed({})
            return
        if going is None:
            ended = Matter(id_of_key(key), Phase.RESOLVED, since=event.time, last=event.time)
            said, level = replace(event, matter=ended), logging.WARNING
        else:
            said, level = resolved(event, going, event.time), max(going.level, logging.WARNING)
        self._take(Addressed(said, ticket, level=level, to=to), said, ticket)

    def _take(self, draft: NewDraft, event: Event, ticket: Ticket) -> None:
        try:
            if not self.intake.accept(draft):
                self._refuse(event, ticket)
        except Exception as error:  # an event whose parts are not what Event says
            if came_from_outside(error):
                raise
            self.intake.count_dropped(NOT_MADE)
            ticket.routed(dict.fromkeys(self._routes, f"dropped: {NOT_MADE}"))
            diagnostics.report("draft", f"an event could not be taken: {class_name(error)}")

    def revive(self) -> None:
        """Start again what has died of the threads that start the others again."""
        if self._begun and not self._closed:
            self._dispatcher.revive()
            self._housekeeping.revive()

    def adopt(self) -> None:
        """Bring what other processes left in the outbox into the lanes."""
        if not self._closed:
            self._housekeeping.adopt()

    def flush(self, timeout: float) -> bool:
        """Wait until nothing waits, on disk neither, *timeout* seconds at most. True: nothing does."""
        deadline = time.monotonic() + timeout
        self.revive()
        if self._is_behind():
            self._housekeeping.wake()  # another process may have taken it over
        return self._wait_until(lambda: self._empty() and not self._is_behind(), deadline)

    def tell_unheard(self) -> None:
        """Say on stderr why nothing is heard of what the program logs, if that is so."""
        self._housekeeping.tell_unheard(people=False)

    def close(self, timeout: float) -> None:
        """Deliver what waits, *timeout* seconds at most, then stop every thread. To be called once."""
        self._closed = True
        deadline = time.monotonic() + timeout
        self._housekeeping.tell_drops()
        self._housekeeping.check_disk_soon()  # while there is time: a file that is lost is not made anew in a moment
        try:
            if self._wait_until(self._dispatcher.idle, deadline):  # what is counted comes after what was announced
                for said in self._folding.last(self.ticket):
                    self._dispatcher.say(said)
            self._wait_until(lambda: self._empty(deadline), deadline)
        except BaseException:  # Ctrl-C ends the wait, and every other
            deadline = time.monotonic()
            raise
        finally:
            try:
                self._stop(deadline)
            except BaseException:  # and nobody comes back for the rest
                self._stop(time.monotonic())
                raise

    def stats(self) -> dict[str, dict[str, object]]:
        """Return counts per lane, and what the intake and the outbox have to tell."""
        counts = {}
        intake = self.intake.stats()
        if intake["accepted"] or intake["pending"] or intake["last_error"]:
            counts["intake"] = intake
        if self._outbox is not None:
            counts["outbox"] = self._outbox.stats()
        return counts | {lane.name: lane.stats() for lane in self.lanes}

    def _stop(self, deadline: float) -> None:
        self.intake.close()
        self._dispatcher.stop(max(_LAST_MOMENT, deadline - time.monotonic()))
        for draft in self.intake.clear():  # only when the dispatcher hangs, or could never be started
            if draft.ticket is not None:
                try:
                    self._refuse(draft.event(), draft.ticket)
                except Exception as error:  # noqa: BLE001 - as in `_take`; the rest must end all the same
                    draft.ticket.routed(dict.fromkeys(self._routes, f"dropped: {self.intake.refusal}"))
                    diagnostics.report("draft", f"an event could not be made: {class_name(error)}")
        self._folding.save(now_or_never=True)
        for lane in self.lanes:
            lane.stop()
        self._housekeeping.stop()
        last_moment = max(deadline, time.monotonic() + _LAST_MOMENT)  # for all of them together
        self._housekeeping.join(max(0.0, last_moment - time.monotonic()))  # while lanes have what it stores again
        in_hand = [
            (lane.name, event_id)
            for lane in self.lanes
            for event_id in lane.join(max(0.0, last_moment - time.monotonic()))
        ]
        if self._outbox is not None:
            self._outbox.close(in_hand, timeout=max(_LAST_MOMENT, last_moment - time.monotonic()))

    def _refuse(self, event: Event, ticket: Ticket) -> None:
        kept = self._durable if ticket.durable else ()
        ticket.routed(
            {
                name: PENDING if name in kept else f"dropped: {self.intake.refusal}"
                for name, route in self._routes.items()
                if route.wants(event)
            }
        )

    def _wait_until(self, finished: Callable[[], bool], deadline: float) -> bool:
        self.intake.wake()
        with self._settled:
            while not finished():
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._settled.wait(remaining)
        return True

    def _is_behind(self) -> bool:
        return any(lane.is_behind() for lane in self.lanes)

    def _empty(self, deadline: float | None = None) -> bool:
        """Say whether nothing waits, or nothing that will be tried before *deadline* (monotonic seconds)."""
        if not self._dispatcher.idle():
            return False
        remaining = None if deadline is None else deadline - time.monotonic()
        return not any(
            lane.pending() and (remaining is None or lane.next_attempt_in() <= remaining) for lane in self.lanes
        )


def _journal(outbox: "Outbox", clock: Clock) -> Journal:
    return Journal(outbox.directory, clock.time(), is_told=lambda: outbox.broken is not None)
