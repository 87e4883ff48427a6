"""A program that hangs is told of once, with the stacks of its threads, and told of again when it goes on."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import notify
from notify.backends.memory import MemoryBackend
from notify.crash import watchdog
from notify.crash.watchdog import KEY, Watchdog
from notify.event import Event, Phase
from notify.notifier import Notifier
from notify.run_state import RunState
from notify.testing import FakeClock

pytestmark = pytest.mark.interpreter

HANG_AFTER = 100.0  # seconds
INTERVAL = 5.0  # seconds between two looks: a twentieth of it
COUNTED = 25.0  # seconds that count of a gap between two looks, however long: five intervals
ENDING = 60.0  # seconds after which a process counts as hanging in earnest


class Watched:
    """A run state, a watchdog that looks at it without a thread, and what it has said."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = MemoryBackend()
        self.notifier = Notifier({"memory": self.backend}, clock=self.clock)
        self.state = RunState(self.clock)
        self.watchdog = Watchdog(self.notifier, self.state, HANG_AFTER)
        self.watchdog.look()  # time counts from the first look on

    def pass_time(self, seconds: float) -> None:
        """Let time pass as it does for a watchdog that gets to run."""
        for _ in range(round(seconds / INTERVAL)):
            self.clock.advance(INTERVAL)
            self.watchdog.look()
            self.notifier.flush()  # a later error would overtake what waits

    def said(self) -> list[Event]:
        self.notifier.flush()
        return self.backend.events

    def messages(self) -> list[str]:
        return [event.message for event in self.said()]


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    with made.notifier:
        yield made


# ---- when it speaks


def test_nothing_is_said_before_the_first_progress(watched: Watched) -> None:
    watched.pass_time(10 * HANG_AFTER)

    assert watched.messages() == []


def test_a_program_that_makes_progress_in_time_is_left_alone(watched: Watched) -> None:
    for _ in range(5):
        watched.state.refresh()
        watched.pass_time(HANG_AFTER - INTERVAL)

    assert watched.messages() == []


def test_no_progress_is_said_once_as_an_error_about_an_ongoing_matter(watched: Watched) -> None:
    watched.state.refresh()
    watched.state.completed_cycle = 7
    watched.pass_time(10 * HANG_AFTER)

    (event,) = watched.said()
    assert event.message == "The program hangs: no progress for 1 min 40 s"
    assert (event.level, event.topic, event.key) == (logging.ERROR, "watchdog", KEY)
    assert event.fields == {"completed_cycle": 7}


def test_progress_after_a_hang_is_said_with_how_long_it_lasted(watched: Watched) -> None:
    watched.state.refresh()
    watched.pass_time(400)
    watched.state.refresh()
    watched.pass_time(INTERVAL)

    _, event = watched.said()
    assert event.message == "The program goes on: it made no progress for 6 min 40 s"
    # The end of the same matter, which goes to whoever was told of it, whatever level he wants.
    assert (event.level, event.topic, event.key) == (logging.INFO, "watchdog", KEY)
    assert event.matter is not None
    assert event.matter.phase is Phase.RESOLVED


def test_each_hang_is_said(watched: Watched) -> None:
    for _ in range(2):
        watched.state.refresh()
        watched.pass_time(2 * HANG_AFTER)

    watched.state.refresh()
    watched.pass_time(INTERVAL)

    assert [message.split(":")[0] for message in watched.messages()] == ["The program hangs", "The program goes on"] * 2


def test_a_program_that_has_crashed_does_not_hang(watched: Watched) -> None:
    watched.state.refresh()
    watched.state.set_fail()
    watched.pass_time(10 * HANG_AFTER)

    assert watched.messages() == []


def test_a_hang_that_ends_in_a_crash_does_not_go_on(watched: Watched) -> None:
    watched.state.refresh()
    watched.pass_time(2 * HANG_AFTER)
    watched.state.set_fail()
    watched.pass_time(2 * HANG_AFTER)
    watched.state.refresh()  # as trade-executor's trigger checks do once after a failure
    watched.pass_time(2 * HANG_AFTER)
    watched.state.executor_running = True  # begun anew, which is not going on
    watched.pass_time(INTERVAL)

    assert watched.messages() == ["The program hangs: no progress for 1 min 40 s"]


