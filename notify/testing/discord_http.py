"""The HTTP side of the stand-in for Discord: requests in, replies out, connections that break when told to."""

import json
import math
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

WEBHOOK_ID = "1100000000000000001"
TOKEN = "stand-in-token-that-must-not-appear-anywhere"  # noqa: S105 - opens nothing but this

_PATH = re.compile(r"/api(?:/v\d+)?/webhooks/(\d+)/([^/]+)(?:/messages/(\d+))?")
USUAL: dict[int, Mapping[str, Any]] = {
    400: {
        "message": "Invalid Form Body",
        "code": 50035,
        "errors": {"embeds": {"_errors": [{"code": "X", "message": "x"}]}},
    },
    401: {"message": "Invalid Webhook Token", "code": 50027},
    403: {"message": "Missing Permissions", "code": 50013},
    404: {"message": "Unknown Webhook", "code": 10015},
    413: {"message": "Request entity too large", "code": 40005},
    500: {"message": "500: Internal Server Error", "code": 0},
}
"""What Discord usually says with a status."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the stand-in does with one request, instead of what Discord would do.

    Args:
        status: of the answer.
        body: of the answer: an object for JSON, bytes for an error page.
        headers: of the answer. Answers of Discord's own have `Via`, those of Cloudflare before it have not.
        keeps: the message counts as delivered all the same.
        reset: the connection is reset, after the request was read and nothing was answered.
        unread: with *reset*: already when only the head of the request was read.
        drip: seconds between the bytes of the answer; 0 for none. `math.inf` never sends one: the server hangs.
    """

    status: int = 200
    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: {"Via": "1.1 google"})
    keeps: bool = False
    reset: bool = False
    unread: bool = False
    drip: float = 0.0


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was delivered.

    Args:
        payload: its JSON.
        files: content by name, in order.
        query: of the request.
        headers: of the request, names in lower case.
        time: monotonic seconds.
    """

    payload: dict[str, Any]
    files: Mapping[str, bytes]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    time: float

    @property
    def embeds(self) -> list[dict[str, Any]]:
        """The embeds of the payload."""
        return list(self.payload.get("embeds") or [])


class Webhook(Protocol):
    """What stands behind the HTTP side. Thread-safe."""

    def next_reply(self) -> Reply | None:
        """Count a request, and return what is to be answered whatever it is."""
        ...

    def receive(self, message: Received, size: int) -> Reply:
        """Do with a message what Discord does; *size* is that of the request in bytes."""
        ...

    def edit(self, message_id: str, message: Received, size: int) -> Reply:
        """Do with an edit what Discord does."""
        ...

    def keep(self, message: Received) -> None:
        """Count *message* as delivered."""
        ...


class Server(ThreadingHTTPServer):
    """Knows its connections, so that it can end them: a handler that hangs would keep a test from ending."""

    daemon_threads = False  # server_close() waits for them
    discord: Webhook

    def __init__(self, webhook: Webhook) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.discord = webhook
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget it."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what this server is for."""

    def hang_up(self) -> None:
        """End every connection."""
        self.stopping.set()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: Nagle would hold the second for 40 ms
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer whether the webhook exists, as Discord does without authentication."""
        problem = self._problem()
        self._answer(problem or Reply(200, {"id": WEBHOOK_ID, "type": 1, "name": "stand-in", "token": TOKEN}))

    def do_POST(self) -> None:
        """Take a message."""
        self._take(lambda message, size: self.server.discord.receive(message, size))

    def do_PATCH(self) -> None:
        """Change a message."""
        found = _PATH.fullmatch(urlsplit(self.path).path)
        message_id = (found and found[3]) or "0"
        self._take(lambda message, size: self.server.discord.edit(message_id, message, size))

    def _take(self, take: Callable[[Received, int], Reply]) -> None:
        discord = self.server.discord
        scripted = discord.next_reply()
        if scripted is not None and scripted.unread:
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        message = self._message(body)
        if scripted is not None:
            if scripted.keeps:
                discord.keep(message)
            if scripted.reset:
                self._reset()
            else:
                self._answer(scripted)
            return
        self._answer(self._problem() or take(message, len(body)))

    def _problem(self) -> Reply | None:
        found = _PATH.fullmatch(urlsplit(self.path).path)
        if found is None or found[1] != WEBHOOK_ID:
            return Reply(404, USUAL[404])
        return None if found[2] == TOKEN else Reply(401, USUAL[401])

    def _message(self, body: bytes) -> Received:
        kind = self.headers.get("Content-Type", "")
        parts: dict[str, tuple[str, bytes]] = {}
        if kind.startswith("multipart/form-data"):
            parts = _parts(kind, body)
            body = parts.pop("payload_json", ("", b"{}"))[1]
        try:
            payload = json.loads(body)
        except ValueError:
            payload = None
        return Received(
            payload=payload,
            files=MappingProxyType(dict(parts[name] for name in sorted(parts))),
            query=MappingProxyType(dict(parse_qsl(urlsplit(self.path).query))),
            headers=MappingProxyType({name.lower(): value for name, value in self.headers.items()}),
            time=time.monotonic(),
        )

    def _answer(self, reply: Reply) -> None:
        stopping = self.server.stopping
        if math.isinf(reply.drip):
            stopping.wait()
            self.close_connection = True
            return
        plain = reply.body if isinstance(reply.body, bytes) else json.dumps(dict(reply.body)).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html" if isinstance(reply.body, bytes) else "application/json")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(plain)))
        self.end_headers()
        if not reply.drip:
            self.wfile.write(plain)
            return
        for byte in plain:
            if stopping.wait(reply.drip):
                break
            self.wfile.write(bytes([byte]))

    def _reset(self) -> None:
        """Close the connection so that the other side gets a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()


def _parts(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Return the parts of a multipart body by name: file name and content."""
    boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
    parts: dict[str, tuple[str, bytes]] = {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        filename = re.search(rb'filename="([^"]*)"', head)
        parts[name[1].decode() if name else ""] = (filename[1].decode() if filename else "", content[:-2])
    return parts
