import threading
import time

import pytest

from notify.clock import SystemClock
from notify.testing import FakeClock


def test_the_system_clock_tells_the_real_time() -> None:
    before = time.time(), time.monotonic()
    told = SystemClock().time(), SystemClock().monotonic()
    after = time.time(), time.monotonic()

    assert before[0] <= told[0] <= after[0]
    assert before[1] <= told[1] <= after[1]


def test_the_system_clock_waits_until_it_is_notified() -> None:
    condition = threading.Condition()

    def notify() -> None:
        with condition:
            condition.notify()

    with condition:
        thread = threading.Thread(target=notify)  # gets the condition only when the wait lets go of it
        thread.start()
        SystemClock().wait_until(condition, None)
    thread.join()


@pytest.mark.parametrize("ahead", [0.01, 0.0, -5.0])
def test_the_system_clock_waits_no_longer_than_until_its_deadline(ahead: float) -> None:
    clock, condition = SystemClock(), threading.Condition()
    deadline = clock.monotonic() + ahead

    with condition:
        clock.wait_until(condition, deadline)

    assert clock.monotonic() >= deadline


def test_a_fake_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(time=1000.0)
    first = clock.time(), clock.monotonic()

    clock.advance(2.5)

    assert first == (1000.0, 0.0)
    assert (clock.time(), clock.monotonic()) == (1002.5, 2.5)


def test_advancing_a_fake_clock_wakes_who_waits_for_that_moment() -> None:
    clock, condition = FakeClock(), threading.Condition()
    woken: list[float] = []

    def wait() -> None:
        with condition:
            while clock.monotonic() < 10:
                clock.wait_until(condition, 10.0)
            woken.append(clock.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    assert clock.next_wait() == 10
    clock.advance(4)
    assert clock.next_wait() == 6
    clock.advance(6)
    thread.join()

    assert woken == [10]


def test_a_moment_that_has_come_is_not_waited_for() -> None:
    clock, condition = FakeClock(), threading.Condition()
    clock.advance(5)

    with condition:
        clock.wait_until(condition, 5.0)


def test_who_is_about_to_wake_does_not_count_as_waiting() -> None:
    clock, condition = FakeClock(), threading.Condition()

    def wait() -> None:
        with condition:
            clock.wait_until(condition, 10.0)

    thread = threading.Thread(target=wait)
    thread.start()
    clock.next_wait()
    with clock._changed:  # the waiter cannot leave the list before it is looked at
        clock._elapsed = 10.0
        with pytest.raises(TimeoutError):
            clock.next_wait(timeout=0)
    clock.advance(0)
    thread.join()


def test_a_wait_that_nobody_begins_is_told_of() -> None:
    with pytest.raises(TimeoutError, match="nobody waits"):
        FakeClock().next_wait(timeout=0)
