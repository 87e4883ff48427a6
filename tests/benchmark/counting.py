"""A receiver in a process of its own that counts what arrives, and when the last of it did.

Run as a script, this is that process. Its receive buffer is the kernel's default, as that of most receivers is.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_EVERY = 0.05  # seconds


class Counted:
    """What a receiver has seen.

    Args:
        port: where it listens on 127.0.0.1.
        ask: returns how many events have arrived, and when the last of them did, in monotonic seconds.
    """

    def __init__(self, port: int, ask: Callable[[], tuple[int, float]]) -> None:
        self.port = port
        self._ask = ask

    def wait_for(self, count: int, *, quiet: float) -> tuple[int, float]:
        """Wait until *count* events have arrived in all, or none did for *quiet* seconds.

        Returns how many have, and the time of the last one in monotonic seconds.
        """
        seen, since = -1, time.monotonic()
        while True:
            arrived, last = self._ask()
            if arrived != seen:
                seen, since = arrived, time.monotonic()
            if arrived >= count or time.monotonic() - since > quiet:
                return arrived, last
            time.sleep(_LOOK_EVERY)


@contextmanager
def counting(transport: str) -> Iterator[Counted]:
    """Run a receiver for *transport*, `udp` (an event is a datagram) or `tcp` (an event is a line)."""
    with subprocess.Popen(
        [sys.executable, __file__, transport], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask() -> tuple[int, float]:
            print(file=process.stdin, flush=True)
            arrived, last = json.loads(process.stdout.readline())
            return arrived, last

        try:
            yield Counted(int(process.stdout.readline()), ask)
        finally:
            process.stdin.close()


class _Receiver:
    def __init__(self, transport: str) -> None:
        self.seen = (0, 0.0)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.run = self._datagrams if transport == "udp" else self._lines

    def _datagrams(self) -> None:
        buffer, count = bytearray(65_535), 0
        while True:
            self._socket.recv_into(buffer)
            count += 1
            self.seen = (count, time.monotonic())

    def _lines(self) -> None:
        self._socket.listen()
        count = 0
        while True:
            connection, _ = self._socket.accept()
            with connection:
                while data := connection.recv(262_144):
                    count += data.count(b"\n")
                    self.seen = (count, time.monotonic())


def _main(transport: str) -> None:
    receiver = _Receiver(transport)
    threading.Thread(target=receiver.run, daemon=True).start()
    print(receiver.port, flush=True)
    for _ in sys.stdin:
        print(json.dumps(receiver.seen), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
