"""`notify run`, seen from outside after the program has died: `/status` answers as if the program did, and says how."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from raw_server import answering, raw
from served import ask, free_port, is_served, read, wait_until_served
from supervision import PATIENCE, Supervision, fields, python, shell

from notify.run_state import RunState
from notify.testing.fake_discord import FakeDiscord

pytestmark = pytest.mark.process

STOP = 5.0  # seconds in which a supervisor that is told to stop ends: guarantee 7
SECRET = "c4nary-c4nary"
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

# A program that is served itself while it lives.
PROGRAM = """
import ctypes, os, resource, signal, sys, time
import notify
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
notifier = notify.setup()
notifier.run_state.update(completed_cycle=17, cycles=1234, version={"tag": "v1.4.2"})
time.sleep(0.1)  # seconds: progress in the first hundredth of one is not told from the beginning
notifier.run_state.refresh()
print(os.getpid(), flush=True)
"""
UNTIL_TOLD = "sys.stdin.readline()\n"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def supervision(tmp_path: Path, port: int) -> Iterator[Supervision]:
    with FakeDiscord(speed=60) as discord:
        made = Supervision(discord, tmp_path / "state")
        made.env = {
            "HTTP_ENABLED": "true",
            "HTTP_PORT": str(port),
            "HTTP_WAIT_GOOD_STARTUP_SECONDS": "0",
            "HTTP_PUBLIC_LOGS": "true",
            "EXECUTOR_ID": "matic",
            "NOTIFY_STDOUT": "off",
            "API_SECRET": SECRET,
        }
        yield made


@contextmanager
def dead(supervision: Supervision, port: int, *arguments: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Run a program to its death, and wait until that is served."""
    with supervision.running(*arguments) as process:
        yield process, wait_until_served(port, running=False)


# ---- every death


DEATHS = {
    # What is done, and what is served of it, by the program itself or by its supervisor.
    "exception": ("raise ValueError('no price')", 1, "no price"),
    "kill -9": ("os.kill(os.getpid(), signal.SIGKILL)", 137, "my-strategy was killed by SIGKILL after "),
    "os._exit": ("os._exit(7)", 7, "my-strategy ended with exit code 7 after "),
    "segmentation fault": ("ctypes.string_at(0)", 139, "my-strategy crashed after "),
    "sys.exit with a text": ("sys.exit('no price')", 1, "my-strategy ended with exit code 1 after "),
}


@pytest.mark.parametrize("death", DEATHS)
def test_fault_58_a_death_is_seen_at_the_status_of_the_program_and_ends_with_its_exit_code(
    supervision: Supervision, port: int, death: str
) -> None:
    script, code, said = DEATHS[death]

    with supervision.running(*python(f"{PROGRAM}{UNTIL_TOLD}{script}")) as process:
        process.stdout.readline()
        before = read(port)
        process.stdin.write("die\n")
        process.stdin.flush()
        died = time.time()
        status = wait_until_served(port, running=False)
        health_code, health = ask(port, "/healthz")
        metadata = read(port, "/metadata")
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert process.wait(PATIENCE) == code
        assert time.monotonic() - told < STOP

    assert before["executor_running"] is True
    assert list(status) == [*RunState().as_dict(), "delivery"]
    assert status["exception"]["exception_message"].startswith(said)
    assert abs(status["crashed_at"] - died) < PATIENCE
    assert (status["executor_id"], status["completed_cycle"], status["version"]["tag"]) == ("matic", 17, "v1.4.2")
    assert status["cycles"] == 1234
    assert status["started_at"] == pytest.approx(before["started_at"], abs=1.0)  # the mark is made a moment later
    if death != "exception":  # the program says itself, as trade-executor does, that its crash was the last refresh
        assert status["started_at"] + 0.1 <= status["last_refreshed_at"] < status["crashed_at"]
    assert (health_code, json.loads(health)["status"]) == (503, "crashed")
    assert (metadata["name"], metadata["executor_running"]) == ("my-strategy", False)
    assert not is_served(port)
    # And people were told once.
    crashes = [title for title in supervision.titles if not title.startswith("Told to stop")]
    assert len(crashes) == 1
    assert fields(supervision.embeds[0])["status"] == f"http://127.0.0.1:{port}/status"
    if death != "exception":  # of which the program tells itself
        assert "It ended after 1,234 cycles." in supervision.embeds[0]["description"]


