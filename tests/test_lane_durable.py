"""What a lane has on disk, too, and a lane whose thread dies."""

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest
from lanes import LONG, Bench, Gate, Ledger, Scripted, all_settled, die, ours, outcome, until

from notify.backends.memory import MemoryBackend
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry, LaneQueue
from notify.delivery.ticket import DELIVERED, PENDING
from notify.errors import Rejected, RetryLater
from notify.testing import FakeClock

# ---- what is on disk, too


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_what_was_delivered_leaves_the_disk_before_anybody_is_told(bench: Bench) -> None:
    at_the_time: list[str] = []

    class Asking(Ledger):
        def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
            at_the_time.append(outcome_now(entries[0]))
            super().delivered(destination, event_ids)

    ledger = Asking()
    gate = Gate(max_batch=3, durable=True)
    lane = bench.lane(gate, outbox=ledger)
    entries = bench.put(lane, "a", "b", stored=True)
    entries += bench.put(lane, "in memory")
    gate.let.release(9)

    assert all_settled(entries) == {DELIVERED}
    assert at_the_time == [PENDING]
    assert ledger.lines == ["delivered lane0 a b"]


def outcome_now(entry: Entry) -> str:
    assert entry.ticket is not None
    return dict(entry.ticket.wait(0))["lane0"]


def test_what_was_refused_is_a_dead_letter_with_the_reason(bench: Bench, ledger: Ledger) -> None:
    lane = bench.lane(Scripted(Rejected("too long"), durable=True), outbox=ledger)

    refused, taken = bench.put(lane, "a", "b", stored=True)

    assert (outcome(refused), outcome(taken)) == ("rejected: too long", DELIVERED)
    assert ledger.lines == ["dead lane0 a: too long", "delivered lane0 b"]


def test_what_is_in_memory_only_is_nothing_to_the_disk(bench: Bench, ledger: Ledger) -> None:
    lane = bench.lane(Scripted(Rejected("too long"), durable=True), outbox=ledger)

    all_settled(bench.put(lane, "a", "b"))

    assert ledger.lines == []


def test_a_lane_without_an_outbox_drops_what_there_was_no_room_for(bench: Bench) -> None:
    lane = bench.lane(MemoryBackend())

    all_settled(bench.put(lane, "a"))
    (refused,) = [bench.entry("b")]
    lane.refuse(refused, "intake full")

    assert not lane.durable
    assert outcome(refused) == "dropped: intake full"
    assert (lane.stats()["accepted"], lane.stats()["dropped"]) == (2, {"intake full": 1})


def test_a_full_queue_leaves_on_disk_what_is_there_and_only_then_drops_the_rest(bench: Bench, ledger: Ledger) -> None:
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=ledger, capacity=3)
    bench.put(lane, "in flight", stored=True)
    gate.called.acquire()
    (lost,) = bench.put(lane, "in memory")
    (stored,) = bench.put(lane, "stored", stored=True)

    bench.put(lane, "a")
    assert lane.stats()["dropped"] == {}
    bench.put(lane, "b")

    assert (outcome_now(stored), outcome(lost)) == (PENDING, "dropped: queue full")
    assert ledger.lines == ["park lane0 stored"]
    assert lane.stats()["dropped"] == {"queue full": 1}
    gate.let.release(9)


def test_an_event_heavier_than_a_whole_lane_is_dropped_and_a_dead_letter(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LaneQueue.__init__.__kwdefaults__, "max_bytes", 1000)
    backend = Scripted(durable=True)
    lane = bench.lane(backend, outbox=ledger)

    entries = bench.put(lane, "a", "b" * 2000, "c", stored=True)
    entries += bench.put(lane, "d" * 2000)  # in memory only
    outcomes = [outcome(entry) for entry in entries]

    assert outcomes == [DELIVERED, "dropped: too large", DELIVERED, "dropped: too large"]
    assert [line for line in ledger.lines if "dead" in line] == [f"dead lane0 {'b' * 2000}: too large"]
    assert "park" not in str(ledger.lines)  # it would come back for ever
    assert lane.stats()["dropped"] == {"too large": 2}
    assert_sums(lane)


def assert_sums(lane: Lane) -> None:
    stats = lane.stats()
    dropped: dict[str, int] = stats["dropped"]  # type: ignore[assignment]  # it is one
    assert stats["accepted"] == stats["delivered"] + sum(dropped.values()) + stats["pending"]  # type: ignore[operator]


