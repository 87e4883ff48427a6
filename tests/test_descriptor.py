"""Texts through pipes, full, slow and non-blocking ones: each arrives whole and once, or its writer hears of it."""

import os
import threading
from collections.abc import Iterator
from select import PIPE_BUF
from typing import Any

import pytest
from children import ENDING, python

from notify import descriptor
from notify.descriptor import Written, write_whole

LONG = 300_000  # bytes: more than the 65,536 that a pipe of Linux holds


class Pipe:
    """A pipe whose reader is the test."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self, size: int = 2 * LONG) -> bytes:
        """Return what is in it."""
        try:
            return os.read(self.reader, size)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptor, "_PATIENCE", 0.01)  # seconds
    monkeypatch.setattr(descriptor, "_rests", {})


@pytest.fixture(params=[True, False], ids=["blocking", "non-blocking"])
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    pipe = Pipe()
    os.set_blocking(pipe.writer, request.param)
    yield pipe
    pipe.close()


def text(number: int, size: int = LONG) -> bytes:
    return b"%d" % number * size + b"\n"


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What each single call of `os.write` was given."""
    given: list[bytes] = []
    write = os.write

    def noting(to: int, data: Any) -> int:
        given.append(bytes(data))
        return write(to, data)

    monkeypatch.setattr(os, "write", noting)
    return given


def test_texts_are_written_in_their_order(pipe: Pipe) -> None:
    assert write_whole(pipe.writer, [b"a\n", b"", b"b\n"]) == Written(3, False)

    assert pipe.read() == b"a\nb\n"


def test_nothing_is_written_for_no_texts(pipe: Pipe, writes: list[bytes]) -> None:
    assert write_whole(pipe.writer, []) == Written(0, False)

    assert writes == []


