"""A fleet around a real Redis: processes that publish, workers, and a destination that counts; all may be killed."""

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

from children import environment

# A third-party backend, as it is installed: a module, and what tells that it is there.
_BACKEND = '''
import json, os, socket


class Counting:
    """Tells a socket what it is sent, and waits for the answer."""

    folds = False
    max_batch = 10

    def __init__(self, port):
        self._port, self._stream = port, None

    def send(self, events, /):
        try:
            if self._stream is None:
                self._stream = socket.create_connection(("127.0.0.1", self._port), 5).makefile("rw")
            self._stream.write(json.dumps([os.getpid(), [event.message for event in events]]) + "\\n")
            self._stream.flush()
            if self._stream.readline() != "ok\\n":
                raise ConnectionError
        except OSError:
            self.close()
            raise
        return len(events)

    def close(self):
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def from_env(env):
    return Counting(int(env["COUNTING_PORT"]))
'''

# Leases of five seconds: of the thirty that they are, a test would wait for most.
_SHORT_LEASE = """
from notify.relay import fence, service, worker
service.LEASE, fence.SLOWEST = 5.0, 1.0
"""
_WORK = """
import sys
from notify.cli import main
sys.argv = ["notify", "relay"]
main()
"""
# What no worker may do: say that it is done before it is.
ACKNOWLEDGES_FIRST = """
from notify.relay.stream import Settled
hand_out = worker.Worker._hand_out
def early(self, readable, judged):
    hand_out(self, readable, judged)
    self._stream.settle([Settled(each.found.entry, each.found.executor) for each in readable])
worker.Worker._hand_out = early
"""

_PUBLISH = """
import sys, threading, time
from notify.backends.relay.backend import RelayBackend
from notify.event import Origin
from notify.notifier import Notifier

url, first, last, each, pause, text = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]), sys.argv[6]
AT_ONCE = 25
for begin in range(first, last, AT_ONCE):
    names = [f"executor-{number}" for number in range(begin, min(begin + AT_ONCE, last))]
    notifiers = {name: Notifier({"relay": RelayBackend(url, Origin(name, name))}) for name in names}
    for number in range(each):
        for name, notifier in notifiers.items():
            notifier.notify(text or f"{name} {number}", level=40 if text else 25)
        time.sleep(pause)
    for name, notifier in notifiers.items():
        notifier.close(90)
        stats = notifier.stats()["relay"]
        if stats["delivered"] != each:
            sys.exit(f"{name} has published {stats}")
"""


class Receiver:
    """The destination: what it was told, message by message."""

    def __init__(self, pause: float = 0.0) -> None:
        self.messages: list[tuple[int, list[str]]] = []
        """Of each the process that it came from, and the texts of its events."""
        self.events = 0
        self._lock = threading.Lock()
        self._server = _server(self, pause)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def take(self, line: bytes) -> None:
        worker, texts = json.loads(line)
        with self._lock:
            self.messages.append((worker, texts))
            self.events += len(texts)

    def texts(self) -> list[str]:
        with self._lock:
            return [text for _, texts in self.messages for text in texts]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _server(receiver: Receiver, pause: float) -> socketserver.ThreadingTCPServer:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the worker was killed
                for line in self.rfile:
                    if not line.endswith(b"\n"):
                        return  # killed while it spoke: that was not delivered
                    receiver.take(line)
                    threading.Event().wait(pause)
                    self.wfile.write(b"ok\n")

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


class Fleet:
    """Processes of a relay.

    Args:
        url: of Redis.
        directory: what they keep.
        receiver: of the backend `counting`, which each worker has.
        settings: further ones of the workers.
    """

    def __init__(self, url: str, directory: Path, receiver: Receiver, **settings: str) -> None:
        self._url = url
        self._directory = directory
        packages = directory / "packages"
        about = packages / "counting-1.0.dist-info"
        about.mkdir(parents=True)
        (packages / "counting.py").write_text(_BACKEND)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[notify.backends]\ncounting = counting\n")
        env = environment(
            NOTIFY_RELAY_URL=url,
            NOTIFY_BACKENDS="counting",
            COUNTING_PORT=str(receiver.port),
            NOTIFY_STATE_DIR=str(directory / "state"),
            **settings,
        )
        self._env = env | {"PYTHONPATH": f"{packages}{os.pathsep}{env['PYTHONPATH']}"}
        self.workers: list[subprocess.Popen[bytes]] = []
        self._publishers: list[subprocess.Popen[bytes]] = []

    def work(self, *, script: str = "", lease: str = _SHORT_LEASE, **settings: str) -> "subprocess.Popen[bytes]":
        """Start a worker; *script* comes before its work."""
        log = (self._directory / f"worker-{len(self.workers)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-c", lease + dedent(script) + _WORK], stderr=log, stdout=log, env=self._env | settings
            )
        self.workers.append(process)
        return process

    def said(self, worker: "subprocess.Popen[bytes]") -> str:
        """Return what a worker has written."""
        return (self._directory / f"worker-{self.workers.index(worker)}.log").read_text()

    def publish(self, executors: int, each: int, *, processes: int = 4, pause: float = 0.0, error: str = "") -> None:
        """Have *executors* say *each* events, from some processes, *pause* seconds between two of the same executor.

        With an *error* all say this one, at level ERROR.
        """
        edges = [executors * number // processes for number in range(processes + 1)]
        for first, last in pairwise(edges):
            arguments = [str(part) for part in (self._url, first, last, each, pause, error)]
            command = [sys.executable, "-c", _PUBLISH, *arguments]
            self._publishers.append(subprocess.Popen(command, stderr=subprocess.PIPE, env=self._env))

    def published(self, timeout: float) -> None:
        """Wait until all was published."""
        for process in self._publishers:
            _, complaints = process.communicate(timeout=timeout)
            assert process.returncode == 0, complaints.decode()
        self._publishers.clear()

    def close(self) -> None:
        """End all of them."""
        for process in [*self.workers, *self._publishers]:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


@contextmanager
def fleet(url: str, directory: Path, receiver: Receiver, **settings: str) -> Iterator[Fleet]:
    """Yield a fleet that ends with the context."""
    found = Fleet(url, directory, receiver, **settings)
    try:
        yield found
    finally:
        found.close()


def expected(executors: int, each: int) -> set[str]:
    """Return the texts of all that `Fleet.publish` has said."""
    return {f"executor-{executor} {number}" for executor in range(executors) for number in range(each)}


def repeated(texts: Sequence[str]) -> int:
    """Return how many events came again."""
    return sum(count - 1 for count in Counter(texts).values())


def disordered(texts: Sequence[str]) -> list[str]:
    """Return the executors whose events came in another order than they were said, the first time that each came."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for text in dict.fromkeys(texts):
        executor, _, number = text.rpartition(" ")
        numbers[executor].append(int(number))
    return [executor for executor, found in numbers.items() if found != sorted(found)]
