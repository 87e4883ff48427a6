"""Rows 37, 38, 46 and 54 to 56 of the fault model: datagrams, a clock that is set, order, and who gets whose events."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
from lanes import LONG, until

from notify.backends.discord import DiscordBackend
from notify.backends.discord.limiter import ProcessLimiter
from notify.backends.logstash import LogstashBackend
from notify.delivery.lane import Lane
from notify.delivery.outbox import Outbox
from notify.errors import RetryLater
from notify.notifier import Notifier
from notify.testing import FakeClock, MemoryBackend
from notify.testing.fake_discord import HANG, RESET, RESET_EARLY, RESET_LATE, FakeDiscord, Reply, rate_limited

DATAGRAM = 65_507  # bytes, the most that UDP over IPv4 carries
PATIENCE = 20.0  # seconds for what takes less than one
FAST = 1000  # times as fast as Discord's own limits, which are not what these tests are about
DAY = 86_400.0  # seconds


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with a_receiver() as made:
        yield made


def a_receiver() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(PATIENCE)
    made.bind(("127.0.0.1", 0))
    return made


def logstash_to(receiver: socket.socket) -> LogstashBackend:
    return LogstashBackend(*receiver.getsockname())


def what_came(receiver: socket.socket) -> list[dict[str, Any]]:
    """Return the datagrams that are there, each of which has to be strict JSON."""
    came = []
    receiver.setblocking(False)
    try:
        while True:
            came.append(json.loads(receiver.recv(70_000), parse_constant=refuse))
    except BlockingIOError:
        return came


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


def titles(discord: FakeDiscord) -> list[str]:
    return [embed.get("title", "") for embed in discord.embeds]


# ---- 37: a datagram's size


@pytest.mark.parametrize(
    ("size", "cut"),
    [
        (1_000, False),
        (1_473, False),  # one byte more than Ethernet's 1,500 less the headers
        (9_000, False),
        (64_000, False),  # with the other fields just below the limit
        (DATAGRAM, True),
        (100_000, True),
        (200_000, True),
    ],
)
def test_fault_37_an_event_of_any_size_is_one_datagram_whole_or_marked_as_cut(size, cut, receiver):
    text = " ".join(str(number) for number in range(size))[:size]
    with Notifier({"logstash": logstash_to(receiver)}) as notifier:
        ticket = notifier.notify("report", body=text, topic="gas", fields={"pair": "ETH-USDC", "price": 3450.1})
        datagram = receiver.recv(70_000)
        assert ticket.wait(PATIENCE) == {"logstash": "delivered"}

    document = json.loads(datagram, parse_constant=refuse)
    assert what_came(receiver) == []
    assert [document[name] for name in ("message", "topic", "pair", "price")] == ["report", "gas", "ETH-USDC", 3450.1]
    if cut:
        assert (document["truncated"], document["original_bytes"] > size) == (True, True)
        assert 0.9 * DATAGRAM < len(datagram) <= DATAGRAM
        assert (document["body"][:1000], document["body"][-1000:]) == (text[:1000], text[-1000:])
    else:
        assert document["body"] == text
        assert "truncated" not in document


# ---- 38: nobody reads


def test_fault_38_where_nobody_listens_nothing_is_raised_and_the_refusals_are_counted(receiver, capsys):
    logstash = logstash_to(receiver)
    receiver.close()
    with Notifier({"logstash": logstash}) as notifier:
        outcomes = [notifier.trade(f"event {number}").wait(PATIENCE) for number in range(20)]
        delivered = notifier.stats()["logstash"]["delivered"]

    # Handed to the kernel is all that UDP can say.
    assert (outcomes, delivered) == ([{"logstash": "delivered"}] * 20, 20)
    said = capsys.readouterr().err
    assert "nobody listens at the Logstash address; datagrams refused so far: 1" in said
    assert said.count("\n") == 1


def test_fault_38_a_burst_to_a_reader_that_stalls_is_handed_over_whole_and_in_order(receiver):
    burst = 5_000
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # bytes
    with Notifier({"logstash": logstash_to(receiver)}) as notifier:
        for number in range(burst):
            notifier.notify("event", fields={"number": number})
        assert notifier.flush(LONG)
        stats = notifier.stats()

    assert "intake" not in stats
    assert (stats["logstash"]["accepted"], stats["logstash"]["delivered"]) == (burst, burst)
    assert stats["logstash"]["dropped"] == {}
    arrived = [document["number"] for document in what_came(receiver) if "number" in document]  # and what tells of it
    assert arrived == list(range(len(arrived)))
    assert 0 < len(arrived) < burst  # what the reader's own buffer did not hold nobody can know


def test_fault_38_what_we_drop_ourselves_is_counted(receiver, monkeypatch):
    monkeypatch.setitem(Lane.__init__.__kwdefaults__, "capacity", 10)  # events
    logstash = logstash_to(receiver)
    let = threading.Event()
    send = logstash.send

    def stalled(events: Any, /) -> int:
        assert let.wait(LONG)
        return send(events)

    monkeypatch.setattr(logstash, "send", stalled)
    with Notifier({"logstash": logstash}) as notifier:
        tickets = [notifier.notify("event", fields={"number": number}) for number in range(200)]
        until(lambda: notifier.stats()["logstash"]["accepted"] >= 200)
        let.set()
        outcomes = Counter(ticket.wait(PATIENCE)["logstash"] for ticket in tickets)
        stats = notifier.stats()["logstash"]

    arrived = [document["number"] for document in what_came(receiver) if "number" in document]  # not what tells of it
    assert outcomes == {"delivered": len(arrived), "dropped: queue full": 200 - len(arrived)}
    assert stats["dropped"] == {"queue full": 200 - len(arrived)}
    assert 0 < len(arrived) < 200


# ---- 46: a clock that is set


class SetClock(FakeClock):
    """A clock whose wall time somebody sets, while its monotonic time goes on as if nothing had happened."""

    set_by = 0.0
    """Seconds."""

    def time(self) -> float:
        return super().time() + self.set_by


@pytest.mark.parametrize("days", [-1, 1])
def test_fault_46_a_clock_that_is_set_by_a_day_neither_delays_a_retry_nor_brings_it_forward(days):
    clock = SetClock()
    with (
        FakeDiscord(speed=FAST) as discord,
        Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier,
    ):
        discord.answer_with(rate_limited(5.0), 500)
        notifier.notify("event")
        wait = clock.next_wait()
        assert wait >= 5

        clock.set_by = days * DAY

        clock.advance(wait - 0.1)
        assert not notifier.flush(0.02)  # seconds in which a request too early would come
        assert discord.requests == 1
        clock.advance(clock.next_wait())
        assert clock.next_wait() <= 1  # the first wait after a failure
        assert discord.requests == 2
        clock.advance(1)
        assert notifier.flush(PATIENCE)
        assert titles(discord) == ["event"]


def postponing() -> MemoryBackend:
    """Return a backend that takes nothing as long as the clock stands still."""
    return MemoryBackend([RetryLater(after=1.0)], durable=True)


def next_start(state: Path, clock: FakeClock) -> list[str]:
    discord = MemoryBackend(durable=True)
    with Notifier({"discord": discord}, outbox=Outbox(state, clock=clock), clock=clock):
        return [event.message for event in discord.wait_for(2, PATIENCE)]


@pytest.mark.parametrize("days", [-1, 1])
def test_fault_46_a_clock_that_is_set_by_a_day_expires_nothing_and_keeps_the_order(days, state):
    clock = SetClock()
    outbox = Outbox(state, clock=clock)
    with Notifier({"discord": postponing()}, outbox=outbox, clock=clock) as notifier:
        notifier.trade("before")
        clock.set_by = days * DAY
        notifier.trade("after")
        assert outbox.maintain().dropped == ()
        notifier.close(0)

    assert next_start(state, clock) == ["before", "after"]


def test_fault_46_a_clock_that_is_set_forward_by_more_than_three_days_expires_what_waits_and_that_is_told(state):
    clock = SetClock()
    memory = MemoryBackend()
    outbox = Outbox(state, clock=clock)
    with Notifier({"discord": postponing(), "memory": memory}, outbox=outbox, clock=clock) as notifier:
        notifier.trade("before").wait(0)
        clock.next_wait(PATIENCE)
        assert memory.wait_for(1, PATIENCE)
        clock.set_by = 4 * DAY
        notifier._pipeline._housekeeping.wake()  # it looks once a minute

        told = memory.wait_for(2, PATIENCE)
        assert [event.message for event in told] == ["before", "Not delivered to discord: 1 event (too old)."]
        assert notifier.stats()["discord"]["dropped"] == {"too old": 1}
        notifier.close(0)


# ---- 54: order


TAKEN = Reply(200, {"id": "1"}, keeps=True)


def test_fault_54_numbers_ascend_whatever_the_server_does_in_between():
    numbers = [str(number) for number in range(100)]
    clock = FakeClock()
    with (
        FakeDiscord(speed=FAST) as discord,
        Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier,
    ):
        trouble = [500, rate_limited(0.5), RESET, RESET_EARLY, RESET_LATE, 502]
        discord.answer_with(*[reply for each in trouble for reply in (each, TAKEN)])
        for number in numbers:
            notifier.trade(number)
        while not notifier.flush(0.05):
            with suppress(TimeoutError):  # an attempt is under way, and may be the last
                clock.advance(clock.next_wait(0.05))

        arrived = titles(discord)
    assert list(dict.fromkeys(arrived)) == numbers  # in the order of the first time
    # The one message whose answer was lost came twice, and its ten events follow one another.
    assert 1 <= len(arrived) - len(numbers) <= 10


# ---- 55: a dead destination


@pytest.mark.parametrize("fault", [HANG, 404, 500, rate_limited(60.0)], ids=["hang", "404", "500", "429"])
def test_fault_55_a_dead_destination_holds_up_no_other(fault):
    names = [f"event {number}" for number in range(50)]
    with FakeDiscord(speed=FAST) as dead, FakeDiscord(speed=FAST) as well:
        dead.answer_with(*[fault] * 100)
        backends = {
            "dead": DiscordBackend(dead.url, deadline_seconds=0.5),
            "well": DiscordBackend(well.url),
        }
        with Notifier(backends) as notifier:
            tickets = [notifier.notify(name) for name in names]
            until(lambda: set(names) <= set(titles(well)))

            assert {ticket.wait(0)["dead"] for ticket in tickets} == {"pending"}
            # That one is gone is told to the other.
            assert [title for title in titles(well) if title in names] == names
            assert titles(dead) == []
            notifier.close(0)


# ---- 56: two notifiers


def test_fault_56_two_notifiers_never_get_each_others_events(state):
    with ExitStack() as stack:
        discords = [stack.enter_context(FakeDiscord(speed=FAST)) for _ in range(2)]
        receivers = [stack.enter_context(a_receiver()) for _ in range(2)]
        notifiers = [
            stack.enter_context(
                Notifier(
                    {"discord": DiscordBackend(discord.url), "logstash": logstash_to(receiver)}, outbox=Outbox(state)
                )
            )
            for discord, receiver in zip(discords, receivers, strict=True)
        ]
        together = threading.Barrier(2)

        def say(name: str, notifier: Notifier) -> None:
            together.wait()
            for number in range(50):
                notifier.trade(f"{name} {number}")

        speakers = [
            threading.Thread(target=say, args=(name, notifier)) for name, notifier in zip("ab", notifiers, strict=True)
        ]
        for speaker in speakers:
            speaker.start()
        for speaker in speakers:
            speaker.join()
        assert all(notifier.flush(PATIENCE) for notifier in notifiers)

        for name, discord, receiver in zip("ab", discords, receivers, strict=True):
            said = [f"{name} {number}" for number in range(50)]
            assert titles(discord) == said
            assert [document["message"] for document in what_came(receiver)] == said
