"""What a stand-in of a web service is made of: a server that can be ended, and answers that break as they are told."""

import json
import math
import re
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Reply:
    """What a stand-in does with one request, instead of what the service would do.

    Args:
        status: of the answer.
        body: of the answer: an object for JSON, bytes for a page.
        headers: of the answer.
        keeps: the message counts as delivered all the same.
        reset: the connection is reset, after the request was read and nothing was answered.
        unread: with *reset*: already when only the head of the request was read.
        drip: seconds between the bytes of the answer; 0 for none. `math.inf` never sends one: the server hangs.
    """

    status: int = 200
    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    keeps: bool = False
    reset: bool = False
    unread: bool = False
    drip: float = 0.0


RESET = Reply(reset=True)
"""The connection breaks once the request was sent."""
RESET_EARLY = Reply(reset=True, unread=True)
"""The connection breaks while the request is sent."""
RESET_LATE = Reply(reset=True, keeps=True)
"""The message is delivered, and the connection breaks before the answer."""
HANG = Reply(drip=math.inf)
"""No answer, and no end."""


class Server(ThreadingHTTPServer):
    """Knows its connections, so that it can end them: a handler that hangs would keep a test from ending.

    Args:
        handler: of the requests.
        service: what the handler finds as `self.server.service`.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], service: Any) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.service = service
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._handling: list[threading.Thread] = []  # the base class remembers no daemons
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def begin(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def end(self) -> None:
        """End every connection, and wait for their threads."""
        self.shutdown()
        self._thread.join()
        self.stopping.set()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
        for thread in self._handling:
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread of its own, and remember both."""
        self._open.add(request)
        self._handling = [thread for thread in self._handling if thread.is_alive()]
        # A daemon: a program that never ends the server ends all the same.
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._handling.append(thread)
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what this server is for."""


class Handler(BaseHTTPRequestHandler):
    """Answers a request by a `Reply`: a stand-in's own has `do_GET` and the like, as the base class calls them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: Nagle would hold the second for 40 ms
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""

    def read(self) -> bytes:
        """Return the body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def answer(self, reply: Reply) -> None:
        """Answer as *reply* says: whole, byte by byte, or never."""
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
        if reply.status != 204:  # which has no body
            self.send_header("Content-Length", str(len(plain)))
        self.end_headers()
        if not reply.drip:
            self.wfile.write(plain)
            return
        for byte in plain:
            if stopping.wait(reply.drip):
                break
            self.wfile.write(bytes([byte]))

    def reset(self) -> None:
        """Close the connection so that the other side gets a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()


class Field(NamedTuple):
    """One part of a multipart body; *filename* is None for what is no file."""

    content: bytes
    filename: str | None


def multipart(content_type: str, body: bytes) -> dict[str, Field]:
    """Return the parts of a multipart body by name."""
    boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
    found: dict[str, Field] = {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'\bname="([^"]*)"', head)
        filename = re.search(rb'filename="([^"]*)"', head)
        found[name[1].decode() if name else ""] = Field(content[:-2], filename[1].decode() if filename else None)
    return found
