"""What the outbox makes of others who hold its file or its locks, and of a lack of descriptors."""

import errno
import resource
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from outboxes import ALL, an_event, everything_in, opened, output

from notify.delivery.outbox import Outbox, connection, health
from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.store import Store

TOLD = "The outbox cannot be used: another process holds it. Events wait in memory, and are lost if the process dies."


@contextmanager
def write_lock_of(state: Path) -> Iterator[None]:
    """Hold SQLite's write lock while the context lasts."""
    with closing(sqlite3.connect(state / NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let no file be opened while the context lasts; all that are open stay open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- somebody holds the file


def test_a_file_that_others_hold_for_long_is_told_once_and_taken_into_use_by_itself(state, monkeypatch):
    monkeypatch.setattr(health, "_HELD", 0.0)
    with opened(state) as outbox:
        with write_lock_of(state):
            assert [outbox.accept(an_event(), ["discord"]) for _ in range(5)] == [False] * 5
            assert outbox.broken == "another process holds it"
            assert outbox.maintain().alerts == (TOLD,)
            assert outbox.maintain().alerts == ()

        assert outbox.accept(event := an_event(), ["discord"])

        assert outbox.broken is None
        assert outbox.maintain().alerts == ("The outbox works again: events are kept on disk.",)
    assert everything_in(state) == [event]


@pytest.mark.parametrize("closed", [False, True])
def test_nobody_waits_any_more_when_waiting_was_in_vain(state, closed):
    with opened(state) as outbox, write_lock_of(state):
        if closed:
            outbox.close(timeout=0.1)
        for _ in range(3):
            outbox.accept(an_event(), ["discord"])

        before = time.monotonic()
        for _ in range(100):
            assert not outbox.accept(an_event(), ["discord"])

        assert time.monotonic() - before < 4.0  # a hundred waits would last five seconds, a hundred late ones a hundred


def test_the_end_is_in_time_whoever_holds_the_file(state, monkeypatch):
    with opened(state) as outbox, write_lock_of(state):
        outbox.accept(event := an_event(), ["discord"])
        outbox.delivered("discord", [event.id])
        monkeypatch.setattr("notify.delivery.outbox.front._PATIENCE", 30.0)  # seconds, in place of half of one
        before = time.monotonic()

        outbox.close([("discord", event.id)], timeout=0.2)

        assert time.monotonic() - before < 5.0  # a lane waits half a minute for each statement


def test_the_end_is_in_time_whoever_holds_the_lanes_lock(state):
    with opened(state) as outbox:
        outbox.accept(event := an_event(), ["discord"])
        closing_thread = threading.Thread(target=outbox.close, kwargs={"timeout": 0.05})
        with outbox.locks.lanes:
            closing_thread.start()
            closing_thread.join()  # that it ends at all is the point
        outbox.delivered("discord", ["unheard of"])  # as the lane that had the lock: it closes what it used

        assert everything_in(state) == [event]


CLOSES_IN_ITS_HANDLER = """
from notify.delivery.outbox.store import Store
outbox = Outbox(directory)

def end(number, frame):
    outbox.close(timeout=0.5)
    say("closed")
    os._exit(0)

def lane():
    while True:
        outbox.delivered("discord", ["unheard of"])

insert = Store.insert

def interrupted(self, rows):
    insert(self, rows)
    time.sleep(0.1)  # for the lane to come to wait for this caller, if it does
    signal.raise_signal(signal.SIGTERM)

signal.signal(signal.SIGTERM, end)
threading.Thread(target=lane, daemon=True).start()
Store.insert = interrupted
outbox.accept(event("interrupted"), ["discord"])
"""


@pytest.mark.process
def test_fault_20_a_handler_that_closes_ends_although_it_interrupted_a_caller_and_a_lane_is_busy(state):
    assert output(CLOSES_IN_ITS_HANDLER, state) == [["closed"]]

    assert [event.message for event in everything_in(state)] == ["interrupted"]


def test_the_rest_goes_to_others_when_all_that_was_in_hand_is_settled_although_the_file_was_held_at_the_end(state):
    with opened(state) as other, opened(state) as outbox:
        outbox.accept(in_hand := an_event(), ["discord"])
        outbox.accept(waiting := an_event(), ["discord"])
        with write_lock_of(state):
            outbox.close([("discord", in_hand.id)], timeout=0.1)
        assert other.adopt(ALL) == []

        outbox.delivered("discord", [in_hand.id])

        assert [each.event for each in other.adopt(ALL)] == [waiting]


# ---- no descriptors


def test_fault_24_without_a_descriptor_what_is_critical_is_flushed_and_what_is_delivered_is_removed(state):
    with opened(state) as outbox:
        outbox.accept(event := an_event(), ["discord"])
        with no_descriptors():
            assert outbox.accept(critical := an_event(level=50), ["discord"])
            outbox.adopt(ALL)
            outbox.maintain()
            outbox.delivered("discord", [event.id])

            assert outbox.broken is None
    assert everything_in(state) == [critical]


def test_fault_24_a_connection_that_cannot_be_opened_for_want_of_a_descriptor_is_opened_later(state):
    with opened(state) as outbox:
        outbox.let_go()
        with no_descriptors():
            assert not outbox.accept(an_event(), ["discord"])
            assert outbox.broken is None

        assert outbox.accept(an_event(), ["discord"])


def test_what_was_delivered_while_the_outbox_was_broken_is_written_down_at_the_end(state, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(state) as outbox:
        with monkeypatch.context() as patched:
            patched.setattr(connection.os, "fdatasync", fail)
            outbox.accept(event := an_event(level=50), ["discord"])
        outbox.delivered("discord", [event.id])
        assert outbox.broken

    assert everything_in(state) == []


# ---- the file is gone


def test_a_file_that_was_removed_is_told_at_the_end(state, capsys):
    with opened(state) as outbox:
        outbox.accept(an_event(), ["discord"])
        shutil.rmtree(state)

    assert "its file was moved or removed" in capsys.readouterr().err


def test_what_is_stored_again_is_in_the_new_file(state):
    with opened(state) as outbox:
        outbox.accept(event := an_event(), ["discord"])
        shutil.rmtree(state)
        assert outbox.maintain().renewed

        assert outbox.store_again("discord", [event]) == {event.id}

    assert everything_in(state) == [event]


def test_what_cannot_be_stored_again_is_not_among_the_answers(state):
    with opened(state) as outbox, write_lock_of(state):
        assert outbox.store_again("discord", [an_event()]) == set()


def test_what_still_waits_is_ones_own_or_nobodys_and_everything_when_nobody_can_tell(state):
    with opened(state) as outbox, opened(state) as other:
        own, parked, delivered, others = [an_event() for _ in range(4)]
        for event in (own, parked, delivered):
            outbox.accept(event, ["discord"])
        other.accept(others, ["discord"])
        outbox.park("discord", [parked.id])
        outbox.delivered("discord", [delivered.id])
        ids = [event.id for event in (own, parked, delivered, others)]

        assert outbox.still_waiting("discord", ids) == {own.id, parked.id}
        assert outbox.still_waiting("telegram", ids) == set()
        outbox.close()
        assert outbox.still_waiting("discord", ids) == set(ids)


# ---- large rows


def test_large_rows_are_adopted_and_parked_a_few_at_a_time(state, monkeypatch):
    given: list[int] = []
    give = Store.give

    def note(self, names, **marks):
        given.append(len(names))
        give(self, names, **marks)

    monkeypatch.setattr(Store, "give", note)
    monkeypatch.setattr("notify.delivery.outbox.adoption._MOST", 1_500_000)  # bytes
    events = [an_event("x" * 600_000) for _ in range(5)]
    with opened(state) as outbox:
        for event in events:
            outbox.accept(event, ["discord"])

        outbox.park("discord", [event.id for event in events])
        found = [[each.event for each in outbox.adopt(ALL)] for _ in range(4)]

    assert given == [1] * 5  # two are more than a mebibyte
    assert found == [events[:2], events[2:4], events[4:], []]


def test_one_answer_has_16_mebibytes_at_most_or_one_event(state):
    whole, half = 2**24, 2**23  # bytes; with its other parts an event has a few hundred more
    events = [an_event("x" * size) for size in (half, half, half // 2, half // 2, whole)]
    with opened(state) as dead:
        for event in events:
            assert dead.accept(event, ["discord"])

    with opened(state) as living:
        found = [[each.event for each in living.adopt(ALL)] for _ in range(4)]

    assert found == [events[:1], events[1:3], events[3:4], events[4:]]


# ---- time limits


@pytest.fixture
def limit() -> Iterator[None]:
    """Have SIGUSR1 end what it interrupts, as a time limit does."""

    def handle(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGUSR1, handle)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("step", ["insert", "log_in_place", "flush"])
@pytest.mark.usefixtures("limit")
def test_a_time_limit_that_ends_a_call_is_no_trouble_with_the_disk(state, monkeypatch, step):
    original = getattr(Store, step)

    def interrupted(store: Store, *given: object) -> object:
        signal.raise_signal(signal.SIGUSR1)
        return original(store, *given)

    with opened(state) as outbox:
        with monkeypatch.context() as patch:
            patch.setattr(Store, step, interrupted)
            with pytest.raises(TimeoutError):
                outbox.accept(an_event(level=50), ALL)
        assert outbox.broken is None
        assert outbox.accept(an_event(level=50), ALL)


@pytest.mark.usefixtures("limit")
def test_a_time_limit_ends_the_opening_of_an_outbox(state, monkeypatch):
    monkeypatch.setattr(Store, "touch", lambda store: signal.raise_signal(signal.SIGUSR1))
    with pytest.raises(TimeoutError):
        Outbox(state)


@pytest.mark.usefixtures("limit")
def test_a_time_limit_ends_a_flush_of_the_disk(state, monkeypatch):
    monkeypatch.setattr(connection.os, "fdatasync", lambda descriptor: signal.raise_signal(signal.SIGUSR1))
    with opened(state) as outbox:
        with pytest.raises(TimeoutError):
            outbox.accept(an_event(level=50), ALL)
        assert outbox.broken is None


# ---- quotas


def test_a_disk_that_fails_again_and_again_is_told_once_a_minute_and_the_last_word_is_what_is_so(monkeypatch):
    full = "The outbox cannot be used: the disk is full. Events wait in memory, and are lost if the process dies."
    works = "The outbox works again: events are kept on disk."
    now = 1000.0
    monkeypatch.setattr(health.time, "monotonic", lambda: now)
    one = health.Health()

    for _ in range(100):
        one.failed(StoreError("the disk is full"))
        one.repaired()
    assert one.alerts() == (full, works)

    one.failed(StoreError("the disk is full"))
    assert one.alerts() == ()
    assert one.trouble == "the disk is full"  # and this is not hidden
    now += 60
    assert one.alerts() == (full,)
    one.repaired()
    assert one.alerts() == (works,)
