"""What is said after the outbox was closed, and while the interpreter shuts down."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from outboxes import ALL, an_event, everything_in, opened, output, running, works_again

from notify.delivery.outbox import Upkeep, connection, listing
from notify.delivery.outbox.file import NAME

pytestmark = pytest.mark.interpreter


@pytest.mark.parametrize("level", [logging.INFO, logging.CRITICAL])
def test_what_comes_after_the_end_is_on_disk_for_whoever_looks_next(state, level):
    with opened(state) as other, opened(state) as outbox:
        assert other.adopt(ALL) == []
        outbox.close()

        assert outbox.accept(late := an_event(level=level), ["discord"])

        assert [each.event for each in other.adopt(ALL)] == [late]
        assert outbox.broken is None


@pytest.mark.parametrize(("level", "flushes"), [(logging.CRITICAL, 1), (logging.INFO, 0)])
def test_what_is_critical_is_flushed_after_the_end_too(state, monkeypatch, level, flushes):
    flushed: list[int] = []
    with opened(state) as other, opened(state) as outbox:
        assert other.broken is None  # so that closing the late connection has no log to bring into the file
        outbox.close()
        monkeypatch.setattr(connection.os, "fdatasync", flushed.append)

        assert outbox.accept(an_event(level=level), ["discord"])

        assert len(flushed) == flushes


def test_what_comes_late_is_found_by_the_next_process_although_nobody_marks_it(state):
    with opened(state) as outbox:
        outbox.close()
        outbox.accept(late := an_event(), ["discord"])
        (state / "owners" / "nobody.lock").unlink()

    assert everything_in(state) == [late]


def test_a_closed_outbox_holds_no_file_open_also_after_a_late_write(state):
    with opened(state) as outbox:
        outbox.accept(early := an_event(), ["discord"])
        outbox.close()

        outbox.accept(an_event(), ["discord"])
        outbox.delivered("discord", [early.id])

    # Whoever closes a database last removes its log.
    assert {path.name for path in state.iterdir()} == {NAME, "outbox.lock", "owners"}


def test_a_lane_that_comes_back_late_still_settles_its_events(state):
    with opened(state) as outbox:
        delivered, dead, waiting = [an_event() for _ in range(3)]
        for event in (delivered, dead, waiting):
            outbox.accept(event, ["discord"])
        outbox.close()

        outbox.delivered("discord", [delivered.id])
        outbox.dead("discord", dead.id, "no")

    assert [letter.event for letter in listing.dead(state, 10)] == [dead]
    assert everything_in(state) == [waiting]


def test_what_is_in_hand_at_the_end_goes_to_nobody_until_it_was_said_what_became_of_it(state):
    with opened(state) as other, opened(state) as outbox:
        in_hand, given_back, waiting = [an_event() for _ in range(3)]
        for event in (in_hand, given_back, waiting):
            outbox.accept(event, ["discord"])

        outbox.close([("discord", in_hand.id), ("discord", given_back.id)])

        assert [each.event for each in other.adopt(ALL)] == [waiting]
        outbox.delivered("discord", [in_hand.id])
        assert other.adopt(ALL) == []
        outbox.park("discord", [given_back.id])
        assert [each.event for each in other.adopt(ALL)] == [given_back]
        assert other.adopt(ALL) == []  # and tidies up
        assert len(list((state / "owners").glob("[0-9]*.lock"))) == 1  # the other's; nobody holds one for the closed


@pytest.mark.process
def test_what_is_in_hand_when_the_process_ends_is_left_to_the_next(state):
    script = """
