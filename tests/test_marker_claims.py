import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs import claimed, files

from notify.crash import unclean
from notify.crash.identity import Process, boot_id, process
from notify.crash.run_file import CRASH_REPORTED, ENDED, Run, encode, fault_path
from notify.crash.unclean import How, UncleanEnd, claim, claim_pid

STARTED = 1_767_225_600.0
# No process has this number: Linux and macOS give none above 2**22.
NOBODY = Process(99_999_999, 1)
DEAD = Run("executor-1", NOBODY, STARTED, boot_id())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def _left(state: Path, run: Run = DEAD, *, add: bytes = b"", fault: str = "", modified: float = STARTED) -> Path:
    """Leave what a run leaves that holds its lock no more."""
    return _left_bytes(state, encode(run) + add, fault=fault, modified=modified, pid=run.process.pid)


def _left_bytes(state: Path, data: bytes, *, fault: str = "", modified: float = STARTED, pid: int = NOBODY.pid) -> Path:
    runs = state / "runs"
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = runs / f"{pid}-{os.urandom(4).hex()}.json"
    path.write_bytes(data)
    fault_path(path).write_text(fault)
    os.utime(path, (modified, modified))
    return path


# ---- what is told


def test_an_end_says_who_ran_since_when_and_when_it_was_last_seen(state):
    _left(state, modified=STARTED + 3600)

    (end,) = claimed(state)

    assert (end.program, end.pid, end.started_at) == ("executor-1", NOBODY.pid, STARTED)
    assert (end.last_progress_at, end.how, end.boot_id) == (STARTED + 3600, How.KILLED, boot_id())
    assert files(state) == []


def test_a_run_without_progress_has_none(state):
    _left(state, modified=STARTED)

    assert claimed(state)[0].last_progress_at is None


def test_progress_before_the_start_is_told_as_it_is_since_the_clock_was_set_back(state):
    _left(state, modified=STARTED - 3600)

    assert claimed(state)[0].last_progress_at == STARTED - 3600


def test_what_faulthandler_wrote_is_told_and_bytes_that_are_no_text_are_replaced(state):
    path = _left(state)
    fault_path(path).write_bytes(b"Fatal Python error: Aborted\n\xff\xfe\n")

    (end,) = claimed(state)

    assert (end.how, end.fault) == (How.CRASHED_IN_C, "Fatal Python error: Aborted\n\ufffd\ufffd")


def test_a_fault_file_without_bound_is_read_as_far_as_faulthandler_would_write(state):
    path = _left(state, fault="Fatal Python error: Aborted\n")
    with fault_path(path).open("r+b") as file:
        file.truncate(10 * 2**30)  # sparse: 10 GiB that take no room

    (end,) = claimed(state)

    assert len(end.fault) == 2 * 2**20
    assert files(state) == []


STACKS = 'Thread 0x1 (most recent call first):\n  File "a.py", line 1 in the_culprit\n'


def test_stacks_that_a_supervisor_has_asked_for_are_no_crash_in_c(state):
    _left(state, fault=STACKS)

    (end,) = claimed(state)

    assert (end.how, end.fault) == (How.KILLED, "")


def test_of_a_crash_in_c_after_stacks_were_asked_for_the_crash_is_told(state):
    _left(state, fault=f"{STACKS}Fatal Python error: Aborted\n\n{STACKS}")

    (end,) = claimed(state)

    assert end.how is How.CRASHED_IN_C
    assert end.fault.startswith("Fatal Python error: Aborted\n")


def test_an_unknown_start_of_the_machine_is_no_reboot(state):
    _left(state, replace(DEAD, boot_id=None))

    assert claimed(state)[0].how is How.KILLED


def test_runs_are_told_in_the_order_in_which_they_began(state):
    for later in [3, 1, 2]:
        _left(state, replace(DEAD, started_at=STARTED + later))

    assert [end.started_at for end in claimed(state)] == [STARTED + 1, STARTED + 2, STARTED + 3]


