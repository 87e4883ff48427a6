"""What is deferred of an ordinary record, and that the event is the same as that of a snapshot."""

import io
import logging
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import structlog
from intakes import an_intake

from notify.capture import context, deferred, handler, ring
from notify.capture.deferred import allow_deferring
from notify.capture.handler import IntakeHandler
from notify.capture.ring import CAPACITY, RingBuffer
from notify.capture.snapshot import Snapshot
from notify.delivery.intake import HEAVY
from notify.event import Event
from notify.levels import TRADE


class Both:
    """Takes what is logged as the handler does, and as a snapshot."""

    def __init__(self) -> None:
        self.intake = an_intake()
        self.ring = RingBuffer()
        self.handler = IntakeHandler(self.intake, self.ring)
        self.snapshots: list[Snapshot] = []
        self.logger = logging.Logger("strategy.eth")  # its own tree
        beside = logging.Handler()
        beside.emit = lambda record: self.snapshots.append(Snapshot(record))  # type: ignore[method-assign]  # a test's
        self.logger.addHandler(beside)
        self.logger.addHandler(self.handler)

    @property
    def is_deferred(self) -> bool:
        (draft,) = filter(None, self.intake.waiting)  # but for the places of what is heavy
        return type(draft) is tuple

    def info(self, *said: Any, **how: Any) -> None:
        """Log what has been logged before: of a template that is not known a snapshot is taken."""
        allow_deferring(said[0])
        self.logger.info(*said, **how)

    def take(self) -> Event:
        (draft,) = taken = self.intake.take(2)
        if type(draft) is tuple:
            (event,) = self.intake.events_of(taken)
            return event
        return draft.event()  # type: ignore[union-attr]  # of mypy's two, it is a draft


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setattr(context, "is_known", True)  # and nothing is bound there, whatever another test has bound
    monkeypatch.setattr(context, "bound", {})
    return Both()


class Text(str):
    """A string of the program's own class."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


ORDINARY: dict[str, tuple[tuple[Any, ...], dict[Any, Any]]] = {
    "text": (("Bought",), {}),
    "percent sign": (("100% of %s",), {}),
    "scalars": (
        ("Bought %d of %s for %.2f, %s %s", 3, "ETH", 1850.25, None, True),
        {"pair": "ETH-USDC", "price": 1.5, "slot": 7},
    ),
    "letters": (("Käufe: %s", "größer"), {"Größe": "größer", "pair": None, "nan": float("nan")}),
    "of another type": (("%d pairs", "two"), {}),
    "too few": (("%s and %s", "one"), {}),
    "topic": (("x",), {"topic": "position", "pair": "ETH"}),
    "no topic": (("x",), {"topic": 3}),
    "wei": (("x",), {"wei": 10**30}),
    "many digits": (("%s", 10**5000), {}),
    "no name": (("x",), {3: "a name that is none"}),
    "surrogates": (("\ud800 %s", "\ud800"), {"\ud800": "\ud800"}),
}


@pytest.mark.parametrize(("said", "extra"), ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_record_is_deferred_and_the_same_event_as_its_snapshot(
    both: Both, said: tuple[Any, ...], extra: dict[Any, Any]
) -> None:
    both.info(*said, extra=extra)

    assert both.is_deferred
    event, (snapshot,) = both.take(), both.snapshots
    assert repr(replace(event, id="")) == repr(replace(snapshot.event(), id=""))  # NaN equals nothing


def same(events: Sequence[Event], snapshots: Sequence[Snapshot]) -> bool:
    """Say whether all of *events* are those of *snapshots*, but for their ids, which are their own."""
    return [repr(replace(each, id="")) for each in events] == [
        repr(replace(snapshot.event(), id="")) for snapshot in snapshots
    ]


def test_records_that_are_taken_together_are_what_each_is_alone(both: Both) -> None:
    for said, extra in [*ORDINARY.values(), *ORDINARY.values()]:
        for _ in range(2):  # as in a loop
            both.info(*said, extra=extra)
        both.logger.debug(*said, extra=extra)

    taken = both.intake.take(100)
    events = both.intake.events_of(taken)

    assert {type(draft) for draft in taken} == {tuple}
    assert len(events) == 6 * len(ORDINARY)
    assert same(events, both.snapshots)
    assert len({event.id for event in events}) == len(events)


class Incomparable:
    """Equals nothing, and says so loudly."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError


@pytest.mark.parametrize("odd", [7.0, Incomparable(), [7]], ids=["float", "incomparable", "list"])
def test_a_sound_record_gets_nothing_of_an_odd_one_that_is_taken_with_it(both: Both, odd: Any) -> None:
    lines: list[Any] = [odd, 7, 7, 8]

    def of_line(record: logging.LogRecord) -> bool:
        record.lineno = lines[len(both.snapshots)]
        return True

    both.logger.addFilter(of_line)
    for _ in lines:
        both.info("x")

    events = both.intake.events_of(both.intake.take(9))

    assert [event.source.line for event in events] == [0, 7, 7, 8]
    assert same(events, both.snapshots)


