"""When the next request to Discord may go out, for all backends of the process together."""

import math
import os
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from notify.backends import stop
from notify.backends.discord.limits import Allowance, Scope, allowance_of, limit_of
from notify.backends.http import Answer, parsed
from notify.clock import Clock, SystemClock

PROBE = 60.0  # seconds after which nobody waits for a probe's answer any more: its webhook may have moved meanwhile
LOOK_AGAIN = 1.0  # seconds between looks whether somebody else's probe was answered
# The limit of a channel is announced by no header. Who meets it with messages of his own knows how long its window is,
# and keeps to it for a while: with 600 trades, one 429 and not two. When other people fill it, he can only ask.
_CHANNEL = 30  # messages in a window
_LONGEST_WINDOW = 120.0  # seconds, twice what is known of it: what seems longer was filled by others
_SLACK = 1.01  # of a window, for the ways that are not equally long
_KEPT_TO = 600.0  # seconds

_STOPPED = {
    Scope.WEBHOOK: {Scope.WEBHOOK},
    Scope.CHANNEL: {Scope.WEBHOOK, Scope.CHANNEL},
    Scope.PROCESS: {Scope.PROCESS},
}


@dataclass(slots=True)
class _Count:
    """Until the moment *until* no more than *left* may pass."""

    left: int
    until: float


@dataclass(slots=True)
class _Gate:
    """Where the requests of one scope pass or wait. Times are the clock's monotonic seconds."""

    closed_until: float = -math.inf
    stops: int = 0  # in a row
    probed_until: float = -math.inf
    under_way: int = 0
    counts: dict[str, _Count] = field(default_factory=dict)  # by bucket
    posted: deque[float] = field(default_factory=lambda: deque(maxlen=_CHANNEL))
    window: float = 0.0  # that takes no more than was posted
    kept_to_until: float = -math.inf

    def wait(self, now: float) -> float:
        """Return the seconds until a request may pass."""
        # Which bucket a request will be counted in is not known before: it waits for all that have nothing left.
        renewed = (count.until - now for count in self.counts.values() if count.left <= 0)
        probed = min(self.probed_until - now, LOOK_AGAIN)
        return max(0.0, self.closed_until - now, self._full(now), probed, *renewed)

    def _full(self, now: float) -> float:
        """Return the seconds until the oldest of as many messages as a window takes has left it."""
        return self.posted[0] + self.window - now if now < self.kept_to_until else 0.0

    def keep_to(self, now: float, seconds: float) -> None:
        """Keep to a window that is full, and in *seconds* will not be any more, if it was filled from here."""
        if len(self.posted) == _CHANNEL and (window := now + seconds - self.posted[0]) <= _LONGEST_WINDOW:
            self.window = window * _SLACK
            self.kept_to_until = now + _KEPT_TO

    def let_pass(self, now: float) -> None:
        """Count a request that passes. After a stop it is a probe: nobody follows it until it is answered."""
        self.under_way += 1
        for count in self.counts.values():
            count.left -= 1
        if self.stops:
            self.probed_until = now + PROBE

    def let_return(self) -> None:
        """Note that a request that passed has ended."""
        self.under_way = max(0, self.under_way - 1)
        self.probed_until = -math.inf

    def close(self, now: float, seconds: float) -> None:
        """Let nothing pass for *seconds*, or longer when that is said again and again."""
        seconds = stop.length(seconds, self.stops)
        if now >= self.closed_until:  # otherwise this is said to a request that passed before the gate was closed
            self.stops = min(self.stops + 1, stop.MOST)
        self.closed_until = max(self.closed_until, now + seconds)

    def open(self, now: float) -> None:
        """Note that a request met no stop."""
        if now >= self.closed_until:
            self.stops = 0

    def allow(self, now: float, allowance: Allowance) -> None:
        """Let no more pass than is left, with those that are under way. What was said of other buckets stays."""
        self.counts = {bucket: count for bucket, count in self.counts.items() if now < count.until}
        self.counts[allowance.bucket] = _Count(allowance.left - self.under_way, now + allowance.seconds)


