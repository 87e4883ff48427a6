"""A program that has crashed is served until somebody stops it, and ends then as its crash would have had it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from children import ENDING, ended, running, wait_for
from machine import missing
from served import ask, free_port, is_served, read, wait_until_served
from traders import BEGIN, delivered_by_the_next_start, titles, trader

from notify.crash import stay
from notify.supervisor import leave
from notify.testing.fake_discord import HANG, FakeDiscord

pytestmark = [pytest.mark.process, pytest.mark.interpreter]

STOP = 5.0  # seconds in which a process that is told to stop ends: guarantee 7
BUSY = 1.0  # seconds that a busy machine may add to that
REQUESTS = 100  # more than any of these programs makes

SET_UP = """
notifier = set_up()
"""
CRASH = """
def trade():
    raise ValueError("no price")

trade()
"""


@pytest.fixture
def port() -> int:
    return free_port()


def served(port: int, **settings: str) -> dict[str, str]:
    """The settings of a program that is served, and whose every start is a good one."""
    return {"HTTP_ENABLED": "true", "HTTP_PORT": str(port), "HTTP_WAIT_GOOD_STARTUP_SECONDS": "0", **settings}


@contextmanager
def staying(
    port: int, *scripts: str, discord: FakeDiscord | None = None, state: Path | None = None, **settings: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program that crashes, and wait until it is served as crashed."""
    with trader(*(scripts or (SET_UP, CRASH)), discord=discord, state=state, **served(port, **settings)) as process:
        wait_until_served(port, running=False)
        assert process.stderr is not None
        # The last thing that it says before it waits.
        while b"this process stays" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        yield process


# ---- it stays


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_fault_58_a_crashed_program_is_served_as_crashed_until_a_signal_ends_it_with_its_exit_code(
    port: int, signum: signal.Signals
) -> None:
    with trader('say("begins")', SET_UP, 'print("buffered")', CRASH, **served(port)) as process:
        first = wait_until_served(port, running=False)
        for _ in range(50):
            assert ask(port, "/ping") == (200, b'{"ping": "pong"}')
            # But for the counts: what was said of the crash is still on its way.
            assert {**read(port), "delivery": None} == {**first, "delivery": None}
        code, health = ask(port, "/healthz")
        assert process.poll() is None
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"begins\n", b"buffered\n"]
        told = time.monotonic()
        process.send_signal(signum)
        left = ended(process)

    assert first["exception"]["exception_message"] == "no price"
    assert first["exception"]["tb_next"]["tb_frame"]["f_code"]["co_name"] == "trade"
    assert first["crashed_at"] == first["last_refreshed_at"]
    assert (code, health[:19]) == (503, b'{"status":"crashed"')
    assert left.code == 1
    assert time.monotonic() - told < STOP
    traceback, _, line = left.complaints.rstrip("\n").rpartition("\n")
    assert traceback.startswith("Traceback (most recent call last):")
    assert traceback.endswith("ValueError: no price")
    assert line == (
        f"notify: the program has crashed; this process stays and serves http://127.0.0.1:{port}/status "
        f"until Ctrl-C, or kill {process.pid}"
    )
    assert not is_served(port)


def test_the_crash_is_told_at_once_with_the_link_and_so_is_what_is_said_while_it_stays(port: int) -> None:
    script = """
        def work():
            while notifier.run_state.executor_running:
                time.sleep(0.01)
            notifier.trade("Sold what was left")

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
    """
    with FakeDiscord(speed=60) as discord, staying(port, SET_UP, script, CRASH, discord=discord) as process:
        deadline = time.monotonic() + ENDING
        while len(discord.embeds) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        code = ended(process).code

        assert titles(discord) == [
            "🆘 Crashed in the main thread: ValueError: no price",
            "Sold what was left",
            "Told to stop: SIGTERM",
        ]
        fields = {field["name"]: field["value"] for field in discord.embeds[0]["fields"]}
        assert fields["status"] == f"http://127.0.0.1:{port}/status"
        assert code == 1


def test_what_the_program_does_at_its_end_is_done_then_in_its_order_and_what_it_says_is_delivered(port: int) -> None:
    with FakeDiscord(speed=60) as discord:
        scripts = (
            'atexit.register(lambda: say("first registered"))',
            SET_UP,
            'atexit.register(lambda: (say("last registered"), notifier.trade("Closed 3 positions")))',
            CRASH,
        )
        with staying(port, *("\n" + each for each in scripts), discord=discord) as process:
            process.terminate()
            left = ended(process)

        assert left.lines == ["last registered", "first registered"]
        assert titles(discord)[1:] == ["Told to stop: SIGTERM", "Closed 3 positions"]


