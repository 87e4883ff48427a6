"""The last lines of a stream, whatever the stream is made of."""

import tracemalloc

import pytest

from notify.supervisor.tail import LIMIT, LINE_LIMIT, Tail

CHUNK = 65_536  # bytes that the relay adds at once


@pytest.fixture
def tail() -> Tail:
    return Tail()


def test_the_last_lines_come_oldest_first(tail: Tail) -> None:
    tail.add(b"one\ntwo\nthree\n")

    assert tail.lines(2) == ["two", "three"]


def test_a_line_may_come_in_pieces(tail: Tail) -> None:
    for piece in (b"on", b"e\ntw", b"o"):
        tail.add(piece)

    assert tail.lines(30) == ["one", "two"]


def test_nothing_written_is_no_line(tail: Tail) -> None:
    assert tail.lines(30) == []


def test_empty_lines_are_kept_inside_and_left_out_at_the_end(tail: Tail) -> None:
    tail.add(b"one\n\ntwo\n\n\n")

    assert tail.lines(30) == ["one", "", "two"]


def test_no_lines_asked_for_are_none(tail: Tail) -> None:
    tail.add(b"one\n")

    assert tail.lines(0) == []


def test_a_progress_bar_is_its_last_state(tail: Tail) -> None:
    tail.add(b"start\r\n 1%\r50%\r99%\r\nend\r\n")

    assert tail.lines(30) == ["start", "99%", "end"]


@pytest.mark.parametrize(
    "written",
    [b"\x1b[1;31mred\x1b[0m", b"\x1b]0;title\x07red", b"\x1b]8;;http://x\x1b\\red\x1b]8;;\x1b\\", b"\x1b(Bred\x1b[K"],
    ids=["colour", "title", "link", "character set"],
)
def test_what_a_terminal_obeys_is_left_out(tail: Tail, written: bytes) -> None:
    tail.add(written)

    assert tail.lines(30) == ["red"]


def test_what_is_no_text_is_written_out(tail: Tail) -> None:
    tail.add("Ünicode ".encode() + b"\xff\xfe\n")

    assert tail.lines(30) == ["Ünicode \\xff\\xfe"]


def test_a_line_that_has_lost_its_beginning_is_not_shown(tail: Tail) -> None:
    tail.add(b"BEGINNING" + b"x" * LIMIT + b"\nlast\n")

    assert tail.lines(30) == ["last"]


def test_a_line_that_has_lost_its_beginning_is_not_shown_when_it_came_in_pieces(tail: Tail) -> None:
    for _ in range(3):  # more than is kept, less than is cleared away
        tail.add(b"x" * (LIMIT // 2))
    tail.add(b"\nlast\n")

    assert tail.lines(30) == ["last"]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_word_that_has_lost_its_beginning_is_not_shown_when_its_line_is_the_only_one(tail: Tail, end: bytes) -> None:
    tail.add(b"secret-begins-" + b"and-ends " + b"x " * ((LIMIT - 9) // 2) + end)  # the cut falls into the secret

    (line,) = tail.lines(30)

    assert "ends" not in line
    assert line.startswith(" x x")


def test_an_endless_line_is_shown_cut(tail: Tail) -> None:
    for _ in range(10):
        tail.add(b"x" * CHUNK)

    (line,) = tail.lines(30)

    assert len(line) == LINE_LIMIT
    assert "characters cut" in line


@pytest.mark.parametrize("chunk", [b"x" * CHUNK, b"\n" * CHUNK, b"\xff" * CHUNK, b"x" * 4095 + b"\n"])
def test_memory_is_bounded_whatever_is_added(tail: Tail, chunk: bytes) -> None:
    tracemalloc.start()
    for _ in range(500):  # 32 MB of the large chunks
        tail.add(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 5 * LIMIT  # two are kept, and a buffer that grows is there twice for a moment
