"""What hands encoded events over to a Logstash input, and how its name becomes addresses."""

import socket
from collections.abc import Sequence
from typing import Protocol

from notify.backends.logstash.address import Address
from notify.errors import RetryLater

Target = tuple[socket.AddressFamily, object]
"""An address family and a socket address of it."""


class Sender(Protocol):
    """Hands encoded events over. Used by one thread, the lane's; resolves and connects when it is first used."""

    limit: int
    """Bytes that one event may have. May change with every `send`."""

    def send(self, payloads: Sequence[bytes], /) -> int:
        """Send some of *payloads*, from the first on, and return how many.

        0 means that the first is longer than this path carries: `limit` is lower now.

        Raises `RetryLater` or `OSError` when none was sent, and `Rejected` when the first never can be.
        """
        ...

    def check(self) -> str:
        """Say what can be told of the other side without sending anything.

        Raises `RetryLater` or `OSError` when it cannot be reached.
        """
        ...

    def close(self) -> None:
        """Let go of the socket. The next `send` opens another one."""
        ...


def look_up(address: Address, kind: socket.SocketKind) -> list[Target]:
    """Return the socket addresses of *address*, as the system orders them. Waits for a name server.

    Raises `RetryLater` when there are none.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=kind)
    except (OSError, UnicodeError) as error:  # a label of a name may be too long to be encoded
        raise RetryLater(reason="the Logstash host name does not resolve") from error
    return [(family, sockaddr) for family, _, _, _, sockaddr in found]
