"""The watch of a child's progress: when it speaks, how often, and what it takes for a hang."""

import os
import time

import pytest

from notify.backends.memory import MemoryBackend
from notify.crash import stacks
from notify.crash.identity import boot_id, process
from notify.crash.marker import RunMarker
from notify.crash.run_file import Run, encode
from notify.notifier import Notifier
from notify.supervisor.hang import HangWatch
from notify.supervisor.mark import Mark
from notify.testing import FakeClock

HANG_AFTER = 100.0  # seconds; a look every 5 s, a twentieth of it


class ScriptedMark:
    """The mark of a child that notes progress when the test says so."""

    def __init__(self) -> None:
        self.at: float | None = 1000.0
        self.running = self.alive = True
        self.pid = 1

    def progress_at(self) -> float | None:
        return self.at

    def is_running(self) -> bool:
        return self.running

    def is_alive(self) -> bool:
        return self.alive

    def gives_stacks(self) -> bool:
        return False


class Scene:
    """A watch, looked at as often as it wants to be."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = MemoryBackend()
        self.notifier = Notifier({"sink": self.backend}, clock=self.clock)
        self.mark = ScriptedMark()
        self.watch = HangWatch(self.notifier, None, self.mark, "my-strategy", HANG_AFTER)  # type: ignore[arg-type]

    def pass_time(self, seconds: float, *, progress: bool = False) -> int:
        """Return how many hangs began."""
        began = 0
        for _ in range(round(seconds / self.watch.interval)):
            self.clock.advance(self.watch.interval)
            if progress and self.mark.at is not None:
                self.mark.at += self.watch.interval
            began += self.watch.look()
        return began

    @property
    def said(self) -> list[str]:
        self.notifier.flush()
        return [event.message for event in self.backend.events]


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.notifier.close(0)


def test_a_hang_is_said_once_and_its_end_once(scene):
    assert scene.pass_time(300, progress=True) == 0
    assert scene.pass_time(95) == 0  # below the 100 s
    assert scene.pass_time(300) == 1
    assert scene.pass_time(50, progress=True) == 0

    assert scene.said == [
        "my-strategy hangs: no progress for 1 min 40 s",
        "my-strategy goes on: it made no progress for 6 min 40 s",
    ]
    assert {event.key for event in scene.backend.events} == {"watchdog"}
    assert "not known" in scene.backend.events[0].body


def test_a_second_hang_is_another_one(scene):
    assert scene.pass_time(105) == 1
    scene.pass_time(5, progress=True)

    assert scene.pass_time(150) == 1
    assert len(scene.said) == 3


def test_a_supervisor_that_was_stopped_itself_does_not_take_that_for_a_hang(scene):
    scene.pass_time(5, progress=True)
    scene.clock.advance(10_000)

    assert not scene.watch.look()  # the gap counts 25 s, five looks
    assert scene.pass_time(70) == 0
    assert scene.pass_time(10) == 1


def test_a_program_that_has_noted_no_progress_does_not_hang_and_stderr_is_told_once(scene, capfd):
    scene.mark.at = None

    assert scene.pass_time(1000) == 0
    assert scene.said == []
    assert capfd.readouterr().err.count("--hang-after: the program notes no progress") == 1


def test_progress_that_begins_late_is_watched_from_then_on(scene, capfd):
    scene.mark.at = None
    scene.pass_time(200)
    scene.mark.at = 1.0
    scene.pass_time(5)

    assert scene.pass_time(100) == 1
    assert capfd.readouterr().err.count("notes no progress") == 1


def test_a_mark_that_is_gone_is_no_progress(scene):
    scene.pass_time(150)
    scene.mark.at = None
    scene.pass_time(50)

    assert len(scene.said) == 1


def test_a_program_that_has_ended_its_run_or_crashed_does_not_hang(scene):
    scene.mark.running = False

    assert scene.pass_time(300) == 0
    assert scene.said == []


class LateMark(ScriptedMark):
    """The mark of a child that writes its stacks down when nobody waits for them any more."""

    written = "Thread 0x1 (most recent call first): of the last hang"

    def gives_stacks(self) -> bool:
        return True

    def is_stopped(self) -> bool:
        return False

    def stacks(self, *, take: bool = False) -> str:
        written = self.written
        if take:
            self.written = ""
        return written


class DeafChild:
    """A child that goes on without a word."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def kill(self, signum: int, pid: int) -> None:
        pass

    def wait(self, timeout: float) -> None:
        self.clock.advance(timeout)


