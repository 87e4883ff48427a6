"""When a lane tries again: what a destination asks for is believed, but not for ever."""

import pytest

from notify.delivery.attempt import Disposition, Outcome
from notify.delivery.retry import PROBE_INTERVAL, Retry


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)


def asked(after: float) -> Outcome:
    return Outcome(Disposition.AGAIN, after=after)


def test_who_asks_for_less_than_a_second_again_and_again_waits_as_one_who_says_nothing_from_the_third_time_on() -> None:
    retry = Retry()

    assert [retry.wait(asked(0.1)) for _ in range(6)] == [0.1, 0.1, 1, 2, 4, 8]


def test_a_wait_of_a_second_or_more_is_believed_however_often() -> None:
    retry = Retry()

    assert [retry.wait(asked(1.0)) for _ in range(6)] == [1.0] * 6


def test_a_success_has_short_waits_believed_again() -> None:
    retry = Retry()
    for _ in range(3):
        retry.wait(asked(0.1))

    retry.reset()

    assert [retry.wait(asked(0.1)) for _ in range(3)] == [0.1, 0.1, 1]


def test_a_destination_that_is_gone_is_probed_in_its_own_time() -> None:
    assert Retry().wait(Outcome(Disposition.GONE)) == PROBE_INTERVAL
