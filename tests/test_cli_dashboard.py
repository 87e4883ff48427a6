"""`notify dashboard` as a process: what it says, how it ends, what it leaves behind, and who cannot slow it down."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from children import environment, python
from fleets import Fleet
from set_up import secrets_file

from notify.fleet.dashboard.history_file import NAME

pytestmark = pytest.mark.process

PATIENCE = 20.0  # seconds for what takes one
LIST = [{"id": "gone", "name": "Gone", "url": "http://127.0.0.1:9"}, {"id": "x", "name": "x", "url": "/x"}]


class Dashboard:
    """The running command.

    Args:
        process: it.
        said: its lines, until it was ready.
    """

    def __init__(self, process: "subprocess.Popen[str]", said: list[str]) -> None:
        self.process = process
        self.said = said
        found = re.search(r"(http://\S+)/strategies", said[-1])
        assert found is not None, said
        self.url = found[1]

    def page(self, path: str = "/strategies", **options: object) -> str:
        """Return a page."""
        return requests.get(f"{self.url}{path}", timeout=PATIENCE, **options).text  # type: ignore[arg-type]

    def until(self, word: str) -> str:
        """Return the list once *word* is on it."""
        until = time.monotonic() + PATIENCE
        while word not in (page := self.page()):
            assert time.monotonic() < until, page
            time.sleep(0.05)
        return page


@contextmanager
def dashboard(*arguments: str, **settings: str) -> Iterator[Dashboard]:
    """Run the command until it is ready, and kill it at the end, if it has not ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "notify", "dashboard", "--port", "0", "--interval", "1", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**settings),
    )
    with process:
        try:
            assert process.stderr is not None
            said: list[str] = []
            while not said or "/strategies" not in said[-1]:
                line = process.stderr.readline()
                assert line, said
                said.append(line)
            yield Dashboard(process, said)
        finally:
            process.kill()


def ended(*arguments: str, **settings: str) -> tuple[int, str]:
    """Return exit code and standard error of a command that does not come to serve anything."""
    run = python("-m", "notify", "dashboard", "--port", "0", *arguments, **settings)
    return run.returncode, run.stderr


# ---- it begins


def test_it_says_where_the_page_is_and_what_is_wrong_with_the_list() -> None:
    with dashboard(TS_PUBLIC_STRATEGIES=json.dumps(LIST)) as running:
        page = running.until("connection refused")

    assert running.said == [
        "notify: TS_PUBLIC_STRATEGIES: entry 2 (x): url is not a whole web address (http://… or https://…)\n",
        f"notify: 1 strategy at {running.url}/strategies (Ctrl-C ends it)\n",
    ]
    assert "One thing wrong with" in page


def test_it_serves_an_empty_page_when_nothing_is_set() -> None:
    with dashboard() as running:
        assert "No strategy to show" in running.page()

    assert running.said == [f"notify: 0 strategies at {running.url}/strategies (Ctrl-C ends it)\n"]


def test_settings_may_come_from_the_secrets_file(tmp_path: Path) -> None:
    file = secrets_file(
        tmp_path, f"TS_PUBLIC_STRATEGIES='{json.dumps(LIST[:1])}'\nHTTP_USERNAME=operator\nHTTP_PASSWORD=c4nary\n"
    )
    with dashboard("--env-file", str(file)) as running:
        refused = requests.get(f"{running.url}/strategies", timeout=PATIENCE)
        admitted = requests.get(f"{running.url}/strategies", auth=("operator", "c4nary"), timeout=PATIENCE)

    assert (refused.status_code, admitted.status_code) == (401, 200)
    assert "Gone" in admitted.text
    assert "c4nary" not in "".join(running.said)


def test_with_auth_the_strategies_get_the_password_too() -> None:
    fleet = Fleet()
    fleet.add("vega", options={"username": "operator", "password": "secret"})
    settings = {
        "TS_PUBLIC_STRATEGIES": json.dumps(fleet.entries),
        "HTTP_USERNAME": "operator",
        "HTTP_PASSWORD": "secret",
    }
    try:
        for arguments, state in ((("--auth",), "running"), ((), "it asks for a password (HTTP 401)")):
            with dashboard(*arguments, **settings) as running:
                until = time.monotonic() + PATIENCE
                while f"<b>{state}" not in (page := running.page(auth=("operator", "secret"))) and (
                    f"<small>{state}" not in page
                ):
                    assert time.monotonic() < until, page
    finally:
        fleet.close()


