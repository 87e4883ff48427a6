"""The Redis server behind a relay: connections that end by a deadline, and what kind of server it is."""

import functools
import math
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from notify import imports
from notify.backends.relay.address import Address

if TYPE_CHECKING:
    import redis
    from redis.connection import Connection

CONNECT_SECONDS = 5.0
"""For a connection with all that is said before the first request: TLS, the password, the database."""
REQUEST_SECONDS = 10.0
"""For one request and its whole answer, even from a server that drips."""

_OLDEST = 7  # whose scripts may say that they run when the memory is full
_LOOK_EVERY = 0.2  # seconds between two looks whether it is all to end
_Received = TypeVar("_Received")
_OF_ONE_ADDRESS = CONNECT_SECONDS / 2  # so that one that swallows everything leaves time for the next


class Server(NamedTuple):
    """What a server says of itself.

    Args:
        version: of Redis.
        policy: what it does when its memory is full: `noeviction` is to refuse.
        appends: whether it keeps an append-only file, and so what it has when it is killed.
    """

    version: str
    policy: str
    appends: bool

    def __str__(self) -> str:
        kept = "append-only file" if self.appends else "no append-only file"
        return f"Redis {self.version}, {kept}, {self.policy}"


def _never() -> float:
    return math.inf


def open_client(
    address: Address,
    *,
    request_seconds: float = REQUEST_SECONDS,
    answer_bytes: float = math.inf,
    ends_at: Callable[[], float] = _never,
) -> "redis.Redis":
    """Return a client of the server at *address*, which connects when it is used first. Imports redis.

    It tries nothing twice, and decodes nothing. Thread-safe: each thread has a connection while it waits.

    Args:
        address: where to.
        request_seconds: the deadline of each request; one that asks the server to wait has to wait less.
        answer_bytes: of the answer to one request, at most; then the connection is given up. For who asks for little:
            what sends without end would fill the program's memory until the deadline.
        ends_at: tells from which moment on, in monotonic seconds, nothing is waited for any more. It may come nearer
            while a request waits.
    """
    imports.load("redis")
    import redis
    from redis.backoff import NoBackoff
    from redis.connection import Connection, SSLConnection
    from redis.retry import Retry

    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "protocol": 2,  # the default differs between versions of the package, and so do the answers
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": _OF_ONE_ADDRESS,
        "socket_timeout": request_seconds,
        "socket_keepalive": True,
        "answer_bytes": answer_bytes,
        "all_end_at": ends_at,
    }
    if address.tls:
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": address.ca_file}
    kind = _bounded(SSLConnection if address.tls else Connection)
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, **options))  # which closes it, too


def look(client: "redis.Redis") -> Server:
    """Return what the server behind *client* says of itself. Raises what redis raises, also while it reads its data."""
    said: Any = client.info("all")
    if said.get("loading"):  # until then it says that it keeps no file
        from redis import BusyLoadingError

        raise BusyLoadingError("Redis is loading the dataset in memory")
    return Server(
        version=str(said.get("redis_version", "of an unknown version")),
        policy=str(said.get("maxmemory_policy", "an unknown maxmemory-policy")),
        appends=bool(said.get("aof_enabled")),
    )


def unfit(server: Server) -> list[str]:
    """Return why *server* may lose what it has taken, a line for each reason; none for one that keeps it."""
    found = []
    if server.policy != "noeviction":
        found.append(f"Redis may throw events away when its memory is full: maxmemory-policy is {server.policy}, "
                     "and has to be noeviction")  # fmt: skip
    if not server.appends:
        found.append("Redis forgets events when it is killed: appendonly is off, and has to be yes")
    return found


def outdated(server: Server) -> list[str]:
    """Return that *server* is too old for a relay's workers, when it says so: a line, or none."""
    major = server.version.partition(".")[0]
    if major.isdigit() and int(major) < _OLDEST:
        return [f"Redis {server.version} is too old, {_OLDEST}.0 is needed"]
    return []


class _Socket:
    """A socket whose waits end by a deadline, however many there are.

    redis-py's own limit is for one wait: a server that drips a byte a second keeps it waiting for good.
    """

    def __init__(self, inner: socket.socket, connection: Any) -> None:
        self._inner = inner
        self._connection = connection
        self._limit: float | None = inner.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        self._limit = seconds
        self._inner.settimeout(seconds)

    def recv(self, size: int, *flags: int) -> bytes:
        data = self._within(lambda: self._inner.recv(size, *flags))
        self._count(len(data))
        return data

    def recv_into(self, *where: Any) -> int:  # for hiredis
        size = self._within(lambda: self._inner.recv_into(*where))
        self._count(size)
        return size

    def sendall(self, data: bytes) -> None:
        self._bound(math.inf)
        self._inner.sendall(data)  # takes its limit for the whole, TLS or not

    def _count(self, size: int) -> None:
        self._connection.room -= size
        if self._connection.room < 0:
            raise OSError("the answer is larger than anything that was asked for")

    def _within(self, receive: Callable[[], _Received]) -> _Received:
        while True:
            self._bound(_LOOK_EVERY)
            try:
                return receive()
            except TimeoutError:  # of one look
                continue

    def _bound(self, longest: float) -> None:
        if self._limit == 0:  # a look that waits for nothing: whether an idle connection has been ended
            return
        remaining = self._connection.left()
        if remaining <= 0:
            raise TimeoutError("the deadline of a request is over")
        self._inner.settimeout(min(remaining, longest))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@functools.cache
def _bounded(kind: "type[Connection]") -> "type[Connection]":
    """Return a class of connections as *kind*, each of which keeps to our deadlines."""

    class Bounded(kind):  # type: ignore[valid-type, misc]  # known only when redis is imported
        ends_at = 0.0  # monotonic seconds
        room = 0.0  # bytes of the answer that may follow
        connecting = False
        socket_timeout: float

        def __init__(self, *, answer_bytes: float, all_end_at: Callable[[], float], **options: Any) -> None:
            self.answer_bytes = answer_bytes
            self.all_end_at = all_end_at
            super().__init__(**options)

        def left(self) -> float:
            return min(self.ends_at, self.all_end_at()) - time.monotonic()

        def connect(self) -> None:
            if self._sock is None:
                if self.all_end_at() <= time.monotonic():
                    raise TimeoutError("nothing is waited for any more")
                self.ends_at = time.monotonic() + CONNECT_SECONDS
                self.room = self.answer_bytes
                self.connecting = True
            try:
                super().connect()
            finally:
                self.connecting = False

        def _connect(self) -> Any:
            wanted, self.socket_timeout = self.socket_timeout, CONNECT_SECONDS  # which TLS has for its greeting
            try:
                return _Socket(super()._connect(), self)
            finally:
                self.socket_timeout = wanted

        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            if not self.connecting:
                self.ends_at = time.monotonic() + self.socket_timeout
                self.room = self.answer_bytes
            super().send_packed_command(command, check_health)

    return Bounded