def parked_lane(bench: Bench, ledger: Ledger) -> tuple[Gate, Lane, list[Entry]]:
    """Return a lane with two events in memory, and one on disk only, which is the second of three."""
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=ledger, capacity=2)
    entries = bench.put(lane, "in flight", stored=True)
    gate.called.acquire()
    entries += bench.put(lane, "parked", "waiting", stored=True)
    return gate, lane, entries


def test_what_was_parked_is_counted_once_and_keeps_its_ticket_when_it_comes_back(bench: Bench, ledger: Ledger) -> None:
    gate, lane, entries = parked_lane(bench, ledger)
    assert (lane.parked(), lane.pending(), lane.stats()["pending"]) == ({"parked"}, 2, 3)
    assert_sums(lane)
    gate.let.release(9)
    all_settled([entries[0], entries[2]])

    lane.put([Entry.of(entries[1].event, None, stored=True)])  # as housekeeping adopts it

    assert all_settled(entries) == {DELIVERED}
    assert (lane.stats()["accepted"], lane.parked()) == (3, set())
    assert_sums(lane)


def test_what_was_parked_and_given_up_is_settled_and_counted(bench: Bench, ledger: Ledger) -> None:
    gate, lane, entries = parked_lane(bench, ledger)

    lane.discard(["parked"], "too old")
    gate.let.release(9)

    assert outcome(entries[1]) == "dropped: too old"
    assert_sums(lane)


def test_what_another_process_has_taken_over_is_not_counted_any_more(bench: Bench, ledger: Ledger) -> None:
    gate, lane, _ = parked_lane(bench, ledger)

    lane.forget_parked([*lane.parked(), "of another lane"])
    gate.let.release(9)

    assert (lane.parked(), lane.stats()["accepted"]) == (set(), 2)
    assert_sums(lane)


def test_after_the_end_nothing_is_parked_again_but_it_counts_as_pending(bench: Bench, ledger: Ledger) -> None:
    lane = bench.lane(Scripted(durable=True), outbox=ledger, capacity=1)
    lane.stop()
    lane.join(5)

    entries = bench.put(lane, "a", "b", "c", stored=True)

    assert {outcome_now(entry) for entry in entries} == {PENDING}
    assert (lane.stats()["pending"], ledger.lines) == (3, [])


def test_the_reason_of_a_dead_letter_is_redacted_as_the_rest(
    bench: Bench, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = bench.lane(
        Scripted(Rejected("no c4nary"), durable=True),
        outbox=ledger,
        redact=lambda text: text.replace("c4nary", "***"),
    )

    (refused,) = bench.put(lane, "a", stored=True)

    assert outcome(refused) == "rejected: no ***"
    assert ledger.lines == ["dead lane0 a: no ***"]
    assert lane.stats()["last_error"] == "no ***"
    assert "c4nary" not in capsys.readouterr().err


def test_at_the_end_what_is_on_disk_stays_pending_and_is_not_counted_as_dropped(
    bench: Bench, clock: FakeClock, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = bench.lane(Scripted(RetryLater(after=60), durable=True), outbox=ledger)
    stored = bench.put(lane, "a", "b", stored=True)
    (lost,) = bench.put(lane, "c")
    clock.next_wait()

    lane.stop()
    lane.join(5)
    (late,) = bench.put(lane, "d", stored=True)

    assert {outcome_now(entry) for entry in [*stored, late]} == {PENDING}
    assert outcome(lost) == "dropped: closed"
    assert lane.stats()["dropped"] == {"closed": 1}
    assert ledger.lines == []  # it is for the next process, as it is
    assert "lane0: dropped 1 of its events: closed before they could be sent" in capsys.readouterr().err


def test_what_arrives_after_the_end_leaves_the_disk_all_the_same(bench: Bench, ledger: Ledger) -> None:
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=ledger)
    bench.put(lane, "stuck", stored=True)
    gate.called.acquire()
    lane.stop()
    lane.join(0.01)

    gate.let.release()
    lane.join(5)

    assert ledger.lines == ["delivered lane0 stuck"]


def test_what_the_outbox_has_given_up_is_settled_and_counted(bench: Bench, ledger: Ledger) -> None:
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=ledger)
    bench.put(lane, "in flight", stored=True)
    gate.called.acquire()
    given_up, kept = bench.put(lane, "a", "b", stored=True)

    assert lane.discard(["in flight", "a", "not of this process"], "too old") == {"in flight", "a"}
    gate.let.release(9)

    assert (outcome(given_up), outcome(kept)) == ("dropped: too old", DELIVERED)
    assert lane.stats()["dropped"] == {"too old": 1}
    assert lane.dropped() == Counter({"too old": 1})
    assert gate.batches == [["in flight"], ["b"]]


