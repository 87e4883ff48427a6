"""A real redis-server on loopback that can be killed and started again with what it had."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from services import free_ports, program

_START_TIMEOUT = 20.0  # seconds; it takes a few hundredths, and longer when it has much to read again
_END_TIMEOUT = 10.0  # seconds after SIGTERM
_LOOK_EVERY = 0.02  # seconds between looks whether it answers
_ONCE = Retry(NoBackoff(), 0)
_TRIES = 3  # starts with other ports, when somebody has taken one meanwhile

# As the page of the relay tells people to run it, but for the flushes: while one is under way, `everysec` keeps what it
# has answered from the kernel, for up to two seconds, and a kill would lose it. The page says so.
_OPTIONS = ("--appendonly", "yes", "--appendfsync", "no", "--save", "",
            "--maxmemory", "256mb", "--maxmemory-policy", "noeviction")  # fmt: skip


class RedisServer:
    """The program, which runs unless it was killed or stopped.

    Args:
        port: where it listens on 127.0.0.1, always the same.
        directory: its append-only file, and `redis-server.log`.
        options: further ones, as on its command line.
    """

    def __init__(self, port: int, directory: Path, options: tuple[str, ...]) -> None:
        self.port = port
        self.log = directory / "redis-server.log"
        self._command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory),
                         *_OPTIONS, *options]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[redis.Redis] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        """Return a client for the test itself, which tries nothing twice and ends with the server.

        *options* are those of `redis.Redis`.
        """
        self._clients.append(redis.Redis(host="127.0.0.1", port=self.port, **{"retry": _ONCE, **options}))
        return self._clients[-1]

    def start(self) -> None:
        """Start it, with what it had, and wait until it answers."""
        assert self._process is None, "it runs"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._wait_until_ready()

    def kill(self) -> None:
        """End it with SIGKILL. What it has answered it has written: see `_OPTIONS`."""
        assert self._process is not None, "it does not run"
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """End it with SIGTERM, as an operator does."""
        assert self._process is not None, "it does not run"
        self._process.terminate()
        self._process.wait(_END_TIMEOUT)
        self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Have it stand still: it takes connections and answers nothing."""
        assert self._process is not None, "it does not run"
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, if it runs, and the clients."""
        for client in self._clients:
            client.close()
        if self._process is not None:
            self.kill()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        with redis.Redis(host="127.0.0.1", port=self.port, retry=_ONCE) as probe:
            while True:
                assert self._process is not None
                assert self._process.poll() is None, f"it ended: {self.log.read_text(errors='replace')}"
                try:
                    probe.ping()
                    return
                except redis.AuthenticationError:
                    return  # it wants a password, so it answers
                except (redis.ConnectionError, redis.TimeoutError):  # it does not listen yet, or reads what it had
                    assert time.monotonic() < deadline, "redis-server does not answer"
                threading.Event().wait(_LOOK_EVERY)


@contextmanager
def running_redis(directory: Path, *options: str) -> Iterator[RedisServer]:
    """Run redis-server with *directory* for its files. Skips the test where it is not installed, but fails it on CI.

    It keeps an append-only file that is flushed every second, and evicts nothing. *options* come after that and win:
    `"--maxmemory", "2mb"`.
    """
    for attempt in range(1, _TRIES + 1):
        (port,) = free_ports(1)
        server = RedisServer(port, directory, options)
        try:
            server.start()
            break
        except AssertionError:
            server.close()
            if attempt == _TRIES or "Address already in use" not in server.log.read_text(errors="replace"):
                raise
            server.log.unlink()
    try:
        yield server
    finally:
        server.close()
