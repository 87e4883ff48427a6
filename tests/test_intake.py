import logging
import threading
import time

from notify.delivery.intake import Intake
from notify.event import Event


class Draft:
    ticket = None

    def __init__(self, number: int = 0, level: int = logging.INFO) -> None:
        self.number = number
        self.level = level

    def event(self) -> Event:
        raise AssertionError("the intake makes no event of what it is given")


LONG = 60.0  # seconds; a test that waits this long has failed by its own timeout or by what it asserts


def waited_in_vain(intake: Intake) -> bool:
    """Say whether nobody had woken the dispatcher."""
    begin = time.monotonic()
    intake.wait(0.02)
    return time.monotonic() - begin >= 0.02


def test_drafts_are_taken_in_the_order_they_came_in() -> None:
    intake = Intake()
    for number in range(5):
        intake.accept(Draft(number))

    assert [draft.number for draft in intake.take(3)] == [0, 1, 2]  # type: ignore[attr-defined]  # our Draft
    assert [draft.number for draft in intake.take(3)] == [3, 4]  # type: ignore[attr-defined]  # our Draft
    assert intake.take(3) == []
    assert len(intake) == 0


def test_a_full_intake_drops_what_comes_and_counts_it() -> None:
    intake = Intake()
    intake.capacity = 2

    accepted = [intake.accept(Draft()) for _ in range(5)]

    assert accepted == [True, True, False, False, False]
    assert (len(intake), intake.dropped) == (2, 3)


def test_a_closed_intake_takes_nothing_and_keeps_what_it_has() -> None:
    intake = Intake()
    intake.accept(Draft())

    intake.close()

    assert not intake.accept(Draft())
    assert len(intake) == 1


def test_an_important_draft_wakes_the_dispatcher_at_once() -> None:
    intake = Intake(wake_level=21)
    intake.accept(Draft(level=21))

    intake.wait(LONG)

    assert len(intake) == 1


def test_an_ordinary_draft_lets_the_dispatcher_sleep() -> None:
    intake = Intake(wake_level=21)

    intake.accept(Draft(level=20))

    assert waited_in_vain(intake)


def test_waking_many_times_is_waking_once() -> None:
    intake = Intake()
    for _ in range(100):
        intake.wake()

    intake.wait(LONG)

    assert waited_in_vain(intake)


def test_no_wake_is_lost_however_it_falls_with_the_dispatchers_looks() -> None:
    intake = Intake(wake_level=0)
    rounds = 2000
    taken = threading.Semaphore(0)

    def dispatch() -> None:
        left = rounds
        while left:
            intake.wait(LONG)
            new = len(intake.take(rounds))
            left -= new
            taken.release(new)  # the next draft comes while the dispatcher is about to wait again

    dispatcher = threading.Thread(target=dispatch, daemon=True)
    dispatcher.start()
    for number in range(rounds):
        intake.accept(Draft(number))
        assert taken.acquire(timeout=LONG / 6), f"draft {number} woke nobody"
    dispatcher.join()


def test_drafts_of_many_threads_all_arrive() -> None:
    intake = Intake(wake_level=0)

    def say() -> None:
        for number in range(1000):
            intake.accept(Draft(number))

    callers = [threading.Thread(target=say) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert len(intake.take(10_000)) == 8 * 1000
