"""The heartbeat: a monitor elsewhere hears while the run makes progress, once when it fails, and nothing else."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from children import ENDING, Ended, ended, running
from raw_server import OK, answering, breaking_off, raw, silent

from notify.run_state import RunState
from notify.status.heartbeat import Heartbeat
from notify.testing import FakeClock

EVERY = 60.0  # seconds between two pings
QUIET_AFTER = 300.0  # seconds without progress
SECRET = "0x4c0ffee"
SERVER_ERROR = b"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Monitored:
    """A run state, and a heartbeat that looks at it without a thread of its own."""

    def __init__(self, server: Any, clock: FakeClock, path: str = "") -> None:
        self.server = server
        self.clock = clock
        self.state = RunState(clock)
        self.heartbeat = Heartbeat(
            self.state,
            f"{server.url}{path}",
            every=EVERY,
            quiet_after=QUIET_AFTER,
            redact_text=lambda text: text.replace(SECRET, "[redacted]"),
            clock=clock,
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.heartbeat.look()

    @property
    def requests(self) -> list[str]:
        """The request lines so far."""
        lines: list[str] = self.server.read.decode().replace("}", "}\r\n").split("\r\n")
        return [line.removesuffix(" HTTP/1.1") for line in lines if line.endswith(" HTTP/1.1")]


@contextmanager
def monitored(clock: FakeClock, path: str = "") -> Iterator[Monitored]:
    with raw(answering(OK)) as server:
        made = Monitored(server, clock, path)
        try:
            yield made
        finally:
            made.heartbeat.close()
            made.heartbeat._pings.close()  # which the thread does, where there is one


ALIVE = "GET /hooks/canary-4711"
FAILED = "POST /hooks/canary-4711/fail"


# ---- what is pinged, and when


def test_a_run_that_makes_progress_is_pinged_for_at_its_interval(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.heartbeat.look()
        for _ in range(10):  # ten minutes, twice as long as it would take to fall silent
            run.state.refresh()
            run.pass_time(EVERY)
        run.pass_time(EVERY / 2)  # nobody is early

        assert run.requests == [ALIVE] * 11


def test_a_run_that_makes_no_progress_any_more_is_silent_until_it_goes_on(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.state.refresh()
        for _ in range(10):
            run.pass_time(EVERY)
        assert run.requests == [ALIVE] * 4  # after 60, 120, 180 and 240 s; 300 are too many

        run.state.refresh()
        run.pass_time(EVERY)

        assert run.requests == [ALIVE] * 5


def test_a_program_that_never_says_that_it_makes_progress_is_not_alive_for_good(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.heartbeat.look()
        for _ in range(10):
            run.pass_time(EVERY)

        assert run.requests == [ALIVE] * 5  # at once, and after 60, 120, 180 and 240 s


def test_a_failure_is_told_once_in_one_line_and_without_secrets(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.state.refresh()
        run.heartbeat.look()
        run.state.set_fail(ValueError(f"no price for {SECRET}\nand more"))
        for _ in range(3):
            run.pass_time(EVERY)

        assert run.requests == [ALIVE, FAILED]
        body = json.loads(run.server.read.partition(b"/fail HTTP/1.1")[2].partition(b"\r\n\r\n")[2])
        assert body == {"message": "ValueError: no price for [redacted]"}


def test_a_failure_comes_before_its_turn(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.heartbeat.look()
        run.state.set_fail()

        run.heartbeat.look()  # no second has passed

        assert run.requests == [ALIVE, FAILED]


def test_a_failure_that_nobody_took_is_told_again(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.server.behaviours[:] = [answering(SERVER_ERROR), answering(OK)]
        run.state.set_fail(ValueError("no price"))
        run.heartbeat.look()
        for _ in range(3):
            run.pass_time(EVERY)

        assert run.requests == [FAILED, FAILED]


def test_a_program_that_goes_on_after_its_failure_is_alive_again(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.state.set_fail(ValueError("no price"))
        run.heartbeat.look()
        run.state.executor_running = True
        run.state.refresh()
        run.pass_time(EVERY)

        assert run.requests == [FAILED, ALIVE]


def test_who_stops_without_a_failure_is_silent(clock: FakeClock) -> None:
    with monitored(clock) as run:
        run.state.executor_running = False
        run.pass_time(EVERY)

        assert run.requests == []


def test_fail_is_appended_to_the_path_and_not_to_the_query(clock: FakeClock) -> None:
    with monitored(clock, path="/?create=1") as run:
        run.state.set_fail()
        run.heartbeat.look()

        assert run.requests == ["POST /hooks/canary-4711/fail?create=1"]


# ---- what goes wrong


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answering(SERVER_ERROR), "it answers 500"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), "it answers 302"),
        (breaking_off(b""), "connection lost"),
    ],
)
def test_a_monitor_that_does_not_hear_is_told_of_once_and_without_its_address(
    clock: FakeClock, capsys: pytest.CaptureFixture[str], answer: Any, why: str
) -> None:
    with monitored(clock) as run:
        run.server.behaviours[:] = [answer]
        for _ in range(3):
            run.pass_time(EVERY)

    assert capsys.readouterr().err == f"notify: the monitor of HEARTBEAT_URL does not hear of this run: {why}\n"


@pytest.mark.parametrize("url", ["http://[c4nary/", "https://c4nary:x/", "http://c4nary:0/"])
def test_what_is_no_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="not a web address") as caught:
        Heartbeat(RunState(), url, redact_text=str)

    assert "c4nary" not in str(caught.value)


# ---- the thread


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "notify-heartbeat"]


def ended_soon() -> None:
    """Check that the thread ends, which may take it a moment longer than it is waited for."""
    for thread in threads():
        thread.join(ENDING)
    assert threads() == []


def test_the_thread_pings_at_once_tells_a_failure_at_once_and_ends_with_close() -> None:
    told = threading.Event()

    def notes(server: Any, connection: Any) -> None:
        while server.request(connection):
            connection.sendall(OK)
            if b"/fail" in server.read:
                told.set()

    with raw(notes) as server:
        state = RunState()
        heartbeat = Heartbeat(state, server.url, every=3600.0, redact_text=str)
        heartbeat.begin()
        state.set_fail(ValueError("no price"))

        assert told.wait(ENDING)
        heartbeat.close()
        ended_soon()


def test_close_waits_for_the_news_of_a_failure_and_not_for_a_silent_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.status.heartbeat.LAST_PING", 30.0)  # of the two seconds a busy machine needs more

    def slow(server: Any, connection: Any) -> None:
        server.stop.wait(0.5)  # seconds: longer than the thread is waited for otherwise
        answering(OK)(server, connection)

    with raw(slow) as server:
        state = RunState()
        heartbeat = Heartbeat(state, server.url, every=3600.0, redact_text=str)
        heartbeat.begin()
        state.set_fail(ValueError("no price"))

        heartbeat.close()

        assert b"/fail" in server.read
        ended_soon()
    with raw(silent) as server:
        heartbeat = Heartbeat(RunState(), server.url, every=3600.0, redact_text=str)
        heartbeat.begin()
        begin = time.monotonic()

        heartbeat.close()

        assert time.monotonic() - begin < 4.0  # seconds; it needs a tenth of one, and who is silent is gone after five
    ended_soon()


@pytest.mark.process
def test_a_forked_child_pings_for_nobody_and_hangs_on_no_lock() -> None:
    script = """
        from notify.run_state import RunState
        from notify.status.heartbeat import Heartbeat

        state = RunState()
        heartbeat = Heartbeat(state, sys.argv[1], every=0.05, redact_text=str)
        heartbeat.begin()

        def hold():  # as the thread does for a moment at each look
            with heartbeat._changed:
                held.set()
                threading.Event().wait()

        held = threading.Event()
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        pid = os.fork()
        if not pid:
            state.refresh()
            state.set_fail(ValueError("no price"))
            heartbeat.close()
            os._exit(len(threading.enumerate()) - 1)
        say(os.waitpid(pid, 0)[1])
    """
    with raw(answering(OK)) as server:
        with running(script, arguments=[server.url]) as process:
            left = ended(process)

        assert left == Ended(["0"], "", 0)
        assert b"/fail" not in server.read


def refuse(thread: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("said", ["refresh", "set_fail"])
def test_a_thread_that_the_system_refused_is_started_as_soon_as_the_run_says_anything(
    said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pinged = threading.Event()

    def notes(server: Any, connection: Any) -> None:
        while server.request(connection):
            connection.sendall(OK)
            pinged.set()

    with raw(notes) as server:
        state = RunState()
        heartbeat = Heartbeat(state, server.url, every=3600.0, redact_text=str)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            heartbeat.begin()

        getattr(state, said)()

        assert pinged.wait(ENDING)
        heartbeat.close()
        state.refresh()
        assert threads() == []
    assert capfd.readouterr().err == "notify: the thread heartbeat could not be started: can't start new thread\n"
