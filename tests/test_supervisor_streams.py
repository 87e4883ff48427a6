"""The output of a program under the supervisor is what it would be without: the same bytes, the same terminal."""

import errno
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from machine import missing
from supervised import HEARING, PATIENCE, WAYS, Terminal, python, report_of, running, supervised

from notify.supervisor.streams import Streams

pytestmark = pytest.mark.process

Way = Callable[..., list[str]]
REPETITIONS = 20  # where it depends on who is faster
MIB = 2**20


# ---- pipes and files

BOTH_STREAMS = """if True:
    import os
    for number in range(2000):
        os.write(1 + number % 2, b"%d " % number)
"""


@WAYS
def test_stdout_and_stderr_keep_their_order_where_they_are_one_pipe(way: Way) -> None:
    run = subprocess.run(way(*python(BOTH_STREAMS)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)

    assert run.stdout.split() == [b"%d" % number for number in range(2000)]


@WAYS
def test_stdout_and_stderr_keep_their_order_where_they_are_one_file(way: Way, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        subprocess.run(way(*python(BOTH_STREAMS)), stdout=log, stderr=log, check=True, timeout=PATIENCE)

    assert (tmp_path / "log").read_bytes().split() == [b"%d" % number for number in range(2000)]


def test_stdout_of_its_own_is_inherited_and_stderr_comes_through(report: Path) -> None:
    run = subprocess.run(supervised(*python(BOTH_STREAMS)), capture_output=True, check=True, timeout=PATIENCE)

    assert run.stdout.split() == [b"%d" % number for number in range(0, 2000, 2)]
    assert run.stderr.split() == [b"%d" % number for number in range(1, 2000, 2)]
    assert not report_of(report)["joined"]


def test_a_program_with_a_stdout_of_its_own_goes_on_to_print_when_the_supervisor_was_killed() -> None:
    script = f"{HEARING}\nprint('ready', os.getppid(), flush=True)\nline()\nprint('goes on', flush=True)"
    pipe = subprocess.PIPE

    command = supervised(*python(script))
    with running(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)) as supervisor:
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"ready %d\n" % supervisor.pid
        supervisor.kill()
        supervisor.wait(PATIENCE)
        supervisor.stdin.write(b"go on\n")
        supervisor.stdin.flush()

        assert supervisor.stdout.read() == b"goes on\n"


def test_the_tail_holds_stderr_alone_where_stdout_is_another_file(report: Path) -> None:
    script = "echo out; echo one >&2; echo two >&2"

    subprocess.run(supervised("sh", "-c", script), capture_output=True, check=True, timeout=PATIENCE)

    assert report_of(report)["lines"] == ["one", "two"]


def test_the_tail_holds_both_where_they_are_one_file(report: Path) -> None:
    command = supervised("sh", "-c", "echo out; echo err >&2")

    subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, timeout=PATIENCE)

    assert report_of(report)["lines"] == ["out", "err"]
    assert report_of(report)["joined"]


def test_every_byte_value_comes_through() -> None:
    script = "import os; os.write(2, bytes(range(256)) * 100)"

    run = subprocess.run(supervised(*python(script)), stderr=subprocess.PIPE, check=True, timeout=PATIENCE)

    assert run.stderr == bytes(range(256)) * 100


def test_an_endless_line_comes_through_in_bounded_memory(tmp_path: Path) -> None:
    size = 256  # MiB without a line end; five times what the supervisor may need, itself and the interpreter
    script = f"import os\nfor _ in range({size}): os.write(2, bytes(2**20))"
    # A process that a large one begins counts the size of that as its own: a small one has to stand between.
    measure = "import os, subprocess, sys; print(os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)[2].ru_maxrss)"
    reader, writer = os.pipe()

    command = [sys.executable, "-c", measure, *supervised(*python(script))]
    with running(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer)) as process:
        os.close(writer)
        came = 0
        while data := os.read(reader, MIB):
            came += len(data)
        os.close(reader)
        (peak,) = process.communicate(timeout=PATIENCE)[0].split()

    assert came == size * MIB
    assert int(peak) < 50 * 1024  # KiB


