"""The crash oracle's server: it notes which message of which life it has kept, and misbehaves as it is told."""

import json
import os
import re
import signal
import socket
import socketserver
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_PAYLOAD = re.compile(rb'name="payload_json".*?\r\n\r\n(.*?)\r\n--', re.DOTALL)
_LOT = re.compile(r"Bought lot (\d+)")
_ANSWERS = {
    "well": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"1"}',
    "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "429": b"HTTP/1.1 429 Too Many Requests\r\nVia: 1.1 google\r\nRetry-After: 1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 19\r\n\r\n{"retry_after":0.2}',
}
_SETTLES = 30  # seconds after a process has died in which its connections end; they do at once


@dataclass(frozen=True)
class Arrival:
    """A message that the server has kept.

    Args:
        life: the index of the life that sent it.
        numbers: of the events in it.
        reset: its sender got no answer but a reset, and cannot know that it arrived.
    """

    life: int
    numbers: tuple[int, ...]
    reset: bool = False


class StandIn(socketserver.ThreadingTCPServer):
    """Takes messages of one process at a time. A context manager.

    What it does with each it is told by a mode: `well` and `reset` keep it, `500`, `429` and `hang` do not.
    """

    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.arrivals: list[Arrival] = []
        self.victim: SimpleQueue[int] = SimpleQueue()
        """The process id of the life, for a server that ends it."""
        self._life = 0
        self._modes: list[str] = []
        self._dies_at = 0
        self._met: set[object] = set()
        self._open = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        """Of the webhook."""
        return f"http://127.0.0.1:{self.server_address[1]}/api/webhooks/1/oracle"

    def begin(self, life: int, modes: Sequence[str], *, dies_at: int = 0) -> None:
        """Take what comes from now on for messages of *life*.

        Args:
            life: its index.
            modes: one for each message; the last one stays.
            dies_at: the message, counted from one, by which the process dies; 0 for none.
        """
        self._life, self._modes, self._dies_at = life, list(modes), dies_at
        self.victim = SimpleQueue()

    def next_mode(self) -> str:
        """Return what to do with the next message."""
        return self._modes.pop(0) if len(self._modes) > 1 else self._modes[0]

    def keep(self, body: bytes, *, reset: bool) -> bool:
        """Keep a message, and say whether its sender is to die of it."""
        if found := _PAYLOAD.search(body):  # a message with files, such as the C traceback of the life before
            body = found[1]
        titles = [embed.get("title", "") for embed in json.loads(body)["embeds"]]
        numbers = tuple(int(found[1]) for title in titles if (found := _LOT.fullmatch(title)))
        self.arrivals.append(Arrival(self._life, numbers, reset))
        self._dies_at -= 1
        return self._dies_at == 0

    def settle(self) -> None:
        """Wait until everything that a dead process has sent is read."""
        with socket.create_connection(self.server_address[:2]) as barrier:  # whatever came before it is accepted before
            own = barrier.getsockname()
        with self._changed:
            assert self._changed.wait_for(lambda: own in self._met and not self._open, _SETTLES)
            self._met.clear()

    def process_request(self, request, client_address):
        with self._changed:
            self._met.add(client_address)
            self._open += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        super().shutdown_request(request)
        with self._changed:
            self._open -= 1
            self._changed.notify_all()


class _Connection(socketserver.StreamRequestHandler):
    server: StandIn
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            while (body := self.message()) is not None and self.answer(body):
                pass
        except ConnectionError:
            pass  # the other side died

    def message(self) -> bytes | None:
        """Return the next message; None when there is none any more, or only part of one."""
        length = 0
        while (line := self.rfile.readline()).strip():
            if found := _LENGTH.match(line):
                length = int(found[1])
        body = self.rfile.read(length)
        return body if line and len(body) == length else None

    def answer(self, body: bytes) -> bool:
        """Do with a message what the mode says. False: the connection is at its end."""
        mode = self.server.next_mode()
        last = mode in ("well", "reset") and self.server.keep(body, reset=mode == "reset")
        if last and len(self.server.arrivals) % 2:  # before the answer, and the other time after it
            os.kill(self.server.victim.get(), signal.SIGKILL)
            return False
        if mode == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()  # which keeps the socket open as well
            self.connection.close()
            return False
        if mode == "hang":
            self.rfile.read()  # until the other side dies
            return False
        self.wfile.write(_ANSWERS[mode])
        if last:
            os.kill(self.server.victim.get(), signal.SIGKILL)
        return True
