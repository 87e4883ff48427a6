"""When a lane tries again, and with how many events, by what its last attempts led to."""

from notify.delivery.attempt import Disposition, Outcome
from notify.delivery.backoff import Backoff

PROBE_INTERVAL = 600.0  # seconds between attempts at a destination that said it is gone
_TRIES_OF_A_BUG = 5  # attempts at an event whose delivery raises what no destination says
_TRIES_TOGETHER = 3  # attempts at a batch that a destination fails at; then one event alone, which may be the cause
_SHORT = 1.0  # seconds; a destination that asks for less, and fails again, does not know
_SHORT_WAITS = 2  # in a row that are believed


class Retry:
    """What is known of attempts that failed one after the other. Not thread-safe."""

    def __init__(self) -> None:
        self._backoff = Backoff()
        self._failures = 0  # attempts that failed since the last that did not
        self._short_waits = 0  # that a destination has asked for since then
        self._suspect: object = None  # the first event of the last attempt, if that met a bug
        self._bugs = 0  # attempts at it

    @property
    def alone(self) -> bool:
        """Whether the next attempt is to be made with one event only, which may be what the destination fails at."""
        return self._suspect is not None or self._failures >= _TRIES_TOGETHER

    def judge(self, first: object, outcome: Outcome) -> Disposition:
        """Return what became of *first*, the first event of a batch. A bug that comes again and again rejects it."""
        if outcome.disposition is not Disposition.BUG:
            return outcome.disposition
        self._bugs = self._bugs + 1 if first is self._suspect else 1
        self._suspect = first
        return Disposition.REJECTED if self._bugs >= _TRIES_OF_A_BUG else Disposition.BUG

    def wait(self, outcome: Outcome) -> float:
        """Return in how many seconds what was not delivered is tried again."""
        if outcome.disposition is Disposition.GONE:
            return PROBE_INTERVAL
        if outcome.after is None:
            self._failures += 1
            return self._backoff.next()
        self._short_waits += outcome.after < _SHORT
        if outcome.after < _SHORT and self._short_waits > _SHORT_WAITS:
            return max(outcome.after, self._backoff.next())
        return outcome.after

    def reset(self) -> None:
        """Begin anew: the destination has spoken."""
        self._backoff.reset()
        self._suspect = None
        self._bugs = self._failures = self._short_waits = 0
