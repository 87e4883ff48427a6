"""What is durable, seen from outside: on disk before the call returns, and delivered whatever comes."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from lanes import LONG, Hanging, Scripted, die, ours, until

from notify.backend import Backend
from notify.backends.memory import MemoryBackend
from notify.delivery import housekeeping, intake
from notify.delivery.lane import Lane
from notify.delivery.outbox import Outbox, listing
from notify.delivery.ticket import DELIVERED, PENDING
from notify.errors import Rejected, RetryLater
from notify.event import Event
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.rules.routing import Route, parse_topics

SILENT = Route(topics=parse_topics("!alert"))
GAS = Route(topics=parse_topics("gas"))

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    backend = Hanging(durable=True)
    yield backend
    backend.let.set()  # its thread ends, and the fixture that looks for threads sees it end


@contextmanager
def speaking(
    state: Path,
    *,
    close_in: float = LONG,
    level: int = TRADE,
    routes: Mapping[str, Route] | None = None,
    **backends: Backend,
) -> Iterator[Notifier]:
    """Open a notifier with an outbox, and close it within *close_in* seconds."""
    notifier = Notifier(backends, routes=routes, outbox=Outbox(state), durable_level=level)
    try:
        yield notifier
    finally:
        notifier.close(close_in)


def durable() -> MemoryBackend:
    return MemoryBackend(durable=True)


def postponing() -> MemoryBackend:
    """Return a backend that takes nothing within any test's time."""
    return MemoryBackend([RetryLater(after=3600.0)], durable=True)


def on_disk(state: Path) -> list[tuple[str, str]]:
    """Return destination and message of what waits, oldest first."""
    return [(row.destination, row.event.message) for row in listing.waiting(state, 10_000) if row.event is not None]


def look_after(notifier: Notifier) -> None:
    """Have done now what is done once a minute."""
    notifier._pipeline._housekeeping.wake()


# ---- what is on disk


def test_a_trade_is_on_disk_before_the_call_returns_and_gone_when_it_has_arrived(state: Path, hanging: Hanging) -> None:
    with speaking(state, discord=hanging) as notifier:
        ticket = notifier.trade("Bought")

        assert ticket.durable
        assert on_disk(state) == [("discord", "Bought")]
        hanging.let.set()
        assert ticket.wait(LONG) == {"discord": DELIVERED}
        assert on_disk(state) == []


def test_what_is_logged_is_on_disk_just_as_what_is_said(state: Path, hanging: Hanging) -> None:
    logger = logging.getLogger("strategy")
    with speaking(state, close_in=0, discord=hanging) as notifier:
        notifier.attach(logger)
        logger.error("Down: %s", "node")
        notifier.detach(logger)

        assert on_disk(state) == [("discord", "Down: node")]


@pytest.mark.parametrize(
    ("least", "level", "on"),
    [
        (TRADE, TRADE - 1, False),
        (TRADE, TRADE, True),
        (logging.ERROR, logging.WARNING, False),
        (logging.ERROR, logging.ERROR, True),
        (logging.INFO, logging.INFO, True),
    ],
)
def test_an_event_is_durable_from_the_level_on(state: Path, hanging: Hanging, least: int, level: int, on: bool) -> None:
    with speaking(state, close_in=0, level=least, discord=hanging) as notifier:
        assert notifier.notify("a", level=level).durable is on
        assert len(on_disk(state)) == on


def test_an_event_is_on_disk_for_the_durable_backends_that_want_it(state: Path, hanging: Hanging) -> None:
    routes = {"gas": Route(topics=parse_topics("gas"))}
    with speaking(state, close_in=0, routes=routes, gas=hanging, pager=hanging, stdout=MemoryBackend()) as notifier:
        assert notifier.trade("Bought").durable
        assert notifier.trade("Gas", topic="gas").durable

        assert on_disk(state) == [("pager", "Bought"), ("gas", "Gas"), ("pager", "Gas")]


def test_what_no_durable_backend_wants_is_not_durable(state: Path, hanging: Hanging) -> None:
    with speaking(state, routes={"gas": Route(topics=parse_topics("gas"))}, gas=hanging, all=MemoryBackend()) as said:
        ticket = said.trade("Bought")

        assert not ticket.durable
        assert ticket.wait(LONG) == {"all": DELIVERED}
        assert on_disk(state) == []


