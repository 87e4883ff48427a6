import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import pytest

from notify.backends.memory import MemoryBackend
from notify.clock import Clock, SystemClock
from notify.delivery.lane import LONGEST_WAIT, PROBE_INTERVAL, Lane
from notify.delivery.queue import Entry
from notify.delivery.ticket import DELIVERED, Ticket
from notify.errors import DeliveryError, Gone, Rejected, RetryLater
from notify.event import Event
from notify.rules.routing import Route
from notify.testing import FakeClock

LONG = 60.0  # seconds; who waits this long has failed


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Bench:
    """Makes lanes, puts events on them and ends them."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.settled = threading.Condition()
        self.lanes: list[Lane] = []

    def lane(self, backend: object, *, clock: Clock | None = None, **more: int) -> Lane:
        lane = Lane(
            f"lane{len(self.lanes)}",
            backend,  # type: ignore[arg-type]  # has send and close
            Route(),
            clock=clock or self.clock,
            settled=self.settled,
            **more,
        )
        self.lanes.append(lane)
        return lane

    def entry(self, message: str, level: int = logging.INFO) -> Entry:
        event = Event(id=message, time=0.0, message=message, level=level)
        ticket = Ticket(message, durable=False, changed=self.settled)
        ticket.routed(["lane0"])
        return Entry.of(event, ticket)

    def put(self, lane: Lane, *messages: str, level: int = logging.INFO) -> list[Entry]:
        entries = [self.entry(message, level) for message in messages]
        lane.put(entries)
        return entries


@pytest.fixture
def bench(clock: FakeClock) -> Iterator[Bench]:
    bench = Bench(clock)
    yield bench
    for lane in bench.lanes:
        lane.stop()
    for lane in bench.lanes:
        lane.join(5)


class Gate:
    """A backend whose `send` says that it was called and returns when it is let."""

    max_batch = 1

    def __init__(self, max_batch: int = 1) -> None:
        self.max_batch = max_batch
        self.called = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def send(self, events: Sequence[Event], /) -> int:
        self.batches.append([event.message for event in events])
        self.called.release()
        assert self.let.acquire(timeout=LONG)
        return len(events)

    def close(self) -> None:
        pass


class Scripted:
    """A backend that does what a list says, and delivers when the list has ended."""

    def __init__(self, *steps: object, max_batch: int = 1) -> None:
        self.max_batch = max_batch
        self.steps = list(steps)
        self.batches: list[str] = []

    def send(self, events: Sequence[Event], /) -> object:
        self.batches.append(" ".join(event.message for event in events))
        step = self.steps.pop(0) if self.steps else len(events)
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self) -> None:
        pass


def outcome(entry: Entry) -> str:
    assert entry.ticket is not None
    return dict(entry.ticket.wait(LONG))["lane0"]


def all_settled(entries: Sequence[Entry]) -> set[str]:
    return {outcome(entry) for entry in entries}


# ---- what becomes of events


def test_events_are_delivered_in_their_order(bench: Bench) -> None:
    backend = MemoryBackend()

    entries = bench.put(bench.lane(backend), "a", "b", "c")

    assert all_settled(entries) == {DELIVERED}
    assert backend.messages == ["a", "b", "c"]


def test_a_batch_is_as_large_as_the_backend_takes(bench: Bench) -> None:
    gate = Gate(max_batch=3)
    lane = bench.lane(gate)
    bench.put(lane, "a")
    gate.called.acquire()
    entries = bench.put(lane, "b", "c", "d", "e")
    gate.let.release(9)

    all_settled(entries)
    assert gate.batches == [["a"], ["b", "c", "d"], ["e"]]


def test_what_a_backend_did_not_take_of_a_batch_is_sent_again(bench: Bench) -> None:
    backend = Scripted(2, 1, max_batch=4)

    entries = bench.put(bench.lane(backend), "a", "b", "c", "d")

    assert all_settled(entries) == {DELIVERED}
    assert backend.batches == ["a b c d", "c d", "d"]


@pytest.mark.parametrize("count", [None, 0, -3, 99, "two", True])
def test_a_backend_that_cannot_count_has_delivered_one_or_all(bench: Bench, count: object) -> None:
    backend = Scripted(count, max_batch=2)

    entries = bench.put(bench.lane(backend), "a", "b")

    assert all_settled(entries) == {DELIVERED}
    assert backend.batches == (["a b"] if count == 99 else ["a b", "b"])


# ---- urgent events


def test_an_urgent_event_overtakes_but_what_is_in_flight_is_finished_first(bench: Bench) -> None:
    gate = Gate(max_batch=2)
    lane = bench.lane(gate)
    entries = bench.put(lane, "a", "b", "c")
    gate.called.acquire()
    entries += bench.put(lane, "urgent", level=logging.ERROR)
    gate.let.release(9)

    all_settled(entries)
    assert gate.batches == [["a", "b"], ["urgent", "c"]]


def test_an_urgent_event_overtakes_one_that_waits_to_be_tried_again(bench: Bench, clock: FakeClock) -> None:
    backend = Scripted(RetryLater(after=10))
    lane = bench.lane(backend)
    entries = bench.put(lane, "a")
    clock.next_wait()
    entries += bench.put(lane, "urgent", level=logging.ERROR)
    clock.advance(10)

    all_settled(entries)
    assert backend.batches == ["a", "urgent", "a"]


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


# ---- stats


def test_stats_tell_what_happened(bench: Bench, clock: FakeClock) -> None:
    lane = bench.lane(Scripted(RetryLater(after=5, reason="busy"), 1, Rejected("too long")))

    entries = bench.put(lane, "a", "b", "c")
    clock.advance(clock.next_wait())
    all_settled(entries)

    assert lane.stats() == {
        "accepted": 3,
        "delivered": 2,
        "retried": 1,
        "pending": 0,
        "dropped": {"rejected": 1},
        "last_success_at": clock.time(),
        "last_error": "too long",
    }


def test_stats_of_a_lane_that_did_nothing_are_zero(bench: Bench) -> None:
    assert bench.lane(MemoryBackend()).stats() == {
        "accepted": 0,
        "delivered": 0,
        "retried": 0,
        "pending": 0,
        "dropped": {},
        "last_success_at": None,
        "last_error": None,
    }


def test_an_event_in_flight_is_pending(bench: Bench) -> None:
    gate = Gate()
    lane = bench.lane(gate)
    entries = bench.put(lane, "a", "b")
    gate.called.acquire()

    assert lane.pending() == lane.stats()["pending"] == 2
    gate.let.release(2)
    all_settled(entries)
    assert lane.pending() == 0


def test_who_sees_an_empty_lane_sees_settled_tickets(bench: Bench) -> None:
    lane = bench.lane(MemoryBackend())
    for number in range(300):
        (entry,) = bench.put(lane, str(number))
        while lane.pending():
            pass  # to look at the very moment
        assert entry.ticket is not None
        assert entry.ticket.wait(0) == {"lane0": DELIVERED}
        assert lane.stats()["delivered"] == number + 1


# ---- a full queue


def test_a_full_queue_drops_the_oldest_of_the_least_severe_and_says_so(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = Gate()
    lane = bench.lane(gate, capacity=3)
    entries = bench.put(lane, "in flight")
    gate.called.acquire()
    entries += bench.put(lane, "warning", level=logging.WARNING)
    (old,) = bench.put(lane, "old")
    entries += bench.put(lane, "new")

    assert outcome(old) == "dropped: queue full"
    assert lane.stats()["dropped"] == {"queue full": 1}
    assert "lane0: dropped 1 of its events: queue full" in capsys.readouterr().err
    gate.let.release(9)
    assert all_settled(entries) == {DELIVERED}


# ---- others


def test_a_backend_that_hangs_delays_no_other_lane(bench: Bench) -> None:
    gate, healthy = Gate(), MemoryBackend()
    hanging = bench.lane(gate)
    bench.put(hanging, "stuck")
    gate.called.acquire()

    bench.put(bench.lane(healthy), "a", "b")

    assert [event.message for event in healthy.wait_for(2)] == ["a", "b"]
    assert hanging.pending() == 1
    gate.let.release()


def test_putting_never_waits_for_the_backend(bench: Bench) -> None:
    gate = Gate()
    lane = bench.lane(gate)
    bench.put(lane, "stuck")
    gate.called.acquire()

    for number in range(1000):
        bench.put(lane, str(number))  # returns while send() is blocked

    assert lane.pending() == 1001
    gate.let.release(2000)


def test_the_backend_is_called_by_one_thread_of_ours(bench: Bench) -> None:
    callers: set[str] = set()

    def called(*events: object) -> int:
        callers.add(threading.current_thread().name)
        return 1

    lane = bench.lane(SimpleNamespace(send=called, close=called))

    all_settled(bench.put(lane, "a", "b"))
    lane.stop()
    lane.join(5)

    assert callers == {"notify-lane-lane0"}


# ---- the end


def test_what_is_left_at_the_end_is_dropped_with_a_reason(
    bench: Bench, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = MemoryBackend(fail_with=[RetryLater(after=60)])
    lane = bench.lane(backend)
    entries = bench.put(lane, "a", "b")
    clock.next_wait()

    lane.stop()
    lane.join(5)

    assert all_settled(entries) == {"dropped: closed"}
    assert lane.stats()["dropped"] == {"closed": 2}
    assert lane.pending() == 0
    assert backend.closed
    assert "lane0: dropped 2 of its events: closed" in capsys.readouterr().err


def test_what_comes_after_the_end_is_dropped_with_a_reason(bench: Bench) -> None:
    lane = bench.lane(MemoryBackend())
    lane.stop()
    lane.join(5)

    entries = bench.put(lane, "late")

    assert all_settled(entries) == {"dropped: closed"}
    assert lane.stats()["dropped"] == {"closed": 1}


def test_the_end_does_not_wait_for_a_backend_that_hangs(bench: Bench) -> None:
    gate = Gate()
    lane = bench.lane(gate)
    (stuck,) = bench.put(lane, "stuck")
    gate.called.acquire()

    lane.stop()
    lane.join(0.01)

    assert outcome(stuck) == "dropped: closed"
    gate.let.release()
    lane.join(5)
    assert lane.stats()["dropped"] == {"closed": 1}
    assert lane.stats()["delivered"] == 0  # whether it arrived is not known; it is told once


def test_an_event_refused_after_the_end_is_told_once(bench: Bench) -> None:
    called, let = threading.Event(), threading.Event()

    def send(events: Sequence[Event]) -> int:
        called.set()
        let.wait(LONG)
        raise Rejected("too long")

    lane = bench.lane(SimpleNamespace(send=send, close=lambda: None))
    bench.put(lane, "a")
    called.wait(LONG)
    lane.stop()
    lane.join(0.01)
    let.set()
    lane.join(5)

    assert lane.stats()["dropped"] == {"closed": 1}


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_a_backend_that_fails_to_close_is_told_of(
    bench: Bench, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def close() -> None:
        raise error

    lane = bench.lane(SimpleNamespace(send=len, close=close))
    lane.stop()
    lane.join(5)

    assert f"close() failed: {type(error).__name__}" in capsys.readouterr().err


def test_a_backend_may_end_the_lane_that_calls_it(bench: Bench) -> None:
    lanes: list[Lane] = []

    def send(events: Sequence[Event]) -> int:
        lanes[0].stop()
        lanes[0].join(LONG)
        return 1

    lanes.append(bench.lane(SimpleNamespace(send=send, close=lambda: None)))

    (entry,) = bench.put(lanes[0], "a")

    assert outcome(entry) == "dropped: closed"


def test_a_lane_of_the_real_clock_tries_again_by_itself(bench: Bench) -> None:
    lane = bench.lane(Scripted(RetryLater(after=0.01)), clock=SystemClock())

    assert all_settled(bench.put(lane, "a")) == {DELIVERED}


def test_a_waiting_lane_ends_at_once(bench: Bench) -> None:
    lane = bench.lane(Scripted(RetryLater(after=LONG * 10)), clock=SystemClock())
    entries = bench.put(lane, "a")
    until(lambda: lane.stats()["retried"] == 1)

    lane.stop()
    lane.join(LONG)

    assert all_settled(entries) == {"dropped: closed"}


def until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    while not true():
        pause.wait(0.001)
