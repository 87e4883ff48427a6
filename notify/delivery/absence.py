"""What a lane does with its events while its destination is gone: another lane stands in for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from logging import NOTSET
from typing import TYPE_CHECKING, Protocol

from notify.delivery.disk import Disk
from notify.delivery.queue import Entry
from notify.delivery.ticket import PENDING
from notify.event import Event, Phase, worded
from notify.levels import severity
from notify.rules.grouping import MOST_MATTERS
from notify.rules.routing import Route

if TYPE_CHECKING:
    from notify.delivery.lane import Lane

IN_PLACE_OF = "in place of"
"""The field by which the reader of a stand-in knows who should have got an event."""

AT_ONCE = 256  # events handed over at once, so that the stand-in begins with the first while the last wait


class StandIn(Protocol):
    """A lane, as those that it stands in for see it. Thread-safe."""

    name: str
    route: Route
    folds: bool

    def takes(self) -> int:
        """Return how many events of others it takes now: any number, one that it tries its destination with, or 0."""
        ...

    def put(self, entries: Sequence[Entry], /) -> None:
        """Queue *entries*."""
        ...

    def fold(self) -> None:
        """Count an event that is not sent."""
        ...


class Absence:
    """Whether a lane's destination is gone, and what becomes of its events meanwhile. For the lane's thread.

    Args:
        lane: whose destination it is.
        disk: where its stored entries are, too.
        on_gone: called with the lane's name and a text when its destination is gone, and when it is there again.
        on_moved: called with an event, and with the names of the lane that was to get it and of the one that gets it.
    """

    def __init__(
        self,
        lane: "Lane",
        disk: Disk,
        *,
        on_gone: Callable[[str, str], None],
        on_moved: Callable[[Event, str, str], None],
    ) -> None:
        self._lane = lane
        self.disk = disk
        """Where stored entries are, too."""
        self._on_gone = on_gone
        self._on_moved = on_moved
        self._absent: list[Callable[[], None]] = []
        self._passed: dict[str, int] = {}  # by matter, the severity that the stand-in knows of
        self.stand_in: StandIn | None = None
        """Who gets the events meanwhile; None: they wait."""
        self.is_gone = False

    def begin(self, reason: str) -> None:
        """Note that the destination is gone, and say so, once."""
        if not self.is_gone:
            self.is_gone = True
            meanwhile = "" if self.stand_in is None else f" Meanwhile {self.stand_in.name} gets them."
            name = self._lane.name
            self._on_gone(
                name, f"{name} takes no messages any more: {reason}. It is tried again every ten minutes.{meanwhile}"
            )

    def end(self) -> None:
        """Note that the destination has answered, and say so if it was gone."""
        if self.is_gone:
            self.is_gone = False
            self.forget_told()
            self._on_gone(self._lane.name, f"{self._lane.name} takes messages again.")
            for wake in self._absent:
                wake()

    def wake_at_end(self, absent: Callable[[], None]) -> None:
        """Call *absent* whenever the destination is there again."""
        self._absent.append(absent)

    def room(self) -> int:
        """Return how many events the stand-in takes now; 0 while the destination is there. For any thread."""
        return self.stand_in.takes() if self.is_gone and self.stand_in is not None else 0

    def hand_over(self, batch: Sequence[Entry], to: StandIn) -> None:
        """Give *batch*, which was taken from the queue, to *to*, but for what that one has anyway.

        On disk first, then in memory: killed in between, an event is delivered by *to* or handed over again.
        """
        handed: list[Entry] = []
        left: list[Entry] = []
        counted: list[Entry] = []
        unwanted: list[Entry] = []
        for entry in batch:
            if entry.but_not_to == to.name:
                unwanted.append(entry)
                continue
            matter = entry.event.matter
            if matter is not None and matter.phase is Phase.COUNTED:
                counted.append(entry)  # it changes a message that only the destination has
                continue
            if matter is not None and matter.phase is not Phase.RESOLVED:
                self._on_moved(entry.event, self._lane.name, to.name)
            if _has_anyway(to, entry):
                left.append(entry)
            elif to.folds and (entry.repeats or self._has_passed(entry.event)):
                to.fold()
                left.append(entry)
            else:
                home = entry.home or self._lane
                handed.append(entry._replace(event=_marked(worded(entry.event), home.name), home=home))
        if stored := [entry.event for entry in handed if entry.stored]:
            self.disk.move(self._lane.name, stored, to.name)
        if done := [entry.event.id for entry in (*left, *counted) if entry.stored]:
            self.disk.delivered(self._lane.name, done)
        _settle(handed, to.name, PENDING)  # before anybody can say better
        if handed:
            to.put(handed)  # and not yet taken out here: who waits must never find it nowhere
        self._lane.handed_over([*handed, *left], counted, unwanted, to.name)

    def forget_told(self) -> None:
        """Note that what was handed over comes back: the stand-in was told nothing of it. For any thread."""
        self._passed.clear()

    def _has_passed(self, event: Event) -> bool:
        """Say whether *event* repeats what was handed over, where repeats are counted behind the destination only."""
        matter = event.matter
        if matter is None or not self._lane.passes:
            return False
        known = self._passed.pop(matter.id, NOTSET)
        if matter.phase is not Phase.ANNOUNCED:
            return False
        level = severity(event.level)
        self._passed[matter.id] = max(known, level)
        if len(self._passed) > MOST_MATTERS:
            del self._passed[next(iter(self._passed))]
        return level <= known

    def send_home(self) -> None:
        """Give what this lane has in the place of others back to them: it can do no more for it than they can."""
        guests = self._lane.guests()
        for home in {id(entry.home): entry.home for entry in guests}.values():
            if home is None:
                continue
            own = [entry for entry in guests if entry.home is home]
            back = [entry._replace(event=_unmarked(entry.event, home.name), home=None) for entry in own]
            if stored := [entry.event for entry in back if entry.stored]:
                self.disk.move(self._lane.name, stored, home.name)
            _settle(back, home.name, PENDING)
            home.take_back(back)  # and not yet taken out here, as above
            self._lane.sent_home({entry.event.id for entry in own}, home)


class Home(Protocol):
    """A lane, as those see it that stand in for it. Thread-safe."""

    name: str

    def take_back(self, entries: Sequence[Entry], /) -> None:
        """Queue *entries*, which were handed over from here."""
        ...


def _has_anyway(to: StandIn, entry: Entry) -> bool:
    return to.route.wants(entry.event) if entry.to is None else to.name in entry.to


def _marked(event: Event, name: str) -> Event:
    return event if IN_PLACE_OF in event.fields else replace(event, fields={**event.fields, IN_PLACE_OF: name})


def _unmarked(event: Event, name: str) -> Event:
    if event.fields.get(IN_PLACE_OF) != name:
        return event
    return replace(event, fields={key: value for key, value in event.fields.items() if key != IN_PLACE_OF})


def _settle(entries: Sequence[Entry], name: str, outcome: str) -> None:
    for entry in entries:
        if entry.ticket is not None:
            entry.ticket.settle(name, outcome)