def test_what_is_refused_is_a_dead_letter_with_the_reason(state: Path) -> None:
    with speaking(state, discord=Scripted(Rejected("too long"), durable=True)) as notifier:  # type: ignore[arg-type]
        ticket = notifier.trade("Bought")
        assert ticket.wait(LONG) == {"discord": "rejected: too long"}

    (letter,) = listing.dead(state, 10)
    assert (letter.destination, letter.event_id, letter.dead_reason) == ("discord", ticket.id, "too long")
    assert on_disk(state) == []


# ---- the next one delivers what is left


def test_the_next_notifier_delivers_what_a_closed_one_left_in_order_and_before_anything_new(state: Path) -> None:
    with speaking(state, close_in=0, discord=postponing()) as first:
        tickets = [first.trade(str(number)) for number in range(5)]
    assert {ticket.wait(0)["discord"] for ticket in tickets} == {PENDING}
    assert first.stats()["discord"]["dropped"] == {}

    backend = durable()
    with speaking(state, discord=backend) as second:
        second.trade("new")

    assert backend.messages == ["0", "1", "2", "3", "4", "new"]
    assert on_disk(state) == []


@pytest.mark.process
def test_the_next_notifier_delivers_what_a_process_left_that_never_closed(state: Path) -> None:
    script = """if True:
        import os, sys, threading
        from pathlib import Path
        from notify.delivery.outbox import Outbox
        from notify.notifier import Notifier

        class Hanging:
            durable = True
            def send(self, events, /):
                threading.Event().wait()

        notifier = Notifier({"discord": Hanging()}, outbox=Outbox(Path(sys.argv[1])))
        for number in range(5):
            if notifier.trade(str(number)).durable:
                print(number, flush=True)
        os._exit(7)
    """
    run = subprocess.run([sys.executable, "-c", script, str(state)], capture_output=True, text=True, timeout=LONG)
    assert (run.returncode, run.stdout.split()) == (7, ["0", "1", "2", "3", "4"])

    backend = durable()
    with speaking(state, discord=backend) as second:
        second.trade("new")

    assert backend.messages == ["0", "1", "2", "3", "4", "new"]


def test_what_was_left_for_a_backend_that_is_not_here_stays_until_it_is(state: Path) -> None:
    with speaking(state, close_in=0, discord=postponing(), telegram=postponing()) as first:
        first.trade("Bought")

    with speaking(state, discord=durable()):
        pass
    assert on_disk(state) == [("telegram", "Bought")]

    telegram = durable()
    with speaking(state, telegram=telegram):
        assert [event.message for event in telegram.wait_for(1)] == ["Bought"]
    assert on_disk(state) == []


def test_what_a_backend_that_hangs_has_in_hand_is_nobody_elses_while_it_does(state: Path, hanging: Hanging) -> None:
    with speaking(state, close_in=0, discord=hanging) as first:
        for number in range(5):
            first.trade(str(number))
        assert hanging.called.wait(LONG)

    backend = durable()
    with speaking(state, discord=backend):
        backend.wait_for(4)
    assert backend.messages == ["1", "2", "3", "4"]
    assert on_disk(state) == [("discord", "0")]

    hanging.let.set()
    until(lambda: not ours("lane-discord"))
    assert [event.message for event in hanging.events] == ["0"]
    assert on_disk(state) == []


def test_what_a_backend_that_hangs_gives_back_after_the_end_is_delivered_by_the_next(state: Path) -> None:
    gate = threading.Event()
    called = threading.Event()

    def send(events: object) -> NoReturn:
        called.set()
        assert gate.wait(LONG)
        raise RetryLater

    backend = durable()
    backend.send = send  # type: ignore[method-assign]  # that is the point
    with speaking(state, close_in=0, discord=backend) as first:
        first.trade("Bought")
        assert called.wait(LONG)
    gate.set()
    until(lambda: not ours("lane-discord"))

    backend = durable()
    with speaking(state, discord=backend):
        assert [event.message for event in backend.wait_for(1)] == ["Bought"]
    assert on_disk(state) == []


def test_what_is_said_after_the_end_is_on_disk_for_the_next(state: Path) -> None:
    with speaking(state, discord=durable(), stdout=MemoryBackend()) as first:
        pass
    ticket = first.trade("too late")
    assert ticket.durable
    assert ticket.wait(0) == {"discord": PENDING, "stdout": "dropped: closed"}

    backend = durable()
    with speaking(state, discord=backend):
        backend.wait_for(1)

    assert backend.messages == ["too late"]


