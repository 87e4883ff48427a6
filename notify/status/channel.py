"""What waitress does not bound by itself: how long a connection may take, and how much it may hold.

waitress closes a connection that was silent for `channel_timeout` seconds. Whoever sends, or reads, a byte now and then
keeps it for ever (waitress 3.0.2, `HTTPChannel.handle_read` and `_flush_some` set `last_activity`). And what it marks
with `will_close` is closed when the client reads on, since only then the socket is writable. So the deadlines here
count from where a phase of the connection began, and whoever exceeds one is closed at once.
"""

import math
import socket
import struct
import sys
import time
from contextlib import suppress
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask
from waitress.utilities import BadRequest

from notify import diagnostics
from notify.plain import class_name
from notify.status.app import HEADERS, refusal
from notify.status.quiet import QUIET

if TYPE_CHECKING:
    from waitress.adjustments import Adjustments

MAX_HEADER = 8192  # bytes of the first line and the headers
MAX_BODY = 8192  # bytes; nothing here reads one
MAX_UNREAD = 8 * 2**20  # bytes that wait for one client before its next request is answered; /logs has 2 MB

_AT_ONCE = struct.pack("ii", 1, 0)  # l_onoff, l_linger: nothing is sent any more, and the kernel keeps nothing
# The first byte of a request: a method's, or of the line break that some clients send before.
_FIRST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n")


_REFUSALS = {
    status.value: refusal(status, reason)
    for status, reason in (
        (HTTPStatus.BAD_REQUEST, "this is no request that is understood here"),
        (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "nothing is sent here: a request needs no body"),
        (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a request has {MAX_HEADER - 1} bytes of headers at most"),
        (HTTPStatus.INTERNAL_SERVER_ERROR, "what should answer has failed"),
    )
}


class Phase(Enum):
    """What a connection is about."""

    RECEIVING = "a request comes, since its first byte or since the connection was made"
    ANSWERING = "it is our turn"
    SENDING = "an answer is read"
    IDLE = "the next request may come"


# Seconds that a phase may take. 2 MB of logs within 30 s are 70 kB/s; Prometheus asks again after 15 s by default.
LIMITS = {Phase.RECEIVING: 5.0, Phase.ANSWERING: math.inf, Phase.SENDING: 30.0, Phase.IDLE: 30.0}


class Parser(HTTPRequestParser):
    """Reads a request, and finds an error in whatever it cannot read."""

    def received(self, data: bytes) -> int:
        """Take *data* and return how much of it belongs to this request."""
        if self.header_bytes_received == 0 and data[0] not in _FIRST:
            # A TLS handshake, most often. It would be waited for a line break that never comes.
            self.parse_header(b"GET / HTTP/1.0\r\n")
            self.error = BadRequest("")
            self.completed = True
            return len(data)
        return super().received(data)

    def parse_header(self, header_plus: bytes) -> None:
        """Take the whole header. Raises `ParsingError` for any that cannot be read."""
        try:
            super().parse_header(header_plus)
        except ParsingError:
            raise
        except Exception as error:  # an address with half a bracket, a length of 5000 digits, an unknown coding
            raise ParsingError("unreadable") from error


class Refusal(ErrorTask):
    """Answers a request that could not be read, without a word of it."""

    # What types-waitress says of these is not so.
    request: Any
    response_headers: Any

    def execute(self) -> None:
        """Write the answer."""
        answer = _REFUSALS[self.request.error.code]
        self.status = f"{answer.status.value} {answer.status.phrase}"
        self.response_headers.extend([("Content-Type", answer.content_type), *HEADERS])
        self.set_close_on_finish()
        self.content_length = len(answer.body)
        self.write(answer.body)


class Channel(HTTPChannel):
    """One connection, with an end to each of its phases."""

    logger = QUIET
    parser_class = Parser
    error_task_class = Refusal
    server: Any  # a Loop, whose module imports this one

    def __init__(
        self,
        server: Any,
        sock: socket.socket,
        addr: Any,
        adj: "Adjustments",
        map: Any = None,  # noqa: A002 - waitress's
    ) -> None:
        self.requests_begun = 0
        self._phase = (Phase.RECEIVING, 0)
        self.since = time.monotonic()
        """When the phase began, in monotonic seconds."""
        super().__init__(server, sock, addr, adj, map)

    @property
    def phase(self) -> Phase:
        """What the connection is about."""
        if self.requests:
            return Phase.SENDING if self.total_outbufs_len else Phase.ANSWERING
        if self.total_outbufs_len:
            return Phase.SENDING
        return Phase.IDLE if self.request is None and self.requests_begun else Phase.RECEIVING

    def overdue(self, now: float) -> bool:
        """Say whether the connection has been in its phase for too long. To be asked every half second or so."""
        phase = (self.phase, self.requests_begun)
        if phase != self._phase:
            self._phase, self.since = phase, now
        return now - self.since > LIMITS[self._phase[0]]

    def abort(self) -> None:
        """Close the connection now. For the thread that runs the loop."""
        if self.socket is not None:
            with suppress(OSError):  # the client has closed it
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.handle_close()

    def handle_error(self) -> None:
        """End the connection in which something was raised, and report it."""
        diagnostics.report("status connection", f"a connection has failed: {class_name(sys.exception())}")
        self.abort()

    def handle_expt(self) -> None:
        """End a connection that sends urgent data: nobody reads it, and the loop would find it again at once."""
        self.abort()

    def write_soon(self, data: bytes) -> int:
        """Keep *data* until the client reads it. Raises `ClientDisconnected` when it is gone."""
        self.server.make_room(self, len(data))
        return super().write_soon(data)

    def _flush_outbufs_below_high_watermark(self) -> None:
        # waitress would have this thread wait for the client. One that asks for more than it reads is let go.
        if self.total_outbufs_len > MAX_UNREAD:
            self.will_close = True
            self.server.pull_trigger()
            raise ClientDisconnected