def test_the_programs_own_handler_would_stop_a_loop_that_is_no_more_and_is_not_called(port: int) -> None:
    own = "\nsignal.signal(signal.SIGTERM, lambda *_: (say('own handler'), os._exit(0)))\n"
    with staying(port, own, SET_UP, CRASH) as process:
        process.terminate()
        left = ended(process)

    assert (left.lines, left.code) == ([], 1)


def test_without_signals_of_ours_it_is_ended_by_them_all_the_same(port: int) -> None:
    with staying(port, "\nnotify.setup(signals=False)\n", CRASH) as process:
        process.terminate()

        assert ended(process).code == 1


# ---- what could keep it


def test_a_destination_that_hangs_keeps_it_no_longer_than_five_seconds(port: int, state: Path) -> None:
    with FakeDiscord() as discord:
        discord.answer_with(*[HANG] * REQUESTS)
        with staying(port, discord=discord, state=state) as process:
            told = time.monotonic()
            process.terminate()
            code = ended(process).code

    assert code == 1
    assert time.monotonic() - told < STOP + BUSY
    assert delivered_by_the_next_start(state)[:2] == [
        "🆘 Crashed in the main thread: ValueError: no price",
        "Told to stop: SIGTERM",
    ]


def test_it_leaves_its_supervisor_the_time_to_end_within_the_five_seconds_of_both() -> None:
    # No process says so reliably on a busy machine. Half a second is for the ends of two interpreters.
    assert stay._END + leave._DELIVERY_AT_LEAST <= STOP - 0.5


def test_a_second_signal_ends_it_at_once(port: int) -> None:
    with FakeDiscord() as discord:
        discord.answer_with(*[HANG] * REQUESTS)
        with staying(port, discord=discord) as process:
            process.terminate()
            while read(port)["delivery"]["discord"]["accepted"] < 2:  # it has said that it was told to stop
                time.sleep(0.01)
            told = time.monotonic()
            process.terminate()
            code = ended(process).code

    assert code == 1
    assert time.monotonic() - told < 3.5  # seconds: the destination would be waited for for four


@pytest.mark.parametrize(
    ("thread", "seconds"),
    [
        ("while threading.main_thread().is_alive(): time.sleep(0.01)", 3.5),  # of a busy machine; it needs a tenth
        ("while True: time.sleep(0.01)", STOP + BUSY),
    ],
    ids=["until the main thread ends", "for good"],
)
def test_threads_that_python_waits_for_go_on_and_keep_it_no_longer_than_five_seconds(
    port: int, state: Path, thread: str, seconds: float
) -> None:
    script = f"""
def work():
    say("works")
    {thread}

threading.Thread(target=work).start()
"""
    with FakeDiscord(speed=60) as discord:
        with staying(port, SET_UP, script, CRASH, discord=discord, state=state) as process:
            wait_for(process, "works")
            assert read(port)["executor_running"] is False
            told = time.monotonic()
            process.terminate()
            code = ended(process).code

        assert titles(discord)[1:] == ["Told to stop: SIGTERM"]
    assert code == 1
    assert time.monotonic() - told < seconds
    assert delivered_by_the_next_start(state) == []  # nobody says that it was killed


def test_as_process_1_of_a_container_it_is_ended_like_any_other(port: int, state: Path) -> None:
    if os.getuid() != 0:
        missing("only root can make a namespace")
    # With the network of this machine, so that it can be asked.
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    with running(BEGIN, SET_UP, CRASH, command=inside, NOTIFY_STDOUT="off", **served(port)) as outside:
        wait_until_served(port, running=False)
        assert outside.stderr is not None
        while b"this process stays" not in outside.stderr.readline():
            pass
        (child,) = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
        told = time.monotonic()
        os.kill(int(child), signal.SIGTERM)

        assert ended(outside).code == 1
    assert time.monotonic() - told < STOP


# ---- it does not stay

