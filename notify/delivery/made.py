"""An event that is made already, as the intake takes it."""

from notify.delivery.queue import weight
from notify.delivery.ticket import Ticket
from notify.event import Event
from notify.rules.fingerprint import Subject, subject_of_event


class Made:
    """An event. A new draft.

    Args:
        event: what is said.
        ticket: of it.
        folds: whether it may be counted in a message rather than sent.
    """

    __slots__ = ("_event", "_folds", "ticket")

    def __init__(self, event: Event, ticket: Ticket, *, folds: bool) -> None:
        self._event = event
        self._folds = folds
        self.ticket: Ticket | None = ticket

    def subject(self) -> Subject | None:
        """Return what the event is about, None when it is sent whatever was sent before."""
        return subject_of_event(self._event) if self._folds else None

    @property
    def level(self) -> int:
        """Severity, in logging's numbers."""
        return self._event.level

    @property
    def weight(self) -> int:
        """About how many characters of text and bytes of files it has."""
        return weight(self._event)

    def event(self) -> Event:
        """Return the event."""
        return self._event
