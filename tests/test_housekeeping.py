"""What is looked after once a minute: what others left behind, what has died, and what was dropped."""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from queue import Empty
from types import SimpleNamespace
from typing import NoReturn

import pytest
from intakes import an_intake
from lanes import LONG, Bench, Gate, Ledger, Scripted, all_settled, die, ours, outcome, until

from notify.backends.memory import MemoryBackend
from notify.delivery import housekeeping as housekeeping_module
from notify.delivery.announcer import Announcer
from notify.delivery.housekeeping import Housekeeping
from notify.delivery.intake import Intake
from notify.delivery.lane import Lane
from notify.delivery.outbox import Adopted, Dropped, Upkeep
from notify.delivery.queue import Entry
from notify.delivery.ticket import DELIVERED
from notify.errors import RetryLater
from notify.event import Event
from notify.levels import TRADE
from notify.rules.routing import Route, parse_topics

QUIET = Route(topics=parse_topics("!alert"))
NOTHING = Upkeep((), ())
MOST = 1000  # rows that are adopted in one go


class Shelf:
    """An outbox that gives away what is on it, and says what a list says."""

    def __init__(self, *left: Adopted) -> None:
        self.left = list(left)
        self.asked: list[tuple[list[str], int]] = []
        self.upkeep: list[Upkeep] = []
        self.broken: str | None = None
        self.gone: set[str] = set()
        self.writable = True
        self.fit = True
        self.again: list[str] = []
        self.looks = threading.Semaphore(0)
        self.within: Callable[[], object] = lambda: None
        self.in_upkeep: Callable[[], object] = lambda: None

    def adopt(self, destinations: Collection[str], limit: int) -> list[Adopted]:
        self.asked.append((list(destinations), limit))
        self.within()
        given, self.left = self.left[:limit], self.left[limit:]
        return given

    def left_behind(self, destinations: Collection[str]) -> dict[str, int]:
        return {}

    def still_waiting(self, destination: str, ids: Collection[str]) -> set[str]:
        return set(ids) - self.gone

    def store_again(self, destination: str, events: Sequence[Event]) -> set[str]:
        self.again += [event.id for event in events] if self.writable else []
        return {event.id for event in events} if self.writable else set()

    def is_fit(self) -> bool:
        return self.fit

    def maintain(self) -> Upkeep:
        self.in_upkeep()
        found = self.upkeep.pop(0) if self.upkeep else NOTHING
        self.looks.release()
        return found


def housekeeping_of(
    intake: Intake, lanes: list[Lane], outbox: Shelf | None, announcer: Announcer, revive: Callable[[], None]
) -> Housekeeping:
    return Housekeeping(
        intake,
        lanes,
        outbox,  # type: ignore[arg-type]  # as much of one as is used
        announcer=announcer,
        revive=revive,
        learn=lambda event, backend: None,
        unheard=lambda: None,
    )


@pytest.fixture
def intake() -> Intake:
    return an_intake()


@pytest.fixture
def kept(bench: Bench, intake: Intake) -> Iterator[Callable[..., Housekeeping]]:
    """Makes housekeeping for the lanes of the bench, and ends it."""
    made: list[Housekeeping] = []

    def make(outbox: Shelf | None, revive: Callable[[], None] = lambda: None) -> Housekeeping:
        announcer = Announcer(bench.clock)
        announcer.lanes = bench.lanes
        made.append(housekeeping_of(intake, bench.lanes, outbox, announcer, revive))
        return made[-1]

    yield make
    for each in made:
        each.stop()
        each.join(LONG)


class Lost:
    """A draft that is refused, of which no event is made."""

    level = logging.INFO
    ticket = None
    weight = 0

    def event(self) -> NoReturn:
        raise AssertionError("no event is needed to count it")


def left(destination: str, *messages: str) -> list[Adopted]:
    return [Adopted(destination, Event(id=message, time=0.0, message=message, level=20)) for message in messages]


def durable_lane(bench: Bench, ledger: Ledger | None = None, **more: object) -> tuple[MemoryBackend, Lane]:
    backend = MemoryBackend(durable=True, max_batch=MOST)
    return backend, bench.lane(backend, outbox=ledger or Ledger(), **more)


# ---- what others left


