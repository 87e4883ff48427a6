"""`setup()` and the status of the run: served when asked for, on one port of one process, and never in the way."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from children import environment, python
from raw_server import OK, answering, raw
from served import ask, free_port, is_served, read
from set_up import QUIET, bare_root, sink

import notify
from notify.errors import ConfigError
from notify.notifier import current_notifier
from notify.run_state import RunState
from notify.settings import Settings
from notify.status.heartbeat import heartbeat
from notify.testing import FakeClock

pytestmark = pytest.mark.interpreter

STRATEGIES = json.dumps(
    [
        {"id": "eth-btc", "name": "Another", "url": "https://eth-btc.example.com"},
        {"id": "matic", "name": "Ours", "url": "https://matic.example.com/"},
    ]
)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def served(port: int) -> dict[str, str]:
    return {"HTTP_ENABLED": "true", "HTTP_PORT": str(port)}


# ---- what is served


def test_the_run_is_served_with_its_facts_its_logs_and_its_delivery(port: int, served: dict[str, str]) -> None:
    bare_root()
    env = {**served, "EXECUTOR_ID": "matic", "NAME": "Matic", "ICON_URL": "https://example.com/icon.png"}
    notifier, _ = sink({**env, "HTTP_PUBLIC_LOGS": "true"})
    notifier.run_state.update(cycles=7)
    notifier.run_state.refresh()
    logging.getLogger("strategy").info("cycle 7")
    notifier.flush()

    status, metadata, (record,) = read(port), read(port, "/metadata"), read(port, "/logs")

    assert (status["executor_id"], status["executor_running"], status["cycles"]) == ("matic", True, 7)
    assert status["delivery"]["sink"]["delivered"] == 1
    assert (metadata["name"], metadata["icon_url"]) == ("Matic", "https://example.com/icon.png")
    assert (record["message"], record["level"]) == ("cycle 7", "info")
    assert json.loads(ask(port, "/healthz")[1])["status"] == "ok"


def test_nothing_is_served_unless_it_is_asked_for(port: int) -> None:
    sink({"HTTP_PORT": str(port)})

    assert not is_served(port)


@pytest.mark.parametrize("offline", ["UNIT_TESTING", "SIMULATE", "NOTIFY_DRY_RUN"])
def test_without_network_nothing_is_served_and_nothing_pinged(port: int, served: dict[str, str], offline: str) -> None:
    with raw(lambda server, connection: None) as monitor:
        notifier, _ = sink({**served, offline: "true", "HEARTBEAT_URL": monitor.url})
        notifier.run_state.refresh()

        assert not is_served(port)
        assert [thread.name for thread in threading.enumerate() if "heartbeat" in thread.name] == []
        assert monitor.connections == 0


def test_a_password_keeps_others_out(port: int, served: dict[str, str]) -> None:
    sink({**served, "HTTP_USERNAME": "ops", "HTTP_PASSWORD": "c4nary"})

    assert [ask(port, path)[0] for path in ("/ping", "/status", "/logs")] == [200, 401, 401]
    assert [ask(port, path, user="ops:c4nary")[0] for path in ("/status", "/logs")] == [200, 200]


@pytest.mark.parametrize(
    ("env", "is_said"),
    [
        ({"HTTP_HOST": "0.0.0.0"}, True),
        ({"HTTP_HOST": "0.0.0.0", "HTTP_USERNAME": "ops", "HTTP_PASSWORD": "c4nary"}, False),
        ({"HTTP_HOST": "127.0.0.1"}, False),
        ({"HTTP_HOST": "localhost"}, False),
    ],
)
def test_that_everybody_on_the_network_may_see_the_run_is_said(
    served: dict[str, str], capfd: pytest.CaptureFixture[str], env: dict[str, str], is_said: bool
) -> None:
    sink({**served, **env})

    said = (
        "notify: everybody who reaches 0.0.0.0 can see the status of the run; HTTP_USERNAME and HTTP_PASSWORD have it"
    )
    assert (said in capfd.readouterr().err) is is_said


def test_what_is_stale_is_a_setting(port: int, served: dict[str, str]) -> None:
    notifier, _ = sink({**served, "NOTIFY_STALE_AFTER": "0"})
    notifier.run_state.refresh()

    assert json.loads(ask(port, "/healthz")[1])["status"] == "stale"


def test_secrets_are_in_no_answer(port: int, served: dict[str, str]) -> None:
    bare_root()
    notifier, _ = sink({**served, "HTTP_PUBLIC_LOGS": "true", "API_SECRET": "c4nary-c4nary"})
    logging.getLogger("strategy").info("token c4nary-c4nary")
    notifier.run_state.set_fail(ValueError("no price for c4nary-c4nary"))

    answers = b"".join(ask(port, path)[1] for path in ("/status", "/healthz", "/logs", "/metadata", "/metrics", "/"))

    assert b"no price for" in answers
    assert b"c4nary" not in answers


# ---- what is wrong


@pytest.mark.parametrize(
    ("variable", "env"),
    [
        ("HTTP_ENABLED", {"HTTP_ENABLED": "c4nary"}),
        ("HTTP_PORT", {"HTTP_PORT": "c4nary"}),
        ("HTTP_PASSWORD", {"HTTP_USERNAME": "c4nary"}),
        ("HTTP_USERNAME", {"HTTP_PASSWORD": "c4nary"}),
        ("HTTP_HOST", {"HTTP_HOST": "203.0.113.1"}),  # of nobody, by RFC 5737
        ("HTTP_WAIT_GOOD_STARTUP_SECONDS", {"HTTP_WAIT_GOOD_STARTUP_SECONDS": "c4nary"}),
        ("NOTIFY_STALE_AFTER", {"NOTIFY_STALE_AFTER": "c4nary"}),
        ("NOTIFY_HANG_AFTER", {"NOTIFY_HANG_AFTER": "c4nary"}),
        ("HEARTBEAT_URL", {"HEARTBEAT_URL": "http://[c4nary/"}),
        ("HEARTBEAT_SECONDS", {"HEARTBEAT_URL": "http://127.0.0.1:1/", "HEARTBEAT_SECONDS": "c4nary"}),
    ],
)
def test_an_unusable_setting_is_named_and_leaves_nothing_behind(
    port: int, served: dict[str, str], variable: str, env: dict[str, str]
) -> None:
    before = set(threading.enumerate())

    with pytest.raises(ConfigError) as caught:
        sink({**served, **env})

    assert str(caught.value).startswith(f"{variable}: ")
    assert "c4nary" not in str(caught.value)
    assert current_notifier() is None
    assert set(threading.enumerate()) - before == set()
    assert not is_served(port)


def test_a_port_that_is_taken_is_one_clear_error_and_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError) as caught:
            sink({"HTTP_ENABLED": "true", "HTTP_PORT": str(port)})

    assert str(caught.value) == f"HTTP_PORT: port {port} of 127.0.0.1 is taken by another program"
    assert current_notifier() is None
    assert set(threading.enumerate()) - before == set()
    assert capsys.readouterr().err == ""


# ---- until the process ends


def test_a_run_is_served_after_its_notifier_was_closed_until_the_next_takes_its_place(
    port: int, served: dict[str, str]
) -> None:
    first, _ = sink({**served, "EXECUTOR_ID": "first"})
    first.close()
    assert read(port)["executor_id"] == "first"

    sink({**served, "EXECUTOR_ID": "second"})
    assert read(port)["executor_id"] == "second"

    notify.get_notifier().close()
    sink()
    assert not is_served(port)


def test_a_second_call_serves_nothing_more(port: int, served: dict[str, str]) -> None:
    notifier, _ = sink(served)

    assert notify.setup(env={**QUIET, **served}) is notifier
    assert read(port)["executor_running"] is True


PARENT = """
import multiprocessing, os, signal, socket, sys, time
from multiprocessing.connection import wait
import notify

