"""A stream passes on byte for byte, and its reader governs its writer as if nothing were between."""

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from notify import threads
from notify.supervisor.relay import Relay

PATIENCE = 30.0  # seconds after which a relay counts as hanging; it needs milliseconds
IMPATIENCE = 0.05  # seconds that a test waits for what must not come
PIPE = 65_536  # bytes that a pipe holds
CHUNK = 65_536  # bytes that the relay has in hand at most


class Ends:
    """A relay between two pipes, the end that a program would write to, and the end that a reader has."""

    def __init__(self, destination: int | None = None) -> None:
        source, self.writer = os.pipe()
        self.reader: int | None = None
        self.destination = destination if destination is not None else -1
        if destination is None:
            self.reader, self.destination = os.pipe()
        self.relay = Relay(source, self.destination)

    def stop_reading(self) -> None:
        assert self.reader is not None
        os.close(self.reader)
        self.reader = None

    def read(self, size: int) -> bytes:
        assert self.reader is not None
        data = b""
        while len(data) < size:
            data += os.read(self.reader, size - len(data))
        return data


@contextmanager
def relaying(destination: int | None = None) -> Iterator[Ends]:
    ends = Ends(destination)
    try:
        yield ends
    finally:
        if ends.reader is not None:
            ends.stop_reading()  # a relay that hangs ends of it
        ends.relay.close(PATIENCE)
        os.close(ends.writer)
        os.close(ends.destination)


def write_until_full(descriptor: int) -> int:
    """Write zeros until the other side has taken nothing for a while, and return how many bytes were taken."""
    os.set_blocking(descriptor, False)
    written = 0
    patience = threading.Event()
    while not patience.wait(IMPATIENCE):
        before = written
        with suppress(BlockingIOError):
            while True:
                written += os.write(descriptor, bytes(4096))
        if written == before:
            break
    return written


def test_every_byte_comes_through_in_order() -> None:
    data = random.Random(4).randbytes(3 * PIPE)  # more than all the pipes and hands on the way hold at once

    with relaying() as ends:
        writing = threading.Thread(target=lambda: os.write(ends.writer, data))
        writing.start()
        came = ends.read(len(data))
        writing.join()

    assert came == data


def test_a_reader_that_does_not_read_makes_the_writer_wait_and_loses_nothing() -> None:
    with relaying() as ends:
        written = write_until_full(ends.writer)

        assert written <= 2 * PIPE + CHUNK  # both pipes, and what the relay has in hand
        assert ends.read(written) == bytes(written)


def test_a_reader_that_is_gone_takes_the_writers_pipe_away_before_the_first_write() -> None:
    with relaying() as ends:
        ends.stop_reading()
        assert ends.relay.settle(PATIENCE)
        _wait_for_end()

        with pytest.raises(BrokenPipeError):
            os.write(ends.writer, b"x")


def test_a_reader_that_goes_away_while_the_writer_waits_ends_the_wait() -> None:
    with relaying() as ends:
        write_until_full(ends.writer)
        os.set_blocking(ends.writer, True)
        leaving = threading.Timer(IMPATIENCE, ends.stop_reading)
        leaving.start()

        with pytest.raises(BrokenPipeError):
            os.write(ends.writer, bytes(4 * PIPE))
        leaving.join()


def test_a_destination_that_does_not_block_is_waited_for() -> None:
    data = random.Random(4).randbytes(3 * PIPE)

    with relaying() as ends:
        os.set_blocking(ends.destination, False)
        writing = threading.Thread(target=lambda: os.write(ends.writer, data))
        writing.start()
        writing.join(IMPATIENCE)
        assert writing.is_alive()  # all pipes are full
        came = ends.read(len(data))
        writing.join()

    assert came == data


