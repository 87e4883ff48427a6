"""Stand-ins for what is delivered to, each in a process of its own so that it does not take the caller's time.

Run as a script, this is one of them: it says its port, and ends when its standard input does.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LATENCY = 0.05  # seconds that the healthy HTTP server takes to answer

_ANSWER = b'{"id": "1", "content": "", "attachments": [], "embeds": []}'
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER

KINDS = ("udp", "tcp", "tcp, hanging", "http", "http, hanging")


@contextmanager
def running() -> Iterator[dict[str, int]]:
    """Run one destination of each kind, and yield their ports on 127.0.0.1."""
    processes = {
        kind: subprocess.Popen(
            [sys.executable, __file__, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for kind in KINDS
    }
    try:
        yield {kind: int(process.stdout.readline()) for kind, process in processes.items()}
    finally:
        for process in processes.values():
            process.communicate()


def _udp(server: socket.socket) -> None:
    while True:
        server.recv(65_535)


def _read(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def _answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as stream:
        while stream.readline():
            length = 0
            while (line := stream.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            stream.read(length)
            time.sleep(LATENCY)
            connection.sendall(_RESPONSE)


def _hang(connection: socket.socket) -> None:
    threading.Event().wait()


def _accept(server: socket.socket, serve: object) -> None:
    def quietly(connection: socket.socket) -> None:
        with suppress(OSError):  # the other side ends as soon as it is measured
            serve(connection)

    server.listen(100)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=quietly, args=(connection,), daemon=True).start()


def _main(kind: str) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    if kind == "udp":
        threading.Thread(target=_udp, args=(server,), daemon=True).start()
    else:
        serve = _hang if kind.endswith("hanging") else {"tcp": _read, "http": _answer}[kind]
        threading.Thread(target=_accept, args=(server, serve), daemon=True).start()
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _main(sys.argv[1])