notifier = notify.setup()  # in every child that is no fork, too

def work(port):
    notify.setup().notify("works")
    os.write(1, b"works\\n")
    wait([multiprocessing.parent_process().sentinel])
    give_up = time.monotonic() + 5  # seconds; the kernel closes what the parent had a moment after its death
    while (held := socket.socket().connect_ex(("127.0.0.1", port)) == 0) and time.monotonic() < give_up:
        time.sleep(0.01)
    os.write(1, b"held\\n" if held else b"free\\n")

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    context.Process(target=work, args=(int(os.environ["HTTP_PORT"]),)).start()
    signal.pause()
"""


@pytest.mark.process
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_child_of_multiprocessing_serves_nothing_and_does_not_hold_the_port(
    port: int, served: dict[str, str], method: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(program), method],
        env=environment(**QUIET, **served),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"works\n"
            assert read(port)["executor_running"] is True
        finally:
            process.kill()

        assert process.stdout.readline() == b"free\n"  # the child lives on
        assert process.communicate()[1] == b""


# ---- where people see it


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({}, None),
        ({"HTTP_ENABLED": "true"}, "http://127.0.0.1:{port}/status"),
        ({"HTTP_ENABLED": "true", "HTTP_HOST": "0.0.0.0"}, "http://{host}:{port}/status"),
        ({"HTTP_ENABLED": "true", "HTTP_HOST": "::1"}, "http://[::1]:{port}/status"),
        ({"EXECUTOR_ID": "matic", "TS_PUBLIC_STRATEGIES": STRATEGIES}, "https://matic.example.com/status"),
        (
            {"EXECUTOR_ID": "eth-btc", "TS_PUBLIC_STRATEGIES": STRATEGIES, "HTTP_ENABLED": "true"},
            "https://eth-btc.example.com/status",
        ),
        (
            {"EXECUTOR_ID": "other", "TS_PUBLIC_STRATEGIES": STRATEGIES, "HTTP_ENABLED": "true"},
            "http://127.0.0.1:{port}/status",
        ),
        ({"EXECUTOR_ID": "matic", "TS_PUBLIC_STRATEGIES": "no list"}, None),
    ],
)
def test_a_crash_report_says_where_the_status_is_seen(port: int, env: dict[str, str], url: str | None) -> None:
    notifier, backend = sink({"HTTP_PORT": str(port), **env})

    notify.report_crash(ValueError("no price"))
    notifier.flush()

    shown = None if url is None else url.format(port=port, host=os.uname().nodename)
    assert backend.events[-1].fields.get("status") == shown


# ---- the heartbeat


def test_the_heartbeat_begins_at_once_tells_a_crash_and_ends_with_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.status.heartbeat.LAST_PING", 30.0)  # of the two seconds a busy machine needs more

    def notes(server: Any, connection: Any) -> None:
        while server.request(connection):
            connection.sendall(OK)

    with raw(notes) as monitor:
        notifier, _ = sink({"HEARTBEAT_URL": monitor.url})
        notifier.run_state.set_fail(ValueError("no price"))
        notifier.close()

        assert b"POST /hooks/canary-4711/fail " in monitor.read
        beating = [thread for thread in threading.enumerate() if "heartbeat" in thread.name]
        for thread in beating:
            thread.join(30)  # seconds; it ends a moment later
        assert [thread.name for thread in beating if thread.is_alive()] == []


@pytest.mark.process
def test_the_news_of_a_crash_reaches_the_monitor_before_the_process_ends() -> None:
    def slow(server: Any, connection: Any) -> None:
        server.stop.wait(0.5)  # seconds: longer than anything else keeps the process
        answering(OK)(server, connection)

    script = """if True:
        import notify
        from notify.status import heartbeat
        heartbeat.LAST_PING = 30.0  # seconds: on a busy machine the first request takes more than the two
        notify.setup()
        raise ValueError('no price')
    """
    with raw(slow) as monitor:
        left = python("-c", script, HEARTBEAT_URL=monitor.url)

        assert b"POST /hooks/canary-4711/fail " in monitor.read
    assert left.returncode == 1


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ({}, 3600.0),
        ({"NOTIFY_STALE_AFTER": "900"}, 900.0),
        ({"NOTIFY_STALE_AFTER": "900", "NOTIFY_HANG_AFTER": "600"}, 600.0),
        ({"NOTIFY_STALE_AFTER": "900", "NOTIFY_HANG_AFTER": "1200"}, 900.0),
    ],
)
def test_a_program_that_is_stale_or_counts_as_hanging_is_silent(
    clock: FakeClock, env: dict[str, str], seconds: float
) -> None:
    with raw(answering(OK)) as monitor:
        config = Settings({"HEARTBEAT_URL": monitor.url, "HEARTBEAT_SECONDS": "1", **env})
        beating = heartbeat(config, RunState(clock), redact_text=str, clock=clock)
        assert beating is not None
        clock.advance(seconds - 1)
        beating.look()
        clock.advance(1)
        beating.look()
        beating._pings.close()  # which the thread does, where there is one

        assert monitor.read.count(b"GET ") == 1  # a second before that time, and not at it