# ---- more than memory has room for


def test_what_a_lane_has_no_room_for_comes_back_and_none_is_lost(
    state: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Lane.__init__.__kwdefaults__, "capacity", 10)  # events
    said = [str(number) for number in range(200)]
    with speaking(state, discord=hanging, routes={"discord": SILENT}) as notifier:
        tickets = [notifier.trade(message) for message in said]
        assert all(ticket.durable for ticket in tickets)
        until(notifier._pipeline._dispatcher.idle)
        lane = notifier._pipeline.lanes[0]
        assert lane.pending() <= 10
        assert lane.pending() + len(lane.parked()) == notifier.stats()["discord"]["pending"] == len(said)
        assert not notifier.flush(0)
        hanging.let.set()

        def all_arrived() -> bool:
            look_after(notifier)
            return len(hanging.events) >= len(said)

        until(all_arrived)

    assert sorted(event.message for event in hanging.events) == sorted(said)
    assert on_disk(state) == []
    assert [ticket.wait(0) for ticket in tickets] == [{"discord": DELIVERED}] * len(said)
    counts = notifier.stats()["discord"]
    assert (counts["accepted"], counts["delivered"], counts["pending"], counts["dropped"]) == (200, 200, 0, {})


def test_an_intake_that_is_full_loses_nothing_that_is_on_disk(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "CAPACITY", 0)
    monkeypatch.setattr(intake, "RESERVE", 0)
    backend = durable()
    routes = {"discord": SILENT}
    with speaking(state, discord=backend, stdout=MemoryBackend(), routes=routes) as notifier:
        tickets = [notifier.trade(str(number)) for number in range(5)]
        assert {ticket.durable for ticket in tickets} == {True}
        assert tickets[0].wait(0) == {"discord": PENDING, "stdout": "dropped: intake full"}

        def all_arrived() -> bool:
            look_after(notifier)
            return len(backend.events) >= len(tickets)

        until(all_arrived)
        until(lambda: notifier.stats()["stdout"]["dropped"] == {"intake full": 5})
        assert "intake" not in notifier.stats()

    assert backend.messages == ["0", "1", "2", "3", "4"]
    assert on_disk(state) == []


def test_what_another_process_has_taken_over_from_a_full_lane_is_waited_for_no_more(
    state: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Lane.__init__.__kwdefaults__, "capacity", 4)  # events
    other = durable()
    with speaking(state, discord=hanging, pager=postponing(), routes={"discord": SILENT, "pager": GAS}) as first:
        for number in range(8):
            first.trade(str(number))
        first.trade("Gas", topic="gas")  # a row that waits as long as the test does
        lane = first._pipeline.lanes[0]
        until(lambda: first._pipeline._dispatcher.idle() and lane.parked())
        parked = len(lane.parked())
        with speaking(state, discord=other, routes={"discord": SILENT}):
            assert len(other.wait_for(parked)) == parked
        hanging.let.set()

        until(lambda: first.stats()["discord"]["delivered"] == 9 - parked)
        look_after(first)

        until(lambda: first.stats()["discord"]["pending"] == 0)
        assert first.stats()["discord"]["accepted"] == 9 - parked
        first.close(0)


