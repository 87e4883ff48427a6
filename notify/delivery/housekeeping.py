"""What has to be looked after once a minute, on a thread of its own."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from notify import threads
from notify.delivery.announcer import Announcer
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry

if TYPE_CHECKING:  # a program whose backends are not durable need not load SQLite
    from notify.delivery.outbox import Outbox, Upkeep

_INTERVAL = 60.0  # seconds
_AT_ONCE = 1000  # rows that are adopted in one go


class Housekeeping:
    """Brings events that others left behind, mends the outbox, and says what was dropped.

    Args:
        lanes: every lane.
        outbox: if there is one.
        announcer: tells people.
        revive: starts again what else may have died.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        outbox: "Outbox | None",
        *,
        announcer: Announcer,
        revive: Callable[[], None],
    ) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        self._outbox = outbox
        self._announcer = announcer
        self._revive = revive
        self._told: dict[str, Counter[str]] = {}
        self._adopting = threading.RLock()
        # As in the intake: put() is one call into C, which a signal handler may make at any time.
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._worker: threads.Worker | None = None

    def begin(self) -> None:
        """Start the thread."""
        self._worker = threads.Worker("housekeeping", self._run)

    def adopt(self) -> None:
        """Bring what dead processes left behind into the lanes, in order, as far as there is room."""
        if self._outbox is not None:
            with self._adopting:  # what two threads adopted would mix
                self._adopt(self._outbox)

    def _adopt(self, outbox: "Outbox") -> None:
        while names := [name for name, lane in self._lanes.items() if lane.durable and lane.roomy()]:
            adopted = outbox.adopt(names, _AT_ONCE)
            by_lane: defaultdict[str, list[Entry]] = defaultdict(list)
            for destination, event in adopted:
                by_lane[destination].append(Entry.of(event, None, stored=True))
            for name, entries in by_lane.items():
                self._lanes[name].put(entries)
            if len(adopted) < _AT_ONCE:
                return

    def wake(self) -> None:
        """Look after everything now: something is known to be wrong. Safe in a signal handler."""
        self._wake.put(True)

    def stop(self) -> None:
        """Make the thread end after what it is doing. Does not wait."""
        self._wake.put(False)

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, *timeout* seconds at most."""
        if self._worker is not None:
            self._worker.join(timeout)

    def revive(self) -> None:
        """Start the thread again if it died."""
        if self._worker is not None:
            self._worker.revive()

    def _run(self) -> None:
        going_on = True
        while going_on:
            self._look_after_everything()
            with suppress(Empty):
                going_on = self._wake.get(timeout=_INTERVAL)

    def _look_after_everything(self) -> None:
        for lane in self._lanes.values():
            lane.revive()
        self._revive()
        if self._outbox is not None:
            upkeep = self._outbox.maintain()
            for text in upkeep.alerts:
                self._announcer.say(text)
            self._discard(upkeep)
            self.adopt()
        for lane in self._lanes.values():
            self._tell_new_drops(lane)

    def _discard(self, upkeep: "Upkeep") -> None:
        gone: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for destination, event_id, reason in upkeep.dropped:
            gone[destination, reason].append(event_id)
        for (destination, reason), ids in gone.items():
            if destination in self._lanes:  # which counts them, and so they are told with the others
                self._lanes[destination].discard(ids, reason)
            else:
                self._tell_dropped(destination, reason, len(ids))

    def _tell_new_drops(self, lane: Lane) -> None:
        dropped = lane.dropped()
        for reason, count in (dropped - self._told.get(lane.name, Counter())).items():
            self._tell_dropped(lane.name, reason, count)
        self._told[lane.name] = dropped

    def _tell_dropped(self, destination: str, reason: str, count: int) -> None:
        what = "1 event" if count == 1 else f"{count} events"
        self._announcer.say(
            f"Not delivered to {destination}: {what} ({reason}).",
            # Who refuses events may refuse this one too, and so on.
            but_not_to=destination if reason == "rejected" else "",
        )
