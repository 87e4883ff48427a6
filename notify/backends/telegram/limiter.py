"""When the next message of a bot may go out, for all backends of the process together.

Telegram's limits, as its FAQ gives them (core.telegram.org/bots/faq, "My bot is hitting limits"): one message a second
in a chat, of which short bursts are allowed; 20 messages a minute in a group; about 30 messages a second in all.
"""

import math
import os
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Protocol

from notify.backends.stop import MOST, length
from notify.clock import Clock, SystemClock

EACH = 1.0  # seconds that a message in a chat takes
BURST = 5  # messages of one event that may follow each other at once; the next event waits for all of their seconds
GROUP, GROUP_SECONDS = 20, 60.0
ALL, ALL_SECONDS = 30, 1.0


@dataclass(slots=True)
class _Chat:
    """What went to one chat. Times are the clock's monotonic seconds."""

    paid_until: float = -math.inf  # the seconds of all messages so far
    closed_until: float = -math.inf
    stops: int = 0  # in a row
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=GROUP))


class Limiter(Protocol):
    """Says who may send. Thread-safe. `acquire` precedes every message, and `answered` follows it."""

    def ready_in(self, bot: str, chat: int) -> float:
        """Return the seconds until a new event for *chat*, by the bot of this token, is welcome."""
        ...

    def acquire(self, bot: str, chat: int, *, more: bool = False) -> float:
        """Return 0 if a message may go out now, and otherwise the seconds until it is worth asking again.

        *more* is the rest of an event that was begun. Whoever gets 0 sends, and calls `answered`.
        """
        ...

    def answered(self, bot: str, chat: int, stop: float | None = None) -> None:
        """Note what came of a message: *stop*, in seconds, when Telegram asked for a pause."""
        ...


class ProcessLimiter:
    """Counts what was sent, and says who may send. Thread-safe.

    `acquire` precedes every message, and `answered` follows it.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._chats: defaultdict[tuple[str, int], _Chat] = defaultdict(_Chat)
        self._bots: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=ALL))

    def ready_in(self, bot: str, chat: int) -> float:
        """Return the seconds until a new event for *chat*, by the bot of this token, is welcome."""
        with self._lock:
            return self._wait(bot, chat, self._clock.monotonic(), burst=1)

    def acquire(self, bot: str, chat: int, *, more: bool = False) -> float:
        """Return 0 if a message may go out now, and otherwise the seconds until it is worth asking again.

        Whoever gets 0 sends, and calls `answered`.

        Args:
            bot: its token.
            chat: where to.
            more: whether this is the rest of an event that was begun: that may follow at once, as a short burst.
        """
        with self._lock:
            now = self._clock.monotonic()
            wait = self._wait(bot, chat, now, burst=BURST if more else 1)
            if not wait:
                told = self._chats[bot, chat]
                told.paid_until = max(told.paid_until, now) + EACH
                told.sent.append(now)
                self._bots[bot].append(now)
            return wait

    def answered(self, bot: str, chat: int, stop: float | None = None) -> None:
        """Note what came of a message: *stop*, in seconds, when Telegram asked for a pause."""
        with self._lock:
            now = self._clock.monotonic()
            told = self._chats[bot, chat]
            if stop is not None:
                told.closed_until = now + length(stop, told.stops)
                told.stops = min(told.stops + 1, MOST)
            elif now >= told.closed_until:
                told.stops = 0

    def begin_in_child(self) -> None:
        """Begin anew in a forked child with a lock of its own. What was counted is kept: the bot is the same."""
        self._lock = threading.Lock()

    def _wait(self, bot: str, chat: int, now: float, burst: int) -> float:
        told = self._chats[bot, chat]
        waits = [0.0, told.closed_until - now, told.paid_until - now - EACH * (burst - 1)]
        if chat < 0 and len(told.sent) == GROUP:  # groups and channels have negative ids
            waits.append(told.sent[0] + GROUP_SECONDS - now)
        if len(self._bots[bot]) == ALL:
            waits.append(self._bots[bot][0] + ALL_SECONDS - now)
        return max(waits)


_of_process = ProcessLimiter()
os.register_at_fork(after_in_child=lambda: process_limiter().begin_in_child())


def process_limiter() -> ProcessLimiter:
    """Return the limiter that all backends of this process share."""
    return _of_process