class Limiter(Protocol):
    """Says who may send. Thread-safe. `acquire` precedes every request, and `answered` follows it."""

    def ready_in(self, webhook: str) -> float:
        """Return the seconds until a request to *webhook*, a URL, is welcome."""
        ...

    def acquire(self, webhook: str) -> float:
        """Return 0 if a request to *webhook* may go out now, and otherwise the seconds until it is worth asking again.

        Whoever gets 0 sends, and calls `answered`.
        """
        ...

    def answered(self, webhook: str, answer: Answer | None) -> None:
        """Note what came of a request to *webhook*; None when there was no answer."""
        ...


class ProcessLimiter:
    """Remembers what Discord said about its limits, and says who may send. Thread-safe.

    `acquire` precedes every request, and `answered` follows it. After a stop one request goes out, the probe, and
    the others of that scope wait for what becomes of it.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._process = _Gate()
        self._webhooks: defaultdict[str, _Gate] = defaultdict(_Gate)
        self._channels: defaultdict[str, _Gate] = defaultdict(_Gate)
        self._channel_of: dict[str, str] = {}

    def ready_in(self, webhook: str) -> float:
        """Return the seconds until a request to *webhook*, a URL, is welcome."""
        with self._lock:
            return _wait(self._gates(webhook).values(), self._clock.monotonic())

    def acquire(self, webhook: str) -> float:
        """Return 0 if a request to *webhook* may go out now, and otherwise the seconds until it is worth asking again.

        Whoever gets 0 sends, and calls `answered`.
        """
        with self._lock:
            now = self._clock.monotonic()
            gates = self._gates(webhook).values()
            wait = _wait(gates, now)
            if not wait:
                for gate in gates:
                    gate.let_pass(now)
            return wait

    def answered(self, webhook: str, answer: Answer | None) -> None:
        """Note what came of a request to *webhook*; None when there was no answer."""
        limit = limit_of(answer) if answer else None
        allowance = allowance_of(answer) if answer else None
        channel = parsed(answer.body).get("channel_id") if answer and answer.status == 200 else None
        with self._lock:
            now = self._clock.monotonic()
            if isinstance(channel, str):
                self._channel_of[webhook] = channel
            gates = self._gates(webhook)
            for scope, gate in gates.items():
                gate.let_return()
                if limit and scope in _STOPPED[limit.scope]:
                    gate.close(now, limit.seconds)
                    if scope is Scope.CHANNEL:
                        gate.keep_to(now, limit.seconds)
                elif answer and not limit:
                    gate.open(now)
            if isinstance(channel, str):
                gates[Scope.CHANNEL].posted.append(now)
            if allowance:
                gates[Scope.WEBHOOK].allow(now, allowance)

    def begin_in_child(self) -> None:
        """Begin anew in a forked child: with a lock of its own, and without its parent's requests under way.

        The waits are kept: the limits are those of the internet address, which both have.
        """
        self._lock = threading.Lock()
        for gate in (self._process, *self._webhooks.values(), *self._channels.values()):
            gate.under_way, gate.probed_until = 0, -math.inf

    def _gates(self, webhook: str) -> dict[Scope, _Gate]:
        gates = {Scope.WEBHOOK: self._webhooks[webhook], Scope.PROCESS: self._process}
        # Which channel that is, only the answer to a message tells.
        if channel := self._channel_of.get(webhook):
            gates[Scope.CHANNEL] = self._channels[channel]
        return gates


def _wait(gates: Iterable[_Gate], now: float) -> float:
    return max(gate.wait(now) for gate in gates)


_of_process = ProcessLimiter()
os.register_at_fork(after_in_child=lambda: process_limiter().begin_in_child())


def process_limiter() -> ProcessLimiter:
    """Return the limiter that all backends of this process share."""
    return _of_process
