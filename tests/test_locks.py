"""Locks that who is interrupted does not keep: what a handler of a signal raises ends any step of the main thread."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from random import uniform

import pytest

from notify.locks import Condition, Turn

pytestmark = pytest.mark.interpreter

# A third to a half of them come where `acquire()` and `try:`, or the `with` of threading.Condition, leave it taken.
INTERRUPTIONS = 200
SECONDS = 30.0  # for all of them: a loop that nobody interrupts is not to go on for ever


Interrupting = Callable[[Callable[[], object]], None]


class Interrupted(Exception):
    """What the handler raises."""


@pytest.fixture
def interrupted() -> Iterator[Interrupting]:
    """Run something again and again, and interrupt that at any step."""

    def handle(number: int, frame: object) -> None:
        raise Interrupted

    def interrupted(step: Callable[[], object]) -> None:
        count, end = 0, time.monotonic() + SECONDS
        while count < INTERRUPTIONS:
            assert time.monotonic() < end
            try:
                signal.setitimer(signal.ITIMER_REAL, uniform(0.00002, 0.0002))  # seconds
                while time.monotonic() < end:
                    for _ in range(100):
                        step()
            except Interrupted:
                count += 1

    before = signal.signal(signal.SIGALRM, handle)
    yield interrupted
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def can_be_had(lock: threading.RLock) -> bool:
    """Say whether another thread gets *lock*."""
    had: list[bool] = []
    thread = threading.Thread(target=lambda: had.append(lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    return had == [True]


def test_who_is_interrupted_lets_go_of_what_he_had_a_turn_at(interrupted: Interrupting) -> None:
    lock = threading.RLock()

    def step() -> None:
        with Turn(lock, 1.0) as held:
            assert held

    interrupted(step)

    assert can_be_had(lock)


def test_who_is_interrupted_lets_go_of_a_condition(interrupted: Interrupting) -> None:
    lock = threading.RLock()
    condition = Condition(lock)

    def step() -> None:
        with condition:
            condition.notify_all()

    interrupted(step)

    assert can_be_had(lock)


def test_who_is_interrupted_while_he_waits_is_told_by_what_and_lets_go(interrupted: Interrupting) -> None:
    lock = threading.RLock()
    condition = Condition(lock)

    def step() -> None:
        with condition:
            condition.wait(0.00001)  # seconds, so that what comes before and after it is interrupted, too

    interrupted(step)  # by what else than `Interrupted` would not be caught there

    assert can_be_had(lock)


def test_who_is_interrupted_when_he_has_just_let_go_to_wait_takes_it_back_for_the_end_of_the_with() -> None:
    condition = Condition(threading.RLock())
    let_go = condition._release_save  # type: ignore[attr-defined]  # of the standard library's class

    def let_go_and_be_interrupted() -> None:
        let_go()
        raise Interrupted

    condition._release_save = let_go_and_be_interrupted  # type: ignore[attr-defined]  # see above

    with pytest.raises(Interrupted), condition:
        condition.wait()


def test_a_turn_is_one_of_many_on_one_thread() -> None:
    lock = threading.RLock()

    with Turn(lock, 1.0) as held, Turn(lock, 1.0) as again:
        assert (held, again) == (True, True)
        assert not can_be_had(lock)

    assert can_be_had(lock)


def test_who_waits_in_vain_learns_it_in_time_and_has_nothing_to_let_go_of() -> None:
    lock = threading.RLock()
    taken, go_on = threading.Event(), threading.Event()

    def stay() -> None:
        with lock:
            taken.set()
            go_on.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    taken.wait()
    try:
        with pytest.raises(RuntimeError), Turn(lock, 0.01) as held:
            assert not held
    finally:
        go_on.set()
        thread.join()


def test_who_waits_is_woken_and_told_so() -> None:
    condition = Condition(threading.RLock())

    def wake() -> None:
        with condition:
            condition.notify_all()

    with condition:
        thread = threading.Thread(target=wake)
        thread.start()
        assert condition.wait(SECONDS)
        assert not condition.wait(0.001)
    thread.join()
