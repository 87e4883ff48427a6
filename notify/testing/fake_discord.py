"""A stand-in for Discord: takes webhook messages over real HTTP, keeps Discord's limits, fails when told to."""

import json
import math
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from notify.testing.discord_limits import Limits, up
from notify.testing.discord_rules import MAX_FILE, MAX_REQUEST, refusal

WEBHOOK_ID = "1100000000000000001"
TOKEN = "stand-in-token-that-must-not-appear-anywhere"  # noqa: S105 - opens nothing but this

_PATH = re.compile(r"/api(?:/v\d+)?/webhooks/(\d+)/([^/]+)")
_HTML = b"<!DOCTYPE html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>"


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


def rate_limited(retry_after: float, *, via: bool = True, scope: Literal["user", "shared", "global"] = "user") -> Reply:
    """Return Discord's 429.

    Args:
        retry_after: seconds. The body has them as they are, the header rounded up to whole ones.
        via: False looks as behind a proxy that takes this header off.
        scope: `user` is the webhook's own limit, `shared` its channel's, `global` that of the internet address.
    """
    headers = {"Retry-After": str(math.ceil(retry_after)), "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": scope == "global"}
    return Reply(429, body, {**headers, "Via": "1.1 google"} if via else headers)


BAN = Reply(429, _HTML % (b"Error 1015", b"You are being rate limited"), {})
"""Cloudflare's page for an address that it has banned."""
BLOCKED = Reply(403, b"error code: 1015", {})
"""The same, as Cloudflare says it elsewhere."""
BAD_GATEWAY = Reply(502, _HTML % (b"502", b"Bad gateway"), {})
"""Cloudflare's page for when Discord does not answer it."""
RESET = Reply(reset=True)
"""The connection breaks once the request was sent."""
RESET_EARLY = Reply(reset=True, unread=True)
"""The connection breaks while the request is sent."""
RESET_LATE = Reply(reset=True, keeps=True)
"""The message is delivered, and the connection breaks before the answer."""
HANG = Reply(drip=math.inf)
"""No answer, and no end."""
DRIP = Reply(200, {"id": "1", "content": "." * 3600}, keeps=True, drip=1.0)
"""The message is delivered, and its answer takes an hour: a byte a second."""

_USUAL: dict[int, Mapping[str, Any]] = {
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


class FakeDiscord:
    """One webhook of a Discord on a port of the loopback interface. A context manager; thread-safe.

    It knows what Discord refuses and how it limits: 5 requests in 2 seconds a webhook, told in headers, and 30 in
    60 seconds a channel, told by nothing but a 429 with `Retry-After`.

        with FakeDiscord(speed=60) as discord:
            backend = DiscordBackend(discord.url)
            ...
            assert discord.messages[0].embeds[0]["title"] == "Bought 1 ETH"

    Args:
        speed: how much faster its seconds pass in limits and waits, so that a test need not wait a minute. The
            answers are in real seconds.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self.messages: list[Received] = []
        """What was delivered, in order."""
        self.requests = 0
        """How many posts came in."""
        self.refusals: list[dict[str, Any]] = []
        """The bodies of the answers to messages that Discord would have refused with 400."""
        self.limited = 0
        """How many posts were answered 429 because of a limit."""
        self.too_early = 0
        """How many posts came in before the last `Retry-After` had passed."""
        self._lock = threading.Lock()
        self._script: deque[Reply] = deque()
        self._limits = Limits(speed)
        self._closed_until = 0.0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.discord = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def embeds(self) -> list[dict[str, Any]]:
        """The embeds of all messages, in order."""
        return [embed for message in self.messages for embed in message.embeds]

    @property
    def url(self) -> str:
        """The webhook's URL, in the form that people copy."""
        return f"http://127.0.0.1:{self._server.server_port}/api/webhooks/{WEBHOOK_ID}/{TOKEN}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    def answer_with(self, *replies: Reply | int) -> None:
        """Answer the next posts with *replies*, one each: a `Reply`, or a status with what Discord usually says."""
        with self._lock:
            self._script += [
                reply if isinstance(reply, Reply) else Reply(reply, _USUAL.get(reply, {})) for reply in replies
            ]

    def next_reply(self) -> Reply | None:
        """Count a post, and return what `answer_with` has for it. For the request handler."""
        with self._lock:
            self.requests += 1
            if time.monotonic() < self._closed_until:
                self.too_early += 1
            reply = self._script.popleft() if self._script else None
            if reply is not None and reply.status == 429 and isinstance(reply.body, Mapping):
                self._closed_until = time.monotonic() + float(reply.body.get("retry_after", 0.0))
            return reply

    def receive(self, message: Received, size: int) -> Reply:
        """Do with a post what Discord does. For the request handler."""
        with self._lock:
            wait, headers = self._limits.count(message.time)
            if wait:
                self.limited += 1
                self._closed_until = message.time + float(headers["Retry-After"])
                body = {"message": "You are being rate limited.", "retry_after": up(wait), "global": False}
                return Reply(429, body, headers)
            if size > MAX_REQUEST or any(len(data) > MAX_FILE for data in message.files.values()):
                return Reply(413, _USUAL[413], headers)
            refused = refusal(message.payload, list(message.files))
            if refused is not None:
                self.refusals.append(refused)
                return Reply(400, refused, headers)
            self.messages.append(message)
            if message.query.get("wait", "").lower() not in ("true", "1"):
                return Reply(204, b"", headers)
            return Reply(200, _shown(message, len(self.messages)), headers)

    def keep(self, message: Received) -> None:
        """Count *message* as delivered, unlimited and unread. For the request handler."""
        with self._lock:
            self.messages.append(message)


def _shown(message: Received, number: int) -> dict[str, Any]:
    """Return the message as Discord answers it."""
    return {
        "id": str(1200000000000000000 + number),
        "type": 0,
        "channel_id": "1000000000000000001",
        "webhook_id": WEBHOOK_ID,
        "content": message.payload.get("content", ""),
        "embeds": message.embeds,
        "attachments": [
            {"id": str(index), "filename": name, "size": len(data)}
            for index, (name, data) in enumerate(message.files.items())
        ],
    }


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that it can end them: a handler that hangs would keep a test from ending."""

    daemon_threads = False  # server_close() waits for them
    discord: FakeDiscord

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
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
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer whether the webhook exists, as Discord does without authentication."""
        problem = self._problem()
        self._answer(problem or Reply(200, {"id": WEBHOOK_ID, "type": 1, "name": "stand-in", "token": TOKEN}))

    def do_POST(self) -> None:
        """Take a message."""
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
        self._answer(self._problem() or discord.receive(message, len(body)))

    def _problem(self) -> Reply | None:
        found = _PATH.fullmatch(urlsplit(self.path).path)
        if found is None or found[1] != WEBHOOK_ID:
            return Reply(404, _USUAL[404])
        return None if found[2] == TOKEN else Reply(401, _USUAL[401])

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