def test_the_time_before_a_program_runs_again_does_not_count(watched: Watched) -> None:
    watched.state.refresh()
    watched.state.set_fail()
    watched.pass_time(10 * HANG_AFTER)
    watched.state.executor_running = True

    watched.pass_time(HANG_AFTER - INTERVAL)
    assert watched.messages() == []

    watched.pass_time(INTERVAL)
    assert len(watched.messages()) == 1


def test_a_process_that_was_stopped_for_long_gets_time_to_make_progress(watched: Watched) -> None:
    watched.state.refresh()
    watched.pass_time(10)

    watched.clock.advance(1000 * HANG_AFTER)  # nobody looks, as when the process is stopped or the machine sleeps
    watched.watchdog.look()
    watched.pass_time(HANG_AFTER - 10 - COUNTED - INTERVAL)
    assert watched.messages() == []
    watched.pass_time(INTERVAL)

    (message,) = watched.messages()
    assert message == "The program hangs: no progress for 1 d 3 h"  # the real time: 10, 100,000 and 65 s


def test_a_program_that_hardly_lets_other_threads_run_hangs_nevertheless(watched: Watched) -> None:
    watched.state.refresh()

    for _ in range(4):  # 4 times 25 s count, of 4 times 60
        watched.clock.advance(60)
        watched.watchdog.look()

    assert watched.messages() == ["The program hangs: no progress for 4 min"]


@pytest.mark.parametrize("hang_after", [0, -1, float("nan")])
def test_a_time_that_is_none_is_refused(hang_after: float) -> None:
    with Notifier({}) as notifier, pytest.raises(ValueError, match="hang_after must be above 0 seconds"):
        watchdog.install(notifier, RunState(), hang_after)


# ---- the stacks


@pytest.fixture
def waiting() -> Iterator[Callable[..., None]]:
    """Make threads that wait somewhere until the test is over."""
    over = threading.Event()
    made: list[threading.Thread] = []

    def wait_for_the_end_of_the_test(name: str, thread: type[threading.Thread] = threading.Thread) -> None:
        begun = threading.Event()

        def stand_still() -> None:
            local = chr(104) + "unter2"  # noqa: F841 - a variable
            begun.set()
            over.wait()

        made.append(thread(target=stand_still, name=name))
        made[-1].start()
        begun.wait()

    yield wait_for_the_end_of_the_test
    over.set()
    for thread in made:
        thread.join()


def _stacks_of(body: str) -> dict[str, str]:
    """The stack of each thread in *body*, by its name, in order."""
    _, *parts = re.split(r"^Thread (.*):$", body, flags=re.MULTILINE)
    return dict(zip(parts[::2], (stack.strip("\n") for stack in parts[1::2]), strict=True))


def hang(watched: Watched) -> dict[str, str]:
    # Threads that are none of threading's: who runs the tests side by side has one.
    known = {thread.ident for thread in threading.enumerate()}
    others = {f"number {ident}" for ident in sys._current_frames().keys() - known}
    watched.state.refresh()
    watched.pass_time(HANG_AFTER)
    (event,) = watched.said()
    return {name: stack for name, stack in _stacks_of(event.body).items() if name not in others}


def test_the_alert_shows_where_each_thread_is_the_main_thread_first(
    watched: Watched, waiting: Callable[..., None]
) -> None:
    waiting("B-worker")
    waiting("A-worker")

    stacks = hang(watched)

    assert list(stacks) == ["MainThread", "A-worker", "B-worker"]
    assert "in hang\n    watched.pass_time(HANG_AFTER)\n" in stacks["MainThread"]  # with its line of source
    assert "in stand_still\n    over.wait()\n" in stacks["A-worker"]


def test_the_innermost_frame_is_shown_last_and_nothing_stands_around_the_frames(watched: Watched) -> None:
    lines = hang(watched)["MainThread"].splitlines()

    assert lines[0].startswith('  File "')
    assert "in hang" in "".join(lines[: lines.index("    watched.pass_time(HANG_AFTER)")])
    assert all(line.startswith("  ") for line in lines)


def test_the_alert_shows_no_local_variable(watched: Watched, waiting: Callable[..., None]) -> None:
    waiting("worker")

    assert "hunter2" not in hang(watched)["worker"]


def test_threads_of_ours_are_left_out(watched: Watched) -> None:
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith("notify-")], "there is none to leave out"

    assert list(hang(watched)) == ["MainThread"]