def test_stacks_of_an_earlier_hang_are_not_told_as_those_of_this_one(scene):
    scene.mark = LateMark()
    child = DeafChild(scene.clock)
    scene.watch = HangWatch(scene.notifier, child, scene.mark, "my-strategy", HANG_AFTER)  # type: ignore[arg-type]

    assert scene.pass_time(105) == 1
    assert scene.said == ["my-strategy hangs: no progress for 1 min 40 s"]
    assert "did not write them down" in scene.backend.events[0].body


@pytest.mark.parametrize(("written", "left"), [("Thread 0x1", ""), ("Fatal Python error: Aborted",) * 2])
def test_taking_the_stacks_leaves_a_crash_in_c_to_be_told_as_that(marker, tmp_path, written, left):
    (path,) = (tmp_path / "state" / "runs").glob("*.json")
    fault = path.with_suffix(".fault")
    fault.touch(mode=0o600)
    fault.write_text(written)
    mark = Mark(tmp_path / "state", os.getpid())
    assert mark.found()

    assert mark.stacks(take=True) == written
    assert fault.read_text() == left


# ---- the mark


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def marker(tmp_path, clock, monkeypatch):
    """A run of this process, which takes itself for its own supervisor."""
    monkeypatch.setattr(os, "getppid", os.getpid)
    monkeypatch.setenv("NOTIFY_SUPERVISOR", str(os.getpid()))
    marker = RunMarker(tmp_path / "state", clock=clock)
    marker.begin()
    yield marker
    marker.end()


def test_the_mark_of_a_child_says_when_it_made_progress(marker, clock, tmp_path):
    mark = Mark(tmp_path / "state", os.getpid())
    assert mark.found()
    assert mark.progress_at() is None  # it has only begun

    clock.advance(1.0)
    marker.progress()

    assert mark.progress_at() == clock.time()


def test_progress_by_a_clock_that_was_set_back_is_progress(marker, clock, tmp_path, monkeypatch):
    mark = Mark(tmp_path / "state", os.getpid())
    set_back = clock.time() - 3600.0
    monkeypatch.setattr(clock, "time", lambda: set_back)
    clock.advance(1.0)
    marker.progress()

    assert mark.progress_at() == set_back


def test_a_run_that_has_crashed_or_ended_is_not_running(marker, tmp_path):
    mark = Mark(tmp_path / "state", os.getpid())
    assert mark.is_running()

    marker.crash_reported()
    assert not mark.is_running()

    marker.end()
    assert not Mark(tmp_path / "state", os.getpid()).is_running()


@pytest.mark.parametrize("damage", [b"", b"nonsense\n", None])
def test_a_mark_that_is_damaged_or_gone_says_nothing(marker, tmp_path, damage):
    mark = Mark(tmp_path / "state", os.getpid())
    assert mark.found()
    (path,) = (tmp_path / "state" / "runs").glob("*.json")
    path.unlink() if damage is None else path.write_bytes(damage)

    assert (mark.progress_at(), mark.is_running()) == (None, False)


def test_the_mark_of_another_process_or_of_one_that_nobody_supervises_is_not_the_childs(tmp_path):
    unsupervised = RunMarker(tmp_path / "state")
    unsupervised.begin()

    assert not Mark(tmp_path / "state", os.getpid()).found()
    assert not Mark(tmp_path / "state", 1).found()
    assert not Mark(tmp_path / "none", os.getpid()).found()
    unsupervised.end()


# ---- the stacks


def test_the_signal_writes_the_stacks_of_all_threads_and_no_longer_when_it_is_undone(marker, tmp_path):
    (path,) = (tmp_path / "state" / "runs").glob("*.json")
    fault = path.with_suffix(".fault")
    fault.touch(mode=0o600)
    mark = Mark(tmp_path / "state", os.getpid())
    assert mark.found()
    assert not mark.gives_stacks()
    descriptor = os.open(fault, os.O_WRONLY | os.O_APPEND)
    undo = stacks.answer(descriptor)
    try:
        assert mark.gives_stacks()
        stacks.signal.raise_signal(stacks.SIGNAL)
    finally:
        undo()
        os.close(descriptor)

    assert f"in {test_the_signal_writes_the_stacks_of_all_threads_and_no_longer_when_it_is_undone.__name__}" in (
        mark.stacks(take=True)
    )
    assert (mark.stacks(take=True), fault.read_bytes()) == ("", b"")
    assert not mark.gives_stacks()


