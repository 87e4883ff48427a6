import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from outboxes import disk
from runs import claimed, files

from notify.clip import clip
from notify.crash.marker import SUPERVISOR, RunMarker
from notify.crash.run_file import CRASH_REPORTED, GOES_ON, MOST, decode
from notify.testing import FakeClock

# faulthandler is pytest's here, and stays so. What becomes of it is tried with processes, in test_marker_deaths.py.


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def _file(state: Path) -> Path:
    (path,) = (state / "runs").glob("*.json")
    return path


def test_a_run_has_a_file_for_this_user_alone_while_it_lasts(state):
    marker = RunMarker(state)

    marker.begin()
    path = _file(state)

    assert path.name.startswith(f"{os.getpid()}-")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    marker.end()
    assert files(state) == []


def test_the_file_says_who_runs_since_when(state, clock):
    marker = RunMarker(state, clock=clock, program="executor-1")

    marker.begin()

    run = decode(_file(state).read_bytes())
    assert (run.program, run.process.pid, run.started_at) == ("executor-1", os.getpid(), clock.time())
    assert (run.supervisor, run.crash_reported, run.ended) == (None, False, False)
    marker.end()


def test_progress_is_the_time_of_the_file_and_noted_once_a_second(state, clock):
    marker = RunMarker(state, clock=clock)
    marker.begin()
    began = clock.time()

    noted = []
    for seconds in [10, 0.5, 0.4, 0.2]:
        clock.advance(seconds)
        marker.progress()
        noted.append(_file(state).stat().st_mtime - began)

    assert noted == pytest.approx([10, 10, 10, 11.1], abs=0.001)
    marker.end()


def test_progress_is_noted_also_when_the_clock_was_set_back(state, clock, monkeypatch):
    marker = RunMarker(state, clock=clock)
    marker.begin()
    marker.progress()
    clock.advance(60)
    set_back = clock.time() - 3600
    monkeypatch.setattr(clock, "time", lambda: set_back)

    marker.progress()

    assert _file(state).stat().st_mtime == pytest.approx(set_back, abs=0.001)
    marker.end()


def test_version_and_completed_cycle_are_noted_with_progress_in_a_file_that_does_not_grow(state, clock):
    facts = ["v1", "7"]
    marker = RunMarker(state, clock=clock, facts=lambda: (facts[0], facts[1]))
    marker.begin()
    before = decode(_file(state).read_bytes())
    size = _file(state).stat().st_size
    marker.crash_reported()

    for facts[0], facts[1] in [("v1", "7"), ("v2 \u20bf", "8" * 20), ("x" * 10_000, "9")]:
        clock.advance(1)
        marker.progress()
        noted = decode(_file(state).read_bytes())
        assert noted.version == clip(facts[0], 50)  # code points, as long as a tag may be
        assert noted.completed_cycle == facts[1]

    assert (before.version, before.completed_cycle) == ("", "")
    assert _file(state).stat().st_size == size + len(CRASH_REPORTED + GOES_ON)
    assert _file(state).stat().st_mtime == pytest.approx(clock.time(), abs=0.001)
    marker.end()


@pytest.mark.parametrize("fact", ["\0" * 100, "\U0010ffff" * 100, "\ud800" * 100, '"' * 100, "\n{}\n" * 30])
def test_no_fact_spoils_the_file(state, fact, clock):
    marker = RunMarker(state, clock=clock, facts=lambda: (fact, fact))
    marker.begin()
    size = _file(state).stat().st_size

    marker.progress()

    assert _file(state).stat().st_size == size
    marker.crash_reported()
    assert decode(_file(state).read_bytes()).crash_reported
    marker.end()


def test_a_reported_crash_is_no_progress(state, clock):
    marker = RunMarker(state, clock=clock)
    marker.begin()

    marker.crash_reported()

    assert _file(state).stat().st_mtime == pytest.approx(clock.time(), abs=0.001)
    assert decode(_file(state).read_bytes()).crash_reported
    marker.end()


def test_progress_after_a_reported_crash_cancels_it_at_once(state, clock):
    marker = RunMarker(state, clock=clock)
    marker.begin()
    marker.progress()
    marker.crash_reported()

    marker.progress()  # in the same second

    assert not decode(_file(state).read_bytes()).crash_reported
    marker.end()


def test_a_program_that_crashes_and_goes_on_without_end_does_not_fill_the_file(state, clock):
    marker = RunMarker(state, clock=clock)
    marker.begin()
    for _ in range(1000):
        marker.crash_reported()
        marker.progress()

    marker.crash_reported()

    data = _file(state).read_bytes()
    assert len(data) < MOST / 2
    assert not decode(data).crash_reported  # rather told once more than never
    marker.end()


@pytest.mark.parametrize(
    ("after", "goes_on", "is_of_it"),
    [(0, False, True), (30, False, True), (30.1, False, False), (1, True, False)],
)
def test_an_end_within_half_a_minute_after_any_report_of_a_crash_comes_of_it(
    state, clock, monkeypatch, after, goes_on, is_of_it
):
    monkeypatch.setenv(SUPERVISOR, str(os.getppid()))
    marker = RunMarker(state, clock=clock)
    marker.begin()
    marker.crash_reported(stands=False)
    running = decode(_file(state).read_bytes())

    clock.advance(after)
    if goes_on:
        marker.progress()
    marker.end()

    run = decode(_file(state).read_bytes())
    assert not running.crash_reported  # it may hang yet, and then a supervisor must say so
    assert (run.crash_reported, run.ended) == (is_of_it, True)