def test_a_thread_whose_name_raises_is_shown_by_its_number(watched: Watched, waiting: Callable[..., None]) -> None:
    class Nameless(threading.Thread):
        named = False

        @property
        def name(self) -> str:  # type: ignore[override]  # the point
            if not self.named:
                return "for-now"
            raise ValueError

        @name.setter
        def name(self, name: str) -> None: ...

    waiting("x", Nameless)
    Nameless.named = True
    try:
        stacks = hang(watched)
    finally:
        Nameless.named = False

    assert [name.split()[0] for name in stacks] == ["MainThread", "number"]


def test_a_lock_of_threading_that_a_hanging_thread_holds_does_not_keep_the_alert_back(watched: Watched) -> None:
    held, said = threading.Event(), threading.Event()

    def look() -> None:
        held.wait()
        watched.watchdog.look()
        said.set()

    looking = threading.Thread(target=look)
    looking.start()
    watched.state.refresh()
    watched.pass_time(HANG_AFTER - INTERVAL)
    watched.clock.advance(INTERVAL)

    with threading._active_limbo_lock:  # type: ignore[attr-defined]  # as by a thread that hangs while it starts one
        held.set()
        in_spite_of_it = said.wait(5)
    looking.join()

    assert in_spite_of_it
    assert len(watched.messages()) == 1


def test_stacks_that_cannot_be_read_do_not_keep_the_alert_back(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("frames")

    monkeypatch.setattr(sys, "_current_frames", fail)
    watched.state.refresh()
    watched.pass_time(HANG_AFTER)

    (event,) = watched.said()
    assert event.body == "The stacks could not be read: RuntimeError"


def test_a_very_deep_stack_is_shown_from_the_inside(watched: Watched) -> None:
    def descend(depth: int) -> dict[str, str]:
        return hang(watched) if depth == 0 else descend(depth - 1)

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        stack = descend(2000)["MainThread"]
    finally:
        sys.setrecursionlimit(before)

    assert "in hang" in stack
    assert "in descend" in stack
    assert "test_a_very_deep_stack_is_shown_from_the_inside\n" not in stack.replace(".descend", "")
    assert "[Previous line repeated" in stack


# ---- its thread


def _watchdogs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "notify-watchdog"]


def _pass_time(clock: FakeClock, seconds: float) -> None:
    for _ in range(round(seconds / INTERVAL)):
        clock.next_wait()  # it has looked, and waits for its next moment
        clock.advance(INTERVAL)
    clock.next_wait()


def test_an_installed_watchdog_looks_by_itself_from_the_first_progress_on(watched: Watched) -> None:
    undo = watchdog.install(watched.notifier, watched.state, HANG_AFTER)
    try:
        assert _watchdogs() == []
        watched.state.refresh()
        watched.state.refresh()
        assert len(_watchdogs()) == 1

        _pass_time(watched.clock, HANG_AFTER)
        assert watched.messages() == ["The program hangs: no progress for 1 min 40 s"]
        watched.state.refresh()
        _pass_time(watched.clock, INTERVAL)
        assert watched.messages()[1:] == ["The program goes on: it made no progress for 1 min 40 s"]
    finally:
        undo()


def test_a_watchdog_that_is_installed_after_the_first_progress_looks_at_once(watched: Watched) -> None:
    watched.state.refresh()

    undo = watchdog.install(watched.notifier, watched.state, HANG_AFTER)
    try:
        assert len(_watchdogs()) == 1
    finally:
        undo()


def test_it_ends_with_the_notifier_and_does_not_come_back(watched: Watched) -> None:
    watched.notifier.at_close(watchdog.install(watched.notifier, watched.state, HANG_AFTER))
    watched.state.refresh()

    watched.notifier.close()
    watched.state.refresh()

    for thread in _watchdogs():
        thread.join(ENDING)
    assert _watchdogs() == []


