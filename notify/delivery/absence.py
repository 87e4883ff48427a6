"""What a lane does with its events while its destination is gone: another lane stands in for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from notify.delivery.disk import Disk
from notify.delivery.holdings import Holdings
from notify.delivery.queue import Entry
from notify.delivery.ticket import PENDING
from notify.event import Event, Phase
from notify.rules.routing import Route

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

    def wake_for_absent(self, absent: Callable[[], None], /) -> None:
        """Have *absent* called when the destination is there again."""
        ...


class Absence:
    """Whether a lane's destination is gone, and what becomes of its events meanwhile. For the lane's thread.

    Args:
        lane: whose destination it is.
        has: what that lane has.
        disk: where its stored entries are, too.
        on_gone: called with the lane's name and a text when its destination is gone, and when it is there again.
        on_moved: called with an event, and with the names of the lane that was to get it and of the one that gets it.
    """

    def __init__(
        self,
        lane: "Home",
        has: Holdings,
        disk: Disk,
        *,
        on_gone: Callable[[str, str], None],
        on_moved: Callable[[Event, str, str], None],
    ) -> None:
        self._lane = lane
        self._name = has.name
        self._has = has
        self._disk = disk
        self._on_gone = on_gone
        self._on_moved = on_moved
        self._absent: list[Callable[[], None]] = []
        self.stand_in: StandIn | None = None
        """Who gets the events meanwhile; None: they wait."""
        self.is_gone = False

    def begin(self, reason: str) -> None:
        """Note that the destination is gone, and say so, once."""
        if not self.is_gone:
            self.is_gone = True
            meanwhile = "" if self.stand_in is None else f" Meanwhile {self.stand_in.name} gets them."
            self._on_gone(
                self._name,
                f"{self._name} takes no messages any more: {reason}. It is tried again every ten minutes.{meanwhile}",
            )

    def end(self) -> None:
        """Note that the destination has answered, and say so if it was gone."""
        if self.is_gone:
            self.is_gone = False
            self._on_gone(self._name, f"{self._name} takes messages again.")
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
        for entry in batch:
            matter = entry.event.matter
            if matter is not None and matter.phase is Phase.COUNTED:
                counted.append(entry)  # it changes a message that only the destination has
                continue
            if matter is not None and matter.phase is not Phase.RESOLVED:
                self._on_moved(entry.event, self._name, to.name)
            if _has_anyway(to, entry):
                left.append(entry)
            elif entry.repeats and to.folds:
                to.fold()
                left.append(entry)
            else:
                home = entry.home or self._lane
                handed.append(entry._replace(event=_marked(entry.event, home.name), home=home))
        if stored := [entry.event for entry in handed if entry.stored]:
            self._disk.move(self._name, stored, to.name)
        if done := [entry.event.id for entry in (*left, *counted) if entry.stored]:
            self._disk.delivered(self._name, done)
        _settle(handed, to.name, PENDING)  # before anybody can say better
        if handed:
            to.put(handed)  # and not yet taken out here: who waits must never find it nowhere
        self._has.handed_over([*handed, *left], counted, to.name)

    def send_home(self) -> None:
        """Give what this lane has in the place of others back to them: it can do no more for it than they can."""
        guests = self._has.guests()
        for home in {id(entry.home): entry.home for entry in guests}.values():
            if home is None:
                continue
            own = [entry for entry in guests if entry.home is home]
            back = [entry._replace(event=_unmarked(entry.event, home.name), home=None) for entry in own]
            if stored := [entry.event for entry in back if entry.stored]:
                self._disk.move(self._name, stored, home.name)
            _settle(back, home.name, PENDING)
            home.take_back(back)  # and not yet taken out here, as above
            self._has.sent_home({entry.event.id for entry in own}, home)


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