def test_what_the_outbox_has_given_up_while_it_is_in_flight_is_lost_only_if_memory_loses_it(
    bench: Bench, ledger: Ledger
) -> None:
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=ledger)
    (stuck,) = bench.put(lane, "stuck", stored=True)
    gate.called.acquire()

    lane.discard(["stuck"], "outbox full")
    lane.stop()
    held = lane.join(0.01)

    assert (held, outcome_now(stuck)) == ([], PENDING)  # and no row of it to be kept for this lane
    gate.let.release()
    assert outcome(stuck) == DELIVERED
    assert lane.stats()["dropped"] == {}


def test_a_lane_says_that_there_is_room_for_what_was_parked_when_half_of_it_is_free(
    bench: Bench, ledger: Ledger
) -> None:
    said = threading.Semaphore(0)
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=ledger, capacity=4, on_room=said.release)
    bench.put(lane, "a", "b", "c", "d", "e", stored=True)  # one is parked

    for _ in range(2):
        gate.called.acquire()
        gate.let.release()
    gate.called.acquire()  # the third, and the fourth waits

    assert said.acquire(blocking=False)
    assert not said.acquire(blocking=False)  # once
    gate.let.release(9)


def test_a_lane_that_has_room_says_so_of_what_the_intake_had_none_for(bench: Bench, ledger: Ledger) -> None:
    said: list[str] = []
    lane = bench.lane(Scripted(durable=True), outbox=ledger, on_room=lambda: said.append("room"))

    lane.park(bench.entry("a", stored=True))

    assert (said, ledger.lines) == (["room"], ["park lane0 a"])


def test_who_is_behind_with_the_disk_says_when_there_is_room(bench: Bench, ledger: Ledger) -> None:
    said = threading.Semaphore(0)
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=ledger, capacity=2, on_room=said.release)
    bench.put(lane, "a", "b", stored=True)

    assert not lane.fall_behind(behind=True)
    assert lane.is_behind()
    gate.let.release(9)

    assert said.acquire(timeout=LONG)
    assert lane.fall_behind(behind=True)  # and nobody need be told
    assert not lane.fall_behind(behind=False)
    assert not lane.is_behind()


def test_a_lane_is_roomy_while_half_of_it_is_free(bench: Bench) -> None:
    gate = Gate()
    lane = bench.lane(gate, capacity=4)

    bench.put(lane, "a", "b")
    assert lane.roomy()
    bench.put(lane, "c")
    assert not lane.roomy()
    gate.let.release(9)


# ---- a thread that dies


def test_a_lane_whose_thread_died_is_started_again_with_the_next_event_and_counted(
    bench: Bench, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = Scripted(RetryLater(after=60))
    lane = bench.lane(backend)
    entries = bench.put(lane, "a")
    clock.next_wait()
    assert "restarted" not in lane.stats()

    die("lane-lane0", waiting_in="wait", wake=lambda: clock.advance(60))
    assert "the thread lane-lane0 died: SystemError" in capsys.readouterr().err
    entries += bench.put(lane, "b")

    assert all_settled(entries) == {DELIVERED}
    assert backend.batches == ["a", "a", "b"]
    assert lane.stats()["restarted"] == 1
    assert len(ours("lane-lane0")) == 1


def test_a_lane_whose_thread_died_is_started_again_on_demand(bench: Bench, clock: FakeClock) -> None:
    lane = bench.lane(Scripted(RetryLater(after=60)))
    entries = bench.put(lane, "a")
    clock.next_wait()
    die("lane-lane0", waiting_in="wait", wake=lambda: clock.advance(60))

    lane.revive()

    assert all_settled(entries) == {DELIVERED}


def test_what_a_thread_that_died_had_taken_waits_its_turn_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    class Failing(Ledger):
        def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
            super().delivered(destination, event_ids)
            if len(self.lines) == 1:
                raise MemoryError  # the outbox itself never raises; it stands for any bad moment

    backend = Scripted(durable=True, max_batch=2)
    lane = bench.lane(backend, outbox=Failing())
    entries = bench.put(lane, "a", "b", stored=True)
    until(lambda: not ours("lane-lane0"))

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        entries += bench.put(lane, "urgent", level=logging.ERROR, stored=True)
    until(lambda: lane.revive() or ours("lane-lane0"))

    assert all_settled(entries) == {DELIVERED}
    assert backend.batches == ["a b", "urgent a", "b"]
