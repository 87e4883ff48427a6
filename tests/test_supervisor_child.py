"""A program under the supervisor starts, hears its signals, stops, goes on and ends as it would without."""

import os
import resource
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest
from machine import missing
from supervised import DRIVER, HEARING, PATIENCE, WAYS, Terminal, python, report_of, running, supervised

from notify.errors import ConfigError
from notify.supervisor.child import Child, Ending, StartError, wait_for_stop
from notify.supervisor.signals import Signals
from notify.supervisor.streams import Streams

pytestmark = pytest.mark.process

Way = Callable[..., list[str]]
REPETITIONS = 20  # where it depends on who is faster
ASKED_TO_STOP = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
# Signals 32 and 33, which have no names: glibc's posix_spawn leaves them ignored, and handles them when it needs them.
OF_GLIBC = 0b11 << 31

# Says each signal it gets, and how many of each there were when it is told to end by a line on stdin.
LISTENER = f"""{HEARING}
import sys
counts = {{}}
def hear(signum, frame):
    counts[signum] = counts.get(signum, 0) + 1
    os.write(1, b"<%d:%d>" % (signum, counts[signum]))
for signum in map(int, sys.argv[1:]):
    signal.signal(signum, hear)
os.write(1, b"ready\\n")
line()
print("heard", sorted(counts.items()), flush=True)
"""


@pytest.fixture
def signals() -> Iterator[Signals]:
    made = Signals()
    yield made
    while made.take(0):
        pass  # what came too late for the test
    made.release()


@pytest.fixture
def streams() -> Iterator[Streams]:
    made = Streams()
    yield made
    made.close()


# ---- the start


def test_a_program_that_does_not_exist_is_127(signals: Signals, streams: Streams) -> None:
    with pytest.raises(StartError, match=r"^no-such-program: no such program.*$") as error:
        Child(["no-such-program"], {}, signals=signals, streams=streams)

    assert error.value.exit_code == 127


@pytest.mark.parametrize("kind", ["not executable", "a directory", "no program"])
def test_what_may_not_be_executed_is_126(kind: str, tmp_path: Path, signals: Signals, streams: Streams) -> None:
    path = tmp_path / "it"
    if kind == "a directory":
        path.mkdir()
    else:
        path.write_text("neither a binary nor a script")
        path.chmod(0o600 if kind == "not executable" else 0o700)

    with pytest.raises(StartError, match=r"^[^\n]+$") as error:
        Child([str(path)], {}, signals=signals, streams=streams)

    assert error.value.exit_code == 126


def test_the_environment_is_the_given_one_and_names_the_supervisor(
    signals: Signals, streams: Streams, capfd: pytest.CaptureFixture[str]
) -> None:
    child = Child(["env"], {"A": "ü", "B": ""}, signals=signals, streams=streams)

    assert child.wait(PATIENCE) is not None
    assert sorted(capfd.readouterr().out.split()) == ["A=ü", "B=", f"NOTIFY_SUPERVISOR={os.getpid()}"]


def test_arguments_arrive_as_they_were_given() -> None:
    arguments = ["", " ", "--", "-c", "a b", "$HOME", "ü\udcff"]
    script = "import os, sys; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"

    run = subprocess.run(supervised(*python(script), *arguments), stdout=subprocess.PIPE, check=True, timeout=PATIENCE)

    assert run.stdout == b"|".join(map(os.fsencode, arguments))


@WAYS
def test_the_program_has_no_descriptors_but_what_was_inherited(way: Way) -> None:
    script = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    kept, other = os.pipe()

    run = subprocess.run(
        way(*python(script)), capture_output=True, text=True, check=True, pass_fds=[kept], timeout=PATIENCE
    )
    os.close(kept)
    os.close(other)

    own = kept + 1 if kept == 3 else 3  # the one with which it lists them
    assert run.stdout == f"{sorted(map(str, [0, 1, 2, kept, own]))}\n"


def _ignoring_and_blocking() -> None:
    for signum in (signal.SIGHUP, signal.SIGUSR2, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGTERM})


