"""What has to be looked after once a minute, on a thread of its own."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from notify import diagnostics, threads
from notify.delivery.announcer import Announcer
from notify.delivery.comparison import compare
from notify.delivery.holdings import ABOUT_STAND_IN
from notify.delivery.intake import Intake
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry
from notify.event import Event
from notify.plain import class_name
from notify.plural import plural

if TYPE_CHECKING:  # a program whose backends are not durable need not load SQLite
    from notify.delivery.outbox import Adopted, Outbox, Upkeep

_INTERVAL = 60.0  # seconds
_WHILE_BROKEN = 5.0  # the same while nothing is kept on disk, and what was delivered is not written down there
_AT_ONCE = 1000  # rows that are adopted in one go


class _Wake(Enum):
    LOOK = auto()
    """After everything."""
    ADOPT = auto()
    """What there is room for."""
    CHECK = auto()
    """After the disk, if it is not as it was left."""
    STOP = auto()


class Housekeeping:
    """Brings events that others left behind, mends the outbox, and says what was dropped.

    Args:
        intake: whose drops are told, too.
        lanes: every lane.
        outbox: if there is one.
        announcer: tells people.
        revive: starts again what else may have died.
        learn: told of each event that is adopted, and of its backend.
        unheard: says why nothing is heard of what the program logs, None while all is well.
    """

    def __init__(
        self,
        intake: Intake,
        lanes: Sequence[Lane],
        outbox: "Outbox | None",
        *,
        announcer: Announcer,
        revive: Callable[[], None],
        learn: Callable[[Event, str], None],
        unheard: Callable[[], str | None],
    ) -> None:
        self._intake = intake
        self._lanes = {lane.name: lane for lane in lanes}
        self._outbox = outbox
        self._announcer = announcer
        self._revive = revive
        self._learn = learn
        self._unheard = unheard
        self._told: dict[str, Counter[str]] = {}
        self._told_left: set[str] = set()  # destinations
        self._tells_left_at = 0.0  # monotonic seconds
        self._adopting = threading.RLock()
        # As in the intake: put() is one call into C, which a signal handler may make at any time.
        self._wake: SimpleQueue[_Wake] = SimpleQueue()
        self._worker: threads.Worker | None = None

    def begin(self) -> None:
        """Start the thread."""
        self._worker = threads.Worker("housekeeping", self._run)

    def add(self, lane: Lane, outbox: "Outbox | None") -> None:
        """Look after *lane*, too, and bring what was left for it on disk into it.

        A program that adds backends one by one may be about to add the next: what waits for a backend that is not there
        is told only when none was added for a minute.
        """
        self._tells_left_at = time.monotonic() + _INTERVAL
        self._lanes = {**self._lanes, lane.name: lane}
        self._outbox = outbox
        self.adopt()

    def adopt(self) -> None:
        """Bring what dead processes left behind into the lanes, in order, as far as there is room."""
        if self._outbox is not None:
            with self._adopting:  # what two threads adopted would mix
                self._adopt(self._outbox)

    def _adopt(self, outbox: "Outbox") -> None:
        lanes = [lane for lane in self._lanes.values() if lane.durable]
        while True:
            names = [lane.name for lane in lanes if lane.roomy()]
            if adopted := outbox.adopt(names, _AT_ONCE) if names else []:
                self._put(outbox, adopted)
            # Who was not asked for says whether there is room by now, or it would have said so to nobody.
            elif not [lane for lane in lanes if lane.fall_behind(behind=lane.name not in names)]:
                return

    def _put(self, outbox: "Outbox", adopted: Sequence["Adopted"]) -> None:
        by_lane: defaultdict[str, list[Entry]] = defaultdict(list)
        for destination, event in adopted:
            try:
                by_lane[destination].append(Entry.of(event, None, stored=True))
                self._learn(event, destination)
            except Exception as error:  # noqa: BLE001 - a row that somebody has made by hand
                outbox.dead(destination, event.id, f"it cannot be read: {class_name(error)}")
        for name, entries in by_lane.items():
            self._lanes[name].put(entries)

    def wake(self) -> None:
        """Look after everything now: something is known to be wrong. Safe in a signal handler."""
        self._wake.put(_Wake.LOOK)

    def adopt_soon(self) -> None:
        """Adopt what there is room for now, on the thread. Safe in a signal handler."""
        self._wake.put(_Wake.ADOPT)

    def check_disk_soon(self) -> None:
        """Mend the disk, on the thread, if anything is wrong with it. Costs little if not. Safe in a signal handler."""
        self._wake.put(_Wake.CHECK)

    def stop(self) -> None:
        """Make the thread end after what it is doing, and after a last look at what is to be on disk. Does not wait."""
        self._wake.put(_Wake.STOP)

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, *timeout* seconds at most."""
        if self._worker is not None:
            self._worker.join(timeout)

    def revive(self) -> None:
        """Start the thread again if it died."""
        if self._worker is not None:
            self._worker.revive()

    def _run(self) -> None:
        asked = {_Wake.LOOK}
        next_look = 0.0  # monotonic seconds
        while _Wake.STOP not in asked:
            if _Wake.LOOK in asked or time.monotonic() >= next_look:
                self._look_after_everything()
                next_look = time.monotonic() + self._interval()
            else:
                if _Wake.CHECK in asked:
                    self._check_disk()
                if _Wake.ADOPT in asked:
                    self.adopt()
            asked.clear()
            with suppress(Empty):
                asked.add(self._wake.get(timeout=max(0.0, next_look - time.monotonic())))
                while True:  # whoever has asked meanwhile is answered by one look
                    asked.add(self._wake.get_nowait())
        if self._outbox is not None and self._has_stored():
            self._look_at_disk(self._outbox)

    def _has_stored(self) -> bool:
        return any(lane.stored() for lane in self._lanes.values())

    def _check_disk(self) -> None:
        if self._outbox is not None and self._has_stored() and not self._outbox.is_fit():
            self._look_at_disk(self._outbox)

    def _interval(self) -> float:
        return _INTERVAL if self._outbox is None or self._outbox.broken is None else _WHILE_BROKEN

    def _look_after_everything(self) -> None:
        for lane in self._lanes.values():
            lane.revive()
        self._revive()
        if self._outbox is not None:
            self._look_at_disk(self._outbox)
            self.adopt()
            if time.monotonic() >= self._tells_left_at:
                self._tell_left(self._outbox)
        self.tell_drops()
        self.tell_unheard(people=True)

    def _look_at_disk(self, outbox: "Outbox") -> None:
        lanes = [lane for lane in self._lanes.values() if lane.durable]
        before = {lane.name: lane.stored() for lane in lanes}
        upkeep = outbox.maintain()
        for text in upkeep.alerts:
            self._announcer.say(text)
        self._discard(upkeep, before)
        for lane in lanes:
            compare(lane, outbox, lost=upkeep.renewed)

    def _tell_left(self, outbox: "Outbox") -> None:
        """Say once of each destination that events wait for it, and that there is no such backend."""
        durable = [name for name, lane in self._lanes.items() if lane.durable]
        left = {name: count for name, count in outbox.left_behind(durable).items() if name not in self._told_left}
        self._told_left.update(left)
        for name, count in left.items():
            self._announcer.say(
                f"{count} {plural(count, 'event')} of earlier runs cannot be delivered: there is no backend {name}, or "
                "it is not durable any more. Set it up again, or look at `notify outbox list`."
            )

    def tell_unheard(self, *, people: bool) -> None:
        """Say once that nothing is heard of what the program logs, on stderr and, if so asked, to *people*."""
        trouble, before = self._unheard(), self._intake.trouble
        self._intake.trouble = trouble
        if trouble is not None and trouble != before:
            diagnostics.report("unheard", trouble)
            if people:
                self._announcer.say(trouble)

    def tell_drops(self) -> None:
        """Announce what was dropped since the last time."""
        for name, lane in self._lanes.items():
            self._tell_new_drops(name, lane.dropped())
        self._tell_new_drops("anybody", self._intake.dropped)

    def _discard(self, upkeep: "Upkeep", before: Mapping[str, set[str]]) -> None:
        """Drop what the outbox has given up. What lanes had on disk *before*, and have no more, they have delivered."""
        gone: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for destination, event_id, reason in upkeep.dropped:
            gone[destination, reason].append(event_id)
        for (destination, reason), ids in gone.items():
            lane = self._lanes.get(destination)
            # The lane counts those that it drops, and they are told with its others.
            here = lane.discard(ids, reason) if lane is not None else set()
            if elsewhere := set(ids) - here - before.get(destination, set()):
                self._tell_dropped(destination, reason, len(elsewhere))

    def _tell_new_drops(self, destination: str, dropped: Counter[str]) -> None:
        for reason, count in (dropped - self._told.get(destination, Counter())).items():
            if reason != ABOUT_STAND_IN:  # all others were told of that, and this would be dropped there for the same
                self._tell_dropped(destination, reason, count)
        self._told[destination] = dropped

    def _tell_dropped(self, destination: str, reason: str, count: int) -> None:
        self._announcer.say(
            f"Not delivered to {destination}: {count} {plural(count, 'event')} ({reason}).",
            # Who refuses events may refuse this one too, and so on.
            but_not_to=destination if reason == "rejected" else None,
        )
