"""What `notify doctor` says of the status server: what `setup()` would say of the same settings."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

import pytest
from served import free_port
from typer.testing import CliRunner, Result

from notify.cli.app import app
from notify.errors import ConfigError
from notify.run_state import RunState
from notify.status import StatusServer, make_app
from notify.status.listening import listen

CANARY = "c4nary"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - {"XDG_STATE_HOME"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")  # wide enough that no cell is folded


def examined(port: int, **env: str) -> Result:
    set_up = {"HTTP_ENABLED": "true", "HTTP_PORT": str(port), **env}
    return CliRunner().invoke(app, ["doctor", "--json"], env=set_up)


def rows(result: Result) -> dict[str, tuple[str, str]]:
    listed = json.loads(result.stdout)
    found = {row["subject"]: (row["verdict"], row["text"]) for row in listed}
    assert len(found) == len(listed)  # each is told once
    return found


@contextmanager
def status_of(executor_id: str, *, password: str = "") -> Iterator[int]:
    """Serve the status of a run, and yield the port."""
    state = RunState()
    state.executor_id = executor_id
    users = {"username": "ops", "password": password} if password else {}
    with closing(StatusServer(make_app(state, **users), "127.0.0.1", 0)) as server:
        yield server.port


def text_of_setup(port: int) -> str:
    """Return what `setup()` says when it cannot listen there."""
    with pytest.raises(ConfigError) as raised:
        listen("127.0.0.1", port)
    return str(raised.value).removeprefix("HTTP_PORT: ")


def test_doctor_says_where_and_to_whom_the_status_is_served() -> None:
    port = free_port()

    open_to_all = rows(examined(port))
    guarded = rows(examined(port, HTTP_USERNAME="ops", HTTP_PASSWORD=CANARY))

    at = f"at http://127.0.0.1:{port}"
    assert open_to_all["status server"] == ("ok", f"serves the run and no logs {at}, without a password")
    assert guarded["status server"] == ("ok", f"serves the run and its logs {at}, with a password")


def test_doctor_warns_of_a_status_that_everybody_on_the_network_can_see() -> None:
    port = free_port()

    verdict, text = rows(examined(port, HTTP_HOST="0.0.0.0"))["status server"]

    assert verdict == "warning"
    assert text.endswith(f":{port}, without a password: everybody who reaches it can see it")


def test_doctor_finds_that_the_status_cannot_be_served_where_it_is_to_be() -> None:
    result = examined(free_port(), HTTP_HOST="192.0.2.7")  # of no machine

    assert result.exit_code == 1
    assert rows(result)["HTTP_HOST"] == ("wrong", "192.0.2.7 is no address of this machine")


def test_doctor_finds_a_port_that_another_program_has_taken_in_the_words_of_setup() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:  # who never answers
        port = other.getsockname()[1]

        result = examined(port)

        assert rows(result)["HTTP_PORT"] == ("wrong", text_of_setup(port))
    assert result.exit_code == 1
    assert "status server" not in rows(result)


@pytest.mark.parametrize("behaviour", ["a web page", "another JSON", "404"])
def test_doctor_takes_no_other_server_for_ours(behaviour: str, strangers: Callable[[str], int]) -> None:
    port = strangers(behaviour)

    result = examined(port)

    assert rows(result)["HTTP_PORT"] == ("wrong", text_of_setup(port))


@pytest.fixture
def strangers() -> Iterator[Callable[[str], int]]:
    """Begin a web server that is none of ours."""
    answers = {
        "a web page": ("200 OK", b"<p>pong"),
        "another JSON": ("200 OK", b'{"ok": true}'),
        "404": ("404 No", b""),
    }
    servers: list[StatusServer] = []

    def begin(behaviour: str) -> int:
        status, body = answers[behaviour]

        def respond(environ: Mapping[str, object], start_response: Callable[..., object]) -> list[bytes]:
            start_response(status, [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
            return [body]

        servers.append(StatusServer(respond, "127.0.0.1", 0))
        return servers[-1].port

    yield begin
    for server in servers:
        server.close()


def test_a_port_that_the_program_of_these_settings_has_is_well() -> None:
    with status_of("eth-momentum") as port:
        result = examined(port, EXECUTOR_ID="eth-momentum")

    assert result.exit_code == 0
    assert rows(result)["status server"] == (
        "ok",
        f"serves the run and no logs at http://127.0.0.1:{port}, without a password; eth-momentum is served there now",
    )


def test_doctor_warns_of_a_port_that_another_program_with_notify_has() -> None:
    with status_of("btc-range") as port:
        result = examined(port, EXECUTOR_ID="eth-momentum")

    assert result.exit_code == 0
    assert rows(result)["HTTP_PORT"] == (
        "warning",
        f"port {port} of 127.0.0.1 is taken by another program: btc-range, whose status is served there; "
        "if these settings are of another one, it needs another port",
    )


def test_doctor_sends_no_password_to_who_has_the_port() -> None:
    with status_of("eth-momentum", password="the-other-one") as port:
        result = examined(port, EXECUTOR_ID="eth-momentum", HTTP_USERNAME="ops", HTTP_PASSWORD="the-other-one")

    assert rows(result)["HTTP_PORT"] == (
        "warning",
        f"port {port} of 127.0.0.1 is taken by another program: one with a status server of ours, "
        "perhaps the one that runs with these settings",
    )


def test_doctor_finds_a_port_that_this_user_may_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(listener: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)

    result = examined(free := 80)

    assert result.exit_code == 1
    assert rows(result)["HTTP_PORT"] == ("wrong", text_of_setup(free))
    assert "this user may not listen on port 80" in text_of_setup(free)