def test_a_program_that_does_not_use_this_package_is_served_as_well(supervision: Supervision, port: int) -> None:
    with dead(supervision, port, *shell("echo out; echo first >&2; echo key $API_SECRET >&2; exit 3")) as (_, status):
        records = read(port, "/logs")
        banner = ask(port, "/")[1]

    assert list(status) == [*RunState().as_dict(), "delivery"]
    assert status["exception"] == {
        "tb_frame": None,
        "tb_lineno": None,
        "tb_next": None,
        "exception_message": status["exception"]["exception_message"],
    }
    assert re.match(r"my-strategy ended with exit code 3 after [\d.]+ s", status["exception"]["exception_message"])
    assert status["started_at"] == status["last_refreshed_at"] <= status["crashed_at"]
    assert [(record["message"], record["level"]) for record in records] == [
        ("first", "error"),
        ("key [redacted]", "error"),
    ]
    assert b"my-strategy" in banner


def test_the_password_of_the_program_is_that_of_its_supervisor(supervision: Supervision, port: int) -> None:
    supervision.env |= {"HTTP_USERNAME": "ops", "HTTP_PASSWORD": "pass-word-1", "HTTP_PUBLIC_LOGS": "false"}
    with supervision.running(*shell("exit 3")):
        wait_until_served(port, running=False, user="ops:pass-word-1")

        assert [ask(port, path)[0] for path in ("/ping", "/status", "/healthz", "/logs")] == [200, 401, 401, 401]
        assert ask(port, "/logs", user="ops:pass-word-1")[0] == 200


# ---- who stays


def test_a_crash_that_python_sees_is_served_by_the_program_itself_with_all_that_it_knows(
    supervision: Supervision, port: int
) -> None:
    script = f"{PROGRAM}notifier.run_state.update(summary_statistics={{'current_value': 7}})\nraise ValueError('no')"
    with dead(supervision, port, *python(script)) as (process, status):
        while read(port)["delivery"]["discord"]["delivered"] < 1:  # what is on its way comes twice
            time.sleep(0.02)
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        supervision.wait_for("my-strategy was killed by SIGKILL")
        killed = wait_until_served(port, running=False)
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 137
    assert status["summary_statistics"] == {"current_value": 7}
    assert status["exception"]["tb_lineno"] is not None
    assert killed["exception"]["exception_message"].startswith("my-strategy was killed by SIGKILL after ")
    assert [title.split(" after ")[0] for title in supervision.titles] == [
        "Crashed in the main thread: ValueError: no",
        "my-strategy was killed by SIGKILL",
    ]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_program_that_stays_and_its_supervisor(
    supervision: Supervision, port: int, signum: signal.Signals
) -> None:
    with dead(supervision, port, *python(f"{PROGRAM}raise ValueError")) as (process, _):
        while "this process stays and serves" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        process.send_signal(signum)

        assert process.wait(PATIENCE) == 1
    assert supervision.titles == ["Crashed in the main thread: ValueError", f"Told to stop: {signum.name}"]


def test_a_supervisor_that_is_to_end_is_not_kept_by_the_program(supervision: Supervision, port: int) -> None:
    run = supervision.run("--after-crash", "exit", *python(f"{PROGRAM}raise ValueError('no price')"))

    assert run.returncode == 1
    assert "stays" not in run.stderr
    assert not is_served(port)
    assert supervision.titles == ["Crashed in the main thread: ValueError: no price"]