def test_a_run_that_has_ended_under_a_dead_supervisor_is_not_told(state):
    _left(state, replace(DEAD, supervisor=NOBODY), add=ENDED)
    _left(state, replace(DEAD, supervisor=NOBODY), add=CRASH_REPORTED + ENDED)

    assert claimed(state) == []
    assert files(state) == []


def test_nothing_is_made_where_no_run_was(state):
    assert claimed(state) == []
    assert claim_pid(state, os.getpid()) == []
    assert not state.exists()


# ---- exactly once


def test_whoever_asks_meanwhile_gets_nothing(state):
    _left(state)

    with claim(state) as ends:
        meanwhile = claimed(state)

    assert (len(ends), meanwhile) == (1, [])


def test_a_claimer_that_fails_before_it_has_told_leaves_the_ends_to_the_next(state):
    _left(state, fault="Fatal Python error: Aborted")

    with pytest.raises(ZeroDivisionError), claim(state):
        raise ZeroDivisionError

    assert [end.how for end in claimed(state)] == [How.CRASHED_IN_C]


CLAIMER = """
import sys
from pathlib import Path
from notify.crash.unclean import claim
sys.stdin.readline()
with claim(Path(sys.argv[1])) as ends:
    print(len(ends), flush=True)
    if "dies" in sys.argv:
        import os
        os._exit(1)
"""


@pytest.mark.process
def test_a_claimer_that_dies_before_it_has_told_leaves_the_ends_to_the_next(state):
    _left(state)

    died = subprocess.run(
        [sys.executable, "-c", CLAIMER, str(state), "dies"], input="\n", capture_output=True, text=True
    )

    assert died.stdout == "1\n"
    assert len(claimed(state)) == 1


def test_an_end_that_somebody_claims_between_our_look_and_our_lock_is_his(state, monkeypatch):
    _left(state)
    lock = fcntl.flock
    his: list[UncleanEnd] = []

    def slow(descriptor: int, operation: int) -> None:
        if not his:
            monkeypatch.setattr(fcntl, "flock", lock)
            his.extend(claimed(state))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)

    assert claimed(state) == []
    assert len(his) == 1


@pytest.mark.process
def test_processes_and_threads_that_ask_at_once_get_every_end_once(state):
    for _ in range(40):
        _left(state)
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    barrier = threading.Barrier(4)

    def here(_: int) -> int:
        barrier.wait()
        return len(claimed(state))

    for claimer in claimers:
        claimer.stdin.write("\n")
        claimer.stdin.flush()
    with ThreadPoolExecutor(4) as threads:
        in_threads = sum(threads.map(here, range(4)))
    in_processes = sum(int(claimer.communicate(timeout=30)[0]) for claimer in claimers)

    assert in_threads + in_processes == 40
    assert claimed(state) == []


def test_thousands_of_leftovers_are_told_a_hundred_at_a_start_with_few_descriptors(state):
    for _ in range(1000):
        _left(state)
    before = time.monotonic()

    with claim(state) as ends:
        opened = len(list(Path("/dev/fd").iterdir()))

    assert len(ends) == 100
    assert opened < 150
    assert time.monotonic() - before < 2.0  # seconds; it takes 0.02
    assert len(claimed(state)) == 100


# ---- who is not over


def test_a_run_whose_supervisor_lives_is_the_supervisors(state):
    here = process(os.getpid())
    path = _left(state, replace(DEAD, supervisor=here))

    assert claimed(state) == []
    assert path.exists()
    (end,) = claim_pid(state, NOBODY.pid)
    assert end.how is How.KILLED
    assert claim_pid(state, NOBODY.pid) == []


def test_a_child_that_has_forked_as_its_last_deed_is_waited_for_until_its_lock_is_free(state):
    path = _left(state, replace(DEAD, supervisor=process(os.getpid())))
    copy = path.open("rb")
    fcntl.flock(copy, fcntl.LOCK_EX)
    letting_go = threading.Timer(0.1, copy.close)  # seconds; a child that was forked needs less than a hundredth

    letting_go.start()
    ends = claim_pid(state, NOBODY.pid)
    letting_go.join()

    assert len(ends) == 1
    assert files(state) == []


