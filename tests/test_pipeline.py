"""Everything between a caller and the backends, put together, and how it stops."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from lanes import LONG, Hanging, Scripted, ours, until

from notify import threads
from notify.backend import Backend
from notify.backends.memory import MemoryBackend
from notify.clock import SystemClock
from notify.delivery.folding.front import INTERVAL, STORM_LIMIT
from notify.delivery.outbox import Outbox
from notify.delivery.pipeline import Pipeline
from notify.delivery.ticket import DELIVERED, PENDING, Ticket
from notify.errors import RetryLater
from notify.event import Event, new_id
from notify.levels import TRADE
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock

MANY = 100  # backends that hang
LAST_MOMENT = 0.1  # seconds that threads are given to end: the dispatcher, and all lanes together
BUSY = 5.0  # seconds that a busy machine may take on top of a deadline


class AsItIs:
    """Takes nothing out."""

    def events(self, events: Sequence[Event], /) -> Sequence[Event]:
        return events

    def text(self, text: str, /) -> str:
        return text


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    backend = Hanging(durable=True)
    yield backend
    backend.let.set()  # its threads end, and the fixture that looks for threads sees them end


@pytest.fixture
def begun() -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines, and closes those that the test has not."""
    made: list[Pipeline] = []

    def begin(
        backends: dict[str, Backend],
        routes: dict[str, Route] | None = None,
        outbox: Outbox | None = None,
        clock: FakeClock | None = None,
    ) -> Pipeline:
        made.append(
            Pipeline(
                backends,
                routes or {},
                outbox=outbox,
                durable_level=TRADE,
                redact=AsItIs(),
                clock=clock or SystemClock(),
                repeat_interval=INTERVAL,
                storm_limit=STORM_LIMIT,
                remembers=True,
                unheard=lambda: None,
            )
        )
        return made[-1]

    yield begin
    for pipeline in made:
        pipeline.close(0)


def say(pipeline: Pipeline, message: str = "m", level: int = TRADE, topic: str = "log") -> Ticket:
    now = time.time()  # what is too old would be given up
    event = Event(id=new_id(now), time=now, message=message, level=level, topic=topic)
    ticket = pipeline.ticket(event.id)
    pipeline.accept(event, ticket)
    return ticket


# ---- put together


def test_each_backend_gets_what_its_route_wants_or_info_without_one(begun: Callable[..., Pipeline]) -> None:
    people, machine = MemoryBackend(), MemoryBackend()
    pipeline = begun({"people": people, "machine": machine}, {"people": Route(logging.ERROR)})

    assert say(pipeline, "debug", logging.DEBUG).wait(LONG) == {}
    assert say(pipeline, "info", logging.INFO).wait(LONG) == {"machine": DELIVERED}
    assert say(pipeline, "error", logging.ERROR).wait(LONG) == {"people": DELIVERED, "machine": DELIVERED}


def test_the_least_level_is_that_of_the_most_curious_backend(begun: Callable[..., Pipeline]) -> None:
    routes = {"a": Route(logging.ERROR), "b": Route(logging.DEBUG)}

    assert begun({"a": MemoryBackend(), "b": MemoryBackend()}, routes).least_level == logging.DEBUG
    assert begun({"a": MemoryBackend()}, routes).least_level == logging.ERROR
    assert begun({}).least_level > logging.CRITICAL


def test_without_a_durable_backend_nothing_is_written_to_an_outbox(
    begun: Callable[..., Pipeline], tmp_path: Path
) -> None:
    pipeline = begun({"stdout": MemoryBackend()}, outbox=Outbox(tmp_path / "state"))

    assert not say(pipeline).durable


def test_stats_are_by_lane_and_tell_of_the_outbox_and_of_an_intake_that_refused(
    begun: Callable[..., Pipeline], tmp_path: Path
) -> None:
    pipeline = begun({"discord": MemoryBackend(durable=True)}, outbox=Outbox(tmp_path / "state"))
    assert list(pipeline.stats()) == ["outbox", "discord"]
    assert pipeline.stats()["outbox"]["broken"] is None

    pipeline.intake.capacity = 0
    say(pipeline, level=logging.INFO)

    assert pipeline.stats()["intake"]["dropped"] == {"intake full": 1}
    assert list(begun({"stdout": MemoryBackend()}).stats()) == ["stdout"]


