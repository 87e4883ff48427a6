"""Events as lines over one TCP or TLS connection, a batch in one write."""

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from notify import imports
from notify.backends.logstash.address import Address
from notify.backends.logstash.transport import look_up
from notify.clock import Clock

if TYPE_CHECKING:
    from ssl import SSLContext

LIMIT = 1_048_576  # bytes; a line has no limit of its own, but a reader's memory has

_CONNECT_TIMEOUT = 3.0  # seconds, and as much again for a TLS handshake
_SEND_DEADLINE = 10.0  # seconds for everything that one send does


class TcpSender:
    """Lines over one connection, a batch in one write. What was not written whole is written again.

    Args:
        address: where to.
        clock: measures the deadline.
    """

    limit = LIMIT

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._socket: socket.socket | None = None
        self._nothing_to_read: type[OSError] = BlockingIOError

    def send(self, payloads: Sequence[bytes], /) -> int:
        """See `Sender.send`. Takes ten seconds at most, even when the other side does not read."""
        deadline = self._clock.monotonic() + _SEND_DEADLINE
        try:
            if self._socket is None or not self._is_open(self._socket, deadline):
                self.close()
                self._socket = self._connect(deadline)
            self._socket.settimeout(self._remaining(deadline))  # sendall() takes it for the whole, TLS or not
            self._socket.sendall(b"\n".join(payloads) + b"\n")
        except OSError:
            self.close()
            raise
        return len(payloads)

    def check(self) -> str:
        """See `Sender.check`."""
        if self._socket is None:
            self._socket = self._connect(self._clock.monotonic() + _SEND_DEADLINE)
        return "connected"

    def close(self) -> None:
        """See `Sender.close`."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _is_open(self, sock: socket.socket, deadline: float) -> bool:
        """Say whether the other side still listens, as far as it has told us."""
        sock.setblocking(False)
        try:
            while sock.recv(65_536):  # nothing that it says is of interest, but the end may be behind it
                self._remaining(deadline)
        except self._nothing_to_read:
            return True
        except OSError:
            return False
        return False

    def _connect(self, deadline: float) -> socket.socket:
        targets = look_up(self._address, socket.SOCK_STREAM)
        for target in targets[:-1]:
            try:
                return self._connect_to(*target, deadline)
            except OSError:  # another address may answer
                continue
        return self._connect_to(*targets[-1], deadline)

    def _connect_to(self, family: socket.AddressFamily, sockaddr: object, deadline: float) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            _keep_alive(sock)
            sock.settimeout(min(_CONNECT_TIMEOUT, self._remaining(deadline)))
            sock.connect(sockaddr)  # type: ignore[arg-type]  # as getaddrinfo gave it
            sock.settimeout(min(_CONNECT_TIMEOUT, self._remaining(deadline)))
            return self._secured(sock)
        except OSError:
            sock.close()
            raise

    def _secured(self, sock: socket.socket) -> socket.socket:
        return sock

    def _remaining(self, deadline: float) -> float:
        remaining = deadline - self._clock.monotonic()
        if remaining <= 0:
            raise TimeoutError("the deadline for one send is over")
        return remaining


class TlsSender(TcpSender):
    """The same inside TLS. The certificate must be for the host name.

    Args:
        address: where to.
        clock: measures the deadline.
        context: what to trust; Python's defaults when None.
    """

    def __init__(self, address: Address, clock: Clock, context: "SSLContext | None" = None) -> None:
        super().__init__(address, clock)
        self._context = context

    def _secured(self, sock: socket.socket) -> socket.socket:
        imports.load("ssl")
        import ssl

        self._nothing_to_read = ssl.SSLWantReadError
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context.wrap_socket(sock, server_hostname=self._address.host)


def _keep_alive(sock: socket.socket) -> None:
    """Have the kernel ask a silent peer after a minute whether it is still there. Its own default is two hours."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # macOS names it otherwise before Python 3.13
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