def test_a_supervisor_that_is_to_start_the_program_again_does_so(supervision: Supervision, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    ends = f"open({str(starts)!r}, 'a').write('x')\nif len(open({str(starts)!r}).read()) < 2: raise ValueError"
    script = f"{PROGRAM}{ends}"

    run = supervision.run("--after-crash", "restart", *python(script))

    assert run.returncode == 0
    assert starts.read_text() == "xx"
    assert "stays" not in run.stderr


# ---- what may be wrong

HOLDS = '''
import os, signal, socket, subprocess, sys
holder = """import socket, sys
taken = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print(flush=True)
sys.stdin.read()"""
child = subprocess.Popen([sys.executable, "-c", holder, sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
os.kill(os.getpid(), signal.SIGKILL)
'''


def test_a_port_that_an_orphan_holds_is_waited_for_and_said_once(supervision: Supervision, port: int) -> None:
    with supervision.running(*python(HOLDS), str(port)) as process:
        assert "stays and serves" in process.stderr.readline()
        assert process.stderr.readline() == (
            f"notify: the crash is not served yet: HTTP_PORT: port {port} of 127.0.0.1 is taken by another program; "
            "tried again every 2 s\n"
        )
        time.sleep(2.5)  # seconds: one more try, of which nothing is said
        process.stdin.close()  # by which the orphan ends

        assert wait_until_served(port, running=False)["executor_id"] == "matic"
        assert process.stderr.readline() == (f"notify: the crash is served now: http://127.0.0.1:{port}/status\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 137


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"HTTP_ENABLED": SECRET}, "HTTP_ENABLED: not true or false"),
        ({"HTTP_PORT": SECRET}, "HTTP_PORT: not a port number from 1 to 65535"),
        ({"HTTP_USERNAME": "ops"}, "HTTP_PASSWORD: not set, while HTTP_USERNAME is; set both, or neither"),
        ({"HTTP_WAIT_GOOD_STARTUP_SECONDS": SECRET}, "HTTP_WAIT_GOOD_STARTUP_SECONDS: not a number of seconds"),
    ],
)
def test_unusable_settings_of_the_server_are_said_at_the_start_and_the_death_is_told(
    supervision: Supervision, wrong: dict[str, str], why: str
) -> None:
    supervision.env |= wrong

    run = supervision.run(*shell("echo begins >&2; exit 3"))

    assert run.returncode == 3
    assert run.stderr == f"notify: a crash will not be served: {why} (`notify doctor` shows it all)\nbegins\n"
    assert [title.split(" after ")[0] for title in supervision.titles] == ["my-strategy ended with exit code 3"]


# ---- where people see it


def test_the_report_of_a_death_names_the_public_address_of_the_program(supervision: Supervision) -> None:
    strategies = [{"id": "matic", "name": "Matic", "url": "https://matic.example.com"}]
    supervision.env |= {"TS_PUBLIC_STRATEGIES": json.dumps(strategies)}

    supervision.run("--after-crash", "exit", *python(f"{PROGRAM}os._exit(7)"))

    shown = fields(supervision.embeds[0])
    assert (shown["status"], shown["version"], shown["completed_cycle"]) == (
        "https://matic.example.com/status",
        "v1.4.2",
        "17",
    )


# ---- the monitor


def test_the_monitor_hears_of_a_death_that_ran_no_python(supervision: Supervision) -> None:
    with raw(answering(OK)) as monitor:
        supervision.env |= {"HEARTBEAT_URL": monitor.url, "HTTP_ENABLED": "false"}

        with supervision.running(*python(f"{PROGRAM}{UNTIL_TOLD}os.kill(os.getpid(), signal.SIGKILL)")) as process:
            wait_for(monitor, b"GET /hooks/canary-4711 HTTP/1.1")
            process.stdin.close()
            assert process.wait(PATIENCE) == 137
            complaints = process.stderr.read()

        assert monitor.read.count(b" HTTP/1.1\r\n") == 2
        assert b"POST /hooks/canary-4711/fail HTTP/1.1\r\n" in monitor.read
        assert b'{"message": "my-strategy was killed by SIGKILL after ' in monitor.read
    assert complaints == ""


def wait_for(monitor: Any, request: bytes) -> None:
    deadline = time.monotonic() + PATIENCE
    while request not in monitor.read:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_monitor_hears_nothing_of_a_program_that_was_told_to_stop(supervision: Supervision) -> None:
    with raw(answering(OK)) as monitor:
        supervision.env |= {"HEARTBEAT_URL": monitor.url}
        with supervision.running(*shell("echo ready; while :; do sleep 0.02; done")) as process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 143

        assert monitor.read == b""


@pytest.mark.parametrize("url", [SECRET, "http://[c4nary/"])
def test_an_unusable_address_of_the_monitor_is_said_at_the_start_and_not_shown(
    supervision: Supervision, url: str
) -> None:
    supervision.env |= {"HEARTBEAT_URL": url}

    run = supervision.run("--after-crash", "exit", *shell("exit 3"))

    assert run.stderr.startswith("notify: the monitor will not hear of a crash: HEARTBEAT_URL: not a web address")
    assert "c4nary" not in run.stderr
    assert len(supervision.titles) == 1