@pytest.mark.parametrize("prepare", [None, _ignoring_and_blocking], ids=["as usual", "some ignored and blocked"])
def test_signals_are_blocked_and_ignored_as_without_us(prepare: Callable[[], None] | None) -> None:
    def sets(command: list[str]) -> list[int]:
        run = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=prepare, timeout=PATIENCE)
        return [int(line.split()[1], 16) & ~OF_GLIBC for line in run.stdout.splitlines()]

    command = ["grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"]
    under_us = sets(supervised(*command))

    assert under_us == sets(command)
    assert len(under_us) == 3


def test_it_is_in_our_session_and_our_group() -> None:
    script = "import os; print(os.getpgrp() == os.getpgid(os.getppid()), os.getsid(0) == os.getsid(os.getppid()))"

    run = subprocess.run(supervised(*python(script)), capture_output=True, text=True, check=True, timeout=PATIENCE)

    assert run.stdout == "True True\n"


def test_a_signal_that_came_before_the_start_reaches_the_program() -> None:
    # In a process of its own: who runs the tests may have threads that block nothing.
    script = f"""if True:
        import os, signal
        from notify.supervisor.child import Child
        from notify.supervisor.signals import Signals
        from notify.supervisor.streams import Streams
        signals, streams = Signals(), Streams()
        for _ in range({REPETITIONS}):
            os.kill(os.getpid(), signal.SIGTERM)
            ending = Child(["sleep", "1000"], os.environ, signals=signals, streams=streams).wait({PATIENCE})
            assert ending is not None
            assert ending.returncode == -signal.SIGTERM, ending
            assert ending.told == (signal.SIGTERM,), ending
        streams.close()
    """

    subprocess.run(python(script), check=True, timeout=PATIENCE)


# ---- the end


@pytest.mark.parametrize("code", [0, 1, 2, 77, 126, 127, 128, 255])
def test_the_exit_code_is_the_programs(code: int) -> None:
    assert subprocess.run(supervised("sh", "-c", f"exit {code}"), timeout=PATIENCE).returncode == code


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGPIPE])
def test_a_program_that_a_signal_killed_is_128_and_the_signal(signum: signal.Signals, report: Path) -> None:
    run = subprocess.run(supervised("sh", "-c", f"ulimit -c 0; kill -{signum} $$"), timeout=PATIENCE)

    assert run.returncode == 128 + signum
    assert report_of(report)["returncode"] == -signum
    assert report_of(report)["told"] == []  # nobody has asked it


def test_an_ending_says_how_long_and_with_what_the_program_ran(report: Path) -> None:
    size = 300 * 2**20  # bytes; more than the supervisor needs, whose own memory counts too
    script = f"data = bytearray({size}); data[::4096] = b'x' * len(data[::4096])"
    started = time.monotonic()

    subprocess.run(supervised(*python(script)), check=True, timeout=PATIENCE)

    assert report_of(report)["maxrss"] > size / 1024
    assert report_of(report)["own_peak"] > 0
    assert 0 < report_of(report)["seconds"] < time.monotonic() - started


def test_an_ending_names_the_signal() -> None:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)

    def ending(returncode: int) -> Ending:
        return Ending(returncode=returncode, dumped_core=False, seconds=1.0, usage=usage)

    assert ending(-11).signal is signal.SIGSEGV
    assert ending(-(signal.SIGRTMIN + 1)).signal == signal.SIGRTMIN + 1
    assert ending(3).signal is None


def test_waiting_ends_when_the_time_is_up_and_can_be_taken_up_again(signals: Signals, streams: Streams) -> None:
    child = Child(["sleep", "1000"], os.environ, signals=signals, streams=streams)

    assert child.wait(0) is None
    assert child.wait(0.01) is None
    child.kill(signal.SIGKILL)
    ending = child.wait(PATIENCE)
    assert ending is not None
    assert ending.signal is signal.SIGKILL
    assert ending.told == ()
    assert child.wait(0) is ending
    child.kill(signal.SIGKILL)  # nobody is hit


def test_the_last_words_are_known_when_the_end_is_though_nobody_reads_them(signals: Signals) -> None:
    # What the real pipe and the relay's hands hold (64 KiB each), and half of what the relay's own pipe does.
    script = "import os; os.write(2, bytes(160_000)); os.write(2, b'\\nlast words')"
    reader, writer = os.pipe()
    stderr = os.dup(2)
    os.dup2(writer, 2)
    streams = Streams()
    try:
        ending = Child(python(script), os.environ, signals=signals, streams=streams).wait(PATIENCE)

        assert ending is not None
        assert streams.last_lines(1) == ["last words"]
    finally:
        os.close(reader)
        streams.close()
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(writer)


