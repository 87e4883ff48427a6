"""One datagram for each event: best effort, paced, and aware of what the network says back."""

import errno
import socket
import struct
import threading
import time
from collections.abc import Sequence

from notify import diagnostics
from notify.backends.logstash.address import Address
from notify.backends.logstash.encoding import LEAST_LIMIT, lengthened
from notify.backends.logstash.transport import Target, look_up
from notify.clock import Clock
from notify.errors import DeliveryError, Rejected, RetryLater

LIMIT = 65_507  # bytes: 65,535 of an IPv4 packet less 20 of its header and 8 of UDP's
LIMIT_V6 = 65_527  # the header does not count here

_KNOWN_FOR = 300.0  # seconds that a name's addresses are good for
_DOUBTED_FOR = 10.0  # seconds, when nobody listens there: the program may have moved

# The kernel's default receive buffer is 212,992 bytes, and a datagram of 350 bytes takes about 1,280 of them. So there
# are bursts of which three fit it, and time between them: a receiver on the same machine needs the processor, and may
# get it late. Of 20,000 log lines at once an rsyslog beside us, on two cores, lost 0.02 to 0.15 % with these, in seven
# series of 10 to 16; with 0.3 ms between them 0.1 to 0.3 %, with 40,000 bytes at once 0.2 to 1.3 %; of
# python-logstash's, which does not rest and is slower, 0.1 to 0.4 %, and of its datagrams of 8 kB 15 to 35 %.
_BURST = 32_768  # bytes
_DATAGRAM_OVERHEAD = 256  # bytes
_REST = 0.0004  # seconds

# What Linux takes in one call and makes datagrams of one size from: 0.9 us for each instead of 3, and the interpreter's
# lock is let go of once instead of 64 times. Python has no name for it.
_UDP_SEGMENT = 103
_TOGETHER = 64  # datagrams; older kernels take no more

_BUSY = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})
_BUSY_REST = 0.005  # seconds between attempts while our own send buffer is full
_BUSY_ATTEMPTS = 200  # one second
_REFUSED_ATTEMPTS = 3