def test_all_that_a_killed_program_has_written_comes_through(report: Path) -> None:
    size = 60_000  # bytes: less than a pipe holds, so that the program need not wait for us
    script = f"import os, signal; os.write(2, b'x' * {size} + b'\\nlast'); os.kill(os.getpid(), signal.SIGKILL)"

    for _ in range(REPETITIONS):
        run = subprocess.run(supervised(*python(script)), stderr=subprocess.PIPE, timeout=PATIENCE)

        assert len(run.stderr) == size + 5
        assert report_of(report)["lines"][-1] == "last"


def test_a_reader_that_begins_late_gets_all_that_a_dead_program_has_written() -> None:
    script = "import os; os.write(2, bytes(60_000)); os.write(2, bytes(60_000)); os._exit(7)"
    reader, writer = os.pipe()

    with running(subprocess.Popen(supervised(*python(script)), stderr=writer)) as process:
        os.close(writer)
        _wait_until(lambda: _children(process.pid) == [])
        came = 0
        while data := os.read(reader, MIB):
            came += len(data)
        os.close(reader)
        assert process.wait(PATIENCE) == 7

    assert came == 120_000


@WAYS
def test_a_reader_that_is_gone_ends_a_program_by_sigpipe(way: Way) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    run = subprocess.run(way("sh", "-c", "exec yes >&2"), stderr=writer, timeout=PATIENCE)
    os.close(writer)

    assert run.returncode in (-13, 128 + 13)  # SIGPIPE, seen directly and through the supervisor


