"""Callables that may hang are asked by one thread at a time."""

import threading
import time

import pytest

from notify.status.asked import Asked, Busy


def test_the_answer_is_what_was_asked_for_each_time() -> None:
    answers = iter([1, 2])
    asked = Asked(lambda: next(answers))

    assert (asked.get(), asked.get()) == (1, 2)


def test_what_is_raised_goes_on_and_the_next_one_may_ask() -> None:
    answers = iter([ValueError("no"), 1])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer  # type: ignore[no-any-return, return-value]

    asked = Asked(ask)

    with pytest.raises(ValueError, match="no"):
        asked.get()
    assert asked.get() == 1


@pytest.mark.process
def test_one_who_never_answers_costs_one_thread_and_the_others_a_second_in_all() -> None:
    asking, let = threading.Event(), threading.Event()

    def hang() -> str:
        asking.set()
        let.wait(30)
        return "at last"

    asked = Asked(hang)
    first = threading.Thread(target=asked.get)
    first.start()
    asking.wait()
    began = time.monotonic()
    try:
        for _ in range(20):
            with pytest.raises(Busy):
                asked.get()
        took = time.monotonic() - began
    finally:
        let.set()
        first.join()

    assert took < 5  # not twenty seconds: who comes when it has hung for one is told at once
    assert asked.get() == "at last"


def test_the_time_that_one_was_asked_does_not_count_for_the_next() -> None:
    patience: list[float] = []

    class Held:
        def acquire(self, timeout: float) -> bool:
            patience.append(timeout)
            return False

    asked = Asked(lambda: 1)
    asked.get()
    asked._asking = Held()  # type: ignore[assignment]  # somebody has just begun to ask

    with pytest.raises(Busy):
        asked.get()
    assert patience == [1.0]