def test_an_odd_record_among_sound_ones_costs_none_of_them(both: Both) -> None:
    def odd(record: logging.LogRecord) -> bool:
        record.lineno = Incomparable() if len(both.snapshots) == 1 else 7  # type: ignore[assignment]  # the point
        return True

    both.logger.addFilter(odd)
    for number in range(3):
        both.info("cycle %d", number)

    events = both.intake.events_of(both.intake.take(9))

    assert [(event.message, event.source.line) for event in events] == [("cycle 0", 7), ("cycle 1", 0), ("cycle 2", 7)]


@pytest.mark.parametrize(
    "said",
    [
        ("%s", ["a list"]),
        ("%(pair)s", {"pair": "ETH"}),
        ("%s", Text("ETH")),
        (Text("Bought %s"), "ETH"),
        (ValueError("no liquidity"),),
        ("x" * HEAVY,),
        ("%s", "x" * HEAVY),
        ("%100d", 7),
        ("%.5000f", 0.5),
        ("%-*d", 100_000, 7),
    ],
    ids=[
        *["list", "dict", "own argument", "own template", "object", "long template", "long argument"],
        *["wide", "precise", "of any width"],
    ],
)
def test_a_message_that_may_change_or_is_long_is_formatted_at_once(both: Both, said: tuple[Any, ...]) -> None:
    both.info(*said)

    assert not both.is_deferred
    assert both.take().message == both.snapshots[0].message


@pytest.mark.parametrize(
    "how",
    [
        {"extra": {"legs": [1, 2]}},
        {"extra": {"price": Decimal("1.5")}},
        {"exc_info": ValueError("no liquidity")},
        {"stack_info": True},
        {"extra": {"hash": "x" * HEAVY}},
    ],
    ids=["list", "decimal", "exception", "stack", "long"],
)
def test_a_record_that_has_more_than_scalars_is_not_deferred(both: Both, how: dict[str, Any]) -> None:
    both.info("x", **how)

    assert not both.is_deferred


def test_a_list_among_the_extras_is_what_it_was_when_it_was_logged(both: Both) -> None:
    legs = [1]

    both.info("x", extra={"legs": legs})
    legs.append(2)

    assert both.take().fields == {"legs": [1]}


def test_the_first_record_of_a_template_is_not_deferred_and_the_next_one_is(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "narrow", set())
    monkeypatch.setattr(handler, "narrow", deferred.narrow)

    for _ in range(2):
        both.logger.info("Bought %s", "ETH")
    both.logger.info("Sold 7 pairs")  # which needs no formatting

    assert [type(draft) is tuple for draft in both.intake.waiting] == [False, True, True]


def test_templates_that_a_program_makes_up_are_not_remembered_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "narrow", set())

    for number in range(10_000):
        allow_deferring(f"pair {number}: %s")
    allow_deferring("x" * 100_000)

    assert 0 < len(deferred.narrow) <= 4096
    assert max(map(len, deferred.narrow)) < 1024


def test_what_is_raised_from_outside_while_a_record_is_left_does_not_have_it_taken_twice(both: Both) -> None:
    class TimeLimit(Exception):
        """Set by another thread, as libraries for time limits do."""

    class Interrupted(deque[Any]):
        def append(self, draft: Any, /) -> None:
            super().append(draft)
            raise TimeLimit

    both.intake.waiting = Interrupted()

    with pytest.raises(TimeLimit):
        both.info("Bought %s", "ETH")

    assert len(both.intake.take(9)) == 1


