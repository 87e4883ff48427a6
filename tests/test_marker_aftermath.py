import logging
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.process import current_process
from pathlib import Path

import pytest
from runs import claimed, ended, files

from notify.crash import aftermath
from notify.crash.aftermath import announce, install
from notify.crash.run_file import Facts, decode
from notify.crash.unclean import How, UncleanEnd
from notify.event import Event
from notify.notifier import Notifier
from notify.run_state import RunState
from notify.settings import program_name
from notify.testing import FakeClock, MemoryBackend

STARTED = 1_767_225_600.0  # 2026-01-01, midnight
KILLED = UncleanEnd(
    program_name(), 4711, STARTED, STARTED + 90_061, How.KILLED, facts=Facts("v1.4.2", completed_cycle="17", cycles=18)
)
FAULT = 'Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n  File "a.py", line 1'
CRASHED = replace(KILLED, how=How.CRASHED_IN_C, fault=FAULT)
REBOOTED = replace(KILLED, how=How.REBOOTED)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def notifier(backend: MemoryBackend, clock: FakeClock) -> Iterator[Notifier]:
    with Notifier({"memory": backend}, clock=clock) as made:
        yield made


def _told(notifier: Notifier, backend: MemoryBackend) -> list[Event]:
    assert notifier.flush(30)
    return backend.events


@pytest.mark.parametrize(
    ("end", "title"),
    [
        (KILLED, "The last run was killed: no Python code ran at its end"),
        (CRASHED, "The last run crashed in C: Segmentation fault"),
        (REBOOTED, "The last run ended with the machine: it was rebooted"),
        (replace(KILLED, program=""), "The last run was killed: no Python code ran at its end"),
        (
            replace(KILLED, program="executor-2"),
            "The last run of executor-2 was killed: no Python code ran at its end",
        ),
    ],
    ids=["killed", "crashed in C", "rebooted", "unknown", "of another program"],
)
def test_the_title_says_at_a_glance_what_happened(notifier, backend, end, title):
    announce(notifier, [end])

    (event,) = _told(notifier, backend)
    assert event.message == title
    assert (event.level, event.topic) == (logging.CRITICAL, "crash")


def test_the_facts_say_when_it_ran_and_how_long(notifier, backend):
    announce(notifier, [KILLED])

    (event,) = _told(notifier, backend)
    assert dict(event.fields) == {
        "program": program_name(),
        "process": 4711,
        "started": "2026-01-01 00:00:00 UTC",
        "last progress": "2026-01-02 01:01:01 UTC",
        "ran for at least": "1 d 1 h",
        "version": "v1.4.2",
        "completed_cycle": "17",
        "cycles": 18,
    }


@pytest.mark.parametrize(
    ("end", "missing"),
    [
        (replace(KILLED, last_progress_at=None), {"last progress", "ran for at least"}),
        (replace(KILLED, last_progress_at=STARTED - 3600), {"ran for at least"}),
        (replace(KILLED, program="", started_at=None), {"program", "started", "ran for at least"}),
    ],
    ids=["no progress", "clock set back", "damaged marker"],
)
def test_what_nobody_knows_is_left_out(notifier, backend, end, missing):
    announce(notifier, [end])

    (event,) = _told(notifier, backend)
    assert {"program", "process", "started", "last progress", "ran for at least"} - event.fields.keys() == missing


CULPRIT = 'Current thread 0x1 (most recent call first):\n  File "a.py", line 1'
OTHER = 'Thread 0x2 (most recent call first):\n  File "b.py", line 2'


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [
        ([CULPRIT], CULPRIT),
        ([OTHER, CULPRIT, "Extension modules: numpy (total: 1)"], CULPRIT),
        ([OTHER, OTHER], OTHER),  # what crashed is no thread of Python's
        ([], ""),
    ],
)
def test_the_stack_that_crashed_is_shown_and_the_whole_of_it_attached(notifier, backend, blocks, shown):
    fault = "\n\n".join(["Fatal Python error: Aborted", *blocks])

    announce(notifier, [replace(CRASHED, fault=fault)])

    (event,) = _told(notifier, backend)
    assert event.body == shown
    assert [(file.filename, file.data) for file in event.attachments] == [("c-traceback.txt", fault.encode())]


def test_of_a_deep_stack_the_innermost_frames_are_shown(notifier, backend):
    announce(notifier, [replace(CRASHED, fault=FAULT + "\n  File ..." * 1000)])

    (event,) = _told(notifier, backend)
    assert event.body.startswith(CULPRIT)
    assert len(event.body) <= 3000  # a message shows about as much


def test_a_traceback_that_is_none_does_not_make_a_title_without_end(notifier, backend):
    announce(notifier, [replace(CRASHED, fault="x" * 100_000)])

    assert len(_told(notifier, backend)[0].message) < 150


def test_up_to_three_ends_are_a_message_each_and_more_are_one(notifier, backend):
    announce(notifier, [KILLED, CRASHED, REBOOTED])
    each = len(_told(notifier, backend))
    backend.clear()

    announce(notifier, [KILLED, CRASHED, REBOOTED, replace(KILLED, program="executor-2", pid=99)])

    (event,) = _told(notifier, backend)
    assert each == 3
    assert event.message == ("4 runs did not come to an orderly end: 2 killed, 1 crashed in C, 1 ended by a reboot")
    assert event.body.splitlines()[-1] == "2026-01-01 00:00:00 UTC  killed  99 executor-2"
    assert [file.data for file in event.attachments] == [FAULT.encode()]


