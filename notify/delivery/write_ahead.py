"""What must not be lost is on disk before its caller goes on."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from notify import diagnostics
from notify.backend import Backend, durable
from notify.delivery.folding.judged import Judged
from notify.delivery.intake import Draft, Kept
from notify.event import Event
from notify.interruption import came_from_outside
from notify.levels import severity
from notify.plain import class_name
from notify.rules.routing import Route, least_level

if TYPE_CHECKING:  # a program whose backends are not durable need not load SQLite
    from notify.delivery.outbox import Outbox


def durable_among(backends: Mapping[str, Backend], routes: Mapping[str, Route]) -> set[str]:
    """Return the backends whose events are worth keeping on disk: those that say so, and who stands in for them."""
    found: set[str] = set()
    for name, backend in backends.items():
        standing_in: str | None = name if durable(backend) else None
        while standing_in is not None and standing_in in routes and standing_in not in found:
            found.add(standing_in)
            standing_in = routes[standing_in].fallback
    return found


class WriteAhead:
    """Writes drafts to the outbox on their caller's thread. Thread-safe, and safe in a signal handler.

    Args:
        outbox: where to.
        routes: of the durable backends, by name.
        folding: the backends that get no repeats, which need no row for one.
        level: least level that is written.
        redact: takes secrets out of events: as many as it is given, in their order.
        broke: called when the outbox has stopped working.
        describe: told the matter that an event announces, and the event.
        rescue: given what is to be delivered although its caller was interrupted: it may be on disk.
    """

    def __init__(
        self,
        outbox: "Outbox",
        routes: Mapping[str, Route],
        *,
        folding: Collection[str],
        level: int,
        redact: Callable[[Sequence[Event]], Sequence[Event]],
        broke: Callable[[], None],
        describe: Callable[[str, Event], None],
        rescue: Callable[[Draft], None],
    ) -> None:
        self._outbox = outbox
        self._routes = dict(routes)
        self._folding = frozenset(folding)
        self.is_for_people = self._routes.keys() <= self._folding
        """Whether all durable backends fold, so that a repeat is written for none."""
        self._redact = redact
        self._broke = broke
        self._describe = describe
        self._rescue = rescue
        self._least = max(level, least_level(list(self._routes.values())))
        self._told = False

    @property
    def level(self) -> int:
        """Drafts below it are not written."""
        return self._least

    def keep(self, draft: Draft) -> Kept | None:
        """Write *draft* for each durable backend that wants it; None when none does. Never raises an Exception."""
        if severity(draft.level) < self._least:  # TRADE_HIGH may be registered above what it means
            return None
        left: Draft = draft
        try:
            made = self._made(draft)
            if made is None:
                return None
            event, destinations, judged = made
            left = kept = Kept(event, draft.ticket, True, judged)
            stored = self._outbox.accept(event, destinations)
            if stored and draft.ticket is not None:
                draft.ticket.stored()
            self._watch(stored)
            if judged is not None and judged.matter is not None:
                self._describe(judged.matter.id, event)
            return kept if stored else kept._replace(stored=False)
        except BaseException:  # who says it is interrupted
            self._rescue(left)
            raise

    def _made(self, draft: Draft) -> tuple[Event, list[str], Judged | None] | None:
        """Return the event of *draft*, where it goes, and what becomes of it; None: it is not to be on disk."""
        try:
            (event,) = self._redact((draft.event(),))
            judged = draft if type(draft) is Judged else None
            destinations = self._destinations(event, judged)
        except Exception as error:  # an event made by hand may hold anything; the dispatcher reports it
            if came_from_outside(error):
                raise
            diagnostics.report("write ahead", f"an event could not be made: {class_name(error)}")
            return None
        return (event, destinations, judged) if destinations else None

    def _destinations(self, event: Event, judged: Judged | None) -> list[str]:
        if judged is not None and judged.to is not None:
            return [name for name in self._routes if name in judged.to]
        wanted = [name for name, route in self._routes.items() if route.wants(event)]
        if judged is not None and judged.folded:
            return [name for name in wanted if name not in self._folding]
        return wanted

    def _watch(self, stored: bool) -> None:
        broken = not stored and self._outbox.broken is not None
        if broken and not self._told:
            self._broke()
        self._told = broken
