"""A clock that stands still until it is told to go on."""

import threading
import time as real_time


class FakeClock:
    """Time that only `advance` moves. Lanes that wait for a retry wake when their moment has come.

    Thread-safe. The two clocks of `notify.clock.Clock` move together.

        clock.next_wait()      # 2.0: the lane has failed and waits for two seconds
        clock.advance(2)       # it tries again

    Args:
        time: UTC epoch seconds to begin at; the default is 2026-01-01.
    """

    def __init__(self, time: float = 1_767_225_600.0) -> None:
        self._begin = time
        self._elapsed = 0.0
        self._waiting: list[tuple[threading.Condition, float | None]] = []
        self._changed = threading.Condition()

    def time(self) -> float:
        """Return UTC epoch seconds."""
        return self._begin + self._elapsed

    def monotonic(self) -> float:
        """Return seconds since this clock was made."""
        return self._elapsed

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait on *condition*, which the caller holds, until it is notified or the clock was advanced."""
        mine = (condition, deadline)
        with self._changed:
            if deadline is not None and deadline <= self._elapsed:
                return
            self._waiting.append(mine)
            self._changed.notify_all()
        try:
            condition.wait()
        finally:
            with self._changed:
                self._waiting.remove(mine)

    def next_wait(self, timeout: float = 5.0) -> float:
        """Wait until somebody waits for a moment, and return how many seconds of this clock it is away.

        Raises `TimeoutError` when nobody does so within *timeout* real seconds.
        """
        give_up = real_time.monotonic() + timeout
        with self._changed:
            while not (deadlines := self._deadlines_ahead()):
                remaining = give_up - real_time.monotonic()
                if remaining <= 0:
                    raise TimeoutError("nobody waits for a moment of this clock")
                self._changed.wait(remaining)
            return min(deadlines) - self._elapsed

    def _deadlines_ahead(self) -> list[float]:
        # Who waits for a moment that has come is about to wake.
        return [deadline for _, deadline in self._waiting if deadline is not None and deadline > self._elapsed]

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*, and wake everyone who waits, to look whether his moment has come."""
        with self._changed:
            self._elapsed += seconds
            waiting = [condition for condition, _ in self._waiting]
        for condition in waiting:
            with condition:
                condition.notify_all()
