import pytest

from notify.delivery.backoff import Backoff


@pytest.fixture
def no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)


@pytest.mark.usefixtures("no_chance")
def test_waits_double_from_a_second_to_five_minutes() -> None:
    waits = Backoff()

    assert [waits.next() for _ in range(12)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


@pytest.mark.usefixtures("no_chance")
def test_a_success_begins_again_at_a_second() -> None:
    waits = Backoff()
    for _ in range(5):
        waits.next()

    waits.reset()

    assert waits.next() == 1


def test_chance_shortens_a_wait_by_a_half_at_most() -> None:
    firsts = [Backoff().next() for _ in range(200)]

    assert all(0.5 <= wait <= 1 for wait in firsts)
    assert max(firsts) - min(firsts) > 0.1  # 200 equal chances closer than that: less than one in 10^100


@pytest.mark.usefixtures("no_chance")
def test_years_of_failures_do_not_overflow() -> None:
    waits = Backoff()
    for _ in range(5000):
        waits.next()

    assert waits.next() == 300
