"""A lane while all goes well, when it is full, and at its end."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import NoReturn

import pytest
from lanes import LONG, Bench, Gate, Scripted, all_settled, outcome, until

from notify.backends.memory import MemoryBackend
from notify.clock import SystemClock
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry
from notify.delivery.ticket import DELIVERED, PENDING
from notify.errors import Rejected, RetryLater
from notify.event import Event, Matter, Phase
from notify.testing import FakeClock

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
        "folded": 0,
        "handed_over": 0,
        "last_success_at": clock.time(),
        "last_error": "too long",
    }


def test_what_is_counted_elsewhere_is_accepted_and_folded(bench: Bench) -> None:
    lane = bench.lane(MemoryBackend())
    lane.fold()
    lane.fold()

    assert (lane.stats()["accepted"], lane.stats()["folded"], lane.stats()["delivered"]) == (2, 2, 0)


def test_stats_of_a_lane_that_did_nothing_are_zero(bench: Bench) -> None:
    assert bench.lane(MemoryBackend()).stats() == {
        "accepted": 0,
        "delivered": 0,
        "retried": 0,
        "pending": 0,
        "dropped": {},
        "folded": 0,
        "handed_over": 0,
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
    assert "lane0: dropped 2 of its events: closed before they could be sent" in capsys.readouterr().err


def test_counts_that_are_left_at_the_end_are_named_as_what_they_are(
    bench: Bench, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = bench.lane(MemoryBackend(fail_with=[RetryLater(after=60)]))
    said = Event(id="1", time=0.0, message="gas", level=logging.WARNING, matter=Matter("1", Phase.ANNOUNCED))
    lane.put([Entry.of(event, None) for event in (said, replace(said, matter=Matter("1", Phase.COUNTED, 5)))])
    clock.next_wait()

    lane.stop()
    lane.join(5)

    assert "dropped 2 of its events: closed before they could be sent, 1 of them counts" in capsys.readouterr().err


def test_what_comes_after_the_end_is_dropped_with_a_reason(bench: Bench) -> None:
    lane = bench.lane(MemoryBackend())
    lane.stop()
    lane.join(5)

    entries = bench.put(lane, "late")

    assert all_settled(entries) == {"dropped: closed"}
    assert lane.stats()["dropped"] == {"closed": 1}


def now(entry: Entry) -> str:
    """Return what has become of *entry* by now."""
    assert entry.ticket is not None
    return dict(entry.ticket.wait(0))["lane0"]


def test_what_a_backend_has_in_hand_at_the_end_is_pending_until_it_returns_and_then_settled_and_counted(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = Gate()
    lane = bench.lane(gate)
    stuck, waiting = bench.put(lane, "stuck", "waiting")
    gate.called.acquire()

    lane.stop()
    lane.join(0.01)

    assert (now(stuck), now(waiting)) == (PENDING, "dropped: closed")
    assert (lane.stats()["pending"], lane.stats()["dropped"]) == (1, {"closed": 1})
    assert "nobody knows what became of 1 of its events" in capsys.readouterr().err
    gate.let.release()
    lane.join(5)
    assert now(stuck) == DELIVERED
    assert (lane.stats()["delivered"], lane.stats()["pending"]) == (1, 0)


@pytest.mark.parametrize(
    ("error", "became", "reason"),
    [(Rejected("too long"), "rejected: too long", "rejected"), (RetryLater(), "dropped: closed", "closed")],
)
def test_what_a_backend_refuses_after_the_end_is_told_once(
    bench: Bench, error: Exception, became: str, reason: str
) -> None:
    called, let = threading.Event(), threading.Event()

    def send(events: Sequence[Event]) -> int:
        called.set()
        let.wait(LONG)
        raise error

    lane = bench.lane(SimpleNamespace(send=send, close=lambda: None))
    (entry,) = bench.put(lane, "a")
    called.wait(LONG)
    lane.stop()
    lane.join(0.01)
    let.set()
    lane.join(5)

    assert outcome(entry) == became
    assert (lane.stats()["dropped"], lane.stats()["pending"]) == ({reason: 1}, 0)


class Nameless(type):
    @property
    def __name__(cls) -> NoReturn:  # type: ignore[override]  # the point
        raise SystemExit


class Hidden(Exception, metaclass=Nameless):
    pass


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError("x"), "ValueError"),
        (SystemExit(1), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Hidden(), "Hidden"),
    ],
    ids=["wrong", "exit", "interrupt", "hidden"],
)
def test_a_backend_that_fails_to_close_is_told_of(
    bench: Bench, capsys: pytest.CaptureFixture[str], error: BaseException, name: str
) -> None:
    def close() -> None:
        raise error

    lane = bench.lane(SimpleNamespace(send=len, close=close))
    lane.stop()
    lane.join(5)

    assert f"close() failed: {name}" in capsys.readouterr().err


def test_a_backend_may_end_the_lane_that_calls_it(bench: Bench) -> None:
    lanes: list[Lane] = []

    def send(events: Sequence[Event]) -> int:
        lanes[0].stop()
        lanes[0].join(LONG)
        return 1

    lanes.append(bench.lane(SimpleNamespace(send=send, close=lambda: None)))

    (entry,) = bench.put(lanes[0], "a")

    assert outcome(entry) == DELIVERED


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