def test_under_a_supervisor_the_file_stays_and_says_that_the_run_has_ended(state, monkeypatch):
    monkeypatch.setenv(SUPERVISOR, str(os.getppid()))
    marker = RunMarker(state)
    marker.begin()

    marker.end()

    run = decode(_file(state).read_bytes())
    assert run.supervisor is not None
    assert (run.supervisor.pid, run.ended) == (os.getppid(), True)


def test_ending_twice_and_noting_things_afterwards_does_nothing(state):
    marker = RunMarker(state)
    marker.begin()
    marker.end()

    marker.end()
    marker.progress()
    marker.crash_reported()

    assert files(state) == []


def test_a_marker_that_was_never_begun_does_nothing(state):
    marker = RunMarker(state)

    marker.progress()
    marker.crash_reported()
    marker.end()

    assert not state.exists()


def test_ends_in_many_threads_at_once_close_nothing_that_is_not_ours(state):
    marker = RunMarker(state)
    marker.begin()
    before = len(list(Path("/dev/fd").iterdir()))
    barrier = threading.Barrier(8)

    def end() -> None:
        barrier.wait()
        marker.end()

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(list(Path("/dev/fd").iterdir())) == before - 1  # the lock's
    assert files(state) == []


def test_files_that_somebody_removes_do_not_disturb_the_run(state, capfd):
    marker = RunMarker(state)
    marker.begin()
    _file(state).unlink()

    marker.progress()
    marker.crash_reported()
    marker.end()

    assert capfd.readouterr().err == ""


# ---- directories that cannot be used


def _a_file(state: Path) -> None:
    state.write_text("precious")


def _a_planted_link(state: Path) -> None:
    elsewhere = state.with_name("elsewhere")
    elsewhere.mkdir()
    state.symlink_to(elsewhere)


def _runs_that_are_a_planted_link(state: Path) -> None:
    state.mkdir(0o700)
    elsewhere = state.with_name("elsewhere")
    elsewhere.mkdir()
    (state / "runs").symlink_to(elsewhere)


def _runs_that_are_a_file(state: Path) -> None:
    state.mkdir(0o700)
    (state / "runs").write_text("precious")


@pytest.mark.parametrize("make", [_a_file, _a_planted_link, _runs_that_are_a_planted_link, _runs_that_are_a_file])
def test_a_directory_that_cannot_be_used_is_said_once_and_left_alone(state, capfd, make):
    make(state)
    before = sorted(path for path in state.parent.rglob("*"))
    marker = RunMarker(state)

    marker.begin()
    said = capfd.readouterr().err
    marker.progress()
    marker.crash_reported()
    marker.end()

    assert said.startswith("notify: nobody will be told if this run is killed: ")
    assert str(state) in said
    assert said.count("\n") == 1
    assert capfd.readouterr().err == ""
    assert sorted(path for path in state.parent.rglob("*")) == before
    assert claimed(state) == []


def test_a_disk_without_room_is_said_and_nothing_is_left_on_it(tmp_path, capfd):
    with disk(tmp_path / "disk", "size=16k"):  # four pages: directories, and what fills the rest
        state = tmp_path / "disk" / "state"
        (state / "runs").mkdir(parents=True)
        with suppress(OSError), (tmp_path / "disk" / "full").open("wb", 0) as full:
            while True:  # until the disk is full
                full.write(b"x" * 4096)
        marker = RunMarker(state)

        marker.begin()
        marker.end()

        assert "nobody will be told if this run is killed: No space left on device" in capfd.readouterr().err
        assert files(state) == []


def test_a_file_that_cannot_be_removed_at_the_end_is_said(state, capfd):
    marker = RunMarker(state)
    marker.begin()
    path = _file(state)
    path.unlink()
    path.mkdir()

    marker.progress()
    marker.crash_reported()
    marker.end()

    assert capfd.readouterr().err.startswith("notify: the next start will take this run for killed: ")


def test_facts_of_control_characters_do_not_make_the_file_grow(state, clock):
    facts = ["", ""]
    marker = RunMarker(state, clock=clock, facts=lambda: (facts[0], facts[1]))
    marker.begin()
    size = _file(state).stat().st_size

    # 50: as many code points as are kept, and JSON would make six bytes of each.
    for spoiled in ["\x01" * 50, "\x1b[1mv1.4.2\x1b[0m\n" + "\x7f" * 50, "\ud800" * 50, "\U0010ffff" * 50, '"' * 50]:
        facts[:] = [spoiled, spoiled]
        clock.advance(1)
        marker.progress()

        assert _file(state).stat().st_size == size
    facts[:] = ["\x07v1.4.2\n", "17\r\n"]
    clock.advance(1)
    marker.progress()
    run = decode(_file(state).read_bytes())
    assert (run.version, run.completed_cycle) == ("v1.4.2", "17")
    marker.end()
