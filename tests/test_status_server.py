"""The server: it answers at once and to the end, whatever the program and the clients do."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from http_raw import PING, connected, exchange, get, parse, read_one, read_to_end, serving

from notify import threads
from notify.errors import ConfigError
from notify.run_state import RunState
from notify.status import StatusServer, make_app
from notify.status import channel as channels

PONG = b'{"ping": "pong"}'


@pytest.fixture
def server() -> Iterator[StatusServer]:
    with serving(make_app(RunState(), public_logs=True)) as server:
        yield server


# ---- from its beginning to its end


def test_it_answers_as_soon_as_it_is_made(server: StatusServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert get(server.port).body == PONG


def test_its_threads_are_few_daemons_and_ours(server: StatusServer) -> None:
    for _ in range(20):
        get(server.port)

    own = [thread for thread in threading.enumerate() if thread.name.startswith("notify-status")]

    assert len(own) == 5  # one that holds the connections, one for /ping, three for the rest
    assert all(thread.daemon and thread.ident in threads.idents for thread in own)


def test_a_port_that_is_taken_is_an_error_that_names_it_and_leaves_nothing_behind(server: StatusServer) -> None:
    before = set(threading.enumerate())

    with pytest.raises(ConfigError) as raised:
        StatusServer(make_app(RunState()), "127.0.0.1", server.port)

    assert str(raised.value) == f"HTTP_PORT: port {server.port} of 127.0.0.1 is taken by another program"
    assert set(threading.enumerate()) - before == set()


def test_threads_that_cannot_be_started_are_an_error_and_free_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    monkeypatch.setattr(threads, "_at_exit", True)

    with pytest.raises(ConfigError, match="HTTP_ENABLED: no thread can be started"):
        StatusServer(make_app(RunState()), "127.0.0.1", port)

    socket.create_server(("127.0.0.1", port)).close()


def test_closing_frees_the_port_and_ends_the_threads_and_the_connections() -> None:
    before = set(threading.enumerate())
    server = StatusServer(make_app(RunState()), "127.0.0.1", 0)
    with connected(server.port) as client:
        client.sendall(PING)
        read_one(client)

        server.close()
        server.close()  # once more does nothing

        assert read_to_end(client) == b""
    assert set(threading.enumerate()) - before == set()
    with serving(make_app(RunState()), port=server.port) as other:
        assert get(other.port).body == PONG


def test_a_server_that_was_dropped_goes_on() -> None:
    import gc

    server = StatusServer(make_app(RunState()), "127.0.0.1", 0)
    port, loop = server.port, server._loop
    del server
    gc.collect()

    try:
        assert get(port).body == PONG
    finally:
        loop.stop()
        loop.stop_workers(5)


@pytest.mark.process
def test_an_answer_that_hangs_holds_up_the_end_for_two_seconds_at_most() -> None:
    asked, let = threading.Event(), threading.Event()

    def hang(environ: Any, start_response: Any) -> list[bytes]:
        asked.set()
        let.wait(30)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1")])
        return [b"x"]

    server = StatusServer(hang, "127.0.0.1", 0)
    with connected(server.port) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        asked.wait()
        began = time.monotonic()

        server.close()

        took = time.monotonic() - began
        let.set()
        assert read_to_end(client) == b""
    assert took < 5  # two seconds, and a machine with other things to do


# ---- whatever the program does


@pytest.mark.process
def test_ping_and_health_are_answered_while_everything_else_hangs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("notify.status.asked._PATIENCE", 4.0)  # seconds, in place of one
    let = threading.Event()

    def hang() -> Any:
        let.wait(30)
        return {}

    state = RunState()
    state.refresh()
    with serving(make_app(state, logs=hang, stats=hang, public_logs=True)) as server:
        clients = []
        try:
            for path in ("/logs", "/status", "/metrics") * 4:
                clients.append(socket.create_connection(("127.0.0.1", server.port)))
                clients[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

            began = time.monotonic()
            assert get(server.port, "/ping").body == PONG
            assert get(server.port, "/healthz").status == 200
            assert time.monotonic() - began < 3.5  # while the others wait for four seconds
            # Who waits for nobody's answer is told so, while the first who asked hangs.
            assert get(server.port, "/status").json["delivery"] is None
            assert get(server.port, "/logs").status == 503
            assert get(server.port, "/metadata").status == 200
        finally:
            let.set()
            for client in clients:
                client.close()
    assert capfd.readouterr().err == ""  # nor does waitress complain of its queue


def test_a_handler_of_the_program_that_is_stuck_is_not_waited_for(server: StatusServer) -> None:
    handler = logging.StreamHandler()
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    handler.acquire()
    try:
        exchange(server.port, b"\x16\x03\x01 this is no request\r\n\r\n")
        exchange(server.port, b"GET /logs HTTP/1.1\r\nContent-Length: x\r\n\r\n")

        assert get(server.port).body == PONG
        assert get(server.port, "/status").status == 200
    finally:
        handler.release()
        root.removeHandler(handler)


def test_nothing_of_it_comes_back_through_logging(server: StatusServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    for path in ("/ping", "/status", "/nothing"):
        get(server.port, path)
    exchange(server.port, b"nonsense\r\n\r\n")
    exchange(server.port, b"GET / HTTP/1.1\r\n" + b"a" * 20_000)
    with connected(server.port) as client:
        client.sendall(b"GET /logs HTTP/1.1\r\n")

    assert caplog.records == []


def test_an_app_of_somebody_else_may_fail(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    def fails(environ: Any, start_response: Any) -> Any:
        raise ValueError("secret of the program")

    with serving(fails) as server:
        said = get(server.port)

        assert said.status == 500
        assert b"secret" not in said.body
        assert get(server.port).status == 500
    assert capfd.readouterr().err == "notify: what should answer a request has failed: ValueError\n"
    assert caplog.records == []


def test_a_defect_costs_one_connection_and_is_reported(
    server: StatusServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> Any:
        raise KeyError("secret of the client")

    for method in ("__init__", "received"):
        with monkeypatch.context() as patched:
            patched.setattr(channels.Channel, method, fails)
            assert exchange(server.port, PING) == b""
        assert get(server.port).body == PONG

    said = capfd.readouterr().err.splitlines()
    assert said == ["notify: a connection could not be taken: KeyError", "notify: a connection has failed: KeyError"]


def test_a_program_that_closes_the_socket_of_the_server_keeps_its_own_files(
    server: StatusServer, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    number = server._loop.socket.fileno()
    mine = (tmp_path / "mine").open("w")

    os.dup2(mine.fileno(), number)  # as after a close() of all and an open()
    with suppress(OSError):
        exchange(server.port, PING)
    server._loop.pull_trigger()
    said = ""
    give_up = time.monotonic() + 30
    while "the status server has ended" not in said and time.monotonic() < give_up:
        said += capfd.readouterr().err

    assert said == "notify: the status server has ended: the program has closed its socket\n"
    os.write(number, b"still open")
    os.close(number)
    mine.close()
    assert (tmp_path / "mine").read_text() == "still open"


# ---- what clients send


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /ping\r\n\r\n", 200),  # HTTP/0.9 has no version, and gets an answer of 1.0
        (b"GET /ping HTTP/1.0\r\n\r\n", 200),
        (b"\r\n\r\nGET /ping HTTP/1.0\r\n\r\n", 200),
        (b"GET http://elsewhere/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"GET /ping HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", 200),
        (b"POST /ping HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", 405),
        (b"POST /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n", 405),
        (b"BREW /ping HTTP/1.0\r\n\r\n", 405),
        (b"GET /%00%ff%fe HTTP/1.0\r\n\r\n", 404),
        (b"GET /\xff\xfe\xed\xa0\x80 HTTP/1.0\r\n\r\n", 400),
        (b"GET /../../../etc/passwd HTTP/1.0\r\n\r\n", 404),
        (b"GET /..%2f..%2fetc%2fpasswd HTTP/1.0\r\n\r\n", 404),
        (b"GET * HTTP/1.0\r\n\r\n", 404),
        (b"get /ping HTTP/1.0\r\n\r\n", 400),
        (b"GET  /ping HTTP/1.0\r\n\r\n", 400),
        (b"GET /ping HTTP/9\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.0\r\n\r\n", 400),
        (b"GET /ping HTTP/1.0\r\nno colon\r\n\r\n", 400),
        (b"GET /ping HTTP/1.0\r\nA: \x00\r\n\r\n", 400),
        (b"GET /ping\x00 HTTP/1.0\r\n\r\n", 404),
        (b"GET /ping HTTP/1.0\nHost: x\n\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # the beginning of TLS
        (b"\x00" * 100, 400),
        (b"\xff\xd8\xff\xe0" * 5000, 400),
        (b"GET /ping HTTP/1.1\r\nContent-Length: 8192\r\n\r\n", 413),
        (b"GET /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 4000, 413),
        (b"GET /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 9000, 413),
        (b"GET /ping HTTP/1.1\r\nA: " + b"a" * 8192 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 100_000, 431),
        (b"G" * 9000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000 + b"\r\n", 431),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_whatever_is_sent_is_answered_for_what_it_is(server: StatusServer, sent: bytes, status: int) -> None:
    said = parse(exchange(server.port, sent))

    assert said.status == status
    assert said.headers["Cache-Control"] == "no-store"
    assert "Server" not in said.headers
    assert said.headers["Content-Type"] == "application/json"
    assert said.json.get("ping") == "pong" if status == 200 else set(said.json) == {"error", "reason"}
    assert get(server.port).body == PONG


@pytest.mark.parametrize("size", [0, 1, 50])
def test_a_header_of_eight_kilobytes_is_read(server: StatusServer, size: int) -> None:
    beginning = b"GET /ping HTTP/1.0\r\nA: "
    padding = b"a" * (8191 - len(beginning) - 4 - size)  # one below the limit at most

    assert parse(exchange(server.port, beginning + padding + b"\r\n\r\n")).status == 200


def test_requests_that_come_together_are_answered_in_their_order(server: StatusServer) -> None:
    paths = ["/ping", "/status", "/ping", "/nothing", "/ping"] * 10
    sent = b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths)

    with connected(server.port) as client:
        client.sendall(sent)
        statuses = [read_one(client).status for _ in paths]

    assert statuses == [200, 200, 200, 404, 200] * 10


def test_a_client_that_says_it_will_send_no_more_is_answered(server: StatusServer) -> None:
    assert exchange(server.port, PING).endswith(PONG)


def test_headers_of_a_proxy_that_nobody_trusts_do_not_reach_the_app() -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []

    forged = [
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil",
        "Forwarded: for=1.2.3.4",
    ]
    with serving(app) as server:
        get(server.port, "/", *forged)

    (environ,) = seen
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"
    assert [name for name in environ if "FORWARDED" in name] == []


def test_urgent_data_ends_the_connection(server: StatusServer) -> None:
    began = time.monotonic()
    with connected(server.port) as client:
        client.send(b"!", socket.MSG_OOB)

        assert read_to_end(client) == b""
    assert time.monotonic() - began < 4  # at once, and not when the five seconds of a request are over
