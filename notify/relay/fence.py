"""Who cannot be sure of his lease sends nothing: others may be about to send the same."""

from collections.abc import Sequence

from notify.backend import Backend, folds, in_order, max_batch, ready_in
from notify.clock import Clock
from notify.errors import RetryLater
from notify.event import Event

SLOWEST = 15.0  # seconds that a request may take: it has to end before the lease does
_LOOK_AGAIN = 0.2  # seconds


class Fence:
    """Knows until when it is certain that nobody takes over. Thread-safe.

    By a clock of this machine that goes on while the process is stopped, and that nobody can set.

    Args:
        clock: tells the time.
        lease: seconds that a lease lasts, more than `SLOWEST`.
    """

    def __init__(self, clock: Clock, lease: float) -> None:
        self._clock = clock
        self._lasts = lease - SLOWEST
        self._gap = lease / 3
        self._until = 0.0
        self._renewed_at = self._steady_since = -lease
        self._shut = False

    def now(self) -> float:
        """Return the time, to be given to `renewed` when the server has answered what was asked now."""
        return self._clock.monotonic()

    def renewed(self, asked_at: float) -> None:
        """Note that the lease was renewed after *asked_at*."""
        now = self._clock.monotonic()
        if now - self._renewed_at > self._gap:
            self._steady_since = now
        self._renewed_at = now
        self._until = asked_at + self._lasts

    def moved(self) -> None:
        """Note that the server is another one, which may not have heard of the others' leases."""
        self._steady_since = self._clock.monotonic()

    @property
    def is_steady(self) -> bool:
        """Whether the server was there for long enough that others could have renewed their leases, too."""
        return self._clock.monotonic() - self._steady_since > self._gap

    def shut(self) -> None:
        """Let nothing through any more."""
        self._shut = True

    @property
    def is_open(self) -> bool:
        """Whether a request that begins now ends before the lease does."""
        return not self._shut and self._clock.monotonic() < self._until


class Fenced:
    """A backend behind a fence.

    Args:
        backend: what it is.
        fence: shared by all of a worker.
    """

    durable = True  # what a lane has of it is in Redis

    def __init__(self, backend: Backend, fence: Fence) -> None:
        self._backend = backend
        self._fence = fence
        self.folds = folds(backend)
        self.max_batch = max_batch(backend)
        self.in_order = in_order(backend)

    def ready_in(self) -> float:
        """Return in how many seconds `send` is welcome."""
        return ready_in(self._backend) if self._fence.is_open else _LOOK_AGAIN

    def send(self, events: Sequence[Event], /) -> int:
        """Deliver some of *events*. Raises `RetryLater` behind a fence that is shut, and what the backend raises."""
        if not self._fence.is_open:  # a process may have been stopped for any time since it was asked
            raise RetryLater(_LOOK_AGAIN, "it is not certain that no other worker sends this")
        return self._backend.send(events)

    def close(self) -> None:
        """Let go of sockets and files."""
        self._backend.close()
