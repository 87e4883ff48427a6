"""Clients that are slow, greedy or many: how long they may take, and how much they may hold."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from http_raw import PING, connected, exchange, get, parse, read_one, read_to_end, serving, until

from notify.run_state import RunState
from notify.status import StatusServer, make_app
from notify.status import channel as channels
from notify.status import loop as loops
from notify.status.channel import Phase

pytestmark = pytest.mark.process  # deadlines are waited for

PONG = b'{"ping": "pong"}'
BIG = b"x" * 2_000_000  # as large as the logs of a talkative program


def big(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BIG)))])
    return [BIG]


@pytest.fixture
def server() -> Iterator[StatusServer]:
    with serving(make_app(RunState())) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request may take half a second, and what else may take thirty takes five."""
    for phase, seconds in ((Phase.RECEIVING, 0.5), (Phase.SENDING, 5.0), (Phase.IDLE, 5.0)):
        monkeypatch.setitem(channels.LIMITS, phase, seconds)
    monkeypatch.setattr(loops, "_TICK", 0.05)


# ---- how long clients may take


def drip(client: socket.socket, data: bytes) -> None:
    """Send *data* again and again, bit by bit, until the server has had enough."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            client.send(data)
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("the server let it drip")


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /ping HTTP/1.1\r\nA: ",
        PING + b"GET /ping HTTP/1.1\r\nA: ",  # the second request of a connection
        b"POST /ping HTTP/1.1\r\nContent-Length: 8000\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
        b"POST /ping HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 8000\r\n\r\n",
    ],
    ids=ascii,
)
def test_a_request_that_drips_is_cut_off(impatient: None, server: StatusServer, beginning: bytes) -> None:
    began = time.monotonic()
    with connected(server.port) as client:
        client.sendall(beginning)
        drip(client, b"A" if beginning else b"\r\n"[:1])

    assert time.monotonic() - began >= 0.5  # not before: who is slow but comes in time is served


def test_a_client_that_says_nothing_is_cut_off(impatient: None, server: StatusServer) -> None:
    with connected(server.port) as client:
        assert read_to_end(client) == b""


def test_a_connection_is_kept_for_the_next_request_but_not_for_ever(impatient: None, server: StatusServer) -> None:
    with connected(server.port) as client:
        for _ in range(3):
            client.sendall(PING)
            assert read_one(client).body == PONG
            time.sleep(0.7)  # more than a request may take to come, and less than may be between two
        began = time.monotonic()

        assert read_to_end(client) == b""
    assert time.monotonic() - began < 15  # a third of that, and a busy machine


@pytest.mark.parametrize("reading", [0, 5_000], ids=["never", "slowly"])
def test_a_client_that_does_not_read_is_cut_off(impatient: None, reading: int) -> None:
    with serving(big) as server, connected(server.port) as client:
        began = time.monotonic()
        client.sendall(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: held(server))

        while held(server):
            if reading:  # 100 kB/s: the whole answer would take twenty seconds
                with suppress(ConnectionResetError):
                    client.recv(reading)
            time.sleep(0.05)
            assert time.monotonic() - began < 30

        assert 4.5 < time.monotonic() - began < 9  # neither before its time nor when all was read


def held(server: StatusServer) -> int:
    return len(server._loop.active_channels)


def test_a_client_that_reads_an_answer_in_its_time_gets_all_of_it(impatient: None) -> None:
    with serving(big) as server, connected(server.port) as client:
        client.sendall(b"GET /logs HTTP/1.0\r\n\r\n")
        time.sleep(1.0)  # twice what a request may take, and a fifth of what an answer may

        assert parse(read_to_end(client)).body == BIG


# ---- how much clients may hold


def test_when_there_are_too_many_the_one_that_waits_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "MAX_CONNECTIONS", 20)
    with serving(make_app(RunState())) as server:
        clients = []
        for number in range(20):
            clients.append(socket.create_connection(("127.0.0.1", server.port), 30))
            until(lambda number=number: held(server) == number + 1)

        assert get(server.port).body == PONG  # in place of the first

        assert read_to_end(clients[0]) == b""
        clients[1].sendall(PING)
        assert read_one(clients[1]).body == PONG
        assert held(server) <= 20
        for client in clients:
            client.close()


def test_those_who_come_together_are_taken_together(server: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = server._loop
    rounds: list[int] = []
    accept = loops.Loop.handle_accept

    def counting(self: loops.Loop) -> None:
        rounds.append(1)
        accept(self)

    monkeypatch.setattr(loops.Loop, "handle_accept", counting)
    loop._paused_until = time.monotonic() + 1000
    loop.pull_trigger()
    time.sleep(0.2)  # the round that is under way is over then
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    try:
        assert held(server) == 0

        loop._paused_until = time.monotonic()
        loop.pull_trigger()
        until(lambda: held(server) == 50)

        assert len(rounds) == 1
    finally:
        for client in clients:
            client.close()


def test_a_crowd_that_drips_does_not_keep_the_loop_busy(server: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    look = loops.Loop._look

    def counting(self: loops.Loop) -> None:
        rounds.append(1)
        look(self)

    monkeypatch.setattr(loops, "_CROWD", 5)
    monkeypatch.setattr(loops, "_BREATH", 0.05)
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
    try:
        until(lambda: held(server) == 10)
        monkeypatch.setattr(loops.Loop, "_look", counting)
        began = time.monotonic()
        for _ in range(100):
            for client in clients:
                client.send(b"G")
            time.sleep(0.005)

        # Some 20 rounds a second, of which it takes half of one or more, and not one for each of the thousand bytes.
        assert len(rounds) < 10 + 30 * (time.monotonic() - began)
    finally:
        for client in clients:
            client.close()


def test_the_program_keeps_half_of_its_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    with serving(make_app(RunState())) as server:
        assert server._loop._max_connections == 128
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with serving(make_app(RunState())) as server:
        assert server._loop._max_connections == 1000


def test_clients_that_do_not_read_hold_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "MAX_UNREAD", 10 * len(BIG))
    most = 0
    with serving(big) as server:
        clients = []
        for _ in range(40):
            client = socket.create_connection(("127.0.0.1", server.port), 30)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n")
            clients.append(client)
            waiting = sum(channel.total_outbufs_len for channel in list(server._loop.active_channels.values()))
            most = max(most, waiting)
            assert exchange(server.port, b"GET /ping HTTP/1.0\r\n\r\n").endswith(BIG)  # somebody who reads
        for client in clients:
            client.close()

    # Answers that are made at the same time may each find room: there are four threads.
    assert 5 * len(BIG) < most <= 14 * len(BIG)


def test_a_client_that_asks_for_more_than_it_reads_is_cut_off_and_keeps_no_thread(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving(big) as server:
        clients = []
        for _ in range(5):  # more than there are threads
            client = socket.create_connection(("127.0.0.1", server.port), 30)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n" * 100)  # 200 MB, if all were answered
            clients.append(client)
        try:
            until(lambda: held(server) == 0)
        finally:
            for client in clients:
                client.close()

        assert exchange(server.port, b"GET /logs HTTP/1.0\r\n\r\n").endswith(BIG)
    assert capfd.readouterr().err == ""  # that is no defect


def test_no_answer_goes_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def refused(*_: object, **__: object) -> Any:
        raise AssertionError("a file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with serving(big) as server:
        assert exchange(server.port, b"GET /logs HTTP/1.0\r\n\r\n").endswith(BIG)