class UdpSender:
    """One datagram for each event, over a connected socket, so that a dead port is noticed.

    Args:
        address: where to.
        clock: tells the age of a look-up.
    """

    def __init__(self, address: Address, clock: Clock) -> None:
        self.limit = LIMIT
        self._address = address
        self._clock = clock
        self._socket: socket.socket | None = None
        self._targets: list[Target] = []
        self._look_up_again_at = 0.0
        self._refused = 0
        self._say_again_at = 0.0
        self._unrested = 0
        self._next_burst_at = 0.0  # monotonic seconds; real time, whatever the clock: it is the receiver that needs it
        self._together = 1
        self._resting = threading.Condition()

    def send(self, payloads: Sequence[bytes], /) -> int:
        """See `Sender.send`. Best effort: handed to the kernel once."""
        self._refresh()
        count = 0
        while count < len(payloads):
            if (left := self._next_burst_at - time.monotonic()) > 0:
                self._rest(left)
            try:
                taken = self._hand_over(self._next(payloads, count))
            except (OSError, DeliveryError):
                self.close()
                if not count:
                    raise
                return count
            if not taken:
                return count
            count += taken
            if self._unrested > _BURST - LEAST_LIMIT:  # there is hardly room for another
                self._unrested = 0
                self._next_burst_at = time.monotonic() + _REST
        return count

    def check(self) -> str:
        """See `Sender.check`. Whether anybody listens cannot be told without sending."""
        self._connect()
        return "the address resolves; UDP cannot tell whether anybody listens"

    def close(self) -> None:
        """See `Sender.close`."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._targets = []

    def _next(self, payloads: Sequence[bytes], start: int) -> Sequence[bytes]:
        """Return those from *start* on that are handed over in one call: all are made as long as the longest."""
        group = payloads[start : start + self._together]
        while len(group) > 1:
            longest = max(map(len, group))
            if longest <= min(LEAST_LIMIT, 2 * min(map(len, group))):
                return group[: max(1, (_BURST - self._unrested) // (longest + _DATAGRAM_OVERHEAD))]
            group = group[: len(group) // 2]
        return group

    def _hand_over(self, payloads: Sequence[bytes]) -> int:
        """Give *payloads* to the kernel, or only the first, and return how many.

        0 means that it is too long for the path, and `limit` is lower now.
        """
        refused = busy = 0
        while True:
            try:
                sent = _send(self._socket or self._connect(), payloads)
                self._unrested += sent + _DATAGRAM_OVERHEAD * len(payloads)
                return len(payloads)
            except ConnectionRefusedError:
                # The answer to an earlier datagram. This one was not sent.
                refused += 1
                self._note_refusal()
                if refused >= _REFUSED_ATTEMPTS:
                    raise
            except OSError as error:
                if error.errno in _BUSY:
                    busy += 1
                    if busy >= _BUSY_ATTEMPTS:
                        raise
                    self._rest(_BUSY_REST)
                elif len(payloads) > 1:  # some tunnels and devices do not take them together
                    self._together = 1
                    payloads = payloads[:1]
                elif error.errno == errno.EMSGSIZE:
                    self._lower_limit(len(payloads[0]))
                    return 0
                else:
                    raise

    def _lower_limit(self, refused: int) -> None:
        if refused <= LEAST_LIMIT:
            raise Rejected(f"the path to Logstash carries no datagram of {refused} bytes")
        if refused <= self.limit:  # otherwise it was made for another path, with a higher limit
            self.limit = max(LEAST_LIMIT, refused // 2)

    def _note_refusal(self) -> None:
        self._refused += 1
        now = self._clock.monotonic()
        self._look_up_again_at = min(self._look_up_again_at, now + _DOUBTED_FOR)
        if self._refused == 1 or now >= self._say_again_at:
            self._say_again_at = now + _KNOWN_FOR
            diagnostics.report(
                "logstash refused", f"nobody listens at the Logstash address; datagrams refused so far: {self._refused}"
            )
        if len(self._targets) > 1 and self._socket is not None:
            self._socket.close()
            self._socket = None
            self._targets.append(self._targets.pop(0))

    def _refresh(self) -> None:
        """Look the name up again when that is due, and leave the socket alone if that says nothing new."""
        if self._socket is None or self._clock.monotonic() < self._look_up_again_at:
            return
        known = self._targets
        try:
            self._find()
        except RetryLater:
            # The name server is unwell; what it said before is better than nothing.
            self._look_up_again_at = self._clock.monotonic() + _DOUBTED_FOR
            return
        if set(known) == set(self._targets):
            self._targets = known
        else:
            self._socket.close()
            self._socket = None

    def _find(self) -> None:
        found = look_up(self._address, socket.SOCK_DGRAM)
        # UDP cannot tell whether the other side heard, and the handler that this replaces speaks IPv4 only:
        # where a name has both, that is where the receiver has been listening.
        self._targets = sorted(found, key=lambda target: target[0] != socket.AF_INET)
        self._look_up_again_at = self._clock.monotonic() + _KNOWN_FOR

    def _connect(self) -> socket.socket:
        if not self._targets:
            self._find()
        for _ in self._targets[1:]:
            try:
                return self._connect_to(*self._targets[0])
            except OSError:  # no route for this family, for one
                self._targets.append(self._targets.pop(0))
        return self._connect_to(*self._targets[0])

    def _connect_to(self, family: socket.AddressFamily, sockaddr: object) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(sockaddr)  # type: ignore[arg-type]  # as getaddrinfo gave it
        except OSError:
            sock.close()
            raise
        self.limit = LIMIT if family == socket.AF_INET else LIMIT_V6
        self._together = _TOGETHER if _takes_apart(sock) else 1
        self._socket = sock
        return sock

    def _rest(self, seconds: float) -> None:
        with self._resting:
            self._resting.wait(seconds)


def _takes_apart(sock: socket.socket) -> bool:
    """Say whether the kernel can take what it is given apart into datagrams."""
    try:
        return sock.getsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT) == 0
    except OSError:  # not Linux, or one before 4.18
        return False


def _send(sock: socket.socket, payloads: Sequence[bytes]) -> int:
    """Send each of *payloads* in a datagram, and return how many bytes these have."""
    if len(payloads) == 1:
        return sock.send(payloads[0])
    size = max(map(len, payloads))
    even = [payload if len(payload) == size else lengthened(payload, size) for payload in payloads]
    return sock.sendmsg(even, [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("H", size))])