@WAYS
def test_a_stderr_that_does_not_block_comes_through_whole(way: Way) -> None:
    # Without us, a program that does not expect it would have to try again, as this one does.
    script = """if True:
        import os, select
        data = memoryview(bytes(2**20))
        while data:
            try:
                data = data[os.write(2, data):]
            except BlockingIOError:
                select.select([], [2], [])
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    with running(subprocess.Popen(way(*python(script)), stderr=writer)) as process:
        os.close(writer)
        came = 0
        while data := os.read(reader, 4096):
            came += len(data)
        os.close(reader)
        assert process.wait(PATIENCE) == 0

    assert came == MIB


def test_a_full_disk_stops_no_program_and_what_it_lost_is_counted(report: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(supervised("sh", "-c", "echo one >&2; echo two >&2"), stderr=full, timeout=PATIENCE)

    assert run.returncode == 0
    assert report_of(report)["lost"] == 8
    assert report_of(report)["lines"] == ["one", "two"]


@WAYS
@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_streams_are_closed_for_the_program_too(way: Way, closed: str, tmp_path: Path) -> None:
    script = f"""if True:
        import os
        def is_open(descriptor):
            try:
                os.fstat(descriptor)
            except OSError:
                return False
            return True
        seen = [descriptor for descriptor in range(3) if is_open(descriptor)]
        open({str(tmp_path / "seen")!r}, "w").write(repr(seen))
    """
    shell = f"exec {shlex.join(way(*python(script)))} {closed}"

    subprocess.run(["sh", "-c", shell], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=PATIENCE)

    still_open = [descriptor for descriptor in range(3) if not re.search(rf"\b{descriptor}[<>]", closed)]
    assert (tmp_path / "seen").read_text() == repr(still_open)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-"])
def test_no_file_of_ours_gets_the_number_of_a_closed_standard_stream(closed: str) -> None:
    script = "import os; from notify.supervisor.streams import Streams; Streams(); assert os.open('/', os.O_RDONLY) > 2"

    subprocess.run(["sh", "-c", f"exec {shlex.join(python(script))} {closed}"], check=True, timeout=PATIENCE)


@WAYS
def test_stdin_is_the_programs_own(way: Way) -> None:
    run = subprocess.run(way("cat"), input=bytes(range(256)), capture_output=True, check=True, timeout=PATIENCE)

    assert run.stdout == bytes(range(256))


@WAYS
def test_who_is_left_behind_and_holds_stderr_holds_nobody_up(way: Way) -> None:
    script = "sleep 1000 & echo $! >&2; exit 5"
    reader, writer = os.pipe()

    with running(subprocess.Popen(way("sh", "-c", script), stdin=subprocess.DEVNULL, stderr=writer)) as process:
        os.close(writer)
        started = time.monotonic()
        code = process.wait(PATIENCE)
        took = time.monotonic() - started
        left = int(os.read(reader, 100))
        os.kill(left, 9)
        os.close(reader)

    assert code == 5
    assert took < 3  # seconds; less than the 5 that a reader who takes nothing is waited for


def test_who_is_left_behind_and_goes_on_writing_holds_nobody_up() -> None:
    script = "yes >&2 & echo $!; exit 5"

    with running(
        subprocess.Popen(supervised("sh", "-c", script), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    ) as process:
        assert process.wait(PATIENCE) == 5
        assert process.stdout is not None
        left = int(process.stdout.readline())

    # It ends of the closed pipe. As an orphan it is nobody's here, so that only its absence can be seen.
    _wait_until(lambda: not Path(f"/proc/{left}").exists() or " Z " in Path(f"/proc/{left}/stat").read_text())


def test_what_cannot_be_relayed_is_inherited(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pipe", refuse)
    streams = Streams()

    assert streams.file_actions == ()
    assert streams.last_lines() == []
    assert streams.lost == 0
    streams.catch_up()
    streams.settle()
    assert streams.close()
    assert "last lines of stderr will not be known" in capfd.readouterr().err


def test_streams_leave_no_descriptor_behind() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    streams = Streams()
    assert streams.close()
    assert streams.close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


# ---- terminals


@WAYS
def test_the_program_finds_terminals_of_the_same_size_and_nature(way: Way, terminal: Terminal) -> None:
    terminal.resize(33, 111)
    script = """if True:
        import os, termios
        for stream in range(3):
            modes = termios.tcgetattr(stream)
            print(stream, os.isatty(stream), *os.get_terminal_size(stream), modes[0], modes[2:6])
    """

    with running(terminal.start(way(*python(script)))) as process:
        assert process.wait(PATIENCE) == 0

    lines = terminal.read_rest().decode().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [lines[0].split(" ", 1)[1]] * 3
    assert lines[0].startswith("0 True 111 33 ")


@WAYS
def test_the_terminal_turns_line_ends_once_and_leaves_the_rest_alone(way: Way, terminal: Terminal) -> None:
    script = r"import os; os.write(2, b'a\n 1%\r99%\r\n'); os.write(1, b'\x1b[31mred\x1b[0m\n\x00\xff\t')"

    for _ in range(REPETITIONS):
        terminal.shown = b""
        with running(terminal.start(way(*python(script)))) as process:
            assert process.wait(PATIENCE) == 0

        assert terminal.read_rest() == b"a\r\n 1%\r99%\r\r\n\x1b[31mred\x1b[0m\r\n\x00\xff\t"


@WAYS
def test_all_that_a_dead_program_has_written_to_a_terminal_comes_through(way: Way, terminal: Terminal) -> None:
    script = "import os; os.write(2, b'x' * 3000 + b'end'); os._exit(0)"  # bytes that a terminal holds without a reader

    for _ in range(REPETITIONS):
        terminal.shown = b""
        with running(terminal.start(way(*python(script)))) as process:
            assert process.wait(PATIENCE) == 0

        assert terminal.read_rest() == b"x" * 3000 + b"end"


@WAYS
def test_stdout_and_stderr_keep_their_order_on_a_terminal(way: Way, terminal: Terminal) -> None:
    with running(terminal.start(way(*python(BOTH_STREAMS + "    os.write(1, b'end')\n")))) as process:
        shown = terminal.wait_for(b"end")
        assert process.wait(PATIENCE) == 0

    assert shown.removesuffix(b"end").split() == [b"%d" % number for number in range(2000)]


def test_a_stdout_that_is_no_terminal_stays_none(terminal: Terminal) -> None:
    script = "import os; print(os.isatty(1), os.isatty(2))"

    with running(terminal.start(supervised(*python(script)), stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"False True\n"


@WAYS
def test_a_window_that_changes_its_size_is_told_and_seen(way: Way, terminal: Terminal) -> None:
    script = f"""{HEARING}
