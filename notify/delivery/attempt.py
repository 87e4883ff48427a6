"""One call of a backend, and what its answer or its error means."""

from collections.abc import Sequence
from enum import Enum, auto
from inspect import isasyncgen, isawaitable, isgenerator
from typing import NamedTuple

from notify.backend import Backend, ready_in
from notify.clip import clip_end
from notify.errors import DeliveryError, Gone, Rejected, RetryLater
from notify.event import Event
from notify.plain import class_name, clean, safe_str

LONGEST_WAIT = 86_400.0  # seconds that a destination may ask for; a nonsense Retry-After must not end a lane
_SHORTEST_WAIT = 0.1  # seconds, also for a destination that keeps saying "at once"
_REASON_LENGTH = 300  # characters of an error text in stats() and outcomes


class Disposition(Enum):
    """What became of the first of the events."""

    DELIVERED = auto()
    AGAIN = auto()
    """Not taken now."""
    REJECTED = auto()
    """Refused for what it is."""
    GONE = auto()
    """The destination takes nothing any more."""
    BUG = auto()
    """The backend did what no destination says: nobody knows."""


class Outcome(NamedTuple):
    """What one attempt led to.

    Args:
        disposition: of the first of the events.
        delivered: how many of the first events arrived.
        after: seconds until the next attempt is welcome; None when the destination asks for no wait.
        reason: what was wrong, for people.
    """

    disposition: Disposition
    delivered: int = 0
    after: float | None = None
    reason: str = ""


def attempt(backend: Backend, events: Sequence[Event]) -> Outcome:
    """Have *backend* send *events*. Never raises, whatever a third party's backend does, `sys.exit()` included."""
    try:
        return _delivered(backend.send(events), len(events))
    except BaseException as error:  # noqa: BLE001 - see above
        try:
            return _failed(error)
        except BaseException:  # noqa: BLE001 - the error object itself is hostile
            return Outcome(Disposition.BUG, reason="an error that cannot be looked at")


def welcome_in(backend: Backend) -> float:
    """Return in how many seconds the limits of *backend*'s destination allow an attempt. Never raises."""
    try:
        return min(ready_in(backend), LONGEST_WAIT)
    except BaseException:  # noqa: BLE001 - a third party's; send() will say what is wrong
        return 0.0


def _delivered(answer: object, most: int) -> Outcome:
    if isawaitable(answer) or isgenerator(answer) or isasyncgen(answer):
        getattr(answer, "close", int)()  # or Python warns that nobody awaited it
        return Outcome(
            Disposition.BUG, reason="send() is asynchronous: a lane calls it from a thread, and awaits nothing"
        )
    count = int.__int__(answer) if isinstance(answer, int) else 1  # a class of its own may lie about what is more
    return Outcome(Disposition.DELIVERED, min(max(1, count), most))


def _failed(error: BaseException) -> Outcome:
    reason = _describe(error)
    if isinstance(error, RetryLater):
        return Outcome(Disposition.AGAIN, after=_welcome(getattr(error, "after", None)), reason=reason)
    if isinstance(error, Rejected):
        return Outcome(Disposition.REJECTED, reason=reason)
    if isinstance(error, Gone):
        return Outcome(Disposition.GONE, reason=reason)
    return Outcome(Disposition.AGAIN if isinstance(error, OSError) else Disposition.BUG, reason=reason)


def _welcome(after: object) -> float | None:
    """Return the wait that a destination asks for, None when it asks for none or for nonsense."""
    if isinstance(after, int | float) and after >= 0:
        return max(_SHORTEST_WAIT, float(min(after, LONGEST_WAIT)))
    return None


def _describe(error: BaseException) -> str:
    """Say what went wrong without saying where to: only our own errors are known to hold no credentials."""
    text = safe_str(error) if isinstance(error, DeliveryError) else class_name(error)
    return clean(clip_end(text, _REASON_LENGTH))