def test_what_was_left_goes_to_its_lane_in_order_and_leaves_the_disk_when_it_has_arrived(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    ledger = Ledger()
    (first, _), (second, _) = durable_lane(bench, ledger), durable_lane(bench, ledger)

    kept(Shelf(*left("lane0", "a", "b"), *left("lane1", "c"), *left("lane0", "d"))).adopt()

    assert [event.message for event in first.wait_for(3)] == ["a", "b", "d"]
    assert [event.message for event in second.wait_for(1)] == ["c"]
    until(lambda: not any(lane.pending() for lane in bench.lanes))
    assert sorted(ledger.lines) == ["delivered lane0 a b d", "delivered lane1 c"]


def test_who_got_some_asks_again_until_there_is_nothing(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    backend, _ = durable_lane(bench)
    shelf = Shelf(*left("lane0", *map(str, range(2 * MOST + 1))))

    kept(shelf).adopt()

    assert len(backend.wait_for(2 * MOST + 1)) == 2 * MOST + 1
    assert [limit for _, limit in shelf.asked] == [MOST] * 4  # the last answer is empty


def test_only_durable_lanes_with_room_are_asked_for(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    gate = Gate(durable=True)
    full = bench.lane(gate, outbox=Ledger(), capacity=2)
    bench.put(full, "a", "b")  # more than half of two
    bench.lane(MemoryBackend())
    durable_lane(bench)
    shelf = Shelf()

    kept(shelf).adopt()

    assert shelf.asked == [(["lane2"], MOST)]
    gate.let.release(2)


def test_without_a_lane_that_has_room_nobody_is_asked(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    bench.lane(MemoryBackend())
    shelf = Shelf()

    kept(shelf).adopt()

    assert shelf.asked == []


def test_without_an_outbox_there_is_nothing_to_adopt(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    bench.lane(MemoryBackend())

    kept(None).adopt()

    assert bench.lanes[0].stats()["accepted"] == 0


def test_what_two_threads_adopt_does_not_mix(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    durable_lane(bench)
    shelf = Shelf()
    inside, let = threading.Semaphore(0), threading.Event()

    def within() -> None:
        inside.release()
        let.wait(LONG)

    shelf.within = within
    housekeeping = kept(shelf)
    adopting = [threading.Thread(target=housekeeping.adopt) for _ in range(2)]
    for thread in adopting:
        thread.start()
    inside.acquire()

    assert not inside.acquire(timeout=0.05)  # the second thread waits outside, however long
    let.set()
    for thread in adopting:
        thread.join()
    assert len(shelf.asked) == 2


# ---- rounds


def test_it_looks_at_once_again_when_it_is_woken_and_no_more_after_the_end(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    shelf = Shelf()
    housekeeping = kept(shelf)

    housekeeping.begin()
    assert shelf.looks.acquire(timeout=LONG)
    housekeeping.wake()
    assert shelf.looks.acquire(timeout=LONG)
    housekeeping.stop()
    housekeeping.join(LONG)

    assert ours("housekeeping") == []


def test_every_round_adopts_and_revives(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    revived = threading.Semaphore(0)
    backend, _ = durable_lane(bench)
    shelf = Shelf()
    housekeeping = kept(shelf, revived.release)
    housekeeping.begin()
    assert revived.acquire(timeout=LONG)
    assert shelf.looks.acquire(timeout=LONG)
    until(lambda: shelf.asked)

    shelf.left = left("lane0", "a")
    housekeeping.wake()

    assert revived.acquire(timeout=LONG)
    assert [event.message for event in backend.wait_for(1)] == ["a"]


def test_every_round_starts_lanes_again_whose_thread_has_died(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    lane = bench.lane(Scripted(RetryLater(after=LONG)))
    entries = bench.put(lane, "a")
    bench.clock.next_wait()
    die("lane-lane0", waiting_in="wait", wake=lambda: bench.clock.advance(LONG))

    kept(None).begin()

    assert all_settled(entries) == {DELIVERED}


def test_a_round_that_raises_what_ends_threads_is_begun_again(
    bench: Bench, kept: Callable[..., Housekeeping], capsys: pytest.CaptureFixture[str]
) -> None:
    def raise_once() -> NoReturn:
        shelf.within = lambda: None
        raise MemoryError

    durable_lane(bench)
    shelf = Shelf()
    shelf.within = raise_once
    housekeeping = kept(shelf)
    housekeeping.begin()
    until(lambda: not ours("housekeeping"))
    assert "the thread housekeeping died: MemoryError" in capsys.readouterr().err
    assert shelf.looks.acquire(timeout=LONG)

    # Python 3.13 lists a thread no more a moment before it counts as dead.
    until(lambda: housekeeping.revive() or shelf.looks.acquire(blocking=False))

    assert ours("housekeeping")


# ---- what is told


def test_what_the_outbox_has_to_tell_is_told(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    people = MemoryBackend()
    bench.lane(people)
    shelf = Shelf()
    shelf.upkeep = [Upkeep(("The disk is full.", "Something else."), ())]

    kept(shelf).begin()

    assert [event.message for event in people.wait_for(2)] == ["The disk is full.", "Something else."]
    assert {event.topic for event in people.events} == {"alert"}


def test_what_the_outbox_gave_up_is_counted_at_its_lane_and_told_once(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    people, gate = MemoryBackend(), Gate(durable=True)
    lane = bench.lane(gate, route=QUIET, outbox=Ledger())
    bench.lane(people)
    first, *rest = bench.put(lane, "in flight", "a", "b", stored=True)
    gate.called.acquire()
    shelf = Shelf()
    shelf.upkeep = [Upkeep((), tuple(Dropped("lane0", each, "too old") for each in "ab"))]
    housekeeping = kept(shelf)

    housekeeping.begin()
    assert [event.message for event in people.wait_for(1)] == ["Not delivered to lane0: 2 events (too old)."]
    assert shelf.looks.acquire(timeout=LONG)
    housekeeping.wake()
    assert shelf.looks.acquire(timeout=LONG)
    housekeeping.stop()
    housekeeping.join(LONG)

    assert all_settled(rest) == {"dropped: too old"}
    assert lane.stats()["dropped"] == {"too old": 2}
    assert len(people.events) == 1  # the second round had nothing new to tell
    gate.let.release(2)
    assert all_settled([first]) == {"delivered"}
    assert gate.batches == [["in flight"]]


def test_what_was_given_up_for_a_backend_that_is_not_here_is_told_too(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    people = MemoryBackend()
    bench.lane(people)
    shelf = Shelf()
    shelf.upkeep = [Upkeep((), (Dropped("elsewhere", "a", "too old"),))]

    kept(shelf).begin()

    assert [event.message for event in people.wait_for(1)] == ["Not delivered to elsewhere: 1 event (too old)."]


def test_drops_are_told_once_a_round_with_their_number_and_only_the_new_ones(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    people, gate = MemoryBackend(), Gate()
    lane = bench.lane(gate, route=QUIET, capacity=2)
    bench.lane(people)
    bench.put(lane, "in flight")
    gate.called.acquire()
    shelf = Shelf()
    housekeeping = kept(shelf)

    bench.put(lane, "a", "b", "c", "d")  # one of them has room
    housekeeping.begin()
    people.wait_for(1)
    bench.put(lane, "e")
    housekeeping.wake()
    people.wait_for(2)

    assert people.messages == [
        "Not delivered to lane0: 3 events (queue full).",
        "Not delivered to lane0: 1 event (queue full).",
    ]
    assert {event.level for event in people.events} == {logging.WARNING}
    gate.let.release(9)


@pytest.mark.parametrize(("reason", "told"), [("rejected", False), ("too old", True)])
def test_a_refusal_is_not_told_to_who_refuses(
    bench: Bench, kept: Callable[..., Housekeeping], reason: str, told: bool
) -> None:
    gate, other = Gate(), MemoryBackend()
    lane = bench.lane(gate)
    bench.put(lane, "in flight", "a")
    gate.called.acquire()
    lane.discard(["a"], reason)
    bench.lane(other)

    kept(Shelf()).begin()

    assert len(other.wait_for(1)) == 1
    assert (lane.stats()["accepted"] == 3) is told  # with the two above
    gate.let.release(9)


def test_what_the_intake_has_refused_is_told_once_as_lost_for_all(
    bench: Bench, kept: Callable[..., Housekeeping], intake: Intake
) -> None:
    people = MemoryBackend()
    bench.lane(people)
    intake.capacity = 0
    shelf = Shelf()
    housekeeping = kept(shelf)
    for _ in range(2):
        intake.accept(Lost())

    housekeeping.begin()
    people.wait_for(1)
    intake.accept(Lost())
    housekeeping.wake()
    people.wait_for(2)

    assert people.messages == [
        "Not delivered to anybody: 2 events (intake full).",
        "Not delivered to anybody: 1 event (intake full).",
    ]


# ---- what is on disk, and what is not


def test_what_was_parked_and_waits_on_disk_no_more_is_another_processes_and_the_rest_is_not(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    _, lane = durable_lane(bench)
    for name in ("a", "b"):
        lane.park(stored_entry(name))
    shelf = Shelf()
    shelf.gone = {"a"}

    kept(shelf).begin()

    until(lambda: lane.parked() == {"b"})
    assert (lane.stats()["accepted"], lane.stats()["dropped"]) == (1, {})


def stored_entry(name: str) -> Entry:
    return Entry.of(Event(id=name, time=0.0, message="", level=TRADE), None, stored=True)


def waiting_lane(bench: Bench) -> tuple[Gate, Lane, list[Entry]]:
    """Return a lane that has one event in flight, one that waits and one on disk only."""
    gate = Gate(durable=True)
    lane = bench.lane(gate, route=QUIET, outbox=Ledger())
    entries = bench.put(lane, "in flight", "waiting", stored=True)
    gate.called.acquire()
    entries.append(bench.entry("parked", stored=True))
    lane.park(entries[-1])
    return gate, lane, entries


def test_what_was_lost_with_the_file_is_stored_again_and_what_cannot_be_is_dropped_and_told(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    gate, lane, entries = waiting_lane(bench)
    people = MemoryBackend()
    bench.lane(people)
    shelf = Shelf()
    shelf.gone = {"in flight", "waiting", "parked"}
    shelf.upkeep = [Upkeep((), (), renewed=True)]

    kept(shelf).begin()

    assert [event.message for event in people.wait_for(1)] == ["Not delivered to lane0: 1 event (outbox lost)."]
    assert shelf.again == ["in flight", "waiting"]
    assert lane.stored() == {"in flight", "waiting"}
    gate.let.release(9)
    assert [outcome(entry) for entry in entries] == ["delivered", "delivered", "dropped: outbox lost"]


def test_what_could_not_be_stored_again_is_in_memory_only(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    gate, lane, _ = waiting_lane(bench)
    shelf = Shelf()
    shelf.gone, shelf.writable = {"in flight", "waiting"}, False
    shelf.upkeep = [Upkeep((), (), renewed=True)]

    kept(shelf).begin()

    until(lambda: lane.stored() == {"parked"})
    gate.let.release(9)


def test_what_waits_in_a_lane_is_compared_with_the_disk_once_more_at_the_end(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    gate, _, _ = waiting_lane(bench)
    shelf = Shelf()
    housekeeping = kept(shelf)
    housekeeping.begin()
    assert shelf.looks.acquire(timeout=LONG)
    shelf.gone = {"waiting"}
    shelf.upkeep = [Upkeep((), (), renewed=True)]

    housekeeping.stop()
    housekeeping.join(LONG)

    assert shelf.again == ["waiting"]
    gate.let.release(9)


def test_what_is_wrong_with_the_disk_is_mended_when_somebody_asks_for_that(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    gate, _, _ = waiting_lane(bench)
    shelf = Shelf()
    housekeeping = kept(shelf)
    housekeeping.begin()
    assert shelf.looks.acquire(timeout=LONG)
    shelf.gone = {"waiting"}
    shelf.upkeep = [Upkeep((), (), renewed=True)]
    shelf.fit = False

    housekeeping.check_disk_soon()

    assert shelf.looks.acquire(timeout=LONG)
    until(lambda: shelf.again == ["waiting"])
    gate.let.release(9)


def test_a_disk_that_is_as_it_was_costs_nothing_when_somebody_asks_for_it(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    gate, _, _ = waiting_lane(bench)
    shelf = Shelf()
    housekeeping = kept(shelf)
    housekeeping.begin()
    assert shelf.looks.acquire(timeout=LONG)

    housekeeping.check_disk_soon()
    housekeeping.stop()
    housekeeping.join(LONG)

    assert shelf.looks.acquire(timeout=LONG)  # the last one, at the end
    assert not shelf.looks.acquire(blocking=False)
    gate.let.release(9)


def test_what_is_in_hand_or_was_delivered_meanwhile_is_not_told_as_dropped(
    bench: Bench, kept: Callable[..., Housekeeping]
) -> None:
    people, gate = MemoryBackend(), Gate(durable=True)
    bench.lane(gate, route=QUIET, outbox=Ledger())
    bench.lane(people)
    entries = bench.put(bench.lanes[0], "meanwhile", "in flight", stored=True)
    gate.called.acquire()

    def deliver() -> None:
        gate.let.release()
        gate.called.acquire()

    shelf = Shelf()
    shelf.in_upkeep = deliver
    names = ("meanwhile", "in flight", "of a dead process")
    shelf.upkeep = [Upkeep((), tuple(Dropped("lane0", name, "outbox full") for name in names))]

    housekeeping = kept(shelf)
    housekeeping.begin()

    assert [event.message for event in people.wait_for(1)] == ["Not delivered to lane0: 1 event (outbox full)."]
    shelf.in_upkeep = lambda: None
    gate.let.release(9)
    assert all_settled(entries) == {"delivered"}


def test_a_backlog_is_adopted_as_soon_as_there_is_room_for_it(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    gate = Gate(durable=True)
    lane = bench.lane(gate, outbox=Ledger(), capacity=2, on_room=lambda: housekeeping.adopt_soon())
    bench.put(lane, "a", "b", stored=True)
    shelf = Shelf(*left("lane0", "c"))
    housekeeping = kept(shelf)
    housekeeping.begin()
    assert shelf.looks.acquire(timeout=LONG)
    until(lane.is_behind)

    gate.let.release(9)

    until(lambda: ["c"] in gate.batches and not lane.is_behind())
    assert not shelf.looks.acquire(blocking=False)  # that was no round


def test_while_nothing_can_be_kept_it_looks_more_often(
    bench: Bench, kept: Callable[..., Housekeeping], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping_module, "_WHILE_BROKEN", 0.0)
    durable_lane(bench)
    shelf = Shelf()
    shelf.broken = "the disk is full"

    kept(shelf).begin()

    for _ in range(3):  # and not a minute after each
        assert shelf.looks.acquire(timeout=LONG / 2)
    shelf.broken = None


class Noting:
    """A queue that notes for how long somebody waits for it, and has him stop then."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def get(self, timeout: float) -> object:
        self.waited.append(timeout)
        return housekeeping_module._Wake.STOP

    def get_nowait(self) -> NoReturn:
        raise Empty


@pytest.mark.parametrize(("broken", "seconds"), [(None, 60.0), ("the disk is full", 5.0)])
def test_the_next_look_is_in_a_minute_and_in_five_seconds_while_nothing_can_be_kept(
    bench: Bench, intake: Intake, monkeypatch: pytest.MonkeyPatch, broken: str | None, seconds: float
) -> None:
    shelf, queue = Shelf(), Noting()
    shelf.broken = broken
    housekeeping = housekeeping_of(intake, bench.lanes, shelf, Announcer(bench.clock), lambda: None)
    monkeypatch.setattr(housekeeping, "_wake", queue)
    monkeypatch.setattr(housekeeping_module, "time", SimpleNamespace(monotonic=lambda: 7.0))

    housekeeping._run()

    assert queue.waited == [seconds]


def test_whoever_wakes_it_many_times_has_it_look_once(bench: Bench, kept: Callable[..., Housekeeping]) -> None:
    durable_lane(bench)
    shelf = Shelf()
    inside, let = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        let.wait(LONG)

    shelf.in_upkeep = wait
    housekeeping = kept(shelf)
    housekeeping.begin()
    assert inside.wait(LONG)

    for _ in range(100):
        housekeeping.wake()
    let.set()
    housekeeping.stop()
    housekeeping.join(LONG)

    # The first look. The hundred wakes and the end are seen together.
    assert shelf.looks.acquire(blocking=False)
    assert not shelf.looks.acquire(blocking=False)