def test_a_parent_that_ignores_its_children_hides_no_ending() -> None:
    run = subprocess.run(
        supervised("sh", "-c", "exit 9"),
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        timeout=PATIENCE,
    )

    assert run.returncode == 9


# ---- signals


@WAYS
def test_each_signal_that_is_sent_arrives_once(way: Way) -> None:
    numbers = [*ASKED_TO_STOP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH, signal.SIGRTMIN + 3]

    with running(
        subprocess.Popen(
            [*way(*python(LISTENER)), *map(str, map(int, numbers))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for times in range(1, REPETITIONS + 1):
            for signum in numbers:
                process.send_signal(signum)
                _read_until(process, b"<%d:%d>" % (signum, times))
        process.stdin.write(b"\n")
        process.stdin.flush()

        assert process.stdout.readline().decode() == f"heard {[(int(n), REPETITIONS) for n in sorted(numbers)]}\n"


@pytest.mark.parametrize("signum", ASKED_TO_STOP)
def test_a_signal_that_ends_the_program_is_told(signum: signal.Signals, report: Path) -> None:
    with running(subprocess.Popen(supervised("sh", "-c", "echo; exec sleep 1000"), stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signum)

        assert process.wait(PATIENCE) == 128 + signum

    assert report_of(report)["told"] == [signum]
    assert 0 <= report_of(report)["seconds_since_told"] < PATIENCE


def test_what_a_program_sends_to_its_own_group_is_not_told(report: Path) -> None:
    script = "import os, signal; signal.signal(15, signal.SIG_IGN); os.killpg(os.getpgrp(), 15); os._exit(1)"

    for _ in range(REPETITIONS):
        run = subprocess.run(supervised(*python(script)), start_new_session=True, timeout=PATIENCE)

        assert run.returncode == 1
        assert report_of(report)["told"] == []


def test_a_signal_after_the_end_waits_for_who_asks(signals: Signals, streams: Streams) -> None:
    child = Child(["true"], os.environ, signals=signals, streams=streams)
    assert child.wait(PATIENCE) is not None

    assert wait_for_stop(signals, 0) is None
    signal.raise_signal(signal.SIGUSR1)  # to this thread: who runs the tests may have others, which block nothing
    signal.raise_signal(signal.SIGTERM)

    assert wait_for_stop(signals, PATIENCE) is signal.SIGTERM


@WAYS
@pytest.mark.parametrize(("typed", "signum"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_a_key_of_the_terminal_is_one_signal(
    way: Way, typed: bytes, signum: signal.Signals, terminal: Terminal, report: Path
) -> None:
    with running(terminal.start([*way(*python(LISTENER)), str(int(signum))])) as process:
        terminal.wait_for(b"ready")
        for times in range(1, REPETITIONS + 1):
            terminal.type(typed)
            terminal.wait_for(b"<%d:%d>" % (signum, times))
        terminal.type(b"\n")
        terminal.wait_for(f"heard {[(int(signum), REPETITIONS)]}".encode())
        assert process.wait(PATIENCE) == 0

    if report.exists():  # under the supervisor
        assert set(report_of(report)["told"]) == {signum}  # one that comes before the last was taken is the same one


def test_a_key_of_the_terminal_reaches_a_program_with_a_group_of_its_own(terminal: Terminal) -> None:
    script = "import os; os.setpgrp(); os.execvp('sh', ['sh', '-c', 'echo ready; exec sleep 1000'])"

    with running(terminal.start(supervised(*python(script)))) as process:
        terminal.wait_for(b"ready")
        terminal.type(b"\x03")

        assert process.wait(PATIENCE) == 128 + signal.SIGINT


def test_ctrl_c_before_the_start_reaches_the_program(terminal: Terminal) -> None:
    script = """if True:
        import os, signal, sys, threading
        from notify.supervisor.child import Child
        from notify.supervisor.signals import Signals
        from notify.supervisor.streams import Streams
        signals, streams = Signals(), Streams()
        os.write(1, b"blocked")
        waiting = threading.Event()
        while signal.SIGINT not in signal.sigpending():
            waiting.wait(0.001)
        ending = Child(["sleep", "1000"], os.environ, signals=signals, streams=streams).wait()
        streams.close()
        sys.exit(ending.exit_code)
    """

    with running(terminal.start(python(script))) as process:
        terminal.wait_for(b"blocked")
        terminal.type(b"\x03")

        assert process.wait(PATIENCE) == 128 + signal.SIGINT


def test_a_terminal_that_closes_tells_the_program_also_where_we_lead_the_session(report: Path) -> None:
    terminal = Terminal()

    with running(terminal.start(supervised("sh", "-c", "echo ready; exec sleep 1000"))) as process:
        terminal.wait_for(b"ready")
        terminal.close()

        assert process.wait(PATIENCE) == 128 + signal.SIGHUP

    assert report_of(report)["told"] == [signal.SIGHUP]


class Shell:
    """An interactive bash with job control on *terminal*, and a program that it runs."""

    def __init__(self, terminal: Terminal, way: Way, script: str, directory: Path) -> None:
        (directory / "driver.py").write_text(DRIVER)
        (directory / "program.py").write_text(script)
        command = [sys.executable, str(directory / "program.py")]
        if way is supervised:
            command = [sys.executable, str(directory / "driver.py"), *command]
        self.command = shlex.join(command)
        self._terminal = terminal
        self._resumed = 0
        environment = os.environ | {"PS1": "$ "}
        self.process = terminal.start(["bash", "--norc", "--noprofile", "-i"], env=environment)

    def resume(self) -> None:
        """Let the job go on in the foreground, and return when the shell is no longer reading what is typed."""
        self._resumed += 1
        self._terminal.type(b'echo go""ing on; fg >/dev/null\n')
        self._terminal.wait_for(b"going on", self._resumed)

    def end(self) -> None:
        self._terminal.type(b"echo code=$?; exit 0\n")
        self._terminal.wait_for(b"code=0")
        assert self.process.wait(PATIENCE) == 0


ECHO = """if True:
    print("rea" + "dy", flush=True)
    while (line := input()) != "end":
        print("got " + line, flush=True)
"""


@WAYS
def test_ctrl_z_stops_the_job_and_fg_lets_it_go_on(way: Way, terminal: Terminal, tmp_path: Path) -> None:
    shell = Shell(terminal, way, ECHO, tmp_path)
    with running(shell.process):
        terminal.type(shell.command.encode() + b"\n")
        terminal.wait_for(b"ready")
        for times in range(1, REPETITIONS + 1):
            terminal.type(b"\x1a")
            terminal.wait_for(b"Stopped", times)
            shell.resume()
            terminal.type(b"%d\n" % times)
            terminal.wait_for(b"got %d\r\n" % times)
        terminal.type(b"end\n")
        shell.end()


@WAYS
def test_a_job_in_the_background_stops_when_it_reads_the_terminal(way: Way, terminal: Terminal, tmp_path: Path) -> None:
    shell = Shell(terminal, way, ECHO, tmp_path)
    with running(shell.process):
        terminal.type(shell.command.encode() + b" &\n")
        terminal.wait_for(b"ready")
        terminal.type(b"wait\n")  # until it has stopped
        terminal.wait_for(b"Stopped")
        shell.resume()
        terminal.type(b"this\n")
        terminal.wait_for(b"got this\r\n")
        terminal.type(b"end\n")
        shell.end()


@WAYS
def test_the_last_words_of_a_stopping_program_come_before_the_shells(
    way: Way, terminal: Terminal, tmp_path: Path
) -> None:
    script = f"""{HEARING}
def stop(signum, frame):
    os.write(2, b"<%s>" % (b"parking" * 100))
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    signal.signal(signum, stop)
    os.write(2, b"unparked\\n")
signal.signal(signal.SIGTSTP, stop)
print("rea" + "dy", flush=True)
line()
"""
    shell = Shell(terminal, way, script, tmp_path)
    with running(shell.process):
        terminal.type(shell.command.encode() + b"\n")
        terminal.wait_for(b"ready")
        for times in range(1, REPETITIONS + 1):
            terminal.type(b"\x1a")
            shown = terminal.wait_for(b"Stopped", times)
            assert shown.rindex(b"parking>") < shown.rindex(b"Stopped")
            assert shown.count(b"parking>") == times
            shell.resume()
            terminal.wait_for(b"unparked\r\n", times)
        terminal.type(b"\n")
        shell.end()


@WAYS
def test_a_program_that_takes_ctrl_z_for_something_else_is_not_stopped(way: Way, terminal: Terminal) -> None:
    with running(terminal.start([*way(*python(LISTENER)), str(int(signal.SIGTSTP))])) as process:
        terminal.wait_for(b"ready")
        terminal.type(b"\x1a")
        terminal.wait_for(b"<%d:1>" % signal.SIGTSTP)
        terminal.type(b"\n")
        terminal.wait_for(b"heard")
        assert process.wait(PATIENCE) == 0


def test_a_stopped_program_goes_on_when_only_we_are_told_to(tmp_path: Path) -> None:
    with running(subprocess.Popen(supervised("cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"1\n")
        process.stdin.flush()
        process.stdout.readline()
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGSTOP)
        _wait_until(lambda: _state(int(child)) == "T")
        process.send_signal(signal.SIGCONT)
        process.stdin.write(b"2\n")
        process.stdin.flush()

        assert process.stdout.readline() == b"2\n"


# ---- process 1


def test_as_process_1_it_reaps_who_was_left_behind_and_passes_signals_on() -> None:
    _need_namespaces()
    script = """if True:
        import os, signal, sys, threading
        assert os.getppid() == 1
        orphans = []
        for _ in range(20):
            reader, writer = os.pipe()
            if not os.fork():
                if (grandchild := os.fork()):
                    os.write(writer, b"%d" % grandchild)
                os._exit(0)
            os.wait()
            orphans.append(int(os.read(reader, 20)))
        waiting = threading.Event()
        while any(os.path.exists(f"/proc/{orphan}") for orphan in orphans):
            waiting.wait(0.01)
        def stop(*_):
            os.write(1, b"stopped\\n")
            sys.exit(42)
        signal.signal(signal.SIGTERM, stop)
        os.write(1, b"reaped\\n")  # print() cannot be interrupted by another
        while True:
            waiting.wait(0.01)  # a signal that comes just before a wait is handled after it
    """
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *supervised(*python(script))]

    with running(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reaped\n"
        (supervisor,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(supervisor), signal.SIGTERM)

        assert process.stdout.readline() == b"stopped\n"
        assert process.wait(PATIENCE) == 42


def test_as_process_1_it_reaps_also_when_no_program_runs() -> None:
    _need_namespaces()
    script = """if True:
        import os, subprocess, sys
        from notify.supervisor.signals import Signals
        from notify.supervisor.child import wait_for_stop
        signals = Signals()
        orphan = os.fork()
        if not orphan:
            os._exit(0)
        os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)  # until it has ended; it is not reaped by that
        print(wait_for_stop(signals, 0.05), os.path.exists(f"/proc/{orphan}"))
    """
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *python(script)]

    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)

    assert run.stdout == "None False\n"


# ---- other systems


def test_the_package_can_be_imported_on_systems_without_sigtimedwait() -> None:
    script = """if True:
        import os, signal
        for module, names in ((signal, ["sigtimedwait", "sigwaitinfo", "struct_siginfo", "SIGRTMIN", "SIGRTMAX"]),
                              (os, ["eventfd", "eventfd_read", "eventfd_write", "EFD_CLOEXEC", "EFD_NONBLOCK"])):
            for name in names:
                delattr(module, name)
        import notify.supervisor.child
    """

    subprocess.run(python(script), check=True, timeout=PATIENCE)


def test_systems_without_sigtimedwait_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(ConfigError, match=r"^`notify run` needs Linux"):
        Signals()


def _read_until(process: "subprocess.Popen[bytes]", text: bytes) -> None:
    assert process.stdout is not None
    shown = b""
    while text not in shown:
        more = process.stdout.read1(100)  # type: ignore[attr-defined]
        assert more, f"{text!r} did not come, but {shown!r}"
        shown += more


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    waiting = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        waiting.wait(0.01)


def _need_namespaces() -> None:
    works = which("unshare") and not subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode
    if not works:
        missing("process namespaces cannot be made here")