def test_a_full_disk_loses_what_is_written_meanwhile_and_stops_nobody() -> None:
    with relaying(os.open("/dev/full", os.O_WRONLY)) as ends:
        os.write(ends.writer, b"one\n")
        os.write(ends.writer, b"two\n")
        ends.relay.catch_up()

        assert ends.relay.settle(PATIENCE)
        assert ends.relay.lost == 8
        assert ends.relay.lines(30) == ["one", "two"]


def test_lines_are_not_torn_apart_where_they_fit_into_one_write() -> None:
    line = b"x" * 999 + b"\n"  # four of them, and not five, fit into one write to a pipe

    with relaying() as ends:
        written = write_lines_until_full(ends.writer, line)
        pieces = [os.read(ends.reader or -1, PIPE)]
        # What was waiting in the pipe now consists of whole writes.
        assert len(pieces[0]) % len(line) == 0
        ends.read(written - len(pieces[0]))


def write_lines_until_full(descriptor: int, line: bytes) -> int:
    os.set_blocking(descriptor, False)
    written = 0
    with suppress(BlockingIOError):
        while True:
            written += os.write(descriptor, line)
    return written


def test_all_that_was_written_is_in_the_tail_while_nobody_reads() -> None:
    with relaying() as ends:
        written = write_until_full(ends.writer)
        os.set_blocking(ends.writer, True)
        ends.relay.catch_up()
        os.write(ends.writer, b"\nlast words\n")
        ends.relay.catch_up()

        assert ends.relay.lines(1) == ["last words"]
        assert ends.read(written + 12) == bytes(written) + b"\nlast words\n"


def test_closing_passes_on_the_rest() -> None:
    with relaying() as ends:
        os.write(ends.writer, bytes(PIPE))

        assert ends.relay.close(PATIENCE)
        assert ends.read(PIPE) == bytes(PIPE)


def test_closing_gives_up_a_reader_that_takes_nothing() -> None:
    with relaying() as ends:
        write_until_full(ends.writer)

        assert not ends.relay.close(IMPATIENCE)


def test_closing_waits_for_a_reader_that_is_slow() -> None:
    patience = 0.4  # seconds; the reader below takes longer in all, and for a chunk, but not for the piece of one
    pause = 0.03
    with relaying() as ends:
        written = write_until_full(ends.writer)
        closed: list[bool] = []
        closing = threading.Thread(target=lambda: closed.append(ends.relay.close(patience)))
        closing.start()
        came = 0
        waiting = threading.Event()
        while came < written:
            waiting.wait(pause)
            came += len(ends.read(min(4096, written - came)))
        closing.join()

    assert closed == [True]
    assert written / 4096 * pause > patience


def test_closing_waits_for_nobody_who_goes_on_writing() -> None:
    with relaying() as ends:
        stop = threading.Event()

        def spew() -> None:
            with suppress(BrokenPipeError):
                while not stop.is_set():
                    os.write(ends.writer, bytes(4096))

        def swallow() -> None:
            while not stop.is_set():
                os.read(ends.reader or -1, PIPE)

        others = [threading.Thread(target=spew), threading.Thread(target=swallow)]
        for each in others:
            each.start()
        ended = ends.relay.close(PATIENCE)
        stop.set()
        others[0].join()
        os.write(ends.destination, b"x")  # lets go whoever waits to read
        others[1].join()

    assert ended


def test_closing_twice_is_closing_once() -> None:
    with relaying() as ends:
        assert ends.relay.close(PATIENCE)
        assert ends.relay.close(PATIENCE)


def test_the_source_is_closed_at_the_end_and_the_destination_is_not() -> None:
    with relaying() as ends:
        ends.relay.close(PATIENCE)

        with pytest.raises(BrokenPipeError):
            os.write(ends.writer, b"x")
        os.write(ends.destination, b"x")
        assert ends.read(1) == b"x"


def test_a_refused_thread_is_an_error_that_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start", refuse)
    source, writer = os.pipe()
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(RuntimeError, match="thread"):
        Relay(source, writer)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.close(source)
    os.close(writer)


def _wait_for_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "notify-relay":
            thread.join(PATIENCE)