def test_a_program_that_has_another_use_for_the_signal_keeps_it():
    got: list[int] = []
    before = stacks.signal.signal(stacks.SIGNAL, lambda signum, frame: got.append(signum))
    try:
        stacks.answer(2)()
        stacks.signal.raise_signal(stacks.SIGNAL)
    finally:
        stacks.signal.signal(stacks.SIGNAL, before)

    assert got == [stacks.SIGNAL]


# ---- behind a wrapper


def test_a_program_that_its_wrapper_has_started_anew_does_not_hang_before_its_first_progress(scene, capfd):
    scene.pass_time(95)  # of 100 s
    scene.mark.pid, scene.mark.at = 2, None

    assert scene.pass_time(95) == 0
    scene.mark.at = 5000.0
    assert scene.pass_time(100) == 0
    assert scene.pass_time(10) == 1
    assert capfd.readouterr().err == ""


def test_a_program_that_has_died_behind_its_wrapper_does_not_hang(scene):
    scene.mark.alive = False

    assert scene.pass_time(300) == 0


def test_a_hang_that_ended_with_the_program_is_told_to_have_ended_when_the_next_one_makes_progress(scene):
    assert scene.pass_time(150) == 1
    scene.mark.pid, scene.mark.at = 2, None
    scene.pass_time(50)
    assert len(scene.said) == 1
    scene.mark.at = 5000.0
    scene.pass_time(5)

    assert scene.said[1:] == ["my-strategy goes on: it made no progress for 3 min 20 s"]


def test_a_mark_of_a_program_behind_the_child_is_found_and_the_childs_own_goes_before(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SUPERVISOR", str(os.getpid()))
    monkeypatch.setattr(os, "getppid", os.getpid)
    marker = RunMarker(tmp_path / "state")
    marker.begin()

    behind = Mark(tmp_path / "state", 1)
    assert behind.found()
    assert (behind.pid, behind.is_childs_own, behind.is_alive()) == (os.getpid(), False, True)
    own = Mark(tmp_path / "state", os.getpid())
    assert own.found()
    assert (own.pid, own.is_childs_own) == (os.getpid(), True)
    marker.end()


def test_the_mark_is_the_childs_own_as_soon_as_there_is_one_though_a_helper_was_first_and_lives(tmp_path, monkeypatch):
    helper = process(1)  # lives as long as the machine
    runs = tmp_path / "state" / "runs"
    runs.mkdir(mode=0o700, parents=True)
    runs.parent.chmod(0o700)
    path = runs / f"{helper.pid}-00000000.json"
    path.write_bytes(encode(Run("helper", helper, 1000.0, boot_id(), process(os.getpid()))))
    path.chmod(0o600)
    mark = Mark(tmp_path / "state", os.getpid())
    assert mark.found()
    assert (mark.pid, mark.is_childs_own) == (helper.pid, False)

    monkeypatch.setenv("NOTIFY_SUPERVISOR", str(os.getpid()))
    monkeypatch.setattr(os, "getppid", os.getpid)
    marker = RunMarker(tmp_path / "state")
    marker.begin()

    assert mark.found()
    assert (mark.pid, mark.is_childs_own, mark.run()) == (os.getpid(), True, marker.run)
    marker.end()


def test_of_two_programs_behind_a_wrapper_the_one_that_is_watched_stays_the_same_while_it_lives(tmp_path):
    runs = tmp_path / "state" / "runs"
    runs.mkdir(mode=0o700, parents=True)
    runs.parent.chmod(0o700)
    mark = Mark(tmp_path / "state", 2**31)  # no process has this number
    for number, one in enumerate((process(1), process(os.getppid()))):
        path = runs / f"{one.pid}-0000000{number}.json"
        path.write_bytes(encode(Run("bot", one, 1000.0 + number, boot_id(), process(os.getpid()))))
        path.chmod(0o600)
        assert mark.found()

    assert mark.pid == 1


# ---- the end of a run


def test_the_end_of_a_run_is_no_progress_and_is_known_by_when_it_came(marker, clock, tmp_path):
    mark = Mark(tmp_path / "state", os.getpid())
    clock.advance(1.0)
    marker.progress()
    noted = mark.progress_at()

    before = time.time()
    marker.end()

    assert mark.progress_at() == noted
    assert mark.has_ended(before - 1.0)  # the kernel's clock for files is some milliseconds behind
    assert not mark.has_ended(time.time() + 1.0)
