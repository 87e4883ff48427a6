"""What is said on stderr, how often, and that nobody waits for it to be read.

A report that waits would wait for good here: the pipes and terminals are full, and the test itself is their reader.
"""

import io
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TextIO

import pytest
from children import ENDING, environment, python

from notify import diagnostics

pytestmark = pytest.mark.interpreter

ENOUGH = 1000  # lines to fill a terminal that hangs, and then some
LINUX = sys.platform == "linux"


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(diagnostics, "time", time)
    return time


def test_a_report_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.report("kind", "first\nsecond\r\n  third")

    assert capsys.readouterr() == ("", "notify: first second third\n")


def test_the_same_kind_is_written_once_in_ten_seconds(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        diagnostics.report("kind", "text")
    time.now += 9.9
    diagnostics.report("kind", "text")

    assert capsys.readouterr().err == "notify: text\n"


def test_the_next_line_says_how_many_were_held_back(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        diagnostics.report("kind", "text")
    time.now += 10
    diagnostics.report("kind", "text")
    time.now += 10
    diagnostics.report("kind", "text")

    assert capsys.readouterr().err.splitlines() == [
        "notify: text",
        "notify: text (3 more like it)",
        "notify: text",
    ]


def test_other_kinds_are_written_meanwhile(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.report("one", "first")
    diagnostics.report("two", "second")

    assert capsys.readouterr().err == "notify: first\nnotify: second\n"


def test_endless_kinds_do_not_fill_the_memory(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3 * diagnostics._KINDS_REMEMBERED):
        diagnostics.report(f"kind {number}", "text")

    assert len(diagnostics._last_said) <= diagnostics._KINDS_REMEMBERED


@pytest.mark.parametrize("stream", [None, "closed", "raising"])
def test_a_broken_stderr_is_nobodys_problem(monkeypatch: pytest.MonkeyPatch, stream: str | None) -> None:
    class Broken:
        def write(self, text: str) -> int:
            raise {"closed": ValueError, "raising": OSError}[stream or ""]

    monkeypatch.setattr(sys, "stderr", Broken() if stream else None)

    diagnostics.report("kind", "text")


def test_nothing_goes_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    diagnostics.report("kind", "text")

    assert caplog.records == []


def test_forgetting_makes_the_next_report_a_first_one(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.report("kind", "text")
    diagnostics.report("kind", "text")
    diagnostics.forget()
    diagnostics.report("kind", "text")

    assert capsys.readouterr().err == "notify: text\nnotify: text\n"


def test_a_report_interrupted_by_another_one_does_not_wait_for_itself() -> None:
    with diagnostics._lock:  # as if a signal arrived in the middle of a report
        diagnostics.report("kind", "text")


def test_threads_reporting_at_once_are_all_counted(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    def report() -> None:
        for _ in range(100):
            diagnostics.report("kind", "text")

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.now += 10
    diagnostics.report("kind", "text")

    assert "(399 more like it)" in capsys.readouterr().err


def test_a_lock_that_is_never_given_back_holds_nobody_up(capsys: pytest.CaptureFixture[str]) -> None:
    held, done = threading.Event(), threading.Event()

    def freeze() -> None:  # as the end of the interpreter does to the threads that it finds
        with diagnostics._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=freeze)
    thread.start()
    held.wait()
    try:
        diagnostics.report("kind", "text")
    finally:
        done.set()
        thread.join()

    assert capsys.readouterr().err == ""


# ---- stderr is a descriptor


class Pipe:
    """A pipe whose one end is stderr. The other is the test's."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.stream: TextIO = os.fdopen(self.writer, "w", encoding="utf-8")

    def fill(self) -> None:
        os.set_blocking(self.writer, False)
        for size in (65_536, 1):  # a write takes what there is room for, and the last bytes one by one
            try:
                while True:
                    os.write(self.writer, b"." * size)
            except BlockingIOError:
                continue
        os.set_blocking(self.writer, True)

    def read(self) -> bytes:
        """Return all that is in it."""
        read = b""
        try:
            while chunk := os.read(self.reader, 65_536):
                read += chunk
        except BlockingIOError:
            pass
        return read

    def close(self) -> None:
        os.close(self.reader)
        self.stream.close()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    with closing(Pipe()) as pipe:
        # Not in `sys` itself, where pytest puts its own back before the test begins.
        monkeypatch.setattr(diagnostics, "sys", SimpleNamespace(stderr=pipe.stream))
        yield pipe


def test_a_line_is_in_the_pipe_as_soon_as_it_is_reported(pipe: Pipe) -> None:
    diagnostics.report("one", "first")
    assert pipe.read() == b"notify: first\n"

    diagnostics.report("two", "sécond")
    assert pipe.read().decode() == "notify: sécond\n"


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_the_next_line_counts_what_was_lost(pipe: Pipe) -> None:
    pipe.fill()

    diagnostics.report("one", "text")
    diagnostics.report("two", "text")
    read = pipe.read()
    diagnostics.report("three", "text")
    diagnostics.report("four", "text")

    assert set(read) == set(b".")
    assert pipe.read() == b"notify: text (lines lost before it: 2)\nnotify: text\n"


def test_repeats_that_a_lost_line_would_have_told_are_told_by_the_next(time: Time, pipe: Pipe) -> None:
    for _ in range(3):
        diagnostics.report("kind", "text")
    pipe.fill()
    time.now += 10
    diagnostics.report("kind", "text")
    pipe.read()
    time.now += 10
    diagnostics.report("kind", "text")

    assert pipe.read() == b"notify: text (2 more like it) (lines lost before it: 1)\n"


def test_a_lost_line_is_not_tried_again_within_its_ten_seconds(time: Time, pipe: Pipe) -> None:
    pipe.fill()
    diagnostics.report("kind", "text")
    pipe.read()

    time.now += 9.9
    diagnostics.report("kind", "text")

    assert pipe.read() == b""


@pytest.mark.skipif(not LINUX, reason="a pipe cannot be opened again")
def test_another_writer_that_is_quicker_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    pipe.fill()
    monkeypatch.setattr(diagnostics, "ready", lambda descriptor, seconds: True)  # as it was before that writer came

    diagnostics.report("kind", "text")

    assert b"notify" not in pipe.read()


def test_the_pipe_of_who_started_the_program_stays_as_it_is(pipe: Pipe) -> None:
    before = set(Path("/dev/fd").iterdir())

    diagnostics.report("one", "text")
    pipe.fill()
    diagnostics.report("two", "text")

    assert os.get_blocking(pipe.writer)
    assert set(Path("/dev/fd").iterdir()) == before


def test_a_pipe_that_cannot_be_opened_again_is_written_to_when_it_is_ready(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(path)  # a pipe that root has made, after the program has changed its user

    monkeypatch.setattr(os, "open", refuse)
    diagnostics.report("one", "text")
    written = pipe.read()
    pipe.fill()
    diagnostics.report("two", "text")

    assert written == b"notify: text\n"
    assert b"notify" not in pipe.read()


def test_a_long_line_is_cut_to_what_a_pipe_takes_at_once(pipe: Pipe) -> None:
    for _ in range(2):
        diagnostics.report("kind", "text")
        diagnostics.report("long", "é" * 10_000)
        diagnostics._last_said.clear()

    first, long, second, again = pipe.read().splitlines(keepends=True)
    assert (first, second) == (b"notify: text\n", b"notify: text\n")
    assert select.PIPE_BUF - 2 <= len(long) <= select.PIPE_BUF  # two bytes make an é
    assert long.decode() == "notify: " + "é" * ((len(long) - len("notify: \n")) // 2) + "\n"
    assert again == long


def test_a_long_line_still_says_what_was_lost(pipe: Pipe) -> None:
    pipe.fill()
    diagnostics.report("one", "text")
    pipe.read()

    diagnostics.report("two", "x" * 10_000)

    assert pipe.read().endswith(b"x (lines lost before it: 1)\n")


def test_a_stderr_without_the_characters_gets_them_written_out(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    with open(pipe.writer, "w", encoding="ascii", closefd=False) as stream:
        monkeypatch.setattr(diagnostics.sys, "stderr", stream)
        diagnostics.report("kind", "für 🌲")

    assert pipe.read() == b"notify: f\\xfcr \\U0001f332\n"


def test_a_line_that_the_program_has_not_ended_stays_in_one_piece(pipe: Pipe) -> None:
    pipe.stream.write("half a line ")
    diagnostics.report("kind", "text")
    pipe.stream.write("and its end\n")
    pipe.stream.flush()

    assert pipe.read() == b"notify: text\nhalf a line and its end\n"


def test_after_a_line_in_part_the_next_one_begins_at_the_left(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda to, data: write(to, data[:5]))  # all that a disk or a terminal has room for
        diagnostics.report("one", "text")
    diagnostics.report("two", "text")
    diagnostics.report("three", "text")

    assert pipe.read() == b"notif\nnotify: text (lines lost before it: 1)\nnotify: text\n"


@pytest.mark.parametrize("broken", ["full disk", "closed descriptor", "closed reader", "closed stream"])
def test_a_descriptor_that_takes_nothing_is_nobodys_problem(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    reader, writer = os.pipe()
    if broken == "full disk":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    stream = open(writer, "w", closefd=False)  # noqa: SIM115 - a descriptor, closed below
    monkeypatch.setattr(sys, "stderr", stream)
    if broken == "closed reader":
        os.close(reader)
    if broken == "closed descriptor":
        os.close(writer)
    if broken == "closed stream":
        stream.close()

    diagnostics.report("one", "text")

    monkeypatch.setattr(sys, "stderr", said := io.StringIO())
    diagnostics.report("two", "text")
    assert said.getvalue() == "notify: text (lines lost before it: 1)\n"
    stream.close()
    if broken != "closed reader":
        os.close(reader)
    if broken != "closed descriptor":
        os.close(writer)


# ---- stderr is a terminal


class Terminal:
    def __init__(self) -> None:
        self.reader, self.writer = pty.openpty()
        tty.setraw(self.writer)  # or "\n" would arrive as "\r\n"
        self.stream: TextIO = os.fdopen(self.writer, "w")

    def read(self) -> bytes:
        """Return what it shows next; empty when that takes longer than a tenth of a second."""
        return os.read(self.reader, 65_536) if select.select([self.reader], [], [], 0.1)[0] else b""

    def close(self) -> None:
        self.stream.close()
        os.close(self.reader)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    with closing(Terminal()) as terminal:
        monkeypatch.setattr(diagnostics, "sys", SimpleNamespace(stderr=terminal.stream))
        yield terminal


def test_a_terminal_whose_output_is_stopped_holds_nobody_up(terminal: Terminal) -> None:
    termios.tcflow(terminal.writer, termios.TCOOFF)  # as Ctrl-S does
    diagnostics.report("one", "text")
    shown = terminal.read()
    termios.tcflow(terminal.writer, termios.TCOON)
    diagnostics.report("two", "text")

    assert shown == b""
    assert terminal.read() == b"notify: text (lines lost before it: 1)\n"


@pytest.mark.skipif(not LINUX, reason="a terminal cannot be opened again")
def test_a_terminal_that_hangs_holds_nobody_up_and_the_next_line_begins_at_the_left(terminal: Terminal) -> None:
    kinds = iter(range(ENOUGH))
    while not diagnostics._lost:  # it takes some 18 kB, and the last line perhaps in part
        number = next(kinds)
        diagnostics.report(f"kind {number}", f"{'x' * 149} {number}.")

    shown = b""
    while b"lost" not in shown:  # a terminal has room a little later than it was read
        shown += terminal.read()
        diagnostics.report(f"kind {next(kinds)}", "again")

    *whole, torn, last = shown[: shown.index(b"lost")].splitlines()
    assert whole == [f"notify: {'x' * 149} {number}.".encode() for number in range(len(whole))]
    assert f"notify: {'x' * 149} {len(whole)}.".encode().startswith(torn)
    assert last == b"notify: again (lines "


# ---- stderr is an object of the program


class Colored:
    """Passes on what it is given, as what colours the output on the way does."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.given = ""

    def fileno(self) -> int:
        return self.stream.fileno()

    def write(self, text: str) -> None:
        self.given += text
        self.stream.write(f"<red>{text}</red>")
        self.stream.flush()


def test_an_object_of_the_program_gets_the_line_and_not_its_descriptor(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    monkeypatch.setattr(diagnostics.sys, "stderr", Colored(pipe.stream))

    diagnostics.report("kind", "text")

    assert pipe.read() == b"<red>notify: text\n</red>"


def test_an_object_that_passes_on_to_a_pipe_that_nobody_reads_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    colored = Colored(pipe.stream)
    monkeypatch.setattr(diagnostics.sys, "stderr", colored)
    pipe.fill()

    diagnostics.report("kind", "text")

    assert colored.given == ""


@pytest.mark.parametrize("answer", [None, io.UnsupportedOperation("fileno"), RuntimeError("odd")])
def test_an_object_that_has_no_descriptor_gets_the_line(
    monkeypatch: pytest.MonkeyPatch, answer: Exception | None
) -> None:
    class Log(io.StringIO):
        def fileno(self) -> int:
            if answer is not None:
                raise answer
            return answer  # type: ignore[return-value]  # as Celery's does

    log = Log()
    monkeypatch.setattr(sys, "stderr", log)

    diagnostics.report("kind", "text")

    assert log.getvalue() == "notify: text\n"


# ---- as a process


@pytest.mark.process
@pytest.mark.parametrize("options", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_a_program_whose_stderr_nobody_reads_ends_as_it_wants_to(options: tuple[str, ...]) -> None:
    script = """if True:
        import atexit, os, signal, sys, threading
        from notify import diagnostics

        class Late:
            def __del__(self):
                diagnostics.report("late", "text")

        def report(kind):
            for number in range(100):
                diagnostics.report(f"{kind} {number}", "text")

        late = Late()
        atexit.register(report, "at exit")
        signal.signal(signal.SIGTERM, lambda number, frame: report("signal"))
        threads = [threading.Thread(target=report, args=[f"thread {number}"]) for number in range(4)]
        for thread in threads:
            thread.start()
        with diagnostics._lock:
            signal.raise_signal(signal.SIGTERM)
        child = os.fork()
        report("child" if child == 0 else "parent")
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        for thread in threads:
            thread.join()
        sys.exit(7)
    """
    with closing(Pipe()) as pipe:
        pipe.fill()
        command = [sys.executable, *options, "-c", script]
        run = subprocess.run(command, stderr=pipe.writer, check=False, timeout=ENDING, env=environment())
        assert run.returncode == 7
        assert b"notify" not in pipe.read()


@pytest.mark.process
def test_a_child_forked_in_the_middle_of_a_report_can_report() -> None:
    script = """if True:
        import os, threading
        from notify import diagnostics

        held, forked = threading.Event(), threading.Event()

        def report():
            with diagnostics._lock:
                held.set()
                forked.wait()

        threading.Thread(target=report).start()
        held.wait()
        child = os.fork()
        if child == 0:
            diagnostics.report("kind", "from the child")
            os._exit(0)
        forked.set()
        os.waitpid(child, 0)
    """

    run = python("-c", script)

    assert run.stderr == "notify: from the child\n"
