"""What a lane has counted since it began."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of events, the time of the last success and the text of the last error. Not thread-safe.

    Args:
        accepted: came to the lane, and were not taken over by another process.
        delivered: arrived.
        retried: attempts that are made again.
        dropped: did not arrive and never will, by reason.
        folded: were counted in a message rather than sent.
        handed_over: went to the backend that stands in for this one.
        last_success_at: UTC epoch seconds.
        last_error: what was wrong, without secrets.
    """

    accepted: int = 0
    delivered: int = 0
    retried: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    folded: int = 0
    handed_over: int = 0
    last_success_at: float | None = None
    last_error: str | None = None

    def as_stats(self, pending: int) -> dict[str, object]:
        """Return the counts as `Notifier.stats()` has them, with how many events are *pending*."""
        return {
            "accepted": self.accepted,
            "delivered": self.delivered,
            "retried": self.retried,
            "pending": pending,
            "dropped": {reason: count for reason, count in self.dropped.items() if count},
            "folded": self.folded,
            "handed_over": self.handed_over,
            "last_success_at": self.last_success_at,
            "last_error": self.last_error,
        }
