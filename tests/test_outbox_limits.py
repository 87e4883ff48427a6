"""How large the outbox's files become, and whose rows go when they are too large."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from outboxes import ALL, an_event, opened

from notify.delivery.outbox import Limits, Outbox, connection, writer
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.store import Store
from notify.testing import FakeClock

MIB = 2**20


def bytes_on_disk(state: Path) -> int:
    return sum(path.stat().st_size for path in state.glob(NAME + "*") if not path.name.endswith("-shm"))


def test_fault_45_upkeep_is_asked_for_when_a_quarter_of_the_limit_was_written(state):
    asked: list[int] = []
    written = count()
    outbox = Outbox(state, clock=FakeClock(), limits=Limits(max_bytes=400_000))
    outbox.wake = lambda: asked.append(next(written))

    for _ in range(30):  # of 10 kB and some: the tenth has not filled the quarter before it was written
        next(written)
        outbox.accept(an_event("x" * 10_000), ["discord"])
    outbox.maintain()
    outbox.accept(an_event("x" * 110_000), ["discord"])
    outbox.close()

    assert asked == [10, 31]  # once until upkeep, which counts anew


def test_fault_45_a_storm_with_upkeep_when_it_is_asked_for_stays_within_bounds(state):
    limit = 4 * MIB
    outbox = Outbox(state, clock=FakeClock(), limits=Limits(max_bytes=limit))
    outbox.wake = outbox.maintain

    largest = 0
    for _ in range(3000):  # 5 kB each: nearly four times the limit
        assert outbox.accept(an_event("x" * 5000), ["discord"])
        largest = max(largest, bytes_on_disk(state))
    outbox.close()

    # A quarter more, in pages that are half empty at worst, and the log of it, three pages of 4 kB for each 5 kB.
    assert largest < limit + limit // 2 + 3 * limit // 4 + 2 * MIB


def test_fault_45_a_long_log_is_begun_anew_although_somebody_writes_all_the_time(state, monkeypatch):
    monkeypatch.setattr(connection, "LONG_LOG", 2 * MIB)
    with opened(state) as outbox:
        checkpoint = Store._checkpoint

        def beside_a_writer(store: Store, mode: str) -> tuple[int, int, int]:
            answer = checkpoint(store, mode)
            if mode == "PASSIVE":
                assert outbox.accept(an_event(), ["discord"])
            return answer

        monkeypatch.setattr(Store, "_checkpoint", beside_a_writer)
        for _ in range(50):
            outbox.accept(an_event("x" * 50_000), ["discord"])
        assert (state / (NAME + "-wal")).stat().st_size > 2 * MIB

        outbox.maintain()

        assert (state / (NAME + "-wal")).stat().st_size <= MIB  # what the file keeps


def test_fault_45_a_log_that_a_reader_keeps_from_being_emptied_does_not_grow_for_good(state, monkeypatch):
    monkeypatch.setattr(writer, "FULL_LOG", 5 * MIB)  # more than a lane moves on by itself
    with opened(state) as outbox, closing(sqlite3.connect(state / NAME, isolation_level=None)) as reader:
        outbox.accept(an_event(), ["discord"])
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM outbox").fetchall()

        asked: list[bool] = []
        outbox.wake = lambda: asked.append(True)
        answers = [outbox.accept(an_event("x" * 100_000), ["discord"]) for _ in range(100)]
        outbox.maintain()
        assert answers[0]
        assert not answers[-1]
        assert asked
        assert (state / (NAME + "-wal")).stat().st_size < 6 * MIB

        reader.execute("COMMIT")
        outbox.maintain()
        assert outbox.accept(an_event(), ["discord"])


def test_fault_45_room_that_is_not_needed_any_more_goes_back_to_the_disk(state):
    with opened(state) as outbox:
        events = [an_event("x" * 50_000) for _ in range(100)]
        for event in events:
            outbox.accept(event, ["discord"])
        outbox.maintain()
        assert bytes_on_disk(state) > 5_000_000
        outbox.delivered("discord", [event.id for event in events])

        outbox.maintain()

        assert bytes_on_disk(state) < 3 * MIB  # one is kept in the file, and one in the log
        assert outbox.stats()["bytes"] == bytes_on_disk(state)


def _old(outbox: Outbox, clock: FakeClock) -> None:
    clock.advance(4 * 86_400)  # three days are the limit


def _many(outbox: Outbox, clock: FakeClock) -> None:
    outbox.accept(an_event("x" * 2_000_000, level=50), ["discord"])


@pytest.mark.parametrize("too_much", [_old, _many])
def test_limits_leave_alone_what_belongs_to_another_that_lives(state, too_much: Callable[[Outbox, FakeClock], None]):
    clock = FakeClock()
    others, own = an_event(), an_event()
    with opened(state) as other:
        other.accept(others, ["discord"])
        outbox = Outbox(state, clock=clock, limits=Limits(max_bytes=1_000_000))
        outbox.accept(own, ["discord"])
        too_much(outbox, clock)

        dropped = [row.event_id for row in outbox.maintain().dropped]
        outbox.close()

        assert own.id in dropped
        assert others.id not in dropped
        assert other.still_waiting("discord", [others.id]) == {others.id}


def test_what_a_living_process_has_parked_is_not_taken_for_left_behind(state):
    clock = FakeClock()
    parker, other = Outbox(state, clock=clock), Outbox(state, clock=clock)
    parker.accept(event := an_event(), ["discord"])
    parker.accept(queued := an_event(), ["discord"])
    parker.park("discord", [event.id])
    clock.advance(3600)

    with_a_living_owner = other.left_behind(["telegram"])
    parker.delivered("discord", [queued.id])
    without = other.left_behind(["telegram"])
    for outbox in (parker, other):
        outbox.close()

    assert with_a_living_owner == {}
    assert without == {"discord": 1}  # for an hour


def test_what_was_parked_lately_is_not_taken_for_left_behind_and_what_the_dead_left_is(state):
    with opened(state) as dead:
        dead.accept(an_event(), ["logstash"])
    with opened(state) as parker, opened(state) as other:
        parker.accept(event := an_event(), ["discord"])
        parker.park("discord", [event.id])

        assert other.left_behind(ALL[1:]) == {"logstash": 1}


def test_what_was_parked_is_given_ten_minutes_by_the_others(state):
    clock = FakeClock()
    parker, other = Outbox(state, clock=clock), Outbox(state, clock=clock)
    parker.accept(event := an_event(), ["discord"])
    parker.park("discord", [event.id])

    clock.advance(600)
    in_time = other.left_behind(["telegram"])
    clock.advance(1)
    late = other.left_behind(["telegram"])
    for outbox in (parker, other):
        outbox.close()

    assert (in_time, late) == ({}, {"discord": 1})


def test_an_outbox_that_is_too_large_is_emptied_until_a_tenth_is_free(state):
    limit = 4 * MIB
    outbox = Outbox(state, clock=FakeClock(), limits=Limits(max_bytes=limit))
    for _ in range(900):  # of 5 kB and some, which is more
        outbox.accept(an_event("x" * 5000), ["discord"])

    dropped = outbox.maintain().dropped
    with closing(Store(state / NAME)) as store:
        used = store.bytes_used()
    outbox.close()

    assert dropped != ()
    assert 0.8 * limit < used <= 0.9 * limit  # no more than is needed: a tenth more has room for eighty rows