def test_a_record_for_which_there_is_no_memory_raises_nothing(
    both: Both, internal_errors: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(deque[Any]):
        def append(self, draft: Any, /) -> None:
            raise MemoryError

    both.intake.waiting = Full()

    both.info("Bought %s", "ETH")

    assert "a record of strategy.eth was lost: MemoryError" in capsys.readouterr().err


def test_the_tail_is_made_of_no_more_records_than_it_has(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    for number in range(20):
        both.info("cycle %d", number)
    monkeypatch.setattr(ring, "formatted", lambda template, args: made.append(args) or template % args)

    assert [line.split()[-1] for line in both.ring.tail(2)] == ["18", "19"]
    assert len(made) == 2


def test_the_ring_keeps_no_extras(both: Both) -> None:
    number = 2**10_000_000  # more than a megabyte

    both.info("x", extra={"number": number})
    both.take()
    both.snapshots.clear()

    assert both.ring.tail(1)[0].endswith(": x")
    assert sys.getrefcount(number) == 2  # this function's, and that of the call


@pytest.mark.parametrize("level", [logging.WARNING, TRADE, logging.CRITICAL])
def test_what_is_important_is_not_deferred(both: Both, level: int) -> None:
    both.logger.log(level, "x")

    assert not both.is_deferred


def remade(record: logging.LogRecord) -> bool:
    """A filter that takes an attribute off and sets it again: then the extras come before it."""
    process = record.process
    del record.process
    record.process = process
    return True


def shortened(record: logging.LogRecord) -> bool:
    del record.args
    return True


def without_exc_info(record: logging.LogRecord) -> bool:
    del record.exc_info
    return True


def of_another_time(record: logging.LogRecord) -> bool:
    record.created = 3  # seconds, and no float
    return True


def of_a_time_before_time(record: logging.LogRecord) -> bool:
    record.created = -1.0
    return True


def of_no_time(record: logging.LogRecord) -> bool:
    record.created = float("nan")
    return True


def of_no_name(record: logging.LogRecord) -> bool:
    record.name = None  # type: ignore[assignment]  # that is the point
    return True


def of_no_level(record: logging.LogRecord) -> bool:
    record.levelno = "INFO"  # type: ignore[assignment]  # as above
    return True


def of_a_broken_level(record: logging.LogRecord) -> bool:
    record.levelno = 10.5  # type: ignore[assignment]  # as above
    return True


@pytest.mark.parametrize(
    "change",
    [
        remade,
        shortened,
        without_exc_info,
        of_another_time,
        of_a_time_before_time,
        of_no_time,
        of_no_name,
        of_no_level,
        of_a_broken_level,
    ],
)
@pytest.mark.parametrize("has_list", [False, True])
def test_a_record_that_a_filter_has_made_odd_arrives_as_it_was(
    both: Both, change: Callable[[logging.LogRecord], bool], has_list: bool
) -> None:
    both.handler.addFilter(change)
    legs = [1]

    both.info("x", extra={"legs": legs if has_list else 1})
    legs.append(2)

    event, (remembered,) = both.take(), both.ring.records()
    assert (event.message, event.fields["legs"], event.level) == ("x", [1] if has_list else 1, logging.INFO)
    assert (type(event.level), type(event.time), type(event.logger)) == (int, float, str)
    assert (remembered.message, remembered.level, type(remembered.logger)) == ("x", logging.INFO, str)
    assert time.time() - min(remembered.time, event.time) < 60  # seconds: now, also where the record's is no time


def test_a_record_of_the_programs_own_class_is_formatted_in_its_own_way(both: Both) -> None:
    class Discreet(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802 - as logging has it
            return "something was said"

    both.logger.handle(Discreet("strategy", logging.INFO, __file__, 1, "Bought %s", ("ETH",), None))

    assert both.take().message == "something was said"


def test_what_would_be_deferred_is_counted_when_there_is_no_room(both: Both) -> None:
    both.intake.capacity = 1

    for _ in range(3):
        both.info("x")
    both.intake.close()
    both.info("x")

    assert both.intake.dropped == {"intake full": 2, "closed": 1}


def test_what_other_handlers_make_of_a_record_does_not_show_in_what_was_deferred(both: Both) -> None:
    class Changing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            record.msg, record.args, record.levelno, record.name = "changed", (), 50, "changed"
            record.__dict__["pair"] = record.__dict__["added"] = "changed"

    both.logger.addHandler(Changing())

    both.info("Bought %s", "ETH", extra={"pair": "ETH"})

    assert both.is_deferred
    event = both.take()
    assert (event.message, event.level, event.logger) == ("Bought ETH", 20, "strategy.eth")
    assert event.fields == {"pair": "ETH"}
    assert both.ring.records()[0][1:4] == (20, "strategy.eth", "Bought ETH")


def test_what_formatters_have_added_to_a_deferred_record_is_no_extra(both: Both) -> None:
    formatting = logging.StreamHandler(io.StringIO())
    formatting.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    both.logger.handlers.insert(0, formatting)

    both.info("x", extra={"pair": "ETH"})

    assert both.is_deferred
    assert both.take().fields == {"pair": "ETH"}


def test_a_record_of_a_later_python_has_no_extra_of_its_own(both: Both) -> None:
    def of_a_task(record: logging.LogRecord) -> bool:
        record.__dict__["taskName"] = "strategy"  # Python 3.12 sets it
        return True

    both.handler.addFilter(of_a_task)

    both.info("x", extra={"pair": "ETH"})

    assert both.is_deferred
    assert both.take().fields == {"pair": "ETH"}


def test_a_record_is_not_deferred_while_something_is_bound_with_structlog_and_has_it(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "is_known", False)

    with structlog.contextvars.bound_contextvars(pair="ETH"):
        both.info("x")

    assert not both.is_deferred
    assert both.take().fields == {"pair": "ETH"}


def test_the_beginning_of_a_long_deferred_message_is_remembered(both: Both) -> None:
    both.info("%s", "x" * 600)

    (record,) = both.ring.records()
    assert both.is_deferred
    assert record.message == "x" * 478 + "…[122 characters cut]…"  # 500 of them


def test_a_ring_full_of_deferred_records_is_small(both: Both) -> None:
    both.logger.handlers = [both.handler]
    tracemalloc.start()
    for number in range(CAPACITY):
        both.info("%s", f"{number}".ljust(900, "x"), extra={"number": number})
        both.intake.waiting.clear()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # A text of 900 characters, and about as much again for the rest.
    assert used < CAPACITY * 2000
    assert len(both.ring) == CAPACITY
