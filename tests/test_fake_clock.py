"""The clock that stands still until it is told to go on."""

import threading
from collections.abc import Iterator

import pytest

from notify.backends.memory import MemoryBackend
from notify.clock import Clock
from notify.errors import RetryLater
from notify.notifier import Notifier
from notify.testing import FakeClock

START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Sleeper:
    """A thread that waits for a moment of a clock, as a lane does: again, until the moment has come."""

    def __init__(self, clock: Clock, deadline: float | None) -> None:
        self.condition = threading.Condition()
        self.awake = False
        self._clock, self._deadline = clock, deadline
        self._thread = threading.Thread(target=self._sleep, daemon=True)
        self._thread.start()

    def _sleep(self) -> None:
        with self.condition:
            while not self.awake:
                self._clock.wait_until(self.condition, self._deadline)
                if self._deadline is not None and self._clock.monotonic() >= self._deadline:
                    self.awake = True

    def notify(self) -> None:
        with self.condition:
            self.awake = True
            self.condition.notify()

    def join(self) -> bool:
        """Wait for the thread to end, and say whether it did."""
        self._thread.join(5.0)
        return not self._thread.is_alive()


@pytest.fixture
def sleeper(clock: FakeClock) -> Iterator[Sleeper]:
    one = Sleeper(clock, 10.0)
    yield one
    one.notify()
    assert one.join()


def test_it_stands_still(clock: FakeClock) -> None:
    assert (clock.time(), clock.monotonic()) == (clock.time(), clock.monotonic()) == (START, 0.0)


def test_both_of_its_times_move_together(clock: FakeClock) -> None:
    clock.advance(1.5)
    clock.advance(2)

    assert (clock.time(), clock.monotonic()) == (START + 3.5, 3.5)


def test_it_begins_when_it_is_told_to() -> None:
    assert FakeClock(time=5.0).time() == 5.0


def test_who_waits_for_a_moment_wakes_when_it_has_come(clock: FakeClock, sleeper: Sleeper) -> None:
    assert clock.next_wait() == 10.0

    clock.advance(10.0)

    assert sleeper.join()


def test_who_waits_for_a_later_moment_goes_on_waiting(clock: FakeClock, sleeper: Sleeper) -> None:
    clock.next_wait()

    clock.advance(4.0)

    assert clock.next_wait() == 6.0
    assert not sleeper.awake


def test_who_waits_can_be_woken_by_others(clock: FakeClock, sleeper: Sleeper) -> None:
    clock.next_wait()

    sleeper.notify()

    assert sleeper.join()
    assert clock.monotonic() == 0.0


def test_a_moment_that_has_passed_is_not_waited_for(clock: FakeClock) -> None:
    clock.advance(10.0)

    assert Sleeper(clock, 10.0).join()


def test_the_next_of_several_moments_is_the_nearest(clock: FakeClock, sleeper: Sleeper) -> None:
    nearer = Sleeper(clock, 3.0)
    while clock.next_wait() != 3.0:  # until the nearer one waits
        pass

    clock.advance(3.0)

    assert nearer.join()
    assert clock.next_wait() == 7.0


def test_who_waits_without_a_moment_is_not_the_next(clock: FakeClock) -> None:
    endless = Sleeper(clock, None)

    with pytest.raises(TimeoutError, match="nobody waits for a moment of this clock"):
        clock.next_wait(timeout=0.05)

    endless.notify()
    assert endless.join()


def test_a_retry_that_takes_minutes_is_tested_in_no_time(clock: FakeClock) -> None:
    backend = MemoryBackend([RetryLater(120.0)])
    with Notifier({"memory": backend}, clock=clock) as notifier:
        ticket = notifier.notify("hello")

        assert clock.next_wait() == 120.0
        clock.advance(119.0)
        assert clock.next_wait() == 1.0
        assert backend.events == []
        clock.advance(1.0)

        assert ticket.wait(5.0) == {"memory": "delivered"}
    assert backend.events[0].time == START