def test_a_text_that_fits_is_one_write_so_that_other_processes_cannot_tear_it(pipe: Pipe, writes: list[bytes]) -> None:
    texts = [text(number, size) for number, size in enumerate([PIPE_BUF // 3] * 7 + [PIPE_BUF - 1])]

    write_whole(pipe.writer, texts)

    assert b"".join(writes) == b"".join(texts)
    assert all(written.endswith(b"\n") and len(written) <= PIPE_BUF for written in writes)
    assert len(writes) == 5  # two of the smaller ones fit together


def test_a_pipe_that_nobody_reads_is_given_up_after_a_while(pipe: Pipe) -> None:
    texts = [text(number, 999) for number in range(100)]

    whole, begun = write_whole(pipe.writer, texts)

    assert 0 < whole < 100
    assert not begun  # lines of this length go through whole or not at all
    assert pipe.read() == b"".join(texts[:whole])
    assert write_whole(pipe.writer, texts[whole : whole + 1]) == Written(1, False)


def test_who_finds_no_room_because_another_writer_was_quicker_waits_once_more(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    answers: list[Exception] = [BlockingIOError()]
    write = os.write

    def late(to: int, data: Any) -> int:
        if answers:
            raise answers.pop()
        return write(to, data)

    monkeypatch.setattr(os, "write", late)
    monkeypatch.setattr(descriptor, "_PATIENCE", ENDING)

    assert write_whole(pipe.writer, [b"a\n"]) == Written(1, False)

    assert pipe.read() == b"a\n"


def test_a_text_in_parts_is_ended_before_another_one_begins(pipe: Pipe) -> None:
    first, second = text(1), text(2, 1)

    assert write_whole(pipe.writer, [first, second]) == Written(0, True)
    read = pipe.read()
    while write_whole(pipe.writer, [b"", second]) == Written(0, False):  # the first is begun, so it is not given again
        read += pipe.read()

    assert read + pipe.read() == first + second


def test_the_end_of_a_text_is_kept_while_nothing_of_it_goes_through(pipe: Pipe) -> None:
    write_whole(pipe.writer, [text(1)])
    for _ in range(2):
        assert write_whole(pipe.writer, [b""]) == Written(0, False)
    read = pipe.read()
    while write_whole(pipe.writer, [b""]) == Written(0, False):
        read += pipe.read()

    assert read + pipe.read() == text(1)


def test_long_and_short_texts_arrive_once_and_whole_however_slowly_they_are_read(pipe: Pipe) -> None:
    texts = [text(number % 10, size) for number, size in enumerate([10, LONG, PIPE_BUF, 0, PIPE_BUF - 1, LONG, 7])]

    read, left, calls = b"", list(texts), 0
    while left:
        whole, begun = write_whole(pipe.writer, left)
        left = left[whole:]
        if begun:
            left[0] = b""
        read += pipe.read(50_001)  # no multiple of anything
        calls += 1

    while more := pipe.read():
        read += more
    assert read == b"".join(texts)
    assert calls > 4  # it had to be continued


def test_descriptors_do_not_get_each_others_ends() -> None:
    pipes = [Pipe(), Pipe()]
    write_whole(pipes[0].writer, [text(1)])
    write_whole(pipes[1].writer, [b"other\n"])

    other = pipes[1].read()
    read = pipes[0].read()
    while write_whole(pipes[0].writer, [b""]) == Written(0, False):
        read += pipes[0].read()

    assert other == b"other\n"
    assert read + pipes[0].read() == text(1)
    for pipe in pipes:
        pipe.close()


def test_an_error_before_anything_is_written_is_raised() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with pytest.raises(BrokenPipeError):
        write_whole(writer, [b"a\n"])

    os.close(writer)


def test_what_was_written_before_an_error_counts_and_the_next_call_raises_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe()
    room = PIPE_BUF + 1000  # bytes on a disk that is full then
    write = os.write

    def on_a_disk(to: int, data: Any) -> int:
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        taken = write(to, data[:room])
        room -= taken
        return taken

    monkeypatch.setattr(os, "write", on_a_disk)
    texts = [text(number, PIPE_BUF - 1) for number in range(3)]

    assert write_whole(pipe.writer, texts) == Written(1, True)
    with pytest.raises(OSError, match="No space left"):
        write_whole(pipe.writer, [b"", texts[2]])
    room = LONG
    assert write_whole(pipe.writer, [b"", texts[2]]) == Written(2, False)

    assert pipe.read() == b"".join(texts)
    pipe.close()


def test_who_comes_while_another_one_is_stuck_goes_on_after_a_while(pipe: Pipe) -> None:
    with descriptor._lock:  # as a thread that is stuck in a write does
        assert write_whole(pipe.writer, [b"a\n"]) == Written(0, False)

    assert pipe.read() == b""


def test_threads_do_not_tear_each_others_texts() -> None:
    pipe = Pipe()
    os.set_blocking(pipe.reader, True)

    def write(number: int) -> None:
        left = [text(number, LONG)] * 3
        while left:
            whole, begun = write_whole(pipe.writer, left)
            left = left[whole:]
            if begun:
                left[0] = b""

    threads = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    read = b""
    while read.count(b"\n") < 9:
        read += pipe.read()
    for thread in threads:
        thread.join()
    pipe.close()

    assert sorted(read.splitlines(keepends=True)) == [text(number) for number in (0, 0, 0, 1, 1, 1, 2, 2, 2)]


@pytest.mark.process
def test_a_forked_child_leaves_its_parents_half_text_to_the_parent() -> None:
    script = f"""if True:
        import os
        from notify import descriptor

        descriptor._PATIENCE = 0.01
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        assert descriptor.write_whole(writer, [b"1" * {LONG}]) == (0, True)
        os.read(reader, {LONG})
        child = os.fork() if descriptor._lock.acquire() else None
        if child == 0:
            assert descriptor.write_whole(writer, [b"of the child"]) == (1, False)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(os.read(reader, {LONG}).decode())
    """

    run = python("-c", script)

    assert (run.stdout, run.stderr) == ("of the child\n", "")
