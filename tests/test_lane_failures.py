"""A lane whose destination fails: how long it waits, what it gives up, and whom it tells."""

import logging
import threading
from collections.abc import Callable, Sequence

import pytest
from lanes import LONG, Bench, Scripted, all_settled, outcome

from notify.delivery.attempt import LONGEST_WAIT
from notify.delivery.retry import PROBE_INTERVAL
from notify.delivery.ticket import DELIVERED
from notify.errors import DeliveryError, Gone, Rejected, RetryLater
from notify.event import Event
from notify.testing import FakeClock


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)


# ---- waits


def test_the_wait_that_a_destination_asks_for_wins(bench: Bench, clock: FakeClock) -> None:
    backend = Scripted(RetryLater(after=7.5))
    entries = bench.put(bench.lane(backend), "a")

    assert clock.next_wait() == 7.5
    clock.advance(7.4)
    assert clock.next_wait() == pytest.approx(0.1)
    assert len(backend.batches) == 1
    clock.advance(0.1)
    assert all_settled(entries) == {DELIVERED}


def test_no_wait_is_told_as_none(bench: Bench, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    entries = bench.put(bench.lane(Scripted(RetryLater(after=0.2, reason="busy"))), "a")
    clock.next_wait()

    assert capsys.readouterr().err.endswith("busy; next attempt in 1 s\n")
    clock.advance(0.2)
    assert all_settled(entries) == {DELIVERED}


def test_no_event_that_comes_meanwhile_shortens_the_wait(bench: Bench, clock: FakeClock) -> None:
    backend = Scripted(RetryLater(after=60))
    lane = bench.lane(backend)
    entries = bench.put(lane, "a")
    clock.next_wait()
    entries += bench.put(lane, "b", level=logging.CRITICAL)

    assert clock.next_wait() == 60
    assert backend.batches == ["a"]
    clock.advance(60)
    all_settled(entries)


@pytest.mark.parametrize("error", [RetryLater(), ConnectionResetError("reset"), TimeoutError("slow")], ids=repr)
def test_waits_grow_while_a_destination_says_nothing(bench: Bench, clock: FakeClock, error: Exception) -> None:
    entries = bench.put(bench.lane(Scripted(*[error] * 5)), "a")

    waits = []
    for _ in range(5):
        waits.append(clock.next_wait())
        clock.advance(waits[-1])

    assert waits == [1, 2, 4, 8, 16]
    assert all_settled(entries) == {DELIVERED}


def test_a_success_makes_the_next_wait_short_again(bench: Bench, clock: FakeClock) -> None:
    lane = bench.lane(Scripted(OSError(), OSError(), 1, OSError()))
    entries = bench.put(lane, "a")
    for _ in range(2):
        clock.advance(clock.next_wait())
    all_settled(entries)

    entries = bench.put(lane, "b")

    assert clock.next_wait() == 1
    clock.advance(1)
    all_settled(entries)


@pytest.mark.parametrize("after", [float("nan"), -1, "soon", None])
def test_a_wait_that_makes_no_sense_is_replaced_by_our_own(bench: Bench, clock: FakeClock, after: object) -> None:
    entries = bench.put(bench.lane(Scripted(RetryLater(after=after))), "a")  # type: ignore[arg-type]  # the point

    assert clock.next_wait() == 1
    clock.advance(1)
    assert all_settled(entries) == {DELIVERED}


@pytest.mark.parametrize("after", [float("inf"), 1e30, 10**400])
def test_a_wait_of_years_is_shortened_to_a_day(bench: Bench, clock: FakeClock, after: float) -> None:
    entries = bench.put(bench.lane(Scripted(RetryLater(after=after))), "a")

    assert clock.next_wait() == LONGEST_WAIT == 24 * 3600
    clock.advance(LONGEST_WAIT)
    assert all_settled(entries) == {DELIVERED}


def test_a_destination_that_keeps_saying_at_once_is_not_hammered(bench: Bench, clock: FakeClock) -> None:
    entries = bench.put(bench.lane(Scripted(RetryLater(after=0))), "a")

    assert clock.next_wait() == 0.1
    clock.advance(0.1)
    assert all_settled(entries) == {DELIVERED}


def test_a_destination_that_keeps_saying_at_once_and_fails_again_is_believed_twice(
    bench: Bench, clock: FakeClock
) -> None:
    entries = bench.put(bench.lane(Scripted(*[RetryLater(after=0)] * 5)), "a")

    waits = []
    for _ in range(5):
        waits.append(clock.next_wait())
        clock.advance(waits[-1])

    assert waits == pytest.approx([0.1, 0.1, 1, 2, 4])
    assert all_settled(entries) == {DELIVERED}


def limited(ready_in: Callable[[], object]) -> Scripted:
    backend = Scripted()
    backend.ready_in = ready_in  # type: ignore[attr-defined]  # one of the optional attributes
    return backend


def test_a_lane_waits_for_the_limits_of_its_destination(bench: Bench, clock: FakeClock) -> None:
    backend = limited(lambda: max(0.0, 30 - clock.monotonic()))
    entries = bench.put(bench.lane(backend), "a")

    assert clock.next_wait() == 30
    assert backend.batches == []
    clock.advance(30)
    assert all_settled(entries) == {DELIVERED}


def fail(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize(
    "ready_in",
    [
        lambda: float("nan"),
        lambda: -1,
        lambda: "soon",
        lambda: None,
        lambda: fail(ValueError()),
        lambda: fail(SystemExit()),
    ],
    ids=["nan", "negative", "text", "none", "raising", "exiting"],
)
def test_limits_that_make_no_sense_are_none(bench: Bench, ready_in: Callable[[], object]) -> None:
    entries = bench.put(bench.lane(limited(ready_in)), "a")

    assert all_settled(entries) == {DELIVERED}


def test_limits_of_years_are_shortened_to_a_day(bench: Bench, clock: FakeClock) -> None:
    limits = [0.0, float("inf")]
    entries = bench.put(bench.lane(limited(lambda: limits.pop() if limits else 0.0)), "a")

    assert clock.next_wait() == LONGEST_WAIT
    clock.advance(LONGEST_WAIT)
    assert all_settled(entries) == {DELIVERED}


def test_a_destination_that_is_gone_is_probed_every_ten_minutes(bench: Bench, clock: FakeClock) -> None:
    backend = Scripted(Gone("no such webhook"), Gone("no such webhook"))
    lane = bench.lane(backend)
    entries = bench.put(lane, "a", "b")

    assert clock.next_wait() == PROBE_INTERVAL == 600
    clock.advance(600)
    assert clock.next_wait() == 600
    assert backend.batches == ["a", "a"]
    clock.advance(600)
    assert all_settled(entries) == {DELIVERED}


# ---- refusals and bugs


def test_a_rejection_drops_the_first_event_only(bench: Bench) -> None:
    backend = Scripted(Rejected("too long"), max_batch=3)
    lane = bench.lane(backend)

    first, *rest = bench.put(lane, "a", "b", "c")

    assert outcome(first) == "rejected: too long"
    assert all_settled(rest) == {DELIVERED}
    assert backend.batches == ["a b c", "b c"]


class Bug(Exception):
    pass


BUGS = [Bug("bug"), KeyError("pair"), DeliveryError("neither"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()]


@pytest.mark.parametrize("bug", BUGS, ids=repr)
def test_what_no_destination_says_is_tried_five_times_and_costs_one_event(
    bench: Bench, clock: FakeClock, bug: BaseException
) -> None:
    backend = Scripted(*[bug] * 5)
    first, second = bench.put(bench.lane(backend), "a", "b")

    for _ in range(4):
        clock.advance(clock.next_wait())

    assert outcome(first).startswith("rejected: ")
    assert outcome(second) == DELIVERED
    assert backend.batches == ["a"] * 5 + ["b"]


def test_an_outage_between_two_bugs_does_not_count_as_one(bench: Bench, clock: FakeClock) -> None:
    backend = Scripted(Bug(), OSError(), OSError(), OSError(), Bug())  # as many as attempts that a bug gets
    entries = bench.put(bench.lane(backend), "a")

    for _ in range(5):
        clock.advance(clock.next_wait())

    assert all_settled(entries) == {DELIVERED}


def test_the_text_of_a_foreign_error_is_not_shown(bench: Bench, clock: FakeClock) -> None:
    lane = bench.lane(Scripted(Bug("https://discord.com/api/webhooks/1/token")))
    entries = bench.put(lane, "a")
    clock.advance(clock.next_wait())
    all_settled(entries)

    assert lane.stats()["last_error"] == "Bug"


def test_an_event_that_meets_a_bug_does_not_cost_those_it_travels_with(bench: Bench, clock: FakeClock) -> None:
    class Picky(Scripted):
        def send(self, events: Sequence[Event], /) -> object:
            if any(event.message == "poison" for event in events):
                self.steps = [Bug()]
            return super().send(events)

    backend = Picky(max_batch=4)
    entries = bench.put(bench.lane(backend), "a", "b", "poison", "c")

    settled = threading.Thread(target=all_settled, args=(entries,))
    settled.start()
    while settled.is_alive():
        clock.advance(300)  # the longest wait
        settled.join(0.01)

    assert [outcome(entry) for entry in entries] == [DELIVERED, DELIVERED, "rejected: Bug", DELIVERED]


def test_an_urgent_event_does_not_pay_for_the_attempts_at_another(bench: Bench, clock: FakeClock) -> None:
    backend = Scripted(*[Bug()] * 5)
    lane = bench.lane(backend)
    entries = bench.put(lane, "a")
    for _ in range(3):
        clock.advance(clock.next_wait())
    clock.next_wait()  # after the fourth attempt
    entries += bench.put(lane, "urgent", level=logging.ERROR)
    for _ in range(2):
        clock.advance(clock.next_wait())

    assert all_settled(entries) == {DELIVERED}


def test_an_error_that_cannot_be_printed_ends_no_lane(bench: Bench, clock: FakeClock) -> None:
    class Mute(RetryLater):
        def __init__(self) -> None:
            pass  # and so it has no `after`

        def __str__(self) -> str:
            raise RuntimeError("no")

    entries = bench.put(bench.lane(Scripted(Mute())), "a")
    clock.advance(clock.next_wait())

    assert all_settled(entries) == {DELIVERED}


# ---- a destination that fails at a batch


def test_a_destination_that_fails_at_a_batch_three_times_gets_its_first_event_alone(
    bench: Bench, clock: FakeClock
) -> None:
    backend = Scripted(*[OSError()] * 3, max_batch=3)
    entries = bench.put(bench.lane(backend), "a", "b", "c")

    for _ in range(3):
        clock.advance(clock.next_wait())

    assert all_settled(entries) == {DELIVERED}
    assert backend.batches == ["a b c"] * 3 + ["a", "b c"]


def test_a_destination_that_says_when_it_is_ready_goes_on_getting_batches(bench: Bench, clock: FakeClock) -> None:
    backend = Scripted(*[RetryLater(after=5)] * 4, max_batch=3)
    entries = bench.put(bench.lane(backend), "a", "b", "c")

    for _ in range(4):
        clock.advance(clock.next_wait())

    assert all_settled(entries) == {DELIVERED}
    assert backend.batches == ["a b c"] * 5


# ---- limits are asked for without a lock


def test_who_says_when_it_is_ready_may_have_another_thread_ask_the_lane(bench: Bench) -> None:
    answers: list[object] = []

    def ready_in() -> float:
        asking = threading.Thread(target=lambda: answers.append(lane.stats()["pending"]))
        asking.start()
        asking.join(LONG)  # for ever, if the lane held its lock meanwhile
        return 0.0

    lane = bench.lane(limited(ready_in))
    entries = bench.put(lane, "a")

    assert all_settled(entries) == {DELIVERED}
    assert answers == [1]


# ---- who is told


def test_a_destination_that_is_gone_is_told_once_and_when_it_is_there_again(bench: Bench, clock: FakeClock) -> None:
    told: list[tuple[str, str]] = []
    backend = Scripted(Gone("no such webhook"), Gone("no such webhook"), 1, 1, Gone("forbidden"))
    lane = bench.lane(backend, on_gone=lambda name, text: told.append((name, text)))
    entries = bench.put(lane, "a", "b", "c")
    clock.advance(clock.next_wait())
    assert told == [
        ("lane0", "lane0 takes no messages any more: no such webhook. It is tried again every ten minutes."),
    ]

    clock.advance(clock.next_wait())
    all_settled(entries[:2])
    clock.advance(clock.next_wait())
    all_settled(entries)
    bench.end()  # it is told after the tickets

    assert [text.split(".")[0] for _, text in told[1:]] == [
        "lane0 takes messages again",
        "lane0 takes no messages any more: forbidden",
        "lane0 takes messages again",
    ]


def test_a_destination_that_refuses_an_event_is_there_again(bench: Bench, clock: FakeClock) -> None:
    told: list[str] = []
    lane = bench.lane(
        Scripted(Gone("x"), Rejected("long"), Gone("x")), on_gone=lambda name, text: told.append(text.split(".")[0])
    )
    entries = bench.put(lane, "a", "b")
    for _ in range(2):
        clock.advance(clock.next_wait())
    outcomes = [outcome(entry) for entry in entries]
    bench.end()  # it is told after the tickets

    assert outcomes == ["rejected: long", DELIVERED]
    assert told == ["lane0 takes no messages any more: x", "lane0 takes messages again"] * 2


@pytest.mark.parametrize("answer", [RetryLater(after=1), OSError(), Rejected("too long"), Bug()], ids=repr)
def test_a_destination_that_only_fails_is_not_gone(bench: Bench, clock: FakeClock, answer: Exception) -> None:
    told: list[str] = []
    lane = bench.lane(Scripted(answer), on_gone=lambda name, text: told.append(text))
    entries = bench.put(lane, "a")
    if not isinstance(answer, Rejected):
        clock.advance(clock.next_wait())
    all_settled(entries)

    bench.end()

    assert told == []
