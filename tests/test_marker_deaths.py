"""Processes that die in every way, and what the next start knows of it."""

import os
import signal
import sys
from pathlib import Path

import pytest
from runs import GRACE, claimed, ended, files, running

from notify.crash.marker import SUPERVISOR
from notify.crash.unclean import How, claim_pid

pytestmark = [pytest.mark.process, pytest.mark.interpreter]

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


# ---- ends that nobody sees

SILENT = {
    "SIGKILL": ("kill_me()", -signal.SIGKILL),
    "os._exit": ("os._exit(0)", 0),
    "os._exit in a thread": ("threading.Thread(target=os._exit, args=(3,)).start(); time.sleep(60)", 3),
    "a signal that nobody handles": ("signal.raise_signal(signal.SIGUSR1)", -signal.SIGUSR1),
    "SIGKILL while it ends": ("atexit.register(kill_me)", -signal.SIGKILL),
}


@pytest.mark.parametrize("death", SILENT)
def test_an_end_without_python_is_known_to_the_next_start_and_only_to_that(state, death):
    code, returncode = SILENT[death]

    run = ended(f"mark()\n{code}", state)

    assert run.returncode == returncode
    assert [(end.how, end.program, end.fault) for end in claimed(state)] == [(How.KILLED, "executor-1", "")]
    assert claimed(state) == []
    assert files(state) == []