def test_how_often_it_was_started_lately_stands_in_the_title(notifier, backend):
    announce(notifier, [KILLED], "5th start in 10 minutes")
    announce(notifier, [KILLED] * 4, "5th start in 10 minutes")

    titles = [event.message for event in _told(notifier, backend)]
    assert [title.endswith(" (5th start in 10 minutes)") for title in titles] == [True, True]


def test_no_end_is_no_message(notifier, backend):
    announce(notifier, [])

    assert _told(notifier, backend) == []


# ---- a start


@pytest.mark.process
def test_a_start_tells_what_became_of_the_last_run_and_the_next_one_does_not(state, notifier, backend):
    ended("mark(); ctypes.string_at(0)", state)

    for _ in range(2):
        install(notifier, state, RunState()).end()

    (event,) = _told(notifier, backend)
    assert event.message == "The last run of executor-1 crashed in C: Segmentation fault"
    assert files(state) == []


@pytest.mark.process
def test_a_start_that_fails_to_tell_leaves_it_to_the_next(state, notifier, backend, monkeypatch):
    ended("mark(); kill_me()", state)

    def fails(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(aftermath, "announce", fails)
    with pytest.raises(KeyboardInterrupt):
        install(notifier, state, RunState())

    assert len(claimed(state)) == 1


@pytest.mark.process
def test_of_runs_that_are_killed_again_and_again_only_some_are_told(state, notifier, backend):
    for _ in range(5):
        ended("mark(); kill_me()", state)
        install(notifier, state, RunState()).end()

    told = [event.message.partition(" (")[2] for event in _told(notifier, backend)]
    # The 1st, 2nd and 5th of a row; by whom restarts are counted is no matter of this test.
    assert told == ["", "2nd start in 10 minutes)", "5th start in 10 minutes)"]


def test_a_child_of_multiprocessing_is_no_start_and_leaves_the_ends_to_the_program(state, notifier, monkeypatch):
    (state / "runs").mkdir(parents=True, mode=0o700)
    killed = state / "runs" / "99999999-00000000.json"
    killed.write_bytes(b"")
    # As multiprocessing has it while a child that is no fork imports the program.
    monkeypatch.setattr(current_process(), "_inheriting", True, raising=False)

    install(notifier, state, RunState()).end()

    assert killed.exists()
    assert not (state / "starts.json").exists()


def test_progress_of_the_run_state_is_noted(state, notifier, clock):
    run_state = RunState()
    marker = install(notifier, state, run_state)
    (path,) = (state / "runs").glob("*.json")

    clock.advance(60)
    run_state.refresh()

    assert path.stat().st_mtime == pytest.approx(clock.time(), abs=0.001)
    marker.end()


@pytest.mark.process
def test_after_a_kill_what_the_program_said_of_its_run_is_told(state, notifier, backend):
    ended(
        "from notify.crash import aftermath\n"
        "from notify.run_state import RunState\n"
        "run_state = RunState()\n"
        "aftermath.install(Notifier({}), directory, run_state)\n"
        "run_state.update(version={'tag': 'v1.4.2'}, completed_cycle=17, cycles=18)\n"
        "run_state.refresh()\n"
        "kill_me()",
        state,
    )

    install(notifier, state, RunState()).end()

    (event,) = _told(notifier, backend)
    assert (event.fields["version"], event.fields["completed_cycle"], event.fields["cycles"]) == ("v1.4.2", "17", 18)


class _Raises:
    tag = property(lambda self: 1 / 0)


def test_facts_that_raise_do_not_keep_progress_from_being_noted(state, notifier, clock):
    run_state = RunState()
    marker = install(notifier, state, run_state)
    (path,) = (state / "runs").glob("*.json")
    run_state.update(version=_Raises())

    clock.advance(60)
    run_state.refresh()

    assert path.stat().st_mtime == pytest.approx(clock.time(), abs=0.001)
    marker.end()


@pytest.mark.parametrize("odd", [None, "many", True, -1, 0, 10**15, 1.5])
def test_cycles_that_are_no_count_are_not_told(state, notifier, clock, odd):
    run_state = RunState()
    marker = install(notifier, state, run_state)
    (path,) = (state / "runs").glob("*.json")
    run_state.update(cycles=odd, completed_cycle=17)

    clock.advance(60)
    run_state.refresh()

    assert decode(path.read_bytes()).facts == Facts(completed_cycle="17")
    marker.end()


def test_a_directory_that_cannot_be_used_does_not_keep_the_program_from_starting(state, notifier, backend, capfd):
    state.write_text("a file")

    install(notifier, state, RunState()).end()

    assert _told(notifier, backend) == []
    assert capfd.readouterr().err.count("\n") == 1


def test_of_a_crash_in_c_that_names_no_thread_the_main_one_is_shown(notifier, backend):
    main = 'Thread 0x1 (most recent call first):\n  File "/app/strategy.py", line 3 in <module>'
    other = 'Thread 0x2 (most recent call first):\n  File "/lib/threading.py", line 1002 in _bootstrap'
    fault = "\n\n".join(["Fatal Python error: Aborted", other, main])

    announce(notifier, [replace(CRASHED, fault=fault)])

    (event,) = _told(notifier, backend)
    assert event.body == main
