"""How many messages Discord takes, and what it says about that."""

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

# Per webhook 5 requests in 2 s, as Discord's staff says, and as many changes of messages: each kind of request has a
# bucket of its own. Per channel 30 in 60 s, which no header announces.
BURST, _BURST_SECONDS = 5, 2.0
_BUCKETS = {"POST": "6a3b2d7c", "PATCH": "f18c05e9"}
CHANNEL, _CHANNEL_SECONDS = 30, 60.0


@dataclass(slots=True)
class _Burst:
    end: float = 0.0
    used: int = 0


class Limits:
    """Counts the requests to one webhook, the only one of its channel. Not thread-safe.

    Args:
        speed: how much faster than ours the seconds of the limits pass.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._bursts = {method: _Burst() for method in _BUCKETS}
        self._channel: deque[float] = deque()

    def count(self, now: float, method: Literal["POST", "PATCH"] = "POST") -> tuple[float, dict[str, str]]:
        """Count one request, and return what it has to wait, 0 when it may pass, and the headers of the answer.

        Args:
            now: monotonic seconds.
            method: of the request.
        """
        burst = self._bursts[method]
        if now >= burst.end:
            burst.end, burst.used = now + _BURST_SECONDS / self._speed, 0
        window = _CHANNEL_SECONDS / self._speed
        while self._channel and self._channel[0] <= now - window:
            self._channel.popleft()
        used_up = burst.used >= BURST
        full = len(self._channel) >= CHANNEL
        if not used_up:
            burst.used += 1
        reset_after = burst.end - now
        headers = {
            "Via": "1.1 google",
            "X-RateLimit-Limit": str(BURST),
            "X-RateLimit-Remaining": str(BURST - burst.used),
            "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{up(reset_after):.3f}",
            "X-RateLimit-Bucket": _BUCKETS[method],
        }
        if not (used_up or full):
            self._channel.append(now)
            return 0.0, headers
        wait = reset_after if used_up else self._channel[0] + window - now
        # Discord rounds this one up to whole seconds: of its own, which *speed* shortens.
        headers["Retry-After"] = f"{math.ceil(wait * self._speed) / self._speed:g}"
        headers["X-RateLimit-Scope"] = "user" if used_up else "shared"
        return wait, headers


def up(seconds: float) -> float:
    """Return *seconds* rounded up to the milliseconds that Discord tells."""
    return math.ceil(seconds * 1000) / 1000
