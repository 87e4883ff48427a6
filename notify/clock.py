"""Time as a parameter, so that tests of waits need not wait."""

import threading
import time
from typing import Protocol

YEAR_10000 = 253_402_300_800.0
"""Epoch seconds at which the calendars of the standard library end."""


def is_time(seconds: float) -> bool:
    """Say whether these epoch seconds are a time that an event can have had: 1970 to 9999, and a number at all."""
    return issubclass(type(seconds), int | float) and 0 <= seconds < YEAR_10000


class Clock(Protocol):
    """Tells the time and waits."""

    def time(self) -> float:
        """Return UTC epoch seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait on *condition*, which the caller holds, until *deadline* (of `monotonic`) at most. May wake early."""
        ...


class SystemClock:
    """The real time."""

    def time(self) -> float:
        """Return UTC epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait on *condition*, which the caller holds, until *deadline* at most."""
        condition.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