def test_nothing_is_flushed_while_more_waits_on_disk_than_a_lane_has_room_for(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [str(number) for number in range(40)]
    with speaking(state, close_in=0, discord=postponing()) as first:
        for message in said:
            first.trade(message)
    monkeypatch.setitem(Lane.__init__.__kwdefaults__, "capacity", 10)  # events
    monkeypatch.setattr(housekeeping, "_AT_ONCE", 5)

    backend = durable()
    with speaking(state, discord=backend) as second:
        assert second.flush(LONG)

        assert sorted(backend.messages) == sorted(said)
        assert second.stats()["discord"]["pending"] == 0
    assert on_disk(state) == []


# ---- a thread that dies


def test_a_lane_whose_thread_dies_loses_nothing_and_is_counted(state: Path) -> None:
    backend = durable()
    with speaking(state, discord=backend) as notifier:
        notifier.trade("before").wait(LONG)
        lane = notifier._pipeline.lanes[0]
        die("lane-discord", waiting_in="wait", wake=lambda: wake(lane))

        ticket = notifier.trade("after")

        assert ticket.wait(LONG) == {"discord": DELIVERED}
        assert notifier.stats()["discord"]["restarted"] == 1
    assert backend.messages == ["before", "after"]


def wake(lane: Lane) -> None:
    with lane._changed:
        lane._changed.notify_all()


def test_a_dispatcher_that_dies_is_started_again_by_the_next_event(state: Path) -> None:
    with speaking(state, discord=durable()) as notifier:
        notifier.trade("before").wait(LONG)
        die("dispatcher", waiting_in="wait", wake=notifier._pipeline.intake.wake)

        assert notifier.trade("after").wait(LONG) == {"discord": DELIVERED}


def test_a_dispatcher_that_dies_is_started_again_though_nothing_is_said(state: Path) -> None:
    with speaking(state, discord=durable()) as notifier:
        notifier.trade("before").wait(LONG)
        die("dispatcher", waiting_in="wait", wake=notifier._pipeline.intake.wake)

        look_after(notifier)

        until(lambda: ours("dispatcher"))


def test_housekeeping_that_dies_is_started_again_by_the_next_event(state: Path) -> None:
    with speaking(state, discord=durable()) as notifier:
        notifier.trade("before").wait(LONG)
        die("housekeeping", waiting_in="_run", wake=lambda: look_after(notifier))

        notifier.trade("after")

        assert ours("housekeeping")


# ---- no thread can be started


def refuse(thread: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


def test_without_threads_events_are_on_disk_and_delivered_when_there_are_some(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend, memory = durable(), MemoryBackend()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        notifier = Notifier({"discord": backend, "stdout": memory}, outbox=Outbox(state))
        tickets = [notifier.trade("a"), notifier.notify("info"), notifier.trade("b")]
        assert [ticket.durable for ticket in tickets] == [True, False, True]
        assert on_disk(state) == [("discord", "a"), ("discord", "b")]
        assert not notifier.flush(0)
        assert capsys.readouterr().err.count("could not be started") == 4  # once for each thread

    tickets.append(notifier.trade("c"))

    assert [ticket.wait(LONG) for ticket in tickets] == [{"discord": DELIVERED, "stdout": DELIVERED}] * 4
    assert backend.messages == memory.messages == ["a", "info", "b", "c"]
    notifier.close()
    assert on_disk(state) == []


def test_what_was_said_without_threads_to_the_end_is_for_the_next(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with speaking(state, close_in=0, discord=durable()) as first:
            first.trade("Bought")

    backend = durable()
    with speaking(state, discord=backend):
        backend.wait_for(1)

    assert backend.messages == ["Bought"]


# ---- the end of the program


@pytest.mark.process
def test_at_the_end_of_the_program_no_thread_is_started_and_what_is_said_is_on_disk(state: Path) -> None:
    script = """if True:
        import atexit, sys, threading
        from notify import setup
        from notify.backends.memory import MemoryBackend

        backend = MemoryBackend(durable=True)

        def last_words():  # after our own end, since it was registered before
            started = []
            threading.Thread.start = started.append
            ticket = notifier.trade("goodbye")
            print(backend.messages, ticket.durable, started)

        atexit.register(last_words)
        notifier = setup(env={"NOTIFY_STATE_DIR": sys.argv[1], "NOTIFY_STDOUT": "off"}, backends={"discord": backend})
        notifier.trade("Bought")
    """
    run = subprocess.run([sys.executable, "-c", script, str(state)], capture_output=True, text=True, timeout=LONG)

    assert (run.stdout, run.stderr) == ("['Bought'] True []\n", "")
    assert on_disk(state) == [("discord", "goodbye")]


class Interrupted(BaseException):
    """What a signal or another thread raises in the middle of a call."""


def test_an_event_whose_call_is_interrupted_when_it_is_on_disk_is_delivered_by_this_process(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = Outbox.accept

    def interrupted(outbox: Outbox, event: Event, destinations: Sequence[str]) -> NoReturn:
        assert accept(outbox, event, destinations)
        raise Interrupted

    backend = durable()
    with speaking(state, memory=backend) as notifier:
        with monkeypatch.context() as patch:
            patch.setattr(Outbox, "accept", interrupted)
            with pytest.raises(Interrupted):
                notifier.trade("bought")
        assert notifier.flush(LONG)
        assert backend.messages == ["bought"]
        assert not listing.waiting(state, 1)
