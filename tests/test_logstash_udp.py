import errno
import itertools
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from notify import diagnostics
from notify.backends.logstash import udp
from notify.backends.logstash.address import Address
from notify.backends.logstash.udp import LIMIT, LIMIT_V6, UdpSender
from notify.clock import SystemClock
from notify.errors import Rejected, RetryLater
from notify.testing import FakeClock

PATIENCE = 5.0  # seconds until a test gives up on a datagram; on loopback it is there at once


class Receiver:
    """A bound socket."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, port: int = 0) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(("127.0.0.1" if family == socket.AF_INET else "::1", port))
        self.sockaddr = self.socket.getsockname()
        self.port = self.sockaddr[1]

    def close(self) -> None:
        self.socket.close()

    def next(self) -> bytes:
        return self.socket.recv(70_000)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with closing(Receiver()) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    diagnostics.forget()


def sender_to(port: int, host: str = "127.0.0.1", clock: FakeClock | None = None) -> closing[UdpSender]:
    return closing(UdpSender(Address("udp", host, port), clock or SystemClock()))


def dead_port(family: socket.AddressFamily = socket.AF_INET) -> int:
    with closing(Receiver(family)) as gone:
        return int(gone.port)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: object) -> list[object]:
    """Have getaddrinfo give these answers in turn, the last one for ever, and return the list of its calls."""
    calls: list[object] = []

    def getaddrinfo(host: str, port: int, **kinds: object) -> object:
        answer = answers[min(len(calls), len(answers) - 1)]
        calls.append(host)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return calls


def answer(*receivers: Receiver | int) -> list[object]:
    found: list[object] = []
    for each in receivers:
        sockaddr = ("127.0.0.1", each) if isinstance(each, int) else each.sockaddr
        family = socket.AF_INET6 if len(sockaddr) == 4 else socket.AF_INET
        found.append((family, socket.SOCK_DGRAM, 17, "", sockaddr))
    return found


def failing_socket(monkeypatch: pytest.MonkeyPatch, number: int, when: Any) -> None:
    """Have every socket fail with errno *number* to send payloads that *when* says yes to."""

    class Failing(socket.socket):
        def sendmsg(self, buffers: Any, *rest: Any) -> int:
            if any(when(data) for data in buffers):
                raise OSError(number, "as the test wants it")
            return super().sendmsg(buffers, *rest)

        def send(self, data: Any, *flags: int) -> int:
            if when(data):
                raise OSError(number, "as the test wants it")
            return super().send(data, *flags)

    monkeypatch.setattr(socket, "socket", Failing)


def counted_sends(monkeypatch: pytest.MonkeyPatch, together: int = 0) -> list[int]:
    """Return how many datagrams each call gives to the kernel, as it goes. Those of more than one fail with errno
    *together* unless it is 0."""
    calls: list[int] = []

    class Counting(socket.socket):
        def send(self, data: Any, *flags: int) -> int:
            calls.append(1)
            return super().send(data, *flags)

        def sendmsg(self, buffers: Any, *rest: Any) -> int:
            calls.append(len(buffers))
            if together:
                raise OSError(together, "as the test wants it")
            return super().sendmsg(buffers, *rest)

    monkeypatch.setattr(socket, "socket", Counting)
    return calls


def test_each_event_is_one_datagram_without_a_line_break(receiver: Receiver) -> None:
    with sender_to(receiver.port) as sender:
        assert sender.send([b"one", b"two"]) == 2

    assert [receiver.next(), receiver.next()] == [b"one", b"two"]


@pytest.mark.parametrize("count", [2, 64, 65, 300])
def test_many_events_are_a_datagram_each_in_their_order(count: int, receiver: Receiver) -> None:
    receiver.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    events = [b'{"number":%d}' % (number * 37) for number in range(count)]
    with sender_to(receiver.port) as sender:
        assert sender.send(events[:1]) == 1
        assert sender.send(events[1:]) == count - 1

    assert [json.loads(receiver.next()) for _ in events] == [json.loads(event) for event in events]


@pytest.mark.parametrize("sizes", [[400, 1_000] * 40, [300, 5_000, 320, 330, 1_201, 340], [1_200] * 70, [40, 900, 50]])
def test_events_of_any_length_are_whole_and_hardly_longer_than_they_were(sizes: list[int], receiver: Receiver) -> None:
    receiver.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    events = [json.dumps("x" * (size - 9)).join(['{"a":', "}"]).encode() for size in sizes]
    with sender_to(receiver.port) as sender:
        assert sender.send(events[:1]) == 1
        assert sender.send(events[1:]) == len(events) - 1

    arrived = [receiver.next() for _ in events]
    assert [json.loads(datagram) for datagram in arrived] == [json.loads(event) for event in events]
    for datagram, event in zip(arrived, events, strict=True):
        assert len(event) <= len(datagram) <= 2 * len(event) + 8


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="others take one datagram at a time")


@only_linux
def test_many_events_are_handed_to_the_kernel_in_few_calls(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted_sends(monkeypatch)
    with sender_to(receiver.port) as sender:
        sender.send([b"{}"])
        sender.send([b"{}"] * 64)

    assert calls == [1, 64]


@only_linux
@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL, errno.EMSGSIZE])
def test_where_datagrams_cannot_be_sent_together_each_is_sent_by_itself(
    number: int, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted_sends(monkeypatch, number)
    with sender_to(receiver.port) as sender:
        sender.send([b"{}"])
        assert sender.send([b"{}"] * 5) == 5

    assert calls == [1, 5, 1, 1, 1, 1, 1]
    assert [receiver.next() for _ in range(6)] == [b"{}"] * 6


def test_an_older_kernel_is_given_one_datagram_at_a_time(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted_sends(monkeypatch)
    monkeypatch.setattr("notify.backends.logstash.udp._UDP_SEGMENT", 9999)  # as unknown as 103 was before 4.18
    with sender_to(receiver.port) as sender:
        sender.send([b"one"])
        sender.send([b"two", b"three"])

    assert calls == [1, 1, 1]
    assert [receiver.next() for _ in range(3)] == [b"one", b"two", b"three"]


def test_a_refusal_costs_none_of_the_events_that_learn_of_it() -> None:
    port = dead_port()
    with sender_to(port) as sender:
        sender.send([b"{}"])
        with closing(Receiver(port=port)) as receiver:
            assert sender.send([b'{"a":1}', b'{"a":22}']) == 2

            assert [json.loads(receiver.next()) for _ in range(2)] == [{"a": 1}, {"a": 22}]


def test_an_ipv6_address_works_and_has_its_own_limit() -> None:
    with closing(Receiver(socket.AF_INET6)) as receiver, sender_to(receiver.port, "::1") as sender:
        sender.send([b"first"])
        assert sender.limit == LIMIT_V6
        assert sender.send([b"x" * LIMIT_V6]) == 1

        assert receiver.next() == b"first"
        assert len(receiver.next()) == LIMIT_V6


def test_the_largest_datagram_that_ipv4_has_arrives(receiver: Receiver) -> None:
    with sender_to(receiver.port) as sender:
        assert sender.send([b"x" * LIMIT]) == 1

    assert len(receiver.next()) == LIMIT


def test_a_name_with_both_families_is_reached_where_python_logstash_reached_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Receiver(socket.AF_INET6)) as other, sender_to(receiver.port, "logs") as sender:
        resolve_to(monkeypatch, answer(other, receiver))

        sender.send([b"one"])

        assert receiver.next() == b"one"


def test_nothing_is_resolved_before_the_first_send_and_then_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = resolve_to(monkeypatch, answer(receiver))
    with sender_to(receiver.port, "logs") as sender:
        assert calls == []

        for _ in range(5):
            sender.send([b"event"])

    assert calls == ["logs"]


def test_a_name_is_looked_up_again_after_five_minutes_and_followed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    with closing(Receiver()) as moved, sender_to(receiver.port, "logs", clock) as sender:
        calls = resolve_to(monkeypatch, answer(receiver), answer(moved))

        sender.send([b"one"])
        clock.advance(299)
        sender.send([b"two"])
        clock.advance(1)
        sender.send([b"three"])

        assert [receiver.next(), receiver.next(), moved.next()] == [b"one", b"two", b"three"]
    assert len(calls) == 2


def test_a_name_server_that_fails_later_changes_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    resolve_to(monkeypatch, answer(receiver), socket.gaierror())
    with sender_to(receiver.port, "logs", clock) as sender:
        sender.send([b"one"])
        clock.advance(300)
        sender.send([b"two"])

    assert [receiver.next(), receiver.next()] == [b"one", b"two"]


@pytest.mark.parametrize("error", [socket.gaierror(), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve_is_tried_later(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, error)

    with sender_to(5959, "logs") as sender, pytest.raises(RetryLater, match="does not resolve"):
        sender.send([b"one"])


def test_an_event_that_learns_of_a_refusal_is_itself_sent() -> None:
    port = dead_port()
    with sender_to(port) as sender:
        sender.send([b"nobody hears this"])
        with closing(Receiver(port=port)) as receiver:
            # The refusal of the first one is waiting on the socket, and makes the kernel not send the second.
            assert sender.send([b"this arrives"]) == 1

            assert receiver.next() == b"this arrives"


def test_a_dead_port_holds_nothing_up_and_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with sender_to(dead_port()) as sender:
        for _ in range(20):
            assert sender.send([b"one", b"two"]) == 2

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "nobody listens at the Logstash address" in said[0]


def test_a_refusal_makes_the_next_address_the_one(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, answer(dead_port(), receiver))
    with sender_to(receiver.port, "logs") as sender:
        sender.send([b"nobody hears this"])
        sender.send([b"this arrives"])

    assert receiver.next() == b"this arrives"


def test_a_refusal_has_the_name_looked_up_again_soon(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    resolve_to(monkeypatch, answer(dead_port()), answer(receiver))
    with sender_to(receiver.port, "logs", clock) as sender:
        sender.send([b"one"])
        sender.send([b"two"])
        clock.advance(10)
        sender.send([b"three"])

    assert receiver.next() == b"three"


def test_a_path_that_is_too_narrow_lowers_the_limit(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_socket(monkeypatch, errno.EMSGSIZE, lambda data: len(data) > 9_000)
    with sender_to(receiver.port) as sender:
        assert sender.send([b"x" * 40_000]) == 0
        assert sender.limit == 20_000
        assert sender.send([b"x" * 20_000]) == 0
        assert sender.limit == 10_000
        assert sender.send([b"x" * 9_000]) == 1

    assert len(receiver.next()) == 9_000


def test_what_was_made_for_a_wider_path_does_not_raise_the_limit_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_socket(monkeypatch, errno.EMSGSIZE, lambda data: len(data) > 9_000)
    with sender_to(receiver.port) as sender:
        sender.send([b"x" * 20_000])
        assert sender.limit == 10_000

        assert sender.send([b"x" * 40_000]) == 0

        assert sender.limit == 10_000


def test_an_event_that_is_too_long_does_not_take_those_before_it_along(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_socket(monkeypatch, errno.EMSGSIZE, lambda data: len(data) > 9_000)
    with sender_to(receiver.port) as sender:
        assert sender.send([b"one", b"x" * 40_000, b"three"]) == 1


def test_a_path_that_carries_nothing_rejects_the_event(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_socket(monkeypatch, errno.EMSGSIZE, lambda _: True)
    with sender_to(receiver.port) as sender, pytest.raises(Rejected, match="no datagram of 5 bytes"):
        sender.send([b"small"])


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOBUFS])
def test_a_full_send_buffer_is_waited_for(number: int, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True, True])
    failing_socket(monkeypatch, number, lambda _: next(failures, False))
    with sender_to(receiver.port) as sender:
        assert sender.send([b"one"]) == 1

    assert receiver.next() == b"one"


def test_a_send_buffer_that_stays_full_is_not_waited_for_for_ever(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_socket(monkeypatch, errno.EAGAIN, lambda _: True)
    with sender_to(receiver.port) as sender, pytest.raises(BlockingIOError):
        sender.send([b"one"])


def test_an_unreachable_network_in_the_middle_reports_what_was_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_socket(monkeypatch, errno.ENETUNREACH, lambda data: data == b"three")
    with sender_to(receiver.port) as sender:
        assert sender.send([b"one", b"two", b"three"]) == 2
        with pytest.raises(OSError, match="as the test wants it"):
            sender.send([b"three"])


@pytest.mark.parametrize("size", [50, 350, 8_000, 60_000])
def test_a_long_batch_goes_in_bursts_that_a_receive_buffer_holds(
    size: int, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    bursts: list[int] = []

    def rest(sender: UdpSender, seconds: float) -> None:
        assert seconds > 0
        bursts.append(len(sizes) * 768 + sum(sizes))  # 768 bytes: what the kernel adds to each, about
        sizes.clear()

    failing_socket(monkeypatch, 0, lambda data: sizes.append(len(data)))  # notes, and never fails
    monkeypatch.setattr(UdpSender, "_rest", rest)
    with sender_to(receiver.port) as sender:
        assert sender.send([b"x" * size] * 1_000) == 1_000

    assert bursts
    assert max(bursts) < 212_992  # bytes of Linux's default receive buffer


def test_a_rest_is_short_but_real() -> None:
    with sender_to(5959) as sender:
        began = time.monotonic()
        sender._rest(0.01)

        assert time.monotonic() - began >= 0.01


def test_a_receiver_on_the_same_machine_has_the_processor_for_a_while_after_each_burst(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(UdpSender, "_rest", lambda sender, seconds: rests.append(seconds))
    monkeypatch.setattr(udp, "time", SimpleNamespace(monotonic=lambda: 7.0))  # nothing takes any time
    with sender_to(receiver.port) as sender:
        sender.send([b"x" * 350] * 1_000)

    # 606 bytes each, as the sender counts them: 18 bursts of 54, which are 32 KiB, and some more.
    assert rests == [pytest.approx(0.0004)] * 18


def test_who_is_busy_with_other_things_between_two_bursts_need_not_rest(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(step=0.0003)  # each look at the time is later by that
    rests: list[float] = []
    monkeypatch.setattr(UdpSender, "_rest", lambda sender, seconds: rests.append(seconds))
    monkeypatch.setattr(udp, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with sender_to(receiver.port) as sender:
        sender.send([b"x" * 350] * 108)  # two bursts
        monkeypatch.setattr(udp, "time", SimpleNamespace(monotonic=lambda: 7.0))
        sender.send([b"x" * 350])

    assert rests == [pytest.approx(0.0001)]  # what is missing of 0.0004, and nothing long after