def test_an_address_that_others_reach_without_a_password_is_told() -> None:
    with dashboard("--host", "0.0.0.0") as running:
        pass

    assert running.said[0] == (
        "notify: everybody who reaches 0.0.0.0 can see it; HTTP_USERNAME and HTTP_PASSWORD have it ask for them\n"
    )


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (
            ("--auth",),
            {},
            "notify: --auth: set HTTP_USERNAME and HTTP_PASSWORD, in the environment or with --env-file\n",
        ),
        ((), {"HTTP_USERNAME": "x"}, "notify: HTTP_PASSWORD: not set, while HTTP_USERNAME is; set both, or neither\n"),
        (
            (),
            {"SIMULATE": "true"},
            "notify: nothing may leave this machine (UNIT_TESTING or SIMULATE is true), and no strategy could be "
            "looked at\n",
        ),
        (("--host", "nowhere.invalid"), {}, "notify: --host: there is no address of that name\n"),
    ],
)
def test_what_is_unusable_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    assert ended(*arguments, **settings) == (2, said)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        run = python("-m", "notify", "dashboard", "--port", port)

    assert (run.returncode, run.stderr) == (
        2,
        f"notify: --port: port {port} of 127.0.0.1 is taken by another program\n",
    )


def test_without_its_packages_it_says_which_extra_to_install() -> None:
    script = """if True:
        import sys
        class Missing:  # as if they were not installed
            def find_spec(self, name, path=None, target=None):
                if name in {'jinja2', 'werkzeug'}:
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Missing())
        sys.argv = ['notify', 'dashboard']
        from notify.cli import main
        main()
    """

    run = python("-c", script)

    assert (run.returncode, run.stderr) == (
        2,
        "notify: this needs jinja2 and werkzeug: pip install 'executor-notify[dashboard]'\n",
    )


def test_secrets_that_a_strategy_tells_stay_here() -> None:
    """Those of trade-executor, whose own server takes none out."""
    telling = "https://discord.com/api/webhooks/123456789012345678/c4nary-token c4nary-password"
    fleet = Fleet()
    record = {"timestamp": time.time(), "level": "info", "level_number": 20, "message": telling}
    fleet.add("vega", logs=[record], options={"redact_text": str}).state.set_fail(ValueError(telling))
    settings = {"TS_PUBLIC_STRATEGIES": json.dumps(fleet.entries), "DATABASE_PASSWORD": "c4nary-password"}
    try:
        with dashboard(**settings) as running:
            page, own = running.until("<b>crashed"), running.page("/strategies/vega")
    finally:
        fleet.close()

    assert "[redacted]" in page
    assert own.count("[redacted]") >= 2  # in the reason and in the log
    assert "c4nary" not in page + own


# ---- it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_without_a_traceback_and_with_its_history_on_disk(
    tmp_path: Path, number: signal.Signals
) -> None:
    with dashboard(TS_PUBLIC_STRATEGIES=json.dumps(LIST[:1]), NOTIFY_STATE_DIR=str(tmp_path / "state")) as running:
        running.until("connection refused")
        running.process.send_signal(number)
        code = running.process.wait(PATIENCE)
        assert running.process.stderr is not None
        rest = running.process.stderr.read()

    assert (code, rest) == (0, "")
    assert {file.name for file in (tmp_path / "state").iterdir()} == {NAME, "dashboard.lock"}  # SQLite has tidied up


def test_after_a_kill_the_history_goes_on(tmp_path: Path) -> None:
    settings = {"TS_PUBLIC_STRATEGIES": json.dumps(LIST[:1]), "NOTIFY_STATE_DIR": str(tmp_path / "state")}
    fleet = Fleet()
    fleet.add("gone")
    try:
        with dashboard(**{**settings, "TS_PUBLIC_STRATEGIES": json.dumps(fleet.entries)}) as running:
            running.until("<b>running</b>")
            time.sleep(3)  # seconds: it writes every two
            running.process.kill()
    finally:
        fleet.close()

    with dashboard(**settings) as running:
        page = running.until("connection refused")

    share = re.search(r"</svg>([\d.]+) %", page)
    assert share is not None
    assert float(share[1]) > 50  # it was seen running three times at least, and offline once or twice


# ---- nobody slows it down


def test_clients_that_drip_keep_nobody_from_the_page() -> None:
    with dashboard(TS_PUBLIC_STRATEGIES=json.dumps(LIST[:1])) as running, ExitStack() as stack:
        port = int(running.url.rpartition(":")[2])
        dripping = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(100)]
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                for connection in dripping:
                    try:
                        connection.send(b"G")
                    except OSError:  # it was cut off, which is what it deserves
                        continue

        thread = threading.Thread(target=drip)
        thread.start()
        times = []
        try:
            for _ in range(40):
                began = time.monotonic()
                assert "Gone" in running.page()
                times.append(time.monotonic() - began)
        finally:
            stop.set()
            thread.join()

    assert sorted(times)[-5] < 0.5  # seconds; it takes some milliseconds, on a machine that has others to serve, too
