"""Crashes and repeats: what ends a program again and again is told ever more rarely, and nothing is counted twice."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from folds import Chat, People
from lanes import LONG

from notify.backends.memory import MemoryBackend
from notify.crash.report import report_crash, report_from_hook
from notify.delivery.outbox import Outbox
from notify.notifier import Notifier
from notify.testing import FakeClock


@contextmanager
def speaking(clock: FakeClock, state: Path, people: People) -> Iterator[Notifier]:
    with Notifier({"people": people}, outbox=Outbox(state, clock=clock), clock=clock) as notifier:
        yield notifier


def crash(kind: type[Exception] = ValueError) -> BaseException:
    try:
        raise kind("no price")
    except kind as error:
        return error


def test_a_program_that_crashes_at_each_start_is_told_at_the_1st_2nd_5th_10th_and_20th(
    clock: FakeClock, state: Path
) -> None:
    told: list[int] = []
    for start in range(1, 31):
        people = Chat(durable=True)
        with speaking(clock, state, people) as notifier:
            report_crash(crash(), notifier=notifier)
        clock.advance(10)
        if any(event.exception is not None for event in people.events):
            told.append(start)

    assert told == [1, 2, 5, 10, 20]
    (last,) = people.events  # of the 30th start
    assert last.matter is not None
    assert last.matter.count == 30


def test_another_crash_is_told_at_once(clock: FakeClock, state: Path) -> None:
    people = People(durable=True)
    with speaking(clock, state, people) as notifier:
        for kind in (ValueError, ValueError, ValueError, KeyError):
            report_crash(crash(kind), notifier=notifier)
        assert notifier.flush(30)

        kinds = [event.exception.type for event in people.events if event.exception is not None]
        assert kinds == ["ValueError", "ValueError", "KeyError"]  # the third is counted


def test_what_counts_its_repeats_itself_is_not_counted_again(clock: FakeClock, state: Path) -> None:
    people = People(durable=True)
    with speaking(clock, state, people) as notifier:
        for _ in range(3):  # times ten minutes, after which a place is told again with how many there were
            for _ in range(5):
                report_from_hook(crash(), where="thread worker-1", notifier=notifier)
            assert notifier.flush(30)
            clock.advance(601)

    assert [message.count("and 4 like it") + message.count("and 4 more like it") for message in people.messages] == [
        0, 1, 1,
    ]  # fmt: skip


def test_how_earlier_runs_have_ended_is_told_each_time(clock: FakeClock, state: Path) -> None:
    people = People(durable=True)
    with speaking(clock, state, people) as notifier:
        for _ in range(3):
            notifier.notify("The last run was killed", level=logging.CRITICAL, topic="crash")

    assert len(people.messages) == 3


def test_what_is_logged_of_a_crash_that_was_reported_is_for_machines_only(clock: FakeClock) -> None:
    people, machine = Chat(), MemoryBackend()
    logger = logging.Logger("loop")
    with Notifier({"people": people, "machine": machine}, clock=clock) as notifier:
        logger.addHandler(notifier.handler)
        try:
            raise ValueError("no price")
        except ValueError as error:
            logger.exception("seen before the report")
            report_crash(error, notifier=notifier)
            logger.exception("seen after it")
            logger.error("said without the exception, and perhaps of another matter")
            logger.error("said of it", extra={"topic": "crash"})
        assert notifier.flush(LONG)

        assert [event.message for event in people.events if event.topic != "crash"] == [
            "seen before the report",
            "said without the exception, and perhaps of another matter",
        ]
        assert len(machine.events) == 5  # the report, and all that was logged
        assert notifier.stats()["people"]["folded"] == 2


def test_what_is_logged_of_another_exception_is_told(clock: FakeClock) -> None:
    people = Chat()
    logger = logging.Logger("loop")
    with Notifier({"people": people}, clock=clock) as notifier:
        logger.addHandler(notifier.handler)
        report_crash(crash(), notifier=notifier)
        logger.error("Could not close the position", exc_info=crash(KeyError))
        assert notifier.flush(LONG)

        assert people.events[-1].message == "Could not close the position"