def test_a_supervisor_is_given_the_program_that_its_child_was_only_a_wrapper_of(state):
    _left(state, replace(DEAD, supervisor=process(os.getpid())))
    wrapper = NOBODY.pid - 1

    (end,) = claim_pid(state, wrapper)

    assert end.pid == NOBODY.pid
    assert files(state) == []


def test_a_supervisor_is_not_given_what_still_runs_of_its_childs_leaving(state):
    path = _left(state, replace(DEAD, process=process(os.getppid()), supervisor=process(os.getpid())))

    assert claim_pid(state, NOBODY.pid) == []
    assert path.exists()


def test_a_supervisor_of_before_the_reboot_does_not_live_whatever_has_its_number_now(state):
    here = process(os.getpid())
    _left(state, replace(DEAD, supervisor=here, boot_id="00000000-0000-4000-8000-000000000000"))

    assert [end.how for end in claimed(state)] == [How.REBOOTED]


def test_a_supervisor_is_not_given_an_earlier_run_with_its_childs_number(state):
    _left(state)
    _left(state, replace(DEAD, supervisor=NOBODY))

    assert claim_pid(state, NOBODY.pid) == []
    assert len(claimed(state)) == 2


def test_a_run_that_has_lost_its_lock_but_lives_is_left_alone(state):
    path = _left(state, replace(DEAD, process=process(os.getppid())))

    assert claimed(state) == []
    assert path.exists()


def test_another_process_with_the_number_of_a_dead_run_does_not_hide_it(state):
    parent = process(os.getppid())
    assert parent.started is not None
    _left(state, replace(DEAD, process=Process(parent.pid, parent.started - 1)))

    assert len(claimed(state)) == 1


# ---- files that are not what they should be