def test_what_is_refused_is_pending_where_it_is_on_disk_and_dropped_elsewhere(
    begun: Callable[..., Pipeline], hanging: Hanging, tmp_path: Path
) -> None:
    backends = {"discord": hanging, "stdout": MemoryBackend(), "gas": MemoryBackend()}
    pipeline = begun(backends, {"gas": Route(topics=parse_topics("gas"))}, outbox=Outbox(tmp_path / "state"))
    pipeline.intake.close()

    assert say(pipeline).wait(0) == {"discord": PENDING, "stdout": "dropped: closed"}
    assert say(pipeline, level=logging.INFO).wait(0) == {"discord": "dropped: closed", "stdout": "dropped: closed"}


def test_nothing_is_empty_while_something_is_on_disk_only(begun: Callable[..., Pipeline], tmp_path: Path) -> None:
    backend = MemoryBackend(durable=True)
    pipeline = begun({"discord": backend}, outbox=Outbox(tmp_path / "state"))
    pipeline._housekeeping.stop()  # or it might bring the event back before anybody looks
    pipeline._housekeeping.join(LONG)
    pipeline.intake.capacity = pipeline.intake._reserve = 0
    say(pipeline, "Bought")
    pipeline.intake.wake()
    until(pipeline.lanes[0].parked)
    assert not pipeline.flush(0.01)

    pipeline._housekeeping.adopt()

    assert pipeline.flush(LONG)
    assert backend.messages == ["Bought"]


# ---- the end


def test_a_hundred_backends_that_hang_are_given_a_tenth_of_a_second_all_together(
    begun: Callable[..., Pipeline], hanging: Hanging
) -> None:
    pipeline = begun({f"hanging{number}": hanging for number in range(MANY)})
    say(pipeline)
    assert hanging.called.wait(LONG)
    begin = time.monotonic()

    pipeline.close(0.2)

    took = time.monotonic() - begin
    assert 0.2 <= took < 0.2 + 2 * LAST_MOMENT + BUSY < MANY * LAST_MOMENT


def test_closing_without_time_still_gives_a_tenth_of_a_second(begun: Callable[..., Pipeline], hanging: Hanging) -> None:
    pipeline = begun({f"hanging{number}": hanging for number in range(MANY)})
    say(pipeline)
    assert hanging.called.wait(LONG)
    begin = time.monotonic()

    pipeline.close(0)

    assert time.monotonic() - begin < 2 * LAST_MOMENT + BUSY < MANY * LAST_MOMENT


def test_what_is_on_disk_is_pending_after_the_end_and_not_counted_as_dropped(
    begun: Callable[..., Pipeline], hanging: Hanging, tmp_path: Path
) -> None:
    pipeline = begun({"discord": hanging, "telegram": hanging}, outbox=Outbox(tmp_path / "state"))
    stored, lost = say(pipeline), say(pipeline, level=logging.INFO)
    assert hanging.called.wait(LONG)

    pipeline.close(0.01)

    assert stored.wait(0) == {"discord": PENDING, "telegram": PENDING}
    assert lost.wait(0) == {"discord": "dropped: closed", "telegram": "dropped: closed"}
    for name in ("discord", "telegram"):
        assert pipeline.stats()[name]["dropped"] == {"closed": 1}


def test_closing_ends_every_thread(begun: Callable[..., Pipeline], tmp_path: Path) -> None:
    pipeline = begun({"discord": MemoryBackend(durable=True)}, outbox=Outbox(tmp_path / "state"))
    say(pipeline).wait(LONG)
    assert ours("housekeeping")

    pipeline.close(LONG)

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("notify-")] == []