FAULTS = {
    "segfault": ("ctypes.string_at(0)", signal.SIGSEGV, "Segmentation fault"),
    "abort": ("os.abort()", signal.SIGABRT, "Aborted"),
    "bus error": ("signal.raise_signal(signal.SIGBUS)", signal.SIGBUS, "Bus error"),
    "segfault in a thread": (
        "thread = threading.Thread(target=ctypes.string_at, args=(0,)); thread.start(); thread.join()",
        signal.SIGSEGV,
        "Segmentation fault",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_crash_in_c_is_known_with_the_place_in_the_program(state, fault):
    code, signum, name = FAULTS[fault]

    run = ended(f"def the_culprit():\n    {code}\nmark()\nthe_culprit()", state)

    (end,) = claimed(state)
    assert run.returncode == -signum
    assert end.how is How.CRASHED_IN_C
    assert end.fault.startswith(f"Fatal Python error: {name}\n")
    assert "in the_culprit" in end.fault
    assert run.stderr == "", "stderr is what it would have been"
    assert files(state) == []


def test_an_end_in_another_start_of_the_machine_is_a_reboot(state, monkeypatch):
    ended("mark(); kill_me()", state)
    monkeypatch.setattr("notify.crash.unclean.boot_id", lambda: "00000000-0000-4000-8000-000000000000")

    assert [end.how for end in claimed(state)] == [How.REBOOTED]


def test_a_crash_in_c_before_a_reboot_is_a_crash_in_c(state, monkeypatch):
    ended("mark(); os.abort()", state)
    monkeypatch.setattr("notify.crash.unclean.boot_id", lambda: "00000000-0000-4000-8000-000000000000")

    assert [end.how for end in claimed(state)] == [How.CRASHED_IN_C]


# ---- ends in an orderly way

ORDERLY = {
    "end of the script": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception in the main thread": ("raise ValueError", 1),
    "SIGTERM": ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
    "Ctrl-C": ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    "exception in a thread": ("threading.Thread(target=int, args=('x',)).start()", 0),
    "an exception at the end": ("atexit.register(lambda: 1 / 0)", 0),
}


@pytest.mark.parametrize("end", ORDERLY)
def test_an_orderly_end_leaves_nothing(state, end):
    code, returncode = ORDERLY[end]

    run = ended(f"mark()\n{code}", state)

    assert run.returncode == returncode
    assert files(state) == []


def test_a_run_that_goes_on_is_not_claimed_and_is_when_it_was_killed(state):
    with running("mark(); say('marked'); time.sleep(60)", state) as process:
        assert process.stdout.readline() == "marked\n"
        before = claimed(state)
        process.kill()
        process.wait(GRACE)

        assert before == []
        assert [end.pid for end in claimed(state)] == [process.pid]


# ---- forks


def test_a_parent_that_is_killed_while_its_child_lives_is_known_at_once(state):
    script = """
    mark()
    if os.fork() == 0:
        os.close(2)
        say("forked")
        os.read(0, 1)
        os._exit(0)
    time.sleep(60)
    """
    with running(script, state) as process:
        assert process.stdout.readline() == "forked\n"
        process.kill()
        process.wait(GRACE)

        assert [(end.how, end.pid) for end in claimed(state)] == [(How.KILLED, process.pid)]


CHILDREN = {
    "os._exit": "os._exit(0)",
    "an orderly end": "sys.exit()",
    "progress, a crash and an end": "marker.progress(); marker.crash_reported(); marker.end(); os._exit(0)",
    "SIGKILL": "kill_me()",
    "a segfault": "ctypes.string_at(0)",
}


@pytest.mark.parametrize("child", CHILDREN)
def test_a_forked_child_that_ends_first_leaves_its_parents_marker_alone(state, child):
    script = f"""
    marker = mark()
    child = os.fork()
    if child == 0:
        {CHILDREN[child]}
    os.waitpid(child, 0)
    (path,) = (directory / "runs").glob("*.json")
    with claim(directory) as ends:
        say(len(ends), path.read_text().count("\\n"), path.with_suffix(".fault").stat().st_size)
    kill_me()
    """

    run = ended(script, state)

    assert run.stdout == "0 2 0\n"  # nothing to claim, the lines of the beginning, and no traceback of the child's
    assert [end.how for end in claimed(state)] == [How.KILLED]


def test_a_pool_of_forked_workers_one_of_which_is_killed_has_a_marker_for_each_that_marks_itself(state):
    # As gunicorn does it: a master forks workers, each of which sets up for itself and ends with sys.exit().
    script = """
    workers = []
    for number in range(3):
        worker = os.fork()
        if worker == 0:
            mark(f"worker-{number}")
            if number == 1:
                kill_me()
            sys.exit()
        workers.append(worker)
    for worker in workers:
        os.waitpid(worker, 0)
    """

    ended(script, state)

    assert [end.program for end in claimed(state)] == ["worker-1"]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_child_of_multiprocessing_that_marks_itself_ends_in_an_orderly_way(state, tmp_path, method):
    # Such children run no atexit. They are imported from a file.
    (tmp_path / "work.py").write_text(
        "from pathlib import Path\n"
        "import os\n"
        "from notify.crash.marker import RunMarker\n"
        "def work(directory, end):\n"
        "    RunMarker(Path(directory), program=end).begin()\n"
        "    if end == 'killed':\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    script = f"""
    import multiprocessing
    from work import work
    if __name__ == "__main__":
        for end in ["returns", "killed"]:
            child = multiprocessing.get_context({method!r}).Process(target=work, args=(str(directory), end))
            child.start()
            child.join()
            say(child.exitcode)
    """

    with running(script, state, cwd=tmp_path) as process:
        out, _ = process.communicate(timeout=GRACE)

    assert out == "0\n-9\n"
    assert [end.program for end in claimed(state)] == ["killed"]


# ---- programs that do strange things


@linux
def test_a_program_that_replaces_itself_has_not_been_killed(state):
    script = """
    if "again" not in sys.argv:
        mark("before")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "again"])
    mark("after")
    with claim(directory) as ends:
        say(len(ends))
    kill_me()
    """

    run = ended(script, state)

    assert run.stdout == "0\n"
    assert [end.program for end in claimed(state)] == ["after"]


@linux
def test_a_program_that_closes_every_descriptor_is_alive_all_the_same(state):
    script = """
    marker = mark()
    os.closerange(3, 4096)
    files = [open(directory / f"file-{number}", "w") for number in range(20)]
    say("closed")
    os.read(0, 1)
    marker.progress()
    marker.end()
    print(*[file.write("precious") for file in files])
    """
    with running(script, state) as process:
        assert process.stdout.readline() == "closed\n"
        alive = claimed(state)
        out, err = process.communicate("\n", timeout=GRACE)

    assert alive == []
    assert (out.split(), err) == (["8"] * 20, ""), "the program's own files were left open"
    assert files(state) == []


@linux
def test_a_crash_in_c_is_not_written_into_files_that_were_opened_under_our_numbers(state):
    script = """
    mark()
    os.closerange(3, 4096)
    files = [open(directory / f"file-{number}", "w") for number in range(100)]
    ctypes.string_at(0)
    """

    run = ended(script, state)

    assert run.returncode == -signal.SIGSEGV
    assert {path.read_text() for path in state.glob("file-*")} == {""}
    assert [end.how for end in claimed(state)] == [How.KILLED]


def test_faulthandler_that_the_environment_enables_writes_where_it_did(state):
    run = ended("mark(); ctypes.string_at(0)", state, PYTHONFAULTHANDLER="1")

    assert "Segmentation fault" in run.stderr
    assert [(end.how, end.fault) for end in claimed(state)] == [(How.KILLED, "")]


def test_faulthandler_that_the_program_enables_first_or_later_writes_where_it_wants(state):
    for code in ["faulthandler.enable(); mark()", "mark(); faulthandler.enable()"]:
        run = ended(f"{code}; ctypes.string_at(0)", state)

        assert "Segmentation fault" in run.stderr
        assert [end.fault for end in claimed(state)] == [""]


def test_faulthandler_stays_enabled_for_the_program_that_has_enabled_it_since(state):
    script = """
    marker = mark()
    faulthandler.enable()
    marker.end()
    say(faulthandler.is_enabled())
    """

    assert ended(script, state).stdout == "True\n"


def test_faulthandler_is_disabled_again_at_an_orderly_end(state):
    script = "marker = mark(); say(faulthandler.is_enabled()); marker.end(); say(faulthandler.is_enabled())"

    assert ended(script, state).stdout == "True\nFalse\n"


def test_two_programs_share_a_directory_and_each_is_told_of_by_its_name(state):
    with running("mark('lives'); say('marked'); time.sleep(60)", state) as process:
        process.stdout.readline()
        ended("mark('was killed'); kill_me()", state)

        assert [end.program for end in claimed(state)] == ["was killed"]


def test_a_process_id_that_is_another_processs_by_now_does_not_hide_the_end(state):
    ended("mark(); kill_me()", state)
    (path,) = (state / "runs").glob("*.json")
    said = path.read_text()
    pid = path.name.split("-")[0]
    path.write_text(said.replace(f"[{pid}, ", f"[{os.getpid()}, "))

    assert [end.how for end in claimed(state)] == [How.KILLED]


# ---- under a supervisor

SUPERVISED = """
import subprocess
from notify.crash.unclean import claim_pid
env = dict(os.environ, NOTIFY_SUPERVISOR=str(os.getpid()))
def run(code):
    code = Path({prelude!r}).read_text() + code
    child = subprocess.Popen([sys.executable, "-c", code, str(directory)], env=env, stderr=subprocess.DEVNULL)
    child.wait()
    with claim(directory) as ends:
        left = len(ends)
    ends = claim_pid(directory, child.pid)
    again = claim_pid(directory, child.pid)
    say(left, *[end.how for end in ends] or [None], again)
"""


@linux
def test_a_supervisor_alone_is_told_how_its_child_ended_and_once(state, tmp_path):
    from runs import PRELUDE

    (tmp_path / "prelude.py").write_text(PRELUDE)
    deaths = {
        "mark(); kill_me()": "killed",
        "mark(); ctypes.string_at(0)": "crashed in C",
        "mark().crash_reported(); sys.exit(1)": "reported",
        "mark().crash_reported(); kill_me()": "killed",
        "mark()": "None",
        "mark(); sys.exit(3)": "None",
        "": "None",
    }
    script = SUPERVISED.format(prelude=str(tmp_path / "prelude.py")) + "".join(f"run({death!r})\n" for death in deaths)

    run = ended(script, state)

    assert run.stdout.splitlines() == [f"0 {how} []" for how in deaths.values()]
    assert files(state) == []


@linux
def test_the_next_start_is_told_when_the_supervisor_died_too(state, tmp_path):
    from runs import PRELUDE

    (tmp_path / "prelude.py").write_text(PRELUDE)
    script = f"""
    import subprocess
    env = dict(os.environ, NOTIFY_SUPERVISOR=str(os.getpid()))
    for end in ["kill_me()", "sys.exit()"]:
        code = Path({str(tmp_path / "prelude.py")!r}).read_text() + "mark(); " + end
        subprocess.run([sys.executable, "-c", code, str(directory)], env=env)
    kill_me()
    """

    ended(script, state)

    assert [end.how for end in claimed(state)] == [How.KILLED]
    assert files(state) == []


@linux
def test_a_program_behind_wrappers_is_the_supervisors_and_what_it_starts_is_for_the_next_start(state, tmp_path):
    from runs import PRELUDE

    for name, death in {
        "outer": "mark(); subprocess.run([*python, 'inner.py', sys.argv[1]]); kill_me()",
        "inner": "mark('inner'); kill_me()",
    }.items():
        code = f"import subprocess\npython = [sys.executable]\n{death}"
        (tmp_path / f"{name}.py").write_text(PRELUDE + code)
    script = f"""
    import subprocess
    from notify.crash.unclean import claim_pid
    os.chdir({str(tmp_path)!r})
    env = dict(os.environ, NOTIFY_SUPERVISOR=str(os.getpid()))
    wrapped = f"{{sys.executable}} outer.py {{directory}}; exit $?"
    child = subprocess.Popen(["sh", "-c", f"sh -c '{{wrapped}}'; exit $?"], env=env)
    child.wait()
    (end,) = claim_pid(directory, child.pid)
    with claim(directory) as ends:
        say(end.how, end.program, end.pid != child.pid, [end.program for end in ends])
    """

    run = ended(script, state)

    assert run.stdout.splitlines() == ["killed executor-1 True ['inner']"]
    assert files(state) == []


@pytest.mark.parametrize("value", ["", "x", "-1", "9" * 5000, "\u0661"])
def test_nonsense_about_a_supervisor_is_no_supervisor(state, value):
    run = ended("mark()", state, **{SUPERVISOR: value})

    assert (run.returncode, run.stderr) == (0, "")
    assert files(state) == []


SET_UP = """
import notify
from notify.backends.memory import MemoryBackend
from notify.crash import report
notifier = notify.setup(
    env={"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": sys.argv[1]}, backends={"discord": MemoryBackend(durable=True)}
)
error = ValueError("no price")

def guarded():
    try:
        with notify.guard("main"):
            raise error
    except ValueError:
        pass

class Secretive(Exception):
    def __getattribute__(self, name):
        raise RuntimeError(name)

class Leaky:
    def __del__(self):
        raise error

"""


@linux
@pytest.mark.parametrize(
    ("code", "is_told"),
    [
        ("guarded(); sys.exit(1)", True),
        ("notify.report_crash(error); sys.exit(1)", True),
        ("one = threading.Thread(target=int, args=('x',)); one.start(); one.join(); sys.exit(1)", True),
        ("notifier.run_state.set_fail(error); sys.exit(1)", True),
        ("raise error", True),
        ("raise Secretive", True),
        ("report.text_of = None; raise error", False),
        ("report.text_of = None; guarded(); sys.exit(1)", False),
        ("report.text_of = None; notifier.run_state.set_fail(error); sys.exit(1)", False),
        ("notifier.run_state.set_fail(error); notifier.run_state.refresh(); sys.exit('another reason')", False),
        ("guarded(); notifier.run_state.refresh(); sys.exit('another reason')", False),
        ("Leaky(); sys.exit('another reason')", False),
        ("sys.exit(1)", False),
    ],
)
def test_a_supervisor_is_told_whether_the_crash_of_which_the_program_ended_is_reported(state, code, is_told):
    with running(SET_UP + code, state, **{SUPERVISOR: str(os.getpid())}) as process:
        process.communicate(timeout=GRACE)

    hows = [end.how for end in claim_pid(state, process.pid)]

    assert process.returncode == 1
    assert hows == ([How.REPORTED] if is_told else [])


@linux
def test_a_program_that_becomes_a_daemon_as_its_last_deed_is_not_taken_for_killed_by_the_next_start(state):
    code = """
    mark()
    if ctypes.PyDLL(None).fork() == 0:  # behind Python's back, so that the child is slow to let go of its copies
        time.sleep(0.2)
        os._exit(0)
    os._exit(0)
    """
    with running(code, state, **{SUPERVISOR: str(os.getpid())}) as process:
        process.wait(GRACE)

        ends = claim_pid(state, process.pid)

    assert len(ends) == 1
    assert files(state) == []
