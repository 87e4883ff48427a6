"""How long to wait before the next attempt."""

import random

FIRST = 1.0  # seconds
LAST = 300.0  # seconds


class Backoff:
    """Waits that double from one second to five minutes, each shortened at random by up to a half.

    The chance keeps programs that lost the same destination from coming back to it in step.
    """

    def __init__(self) -> None:
        self._attempts = 0

    def next(self) -> float:
        """Return the next wait in seconds: between half and the whole of 1, 2, 4 … 300."""
        whole: float = min(LAST, FIRST * 2 ** min(self._attempts, 16))
        self._attempts += 1
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing

    def reset(self) -> None:
        """Begin again at one second, after a success."""
        self._attempts = 0