made = event("in hand")
outbox = Outbox(directory)
outbox.accept(made, ["discord"])
outbox.close([("discord", made.id)])
say("closed")
"""
    assert output(script, state) == [["closed"]]

    assert [event.message for event in everything_in(state)] == ["in hand"]


def test_a_closed_outbox_adopts_and_maintains_nothing(state):
    with opened(state) as outbox:
        outbox.accept(event := an_event(), ["discord"])
        outbox.close()

        assert outbox.adopt(ALL) == []
        assert outbox.maintain() == Upkeep((), ())
        assert works_again(outbox)

    assert everything_in(state) == [event]


def test_an_outbox_that_was_broken_when_it_was_closed_takes_nothing(state):
    state.write_text("a file")
    with opened(state) as outbox:
        outbox.close()

        assert not outbox.accept(an_event(), ["discord"])
        assert not works_again(outbox)


@pytest.fixture
def patient(monkeypatch):
    """Who is late waits for half a minute, in place of a second, however busy the machine is."""
    monkeypatch.setattr("notify.delivery.outbox.writer._LATE_PATIENCE", 30.0)


def test_a_late_event_waits_for_another_that_writes(state, patient):
    with opened(state) as outbox:
        outbox.close()
        accepted: list[bool] = []
        late = threading.Thread(target=lambda: accepted.append(outbox.accept(an_event(), ["discord"])))
        with closing(sqlite3.connect(state / NAME, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            late.start()
            late.join(0.1)  # twice what a caller waits otherwise
            other.execute("COMMIT")
            late.join()

    assert accepted == [True]


def test_several_threads_that_are_late_all_find_room(state, patient):
    events = [an_event() for _ in range(8)]
    with opened(state) as outbox:
        outbox.close()
        late = [threading.Thread(target=outbox.accept, args=(event, ["discord"])) for event in events]
        for thread in late:
            thread.start()
        for thread in late:
            thread.join()

    assert sorted(event.id for event in everything_in(state)) == [event.id for event in events]


LAST_WORDS = """
import atexit
from notify.delivery.outbox import writer

writer._PATIENCE = 10.0  # seconds, in place of 50 ms: the thread that is busy may be in hand for longer

class Trader:
    def __del__(self):
        say("__del__", sys.is_finalizing(), outbox.accept(event("from __del__"), ["discord"]))
        outbox.delivered("discord", [settled.id])

outbox = Outbox(directory)
settled = event("settled")
outbox.accept(settled, ["discord"])
atexit.register(lambda: say("atexit", outbox.accept(event("from atexit", level=50), ["discord"])))
if sys.argv[3] == "closed":
    atexit.register(outbox.close)  # runs first

if sys.argv[2] == "busy":
    # It is frozen somewhere inside, with or without the lock. Its names are its own: it would keep ours alive.
    names = {"outbox": outbox, "made": event("from a daemon thread")}
    threading.Thread(target=exec, args=("while True: outbox.accept(made, ['telegram'])", names), daemon=True).start()
    while outbox.stats()["waiting"] < 2:
        outbox.maintain()
    del names
trader = Trader()
trader.itself = trader  # so that it is found by the collector only, when the modules are gone
"""


@pytest.mark.process
@pytest.mark.parametrize("others", ["alone", "busy"])
@pytest.mark.parametrize("ending", ["closed", "open"])
def test_fault_21_last_words_of_atexit_and_del_are_on_disk(state, ending, others):
    said = output(LAST_WORDS, state, others, ending)

    assert said == [["atexit", "True"], ["__del__", "True", "True"]]
    found = [event.message for event in everything_in(state) if event.message != "from a daemon thread"]
    assert found == ["from atexit", "from __del__"]


FORKS_WHEN_CLOSED = """
outbox = Outbox(directory)
outbox.close()
child = os.fork()
say(outbox.accept(event("child" if child == 0 else "parent"), ["discord"]))
if child:
    os.waitpid(child, 0)
os._exit(0)
"""


@pytest.mark.process
def test_a_child_of_a_closed_outbox_is_late_too(state):
    with running(FORKS_WHEN_CLOSED, state) as process:
        said = process.communicate()[0].split()

    assert said == ["True", "True"]
    assert {event.message for event in everything_in(state)} == {"child", "parent"}


class Held:
    """A lock that others hold for good, and that notes for how long somebody waits for it."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    @contextmanager
    def within(self, seconds: float) -> Iterator[bool]:
        self.waited.append(seconds)
        yield False
        raise RuntimeError  # as `locks.Turn` does: there is nothing to let go of


def test_who_comes_after_the_end_waits_a_second_for_others(state, monkeypatch):
    with opened(state) as outbox:
        outbox.close()
        held = Held()
        with monkeypatch.context() as patched:
            patched.setattr(outbox.locks, "callers", held)

            assert not outbox.accept(an_event(), ["discord"])

        assert held.waited == [1.0]  # twenty times as long as before: there is no memory to go to
