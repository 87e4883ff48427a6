"""The Logstash backend: encodes what its lane gives it, and hands it to a sender."""

import os
import socket
from collections.abc import Sequence

from notify.backends.logstash.address import DEFAULT_PORT, Address, checked_address
from notify.backends.logstash.encoding import encode_all
from notify.backends.logstash.stream import TcpSender, TlsSender
from notify.backends.logstash.transport import Sender
from notify.backends.logstash.udp import UdpSender
from notify.backends.logstash.wire import Speaker, ecs, version_1
from notify.clock import Clock, SystemClock
from notify.event import Event

_UDP_BATCH = 64  # events
_STREAM_BATCH = 256
_TOGETHER = 64  # events encoded in one call, so that few are encoded in vain when a batch ends early
_BATCH_BYTES = 1_048_576  # a batch ends with the event that reaches this, so that it can be written within the deadline


class LogstashBackend:
    """Sends every event to Logstash as JSON: a datagram each, or lines over TCP or TLS.

    UDP is best effort: an event counts as delivered once the kernel has it. Over TCP and TLS a batch whose
    write failed is written again whole, so an event may come twice; what the kernel had when the
    other side died is lost. Nothing is resolved or opened before the first `send`.

    Args:
        host: name or address, IPv6 without brackets.
        port: from 1 to 65535.
        transport: `udp`, `tcp` or `tls`.
        application: who speaks, in the field `application`.
        tags: in the field `tags`.
        ecs: use the Elastic Common Schema instead of python-logstash's.
        host_name: name of this machine; the system's when None.
        clock: tells the time and waits; the system's when None.

    Raises `ValueError`, without the value, when host, port or transport is unusable.
    """

    durable = False
    folds = False

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        transport: str = "udp",
        application: str = "",
        tags: Sequence[str] = ("python",),
        ecs: bool = False,
        host_name: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        address = checked_address(transport, host, port)
        self.imports = ("orjson", "encodings.idna", *(("ssl",) if address.transport == "tls" else ()))
        self.max_batch = _UDP_BATCH if address.transport == "udp" else _STREAM_BATCH
        self._speaker = Speaker(application, socket.gethostname() if host_name is None else host_name, tuple(tags))
        self._ecs = ecs
        self._sender = _sender(address, clock or SystemClock())
        self._process = os.getpid()

    def send(self, events: Sequence[Event], /) -> int:
        """Send some of *events*, from the first on, and return how many.

        Raises `RetryLater` for a host name that does not resolve, `OSError` for any other trouble with the network
        and `Rejected` when the path is too narrow for anything. Called by one thread at a time.
        """
        if self._process != os.getpid():  # forked: the parent's connection is not ours to write to
            self._sender.close()
            self._process = os.getpid()
        while not (count := self._sender.send(self._encoded(events))):
            pass  # too long for this path, whose limit is known now and lower
        return count

    def check(self) -> str:
        """Resolve the address, and connect to it where the transport allows to; say what was found.

        Raises `RetryLater` when the name does not resolve, `OSError` when nobody listens.
        """
        return self._sender.check()

    def close(self) -> None:
        """Let go of the socket."""
        self._sender.close()

    def _encoded(self, events: Sequence[Event]) -> list[bytes]:
        documents_of = ecs if self._ecs else version_1
        limit = self._sender.limit
        lines: list[bytes] = []
        size = 0
        for start in range(0, len(events), _TOGETHER):
            for line in encode_all(documents_of(events[start : start + _TOGETHER], self._speaker), limit):
                lines.append(line)
                size += len(line)
                if size >= _BATCH_BYTES:
                    return lines
        return lines


def _sender(address: Address, clock: Clock) -> Sender:
    if address.transport == "udp":
        return UdpSender(address, clock)
    if address.transport == "tcp":
        return TcpSender(address, clock)
    return TlsSender(address, clock)