def test_closing_does_not_wait_for_an_attempt_that_is_due_later(begun: Callable[..., Pipeline]) -> None:
    clock = FakeClock()
    pipeline = begun({"busy": Scripted(RetryLater(after=2 * LONG))}, clock=clock)  # type: ignore[dict-item]
    ticket = say(pipeline)
    clock.next_wait()
    begin = time.monotonic()

    pipeline.close(LONG)

    assert time.monotonic() - begin < LONG / 2
    assert ticket.wait(0) == {"busy": "dropped: closed"}


def refuse(thread: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


def test_what_was_said_without_a_dispatcher_is_settled_and_counted_at_the_end(
    begun: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(threading.Thread, "start", refuse)
    backends = {"discord": MemoryBackend(durable=True), "stdout": MemoryBackend()}
    pipeline = begun(backends, outbox=Outbox(tmp_path / "state"))
    stored, lost = say(pipeline), say(pipeline, level=logging.INFO)

    pipeline.close(0)

    assert stored.wait(0) == {"discord": PENDING, "stdout": "dropped: closed"}
    assert lost.wait(0) == {"discord": "dropped: closed", "stdout": "dropped: closed"}
    counts = pipeline.stats()["intake"]
    assert (counts["accepted"], counts["pending"], counts["dropped"]) == (2, 1, {"closed": 1})


def test_what_is_closed_starts_nothing_again(begun: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = begun({"stdout": MemoryBackend()})
    pipeline.close(LONG)
    monkeypatch.setattr(pipeline._dispatcher._worker, "_ended", False)  # as if it had died in the end
    started: list[str] = []
    monkeypatch.setattr(threads, "start", lambda name, *args, **more: started.append(name))

    pipeline.revive()
    say(pipeline)
    pipeline.flush(0)

    assert started == []


def test_what_waits_for_a_dispatcher_that_is_stuck_is_pending_under_intake(begun: Callable[..., Pipeline]) -> None:
    let, stuck = threading.Event(), threading.Event()

    def slow(events: Sequence[Event]) -> Sequence[Event]:
        stuck.set()
        assert let.wait(LONG)
        return events

    pipeline = begun({"memory": MemoryBackend()})
    pipeline._dispatcher._redact = slow
    say(pipeline, "in hand")
    assert stuck.wait(LONG)
    assert "intake" not in pipeline.stats()

    for number in range(5):
        say(pipeline, str(number))
    waiting = pipeline.stats()["intake"]
    pipeline.intake.capacity = pipeline.intake._reserve = 0
    say(pipeline, "too much")
    refused = pipeline.stats()["intake"]
    let.set()
    assert pipeline.flush(LONG)

    assert (waiting["accepted"], waiting["pending"], waiting["dropped"]) == (0, 5, {})
    # What waits is accepted where it goes. A count that others take for one that only grows does not fall then.
    assert (refused["accepted"], refused["pending"], refused["dropped"]) == (1, 5, {"intake full": 1})
    assert pipeline.stats()["intake"] == {**refused, "pending": 0}
    assert pipeline.stats()["memory"]["accepted"] == 6


def test_a_draft_that_raises_at_the_end_keeps_no_thread_from_ending(
    begun: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, internal_errors: list[str]
) -> None:
    class Hostile:
        level = logging.INFO
        weight = 0

        def __init__(self, ticket: Ticket) -> None:
            self.ticket = ticket

        def event(self) -> NoReturn:
            raise RuntimeError("hostile")

    memory = MemoryBackend()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)  # so that the dispatcher takes nothing
        pipeline = begun({"memory": memory})
        ticket = pipeline.ticket("1")
        assert pipeline.intake.accept(Hostile(ticket))
        after = say(pipeline)

        pipeline.close(0)

    assert ticket.wait(0) == {"memory": "dropped: closed"}
    assert after.wait(0) == {"memory": "dropped: closed"}
    assert pipeline.intake.dropped == {"closed": 2}
    assert all(lane._stopping for lane in pipeline.lanes)
    assert internal_errors == ["draft"]
