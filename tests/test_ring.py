import logging
import threading

import pytest

from notify.capture.ring import RingBuffer
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