DAMAGED = {
    "empty": b"",
    "zeros, as a power cut leaves them": b"\0" * 200,
    "binary": bytes(range(256)) * 100,
    "huge": b'{"version": 1, "program": "' + b"x" * 10_000_000,
    "cut": encode(DEAD)[:40],
    "no object": b"[1, 2]\n",
    "deep": b"[" * 16_000,
    "a number without end": b'{"version": ' + b"9" * 10_000 + b"}",
    "no time": encode(DEAD).replace(b"1767225600.0", b"NaN"),
    "a time beyond all": encode(DEAD).replace(b"1767225600.0", b"1e300"),
    "no process": encode(DEAD).replace(b"[99999999, 1]", b'"x"'),
    "an older version": encode(DEAD).replace(b'"version": 1', b'"version": 0'),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_an_end_of_a_run_of_which_no_more_is_known(state, damage, capfd):
    _left_bytes(state, DAMAGED[damage], modified=time.time())

    (end,) = claimed(state)

    assert (end.program, end.pid, end.started_at, end.how) == ("", NOBODY.pid, None, How.KILLED)
    assert files(state) == []
    assert capfd.readouterr().err == ""


def test_a_damaged_file_of_before_the_machines_start_is_of_a_run_that_ended_with_it(state):
    _left_bytes(state, b"", modified=STARTED)

    (end,) = claimed(state)

    assert (end.how, end.last_progress_at) == (How.REBOOTED, STARTED)


def test_wrong_types_beside_what_is_needed_do_not_hide_the_rest(state):
    said = json.loads(encode(DEAD)) | {"program": 7, "boot_id": ["x"], "supervisor": "y", "new": {}}

    _left_bytes(state, json.dumps(said).encode() + b"\n\xff\n" + ENDED[:5])

    (end,) = claimed(state)
    assert (end.program, end.started_at, end.boot_id, end.how) == ("", STARTED, None, How.KILLED)


def test_a_name_beyond_all_measure_is_cut(state):
    _left(state, replace(DEAD, program="x" * 5000))

    assert len(claimed(state)[0].program) <= 200


def test_a_file_of_a_later_version_is_left_to_that(state, capfd):
    path = _left_bytes(state, encode(DEAD).replace(b'"version": 1', b'"version": 2'))

    assert claimed(state) == []
    assert path.exists()
    assert capfd.readouterr().err == ""


def test_a_planted_link_is_not_followed_and_does_not_hide_the_others(state, tmp_path, capfd):
    _left(state)
    precious = tmp_path / "precious"
    precious.write_bytes(encode(DEAD))
    (state / "runs" / "1-00000000.json").symlink_to(precious)

    assert len(claimed(state)) == 1
    assert precious.read_bytes() == encode(DEAD)
    assert "1-00000000.json: is a symbolic link; remove it" in capfd.readouterr().err


def test_a_planted_link_in_place_of_a_traceback_is_not_followed(state, tmp_path):
    path = _left(state)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    fault_path(path).unlink()
    fault_path(path).symlink_to(precious)

    (end,) = claimed(state)

    assert (end.how, end.fault) == (How.KILLED, "")
    assert precious.read_text() == "precious"


def test_another_users_file_is_said_and_left_alone(state, monkeypatch, capfd):
    path = _left(state)
    monkeypatch.setattr("notify.crash.unclean.prepare", lambda path: None)  # the directory is ours
    other = os.geteuid() + 1
    monkeypatch.setattr("notify.delivery.state_dir.os.geteuid", lambda: other)

    assert claimed(state) == []
    assert path.exists()
    assert "an earlier run cannot be told about: " in capfd.readouterr().err


def test_names_that_are_none_of_ours_are_left_alone(state):
    path = _left(state)
    claimed(state)
    others = ["notes.json", "1-xyz.json", "1-00000000.json.bak", "notes.fault", ".1-00000000.json"]
    for name in others:
        (path.parent / name).write_text("x")

    assert claimed(state) == []
    assert sorted(left.name for left in path.parent.iterdir()) == sorted(others)


def test_a_traceback_whose_run_is_gone_is_removed(state):
    path = _left(state)
    path.unlink()  # where a claimer died in the middle of removing both

    assert claimed(state) == []
    assert files(state) == []


def test_a_directory_that_cannot_be_listed_is_said(state, monkeypatch, capfd):
    def broken(path: object) -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    _left(state)
    monkeypatch.setattr(unclean.os, "listdir", broken)

    assert claimed(state) == []
    said = capfd.readouterr().err
    assert said.startswith("notify: earlier runs cannot be looked at: ")
    assert said.endswith(": Input/output error\n")


# ---- behind a wrapper


HERE = process(os.getpid())
MINE = Run("executor-1", HERE, STARTED, boot_id(), supervisor=HERE)  # this process takes itself for its supervisor


def _claimed_by(mine: Run | None, state: Path) -> list[UncleanEnd]:
    with claim(state, mine) as ends:
        return list(ends)


def test_a_run_that_its_wrapper_has_outlived_is_told_by_the_same_program_under_the_same_supervisor(state):
    _left(state, replace(DEAD, supervisor=HERE))

    assert _claimed_by(None, state) == []
    assert _claimed_by(replace(MINE, supervisor=None), state) == []
    assert _claimed_by(replace(MINE, supervisor=process(os.getppid())), state) == []
    assert _claimed_by(replace(MINE, program="clean-up"), state) == []
    assert [end.how for end in _claimed_by(MINE, state)] == [How.KILLED]
    assert files(state) == []


def test_a_run_that_lives_behind_the_same_wrapper_is_left_alone(state):
    _left(state, replace(DEAD, process=process(os.getppid()), supervisor=HERE))

    assert _claimed_by(MINE, state) == []
    assert len(files(state)) == 2


def test_a_run_that_has_reported_its_crash_is_the_supervisors_until_its_wrapper_has_started_the_program_again(state):
    _left(state, replace(DEAD, supervisor=HERE), add=CRASH_REPORTED + ENDED)
    assert _claimed_by(None, state) == []
    assert _claimed_by(replace(MINE, program="clean-up"), state) == []
    assert [end.how for end in claim_pid(state, NOBODY.pid)] == [How.REPORTED]

    _left(state, replace(DEAD, supervisor=HERE), add=CRASH_REPORTED + ENDED)
    _left(state, replace(DEAD, supervisor=HERE), add=ENDED)
    assert _claimed_by(MINE, state) == []
    assert files(state) == []


def test_of_several_runs_the_childs_own_comes_last_and_otherwise_the_one_that_lived_last(state):
    child, *others = [Process(NOBODY.pid - number, 1) for number in range(3)]
    for number, each in enumerate((child, *others)):
        _left(state, replace(DEAD, process=each, supervisor=HERE), modified=STARTED + 60 * (3 - number))

    assert [end.pid for end in claim_pid(state, 1)] == [others[1].pid, others[0].pid, child.pid]

    for number, each in enumerate((child, *others)):
        _left(state, replace(DEAD, process=each, supervisor=HERE), modified=STARTED + 60 * (1 + number))

    assert [end.pid for end in claim_pid(state, child.pid)] == [others[0].pid, others[1].pid, child.pid]


def test_of_a_run_that_has_reported_its_crash_its_end_counts_and_is_no_progress(state):
    other = Process(NOBODY.pid - 1, 1)
    # The system notes now as the time of its end, months after all of this.
    _left(state, replace(DEAD, supervisor=HERE), add=CRASH_REPORTED + ENDED)
    _left(state, replace(DEAD, process=other, supervisor=HERE), modified=STARTED + 60)

    killed, reported = claim_pid(state, 1)

    assert (killed.how, killed.last_progress_at, killed.ended_at) == (How.KILLED, STARTED + 60, None)
    assert (reported.how, reported.last_progress_at) == (How.REPORTED, None)
    assert reported.ended_at == pytest.approx(time.time(), abs=60.0)  # seconds; a slow test needs one


def test_a_lock_that_a_child_forked_in_c_never_lets_go_of_does_not_leave_the_end_to_be_told_again(state, monkeypatch):
    monkeypatch.setattr(unclean, "_PATIENCE", 0.02)  # seconds
    path = _left(state, replace(DEAD, supervisor=process(os.getpid())))

    with path.open("rb") as copy:
        fcntl.flock(copy, fcntl.LOCK_EX)

        assert [end.how for end in claim_pid(state, NOBODY.pid)] == [How.KILLED]
    assert files(state) == []


def test_all_locks_that_are_never_let_go_of_are_waited_for_together(state, monkeypatch):
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(unclean, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    with ExitStack() as copies:
        for _ in range(5):
            copy = copies.enter_context(_left(state, replace(DEAD, supervisor=HERE)).open("rb"))
            fcntl.flock(copy, fcntl.LOCK_EX)

        assert len(claim_pid(state, NOBODY.pid)) == 5
    assert now[0] == pytest.approx(1.0, abs=0.02)  # seconds: a pause of a hundredth may be over after that


def test_what_another_start_is_telling_while_its_disk_is_slow_is_not_told_by_the_supervisor_too(state, monkeypatch):
    monkeypatch.setattr(unclean, "_PATIENCE", 0.02)  # seconds
    _left(state, replace(DEAD, supervisor=HERE))
    with _left(state, MINE).open("rb") as lock:  # of the start that tells: it runs
        fcntl.flock(lock, fcntl.LOCK_EX)
        with claim(state, MINE) as telling:
            assert claim_pid(state, NOBODY.pid) == []

        assert [end.how for end in telling] == [How.KILLED]
        assert claim_pid(state, NOBODY.pid) == []
    assert files(state) == [".fault", ".json"]  # of the start
