import logging
import sys
import threading
import time
import tracemalloc

import pytest
from intakes import an_intake

from notify.capture.handler import IntakeHandler
from notify.capture.ring import CAPACITY, RingBuffer
from notify.capture.snapshot import Snapshot


def snapshot(message: str, **attributes: object) -> Snapshot:
    defaults = {"msg": message, "levelno": 20, "levelname": "INFO", "name": "strategy", "created": 3600.0}
    return Snapshot(logging.makeLogRecord({**defaults, **attributes}))


def ring_of(*messages: str) -> RingBuffer:
    ring = RingBuffer()
    for message in messages:
        ring.append(snapshot(message))
    return ring


def test_the_tail_is_the_last_records_as_lines_oldest_first() -> None:
    assert ring_of("a", "b", "c").tail(2) == ("01:00:00 INFO strategy: b", "01:00:00 INFO strategy: c")


@pytest.mark.parametrize(("count", "lines"), [(0, 0), (-1, 0), (1, 1), (3, 3), (99, 3)])
def test_a_tail_has_as_many_lines_as_there_are_and_as_are_wanted(count: int, lines: int) -> None:
    assert len(ring_of("a", "b", "c").tail(count)) == lines


def test_a_full_ring_forgets_the_oldest() -> None:
    ring = RingBuffer(capacity=2)
    for message in "abc":
        ring.append(snapshot(message))

    assert len(ring) == 2
    assert [line[-1] for line in ring.tail(9)] == ["b", "c"]


@pytest.mark.parametrize(
    ("message", "line"), [("first\nsecond", "first"), ("", ""), ("\n", ""), ("\ud800", r"\ud800")], ids=ascii
)
def test_a_record_is_one_line_of_valid_text(message: str, line: str) -> None:
    assert ring_of(message).tail(1) == (f"01:00:00 INFO strategy: {line}",)


@pytest.mark.parametrize(
    "odd", [{"created": 1e300}, {"created": None}, {"levelname": None}, {"name": "\ud800"}, {"name": None}], ids=ascii
)
def test_an_odd_record_does_not_cost_the_tail(odd: dict[str, object]) -> None:
    ring = ring_of("a")
    ring.append(snapshot("b", **odd))

    lines = ring.tail(2)

    assert [line[-1] for line in lines] == ["a", "b"]
    "".join(lines).encode()


def test_the_tail_may_be_read_while_others_write() -> None:
    ring = RingBuffer(capacity=50)
    one = snapshot("x")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            ring.append(one)

    writer = threading.Thread(target=write)
    writer.start()
    while len(ring) < 50:
        pass
    lengths = {len(ring.tail(50)) for _ in range(300)}
    stop.set()
    writer.join()

    assert lengths == {50}


# ---- what is remembered


def test_a_record_is_remembered_with_what_readers_ask_for() -> None:
    (record,) = ring_of("cycle\ndone").records()

    assert record == (3600.0, logging.INFO, "strategy", "cycle\ndone", None)
    assert record.level == logging.INFO


def test_what_was_raised_is_remembered_and_shown() -> None:
    try:
        raise ValueError("no price\nfor ETH")
    except ValueError:
        raised = snapshot("cycle failed", exc_info=sys.exc_info())
    ring = RingBuffer()
    ring.append(raised)

    (record,) = ring.records()

    assert record.exception is not None
    assert (record.exception.type, record.exception.message) == ("ValueError", "no price\nfor ETH")
    assert [path for path, _, _ in record.exception.frames] == [__file__]
    assert ring.tail(1) == ("01:00:00 INFO strategy: cycle failed [ValueError: no price]",)


@pytest.mark.parametrize(("length", "kept"), [(500, "x" * 500), (501, "x" * 478 + "…[23 characters cut]…")])
def test_the_beginning_of_a_long_message_is_remembered(length: int, kept: str) -> None:
    (record,) = ring_of("x" * length).records()

    assert record.message == kept


def test_a_ring_full_of_huge_records_is_small() -> None:
    ring = RingBuffer()
    huge = "x" * 50_000
    tracemalloc.start()
    for number in range(CAPACITY):
        extras = {"name": f"{number}{huge}", "extra": [huge + "y"] * 3, "levelname": huge + "z"}
        ring.append(snapshot(f"{number}{huge}", exc_info=ValueError(f"{number}{huge}"), **extras))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Of each a message and an error's text of 500 characters at two bytes, for `…` is none of ASCII's; a name of 100.
    assert used < CAPACITY * 3000
    assert len(ring) == CAPACITY


def test_how_much_is_kept_of_a_message_may_be_chosen() -> None:
    ring = RingBuffer(longest=1000)

    ring.append(snapshot("x" * 1000))
    ring.append(snapshot("x" * 1001))

    whole, cut = (record.message for record in ring.records())
    assert whole == "x" * 1000
    assert len(cut) <= 1000


def test_a_record_whose_time_is_no_float_keeps_the_time_at_which_it_was_said() -> None:
    ring = RingBuffer()
    handler = IntakeHandler(an_intake(), ring)

    handler.handle(logging.makeLogRecord({"msg": "m", "created": 3}))
    (before,), (after,) = ring.records(), ring.records()

    assert before.time == after.time
    assert time.time() - before.time < 60  # seconds: now, as that is no time


def test_a_long_name_is_not_cut_within_a_word() -> None:
    ring = RingBuffer()
    ring.append(snapshot("a", name=f"rpc of {'a' * 60} https://user:password@example.com/of-the-node"))

    (record,) = ring.records()

    assert record.logger == f"rpc of {'a' * 60} …[45 characters cut]…"
