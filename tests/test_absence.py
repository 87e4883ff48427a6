"""A destination is gone, and another backend gets its events: nothing is lost, nothing is told twice."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from children import ended
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import LONG, Bench, Gate, Hanging, Ledger, Scripted, pass_time, until
from outboxes import opened
from traders import titles, trader

from notify.backends.discord import DiscordBackend
from notify.backends.memory import MemoryBackend
from notify.backends.telegram import TelegramBackend
from notify.delivery.outbox import Outbox, listing
from notify.delivery.retry import PROBE_INTERVAL
from notify.errors import ConfigError, Gone, RetryLater
from notify.event import Event
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock
from notify.testing.fake_discord import FakeDiscord
from notify.testing.fake_telegram import FakeTelegram

GONE = "no such webhook"
QUIET = Route(logging.INFO, parse_topics("nothing"))  # wants nothing of its own


class Switch:
    """A backend that is gone while a switch says so, and notes what it got, and what it was asked."""

    max_batch = 10

    def __init__(self, *, gone: bool = False, durable: bool = True, folds: bool = False, edits: bool = False) -> None:
        self.gone = gone
        self.durable = durable
        self.folds = folds
        if edits:
            self.posted: dict[str, str] = {}
        self.events: list[Event] = []
        self.asked = 0

    def send(self, events: Sequence[Event], /) -> int:
        self.asked += 1
        if self.gone:
            raise Gone(GONE)
        self.events.extend(events)
        return len(events)

    def close(self) -> None:
        pass

    @property
    def messages(self) -> list[str]:
        """What it got, but for what is told of the delivery itself."""
        return [event.message for event in self.events if event.topic != "alert"]


@contextmanager
def speaking(
    routes: Mapping[str, Route], /, *, clock: FakeClock | None = None, state: Path | None = None, **backends: Any
) -> Iterator[Notifier]:
    outbox = None if state is None else Outbox(state)
    with Notifier(backends, routes=routes, clock=clock or FakeClock(), outbox=outbox) as notifier:
        yield notifier


def falling(to: str, route: Route = Route()) -> Route:
    return Route(route.level, route.topics, to)


PAIR = {"first": falling("second"), "second": QUIET}


def counts(notifier: Notifier, name: str) -> tuple[object, object, object]:
    """Return how much a backend has accepted, delivered and handed over."""
    stats = notifier.stats()[name]
    return stats["accepted"], stats["delivered"], stats["handed_over"]


def assert_all_is_accounted_for(notifier: Notifier) -> None:
    for name, stats in notifier.stats().items():
        if name in ("intake", "outbox"):
            continue
        dropped: Any = stats["dropped"]
        ended: list[Any] = [stats[what] for what in ("delivered", "pending", "folded", "handed_over")]
        assert stats["accepted"] == sum(ended) + sum(dropped.values()), name


def on_disk(state: Path) -> list[tuple[str, str]]:
    """Return destination and message of what waits, oldest first."""
    return [(row.destination, row.event.message) for row in listing.waiting(state, 10_000) if row.event is not None]


# ---- who gets it


def test_what_was_for_a_backend_that_is_gone_goes_to_its_fallback_which_says_in_whose_place_it_has_it() -> None:
    first, second = Switch(gone=True), Switch()

    with speaking(PAIR, first=first, second=second) as notifier:
        outcomes = [notifier.notify(text).wait(LONG) for text in ("a", "b")]

        assert counts(notifier, "first") == (2, 0, 2)
        assert_all_is_accounted_for(notifier)
    assert outcomes == [{"first": "handed over to second", "second": "delivered"}] * 2
    assert [dict(event.fields) for event in second.events if event.topic != "alert"] == [{"in place of": "first"}] * 2
    assert first.asked == 1  # and not again within ten minutes


def test_what_the_fallback_wants_anyway_it_gets_once() -> None:
    first, second = Switch(gone=True), Switch()

    with speaking({"first": falling("second"), "second": Route(logging.ERROR)}, first=first, second=second) as notifier:
        for level in (logging.INFO, logging.ERROR):
            notifier.notify(f"at {level}", level=level)
        assert notifier.flush(LONG)

        assert counts(notifier, "first") == (2, 0, 2)
        assert_all_is_accounted_for(notifier)
    assert sorted(second.messages) == ["at 20", "at 40"]


def test_what_waits_when_a_backend_turns_out_to_be_gone_goes_to_the_fallback_in_its_order() -> None:
    clock, second = FakeClock(), Switch()
    first = Scripted(RetryLater(after=5), Gone(GONE), max_batch=3)

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        for number in range(600):  # more than twice what is handed over at once
            notifier.notify(f"{number}")
        until(lambda: notifier.stats()["first"]["retried"] == 1 and notifier.stats()["first"]["pending"] == 600)
        clock.advance(5)
        assert notifier.flush(LONG)

        assert counts(notifier, "first") == (600, 0, 600)
    assert second.messages == [f"{number}" for number in range(600)]


def test_people_are_told_who_stands_in_and_so_is_who_does_whatever_it_wants() -> None:
    first, second, third = Switch(gone=True), Switch(), Switch()

    with speaking(PAIR, first=first, second=second, third=third) as notifier:
        notifier.notify("a").wait(LONG)

    told = "first takes no messages any more: no such webhook. It is tried again every ten minutes. Meanwhile second gets them."
    for backend in (second, third):
        assert [event.message for event in backend.events if event.topic == "alert"] == [told]


def test_without_a_fallback_events_wait_as_ever() -> None:
    first, second = Switch(gone=True), Switch()

    with speaking({"second": QUIET}, first=first, second=second) as notifier:
        notifier.notify("a")
        until(lambda: first.asked)

        assert counts(notifier, "first") == (1, 0, 0)
        assert notifier.stats()["first"]["pending"] == 1
        notifier.close(0)
    assert second.messages == []


# ---- probes, and coming back


def test_the_next_event_after_ten_minutes_is_tried_at_the_backend_itself_first() -> None:
    clock, first, second = FakeClock(), Switch(gone=True), Switch()

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        for text in ("a", "b"):
            notifier.notify(text).wait(LONG)
        clock.advance(PROBE_INTERVAL)
        for text in ("c", "d"):
            notifier.notify(text).wait(LONG)
        assert first.asked == 2  # with a and c
        first.gone = False
        clock.advance(PROBE_INTERVAL)
        assert notifier.notify("e").wait(LONG) == {"first": "delivered"}
        assert notifier.notify("f").wait(LONG) == {"first": "delivered"}

        assert counts(notifier, "first") == (6, 2, 4)
        assert_all_is_accounted_for(notifier)
    assert second.messages == ["a", "b", "c", "d"]
    assert first.messages == ["e", "f"]


def test_one_event_alone_is_tried_so_that_the_others_need_not_wait_for_the_answer() -> None:
    clock, second = FakeClock(), Switch()
    first = Scripted(Gone(GONE), Gone(GONE), max_batch=10)

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        notifier.notify("a").wait(LONG)
        clock.advance(PROBE_INTERVAL)
        for text in ("b", "c", "d"):
            notifier.notify(text)
        assert notifier.flush(LONG)

    assert first.batches[:2] == ["a", "b"]


# ---- more than one is gone


def test_a_chain_of_fallbacks_ends_at_the_first_that_is_there() -> None:
    first, second, third = Switch(gone=True), Switch(gone=True), Switch()
    routes = {"first": falling("second"), "second": falling("third", QUIET), "third": QUIET}

    with speaking(routes, first=first, second=second, third=third) as notifier:
        outcome = notifier.notify("a").wait(LONG)

        assert_all_is_accounted_for(notifier)
    assert outcome == {"first": "handed over to second", "second": "handed over to third", "third": "delivered"}
    assert [event.fields for event in third.events if event.message == "a"] == [{"in place of": "first"}]


def test_when_the_fallback_is_gone_too_everything_waits_where_it_was_meant_to_go() -> None:
    clock, first, second = FakeClock(), Switch(gone=True), Switch(gone=True)

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        for text in ("a", "b"):
            notifier.notify(text)
        until(lambda: notifier.stats()["first"]["pending"] == 2 and second.asked)
        assert counts(notifier, "first") == (2, 0, 0)
        assert_all_is_accounted_for(notifier)
        first.gone = False
        until(lambda: pass_time(notifier, clock) is not None and first.messages)

        assert_all_is_accounted_for(notifier)
    assert sorted(first.messages) == ["a", "b"]
    assert all("in place of" not in event.fields for event in first.events)
    assert second.messages == []


def test_when_the_fallback_is_there_again_it_gets_what_waits() -> None:
    clock, first, second = FakeClock(), Switch(gone=True), Switch(gone=True)

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        for number in range(20):
            notifier.notify(f"{number}")
        until(lambda: notifier.stats()["first"]["pending"] == 20 and second.asked)
        second.gone = False
        pass_time(notifier, clock)

        assert counts(notifier, "first") == (20, 0, 20)
        assert_all_is_accounted_for(notifier)
    assert sorted(second.messages, key=int) == [f"{number}" for number in range(20)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["say", "shout", "first", "second", "third", "ten minutes"]), max_size=25))
def test_whoever_is_gone_and_comes_back_every_event_arrives_once_and_is_accounted_for(happens: list[str]) -> None:
    clock = FakeClock()
    backends = {name: Switch() for name in ("first", "second", "third")}
    routes = {"first": falling("second"), "second": falling("third", Route(logging.ERROR)), "third": QUIET}
    said: list[str] = []
    with speaking(routes, clock=clock, **backends) as notifier:
        for number, what in enumerate(happens):
            if what in backends:
                backends[what].gone = not backends[what].gone
            elif what == "ten minutes":
                clock.advance(PROBE_INTERVAL)
            else:
                said.append(f"{number} {what}")
                notifier.notify(said[-1], level=logging.INFO if what == "say" else logging.ERROR)
        for backend in backends.values():
            backend.gone = False
        pass_time(notifier, clock)
        assert_all_is_accounted_for(notifier)

    arrived = [message for backend in backends.values() for message in backend.messages]
    for message in said:
        # The second backend wants an error of its own: it arrives there, and at the first unless that was gone.
        assert 1 <= arrived.count(message) <= (1 if message.endswith("say") else 2), message
    for name, backend in backends.items():
        assert len(backend.messages) == len(set(backend.messages)), name