ENDS = {
    "SystemExit": ("sys.exit('no price')", {}, 1),
    "Ctrl-C": ("os.kill(os.getpid(), signal.SIGINT); idle()", {}, -signal.SIGINT),
    "before a good start": (CRASH, {"HTTP_WAIT_GOOD_STARTUP_SECONDS": "60"}, 1),
    "without a server": (CRASH, {"HTTP_ENABLED": "false"}, 1),
    "in tests": (CRASH, {"UNIT_TESTING": "true"}, 1),
    "in a simulation": (CRASH, {"SIMULATE": "true"}, 1),
    "in a dry run": (CRASH, {"NOTIFY_DRY_RUN": "true"}, 1),
    "its supervisor ends": (CRASH, {"NOTIFY_AFTER_CRASH": "exit"}, 1),
    "its supervisor starts it again": (CRASH, {"NOTIFY_AFTER_CRASH": "restart"}, 1),
    "a forked child": (
        "pid = os.fork()\nif not pid:\n    raise ValueError('no price')\nos.waitpid(pid, 0)\nsys.exit(3)",
        {},
        3,
    ),
    "a thread": (
        "thread = threading.Thread(target=int, args=('no price',))\nthread.start()\nthread.join()\nsys.exit(3)",
        {},
        3,
    ),
    "a hook that is called by hand": (
        "try:\n    int('no price')\nexcept ValueError:\n    sys.excepthook(*sys.exc_info())\nsys.exit(3)",
        {},
        3,
    ),
    "a hook that is called by hand in a thread": (
        "threading.excepthook = lambda args: sys.excepthook(args.exc_type, args.exc_value, args.exc_traceback)\n"
        "thread = threading.Thread(target=int, args=('no price',))\nthread.start()\nthread.join()\nsys.exit(3)",
        {},
        3,
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_is_no_crash_of_the_main_thread_or_not_to_be_served_ends_as_without_us(port: int, end: str) -> None:
    script, settings, code = ENDS[end]
    shows = "\natexit.register(lambda: say(notifier.run_state.executor_running))\n"

    with trader(SET_UP, shows, script, **served(port, **settings)) as process:
        left = ended(process)

    assert left.code == code
    assert "stays" not in left.complaints
    assert left.lines[-1] == str(script is not CRASH)  # the run state knows what has crashed


def test_a_crash_before_a_good_start_says_why_nothing_is_served(port: int) -> None:
    with FakeDiscord(speed=60) as discord:
        with trader(SET_UP, CRASH, discord=discord, **served(port, HTTP_WAIT_GOOD_STARTUP_SECONDS="60")) as process:
            left = ended(process)
        (crash,) = discord.embeds

    assert "status" not in {field["name"] for field in crash["fields"]}  # a link to nobody
    assert left.complaints.splitlines()[-1] == (
        "notify: the program has crashed in its first 60 s (HTTP_WAIT_GOOD_STARTUP_SECONDS), "
        "so it ends, and its status is served no longer"
    )


def test_a_prompt_does_not_stay(port: int) -> None:
    shows = "\nimport code\nsys.ps1 = '>>> '\nnotifier = set_up()\nsay(notifier.run_state.executor_running)\n"
    with trader(shows, CRASH, **served(port)) as process:
        left = ended(process)

    assert (left.lines, left.code) == (["True"], 1)


def test_a_failure_that_the_program_notes_itself_is_served_while_it_goes_on(port: int) -> None:
    script = """
        try:
            int("no price")
        except ValueError as error:
            notifier.run_state.set_fail(error)
        say("goes on")
        idle()
    """
    with trader(SET_UP, script, **served(port)) as process:
        wait_for(process, "goes on")
        status = read(port)

    assert (status["executor_running"], "no price" in status["exception"]["exception_message"]) == (False, True)


# ---- hooks and closing


def test_other_hooks_run_before_it_stays(port: int) -> None:
    above = """
        ours = sys.excepthook

        def above(*args):
            say("the hook after ours")
            ours(*args)

        sys.excepthook = above
    """
    below = "\nsys.excepthook = lambda kind, error, traceback: say('the hook before ours:', error)\n"
    with staying(port, below, SET_UP, above, CRASH) as process:
        process.terminate()
        left = ended(process)

    assert left.lines == ["the hook after ours", "the hook before ours: no price"]
    assert left.code == 1


def test_a_hook_below_ours_that_ends_the_process_ends_it(port: int) -> None:
    with trader("\nsys.excepthook = lambda *args: os._exit(7)\n", SET_UP, CRASH, **served(port)) as process:
        assert ended(process).code == 7


def test_who_has_closed_the_notifier_when_it_crashes_is_served_all_the_same(port: int) -> None:
    with staying(port, "\nwith set_up() as notifier:\n    raise ValueError('no price')\n") as process:
        assert read(port)["exception"]["exception_message"] == "no price"
        process.terminate()

        assert ended(process).code == 1
