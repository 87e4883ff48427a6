"""Deciding on the caller's thread, once for each event, whether people get it or a count of it."""

from logging import WARNING
from typing import TYPE_CHECKING

from notify import diagnostics
from notify.delivery.intake import Draft, NewDraft
from notify.delivery.queue import weight
from notify.delivery.ticket import Ticket
from notify.event import Event, Matter, with_matter
from notify.interruption import came_from_outside
from notify.levels import severity
from notify.plain import class_name

if TYPE_CHECKING:
    from notify.delivery.folding.front import Folding
    from notify.delivery.write_ahead import WriteAhead


class Judged:
    """A draft of which it is known what becomes of it. A draft itself.

    Args:
        draft: what was said.
        folded: the backends that fold do not get it.
        held: of these, the ones that get a digest of a storm in its place.
        matter: what it announces.
        passed: what it is about, for backends that pass matters on, when it announces nothing here.
        to: the backends it is for, whatever their routes want; None: as the routes have it.
    """

    __slots__ = ("_draft", "folded", "held", "level", "matter", "passed", "ticket", "to")

    def __init__(
        self,
        draft: Draft,
        *,
        folded: bool = False,
        held: frozenset[str] = frozenset(),
        matter: Matter | None = None,
        passed: Matter | None = None,
        to: frozenset[str] | None = None,
    ) -> None:
        self._draft = draft
        self.level = draft.level
        self.ticket: Ticket | None = draft.ticket
        self.folded = folded
        self.held = held
        self.matter = matter
        self.passed = passed
        self.to = to

    @property
    def weight(self) -> int:
        """About how many characters of text and bytes of files it has."""
        return self._draft.weight

    def event(self) -> Event:
        """Make the event."""
        event = self._draft.event()
        matter = self.matter or self.passed
        return event if matter is None else with_matter(event, matter)


class Addressed:
    """An event for certain backends, whatever their routes want. A new draft.

    Args:
        event: what is said.
        ticket: of its caller.
        level: whether it is durable goes by this one, as it did for the announcement.
        to: the backends.
    """

    __slots__ = ("_event", "level", "ticket", "to")

    def __init__(self, event: Event, ticket: Ticket, *, level: int, to: frozenset[str]) -> None:
        self._event = event
        self.level = level
        self.ticket: Ticket | None = ticket
        self.to = to

    def subject(self) -> None:
        """Return None: it is sent whatever was sent before."""

    @property
    def weight(self) -> int:
        """About how many characters of text and bytes of files it has."""
        return weight(self._event)

    def event(self) -> Event:
        """Return the event."""
        return self._event


class Judging:
    """Sees what is important before anybody else does, and has it written down. Thread-safe, and in signal handlers.

    Args:
        folding: knows what was announced.
        write_ahead: writes to the outbox, if there is one.
    """

    def __init__(self, folding: "Folding", write_ahead: "WriteAhead | None") -> None:
        self._folding = folding
        self._write_ahead = write_ahead
        self.level = WARNING if write_ahead is None else min(WARNING, write_ahead.level)
        """Drafts below it are none of its business."""

    def keep(self, draft: NewDraft) -> Draft | None:
        """Return what has become of *draft*, None when nothing has. Never raises an Exception."""
        judged: Judged | None = None
        if type(draft) is Addressed:
            judged = Judged(draft, to=draft.to)
        elif severity(draft.level) >= WARNING:
            judged = self._judge(draft)
        if self._write_ahead is None or (judged is not None and judged.folded and self._write_ahead.is_for_people):
            return judged
        return self._write_ahead.keep(draft if judged is None else judged) or judged

    def _judge(self, draft: NewDraft) -> Judged | None:
        try:
            return self._folding.judge(draft)
        except Exception as error:  # what a caller passed may be anything; it is told as it is
            if came_from_outside(error):
                raise
            diagnostics.report("folding", f"an event could not be compared with others: {class_name(error)}")
            return None