def test_one_that_never_began_does_not_begin_after_its_end(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    undo = watchdog.install(watched.notifier, watched.state, HANG_AFTER)
    begin = watched.state._on_refresh[-1]  # as called by a refresh in another thread, that has begun before the end
    undo()
    started: list[object] = []
    monkeypatch.setattr(watchdog.threads, "Worker", lambda *what: started.append(what))

    begin()

    assert started == []


def test_it_ends_at_once_although_its_next_look_is_far_away() -> None:
    with Notifier({}) as notifier:  # on the real clock
        state = RunState()
        undo = watchdog.install(notifier, state, 3600.0)
        state.refresh()
        (thread,) = _watchdogs()

        undo()

        thread.join(ENDING)
        assert not thread.is_alive()


# ---- in processes of their own

SETUP = """
import os, signal, sys, threading, time
from notify.backends.stdout import StdoutBackend
from notify.crash import watchdog
from notify.notifier import Notifier
from notify.run_state import RunState

state = RunState()
notifier = Notifier({"stdout": StdoutBackend(json=True, env={})})
notifier.at_close(watchdog.install(notifier, state, HANG_AFTER))
"""


def _program(code: str, *, hang_after: float) -> subprocess.Popen[str]:
    script = SETUP.replace("HANG_AFTER", str(hang_after)) + textwrap.dedent(code)
    return subprocess.Popen(
        # Python 3.12 warns of forks while there are threads, which is what some of this is about.
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(notify.__file__).parents[1]),
            "PYTHONIOENCODING": "utf-8",
            "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
        },
    )


def _ended(program: subprocess.Popen[str], text: str = "") -> list[dict[str, Any]]:
    """Give *text* to the program, wait for its end, and return its events."""
    with program:
        try:
            stdout, stderr = program.communicate(text, timeout=ENDING)
        except BaseException:
            program.kill()
            raise
    assert (program.returncode, stderr) == (0, "")
    return [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]


@pytest.mark.process
def test_fault_59_a_program_that_hangs_is_heard_while_it_hangs_and_when_it_goes_on() -> None:
    program = _program(
        """
        def wait_for_a_server():
            time.sleep(1.5)

        state.refresh()
        wait_for_a_server()
        state.refresh()
        for _ in range(40):  # an interval is a fortieth of a second
            time.sleep(0.025)
            state.refresh()
        notifier.close()
        """,
        hang_after=0.5,
    )

    hangs, goes_on = _ended(program)
    assert hangs["message"].startswith("The program hangs: no progress for ")
    assert "in wait_for_a_server" in hangs["body"]
    assert goes_on["message"].startswith("The program goes on: it made no progress for ")


@pytest.mark.process
def test_a_program_that_was_stopped_and_goes_on_is_not_said_to_have_hung() -> None:
    program = _program(
        """
        state.refresh()
        print("stop me", flush=True)
        for _ in range(3):
            for _ in range(10):  # some work before the next progress: it is not made as soon as the process goes on
                time.sleep(0.05)
            state.refresh()
        notifier.close()
        """,
        hang_after=3.0,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "stop me\n"

    os.kill(program.pid, signal.SIGSTOP)
    threading.Event().wait(4)  # longer than it takes to hang
    os.kill(program.pid, signal.SIGCONT)

    assert _ended(program) == []


@pytest.mark.process
def test_a_forked_child_has_no_watchdog_but_one_of_its_own() -> None:
    # The parent goes on all the time; one child never refreshes, the other one does so once.
    program = _program(
        """
        def fork(refreshes):
            pid = os.fork()
            if not pid:
                if refreshes:
                    state.refresh()
                threads = [thread.name for thread in threading.enumerate()]
                assert ("notify-watchdog" in threads) is refreshes
                time.sleep(2)
                notifier.close()
                os._exit(0)
            return pid

        state.refresh()
        children = [fork(False), fork(True)]
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                children.remove(pid)
                assert status == 0, status
            state.refresh()
            time.sleep(0.02)
        notifier.close()
        """,
        hang_after=1.0,
    )

    (hangs,) = _ended(program)
    assert hangs["message"].startswith("The program hangs")


@pytest.mark.process
def test_a_child_that_is_forked_while_its_parent_hangs_does_not_say_so() -> None:
    program = _program(
        """
        state.refresh()
        time.sleep(1)  # the parent hangs, and says so
        pid = os.fork()
        state.refresh()  # in both: progress
        if not pid:
            time.sleep(0.3)
            notifier.close()
            os._exit(0)
        while not os.waitpid(pid, os.WNOHANG)[0]:
            state.refresh()
            time.sleep(0.02)
        notifier.close()
        """,
        hang_after=0.5,
    )

    assert [event["message"].split(":")[0] for event in _ended(program)] == ["The program hangs", "The program goes on"]
