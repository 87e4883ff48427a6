"""Clients on bare sockets, for what no HTTP library would send."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from notify.status import StatusServer

PATIENCE = 30.0  # seconds after which a client counts as hanging; it needs milliseconds
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


class Said(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving(app: Any, host: str = "127.0.0.1", port: int = 0) -> Iterator[StatusServer]:
    server = StatusServer(app, host, port)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        yield client


def read_to_end(client: socket.socket) -> bytes:
    """Read until the server closes the connection, in whatever way."""
    data = b""
    with suppress(ConnectionResetError):
        while piece := client.recv(65_536):
            data += piece
    return data


def read_one(client: socket.socket) -> Said:
    """Read one answer, and leave the connection as it is."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(1)
        assert piece, f"closed after {data!r}"
        data += piece
    head = parse(data)
    body = b""
    while len(body) < int(head.headers["Content-Length"]):
        piece = client.recv(int(head.headers["Content-Length"]) - len(body))
        assert piece, "closed in the middle of the body"
        body += piece
    return Said(head.status, head.headers, body)


def parse(data: bytes) -> Said:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, status, _ = first.split(" ", 2)
    assert protocol.startswith("HTTP/1.")
    return Said(int(status), dict(line.split(": ", 1) for line in lines), body)


def exchange(port: int, data: bytes) -> bytes:
    """Send *data*, say that nothing more comes, and return all that is answered."""
    with connected(port) as client:
        with suppress(OSError):  # who is refused may be cut off while sending
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        return read_to_end(client)


def get(port: int, path: str = "/ping", *headers: str) -> Said:
    lines = "".join(f"{header}\r\n" for header in ("Host: x", "Connection: close", *headers))
    with connected(port) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        return parse(read_to_end(client))


def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* is true; that it never is fails the test."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "waited for too long"
        time.sleep(0.01)
