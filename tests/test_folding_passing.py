"""Matters that are counted elsewhere: what a backend gets that passes them on, alone and beside one that folds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from folds import People
from lanes import LONG

from notify.backends.memory import MemoryBackend
from notify.delivery.outbox import Outbox
from notify.delivery.ticket import DELIVERED, FOLDED
from notify.event import Event, Phase
from notify.notifier import Notifier
from notify.rules.fingerprint import id_of_key, subject_of_event
from notify.rules.routing import Route, parse_topics
from notify.setting import NEVER
from notify.testing import FakeClock

RPC = id_of_key("rpc")


class Passing(MemoryBackend):
    """Gets every event with its matter, as a relay does."""

    passes_matters = True
    in_order = True


@contextmanager
def speaking(clock: FakeClock, state: Path | None = None, **backends: Any) -> Iterator[Notifier]:
    routes = backends.pop("routes", None)
    outbox = None if state is None else Outbox(state, clock=clock)
    with Notifier(backends, routes=routes, outbox=outbox, clock=clock, storm_limit=2) as notifier:
        yield notifier
        assert notifier.flush(LONG)


def down(notifier: Notifier, times: int = 1, key: str | None = "rpc") -> None:
    for _ in range(times):
        notifier.notify("the RPC is down", key=key, level=logging.ERROR)


def matters(events: list[Event]) -> list[tuple[str, Phase] | None]:
    return [None if event.matter is None else (event.matter.id, event.matter.phase) for event in events]


def test_every_repeat_is_passed_with_the_matter_it_belongs_to(clock: FakeClock) -> None:
    relay = Passing()
    with speaking(clock, relay=relay) as notifier:
        down(notifier, 3)

    assert relay.messages == ["the RPC is down"] * 3
    assert matters(relay.events) == [(RPC, Phase.ANNOUNCED)] * 3


def test_what_has_no_key_is_passed_with_the_matter_of_its_place(clock: FakeClock) -> None:
    relay = Passing()
    with speaking(clock, relay=relay) as notifier:
        down(notifier, 2, key=None)

    first, second = relay.events
    subject = subject_of_event(replace(first, matter=None))
    assert subject is not None
    assert matters([first, second]) == [(subject.id, Phase.ANNOUNCED)] * 2


def test_log_records_are_passed_with_their_matter(clock: FakeClock) -> None:
    relay = Passing()
    logger = logging.getLogger("passing")
    with speaking(clock, relay=relay) as notifier:
        notifier.attach(logger)
        for number in range(2):
            logger.error("node %d is down", number)
        notifier.detach(logger)

    first, second = matters(relay.events)
    assert first == second
    assert first is not None


def test_what_is_below_warning_has_no_matter(clock: FakeClock) -> None:
    relay = Passing()
    with speaking(clock, relay=relay) as notifier:
        notifier.trade("Bought", key="position 1")

    assert matters(relay.events) == [None]


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_the_newest_state_of_something_is_passed_as_such(clock: FakeClock, level: int) -> None:
    relay = Passing()
    with speaking(clock, relay=relay) as notifier:
        for state in ("half", "done"):
            notifier.notify(state, key="rpc", level=level, update=True)

    assert matters(relay.events) == [(RPC, Phase.LIVING)] * 2


def test_an_end_is_passed_once_for_each_call_whoever_was_told_of_the_beginning(clock: FakeClock) -> None:
    relay = Passing()
    with speaking(clock, relay=relay) as notifier:
        notifier.resolve("rpc")
        down(notifier)
        notifier.resolve("rpc", "the RPC is back")
        notifier.resolve("rpc")

    assert matters(relay.events) == [
        (RPC, Phase.RESOLVED), (RPC, Phase.ANNOUNCED), (RPC, Phase.RESOLVED), (RPC, Phase.RESOLVED),
    ]  # fmt: skip
    assert [event.message for event in relay.events if event.key and event.matter.phase is Phase.RESOLVED] == [  # type: ignore[union-attr]  # each has one
        "", "the RPC is back", "",
    ]  # fmt: skip


def test_who_gets_nothing_learns_of_no_end(clock: FakeClock) -> None:
    relay, other = Passing(), MemoryBackend()
    with speaking(clock, relay=relay, other=other, routes={"relay": Route(NEVER)}) as notifier:
        ticket = notifier.resolve("rpc")

    assert ticket.wait(0) == {}
    assert relay.events == []


def test_topics_choose_what_is_passed(clock: FakeClock) -> None:
    relay = Passing()
    with speaking(clock, relay=relay, routes={"relay": Route(topics=parse_topics("!gas"))}) as notifier:
        notifier.notify("gas is high", key="gas", topic="gas", level=logging.WARNING)
        down(notifier)

    assert relay.messages == ["the RPC is down"]


# ---- beside a backend that folds


def test_beside_a_backend_that_folds_each_gets_what_it_is_for(clock: FakeClock) -> None:
    people, relay, machine = People(), Passing(), MemoryBackend()
    with speaking(clock, people=people, relay=relay, machine=machine) as notifier:
        down(notifier, 3)
        notifier.resolve("rpc")

    assert people.messages == ["the RPC is down", "Resolved: the RPC is down"]
    assert relay.messages[:3] == ["the RPC is down"] * 3
    assert matters(relay.events) == [(RPC, Phase.ANNOUNCED)] * 3 + [(RPC, Phase.RESOLVED)]
    assert machine.messages == relay.messages


def test_what_a_storm_holds_back_here_is_passed_all_the_same(clock: FakeClock) -> None:
    people, relay = People(), Passing()
    with speaking(clock, people=people, relay=relay) as notifier:
        for number in range(5):
            notifier.notify(f"number {number}", key=f"key {number}", level=logging.ERROR)

    assert len(people.messages) == 3  # two that the limit lets through, and the digest
    assert [event.message for event in relay.events] == [f"number {number}" for number in range(5)]
    assert matters(relay.events) == [(id_of_key(f"key {number}"), Phase.ANNOUNCED) for number in range(5)]


def test_counts_and_reminders_of_this_process_are_not_passed(clock: FakeClock) -> None:
    people, relay = People(), Passing()
    with speaking(clock, people=people, relay=relay) as notifier:
        down(notifier, 3)
        assert notifier.flush(LONG)
        clock.advance(3600)  # seconds until the first reminder
        assert people.wait_for(2)[-1].message == "the RPC is down × 3"

    assert relay.messages == ["the RPC is down"] * 3


def test_tickets_say_who_has_it_and_who_has_counted_it(clock: FakeClock) -> None:
    with speaking(clock, people=People(), relay=Passing()) as notifier:
        down(notifier)
        ticket = notifier.notify("the RPC is down", key="rpc", level=logging.ERROR)

        assert ticket.wait(LONG) == {"people": FOLDED, "relay": DELIVERED}


# ---- with a disk


def test_repeats_and_ends_are_on_disk_before_the_call_returns(clock: FakeClock, state: Path) -> None:
    with speaking(clock, state, relay=Passing(durable=True)) as notifier:
        tickets = [notifier.notify("down", key="rpc", level=logging.ERROR) for _ in range(2)]
        tickets.append(notifier.resolve("rpc"))

        assert [ticket.durable for ticket in tickets] == [True] * 3


def test_the_next_process_passes_what_this_one_could_not_with_its_matters(clock: FakeClock, state: Path) -> None:
    unreachable = Passing([ConnectionError()] * 100, durable=True)
    first = Notifier({"relay": unreachable}, outbox=Outbox(state, clock=clock), clock=clock)
    down(first, 2)
    first.resolve("rpc", "back")
    first.close(0)
    relay, people = Passing(durable=True), People(durable=True)

    with speaking(clock, state, relay=relay, people=people) as second:
        assert len(relay.wait_for(3)) == 3
        down(second)  # what was passed on was told to nobody here

    assert matters(relay.events)[:3] == [(RPC, Phase.ANNOUNCED), (RPC, Phase.ANNOUNCED), (RPC, Phase.RESOLVED)]
    assert people.messages == ["the RPC is down"]


def test_what_a_process_before_could_not_pass_on_is_not_counted_here(clock: FakeClock, state: Path) -> None:
    unreachable = Passing([ConnectionError()] * 100, durable=True)
    first = Notifier({"relay": unreachable}, outbox=Outbox(state, clock=clock), clock=clock)
    down(first)
    first.close(0)
    relay, people = Passing(durable=True), People(durable=True)

    with speaking(clock, state, relay=relay, people=people) as second:
        assert len(relay.wait_for(1)) == 1
        down(second)

    (told,) = people.events
    assert told.matter is not None
    assert told.matter.count == 1  # the one that these people are told of