def show(*_):
    os.write(1, b"%dx%d|%dx%d\\n" % (*os.get_terminal_size(1), *os.get_terminal_size(2)))
signal.signal(signal.SIGWINCH, show)
os.write(1, b"ready\\n")
line()
"""

    with running(terminal.start(way(*python(script)))) as process:
        terminal.wait_for(b"ready")
        for columns in range(100, 100 + REPETITIONS):
            terminal.resize(50, columns)
            terminal.wait_for(b"%dx50|%dx50" % (columns, columns))
        terminal.type(b"\n")
        assert process.wait(PATIENCE) == 0


@WAYS
def test_a_password_is_asked_for_and_not_shown(way: Way, terminal: Terminal) -> None:
    script = "import getpass; print('got', getpass.getpass('Password: ')[::-1])"

    with running(terminal.start(way(*python(script)))) as process:
        terminal.wait_for(b"Password: ")
        terminal.type(b"terces\n")
        shown = terminal.wait_for(b"got secret\r\n")
        assert process.wait(PATIENCE) == 0

    assert b"terces" not in shown


@WAYS
def test_what_is_typed_is_shown_and_edited_by_the_terminal(way: Way, terminal: Terminal) -> None:
    with running(terminal.start(way(*python("print('got', input('name: '))")))) as process:
        terminal.wait_for(b"name: ")
        terminal.type(b"Bbo\x7f\x7fob\n")  # two characters are taken back
        terminal.wait_for(b"got Bob\r\n")
        assert process.wait(PATIENCE) == 0


def test_a_terminal_that_is_hung_up_ends_as_it_would_for_the_program(tmp_path: Path) -> None:
    script = f"""if True:
        import os, signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.write(1, b"ready")
        try:
            os.read(0, 1)
        except OSError:
            pass  # a terminal that goes while it is read
        try:
            while True:
                os.write(2, b"still here")
        except OSError as error:
            open({str(tmp_path / "seen")!r}, "w").write(str(error.errno))
    """
    terminal = Terminal()

    with running(terminal.start(supervised(*python(script)))) as process:
        terminal.wait_for(b"ready")
        terminal.close()
        assert process.wait(PATIENCE) == 0

    assert (tmp_path / "seen").read_text() == str(errno.EIO)


def test_a_pane_of_tmux_shows_the_program_as_it_would_without(tmp_path: Path) -> None:
    _need("tmux")
    script = "import os, time; os.write(2, b'one\\n 1%\\r99%\\ntwo'); print(*os.get_terminal_size()); input()"
    (tmp_path / "driver").write_text(shlex.join(supervised(*python(script))))
    socket = str(tmp_path / "tmux")
    tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "TERM": "xterm"}

    subprocess.run([*tmux, "new-session", "-d", "-x", "60", "-y", "20", f"sh {tmp_path / 'driver'}"], env=environment)
    try:
        shown = ""

        def capture() -> bool:
            nonlocal shown
            shown = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout
            return "60 20" in shown

        _wait_until(capture)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)

    assert shown.split("\n")[:3] == ["one", "99%", "two60 20"]


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    waiting = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        waiting.wait(0.01)


def _need(program: str) -> None:
    from shutil import which

    if which(program) is None:
        missing(f"{program} is not installed")
