"""A destination is gone, and another backend gets its events: nothing is lost, nothing is told twice."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from children import ended, running
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import LONG, Gate, Hanging, Scripted, pass_time, until, waits
from outboxes import disk
from traders import titles

from notify.backends.discord import DiscordBackend
from notify.backends.telegram import TelegramBackend
from notify.delivery.absence import Absence
from notify.delivery.disk import NoDisk
from notify.delivery.holdings import ABOUT_STAND_IN, Holdings
from notify.delivery.lane import Lane
from notify.delivery.outbox import Outbox, listing
from notify.delivery.outbox.errors import StoreHeld
from notify.delivery.outbox.store import Store
from notify.delivery.queue import Entry, LaneQueue
from notify.delivery.retry import PROBE_INTERVAL
from notify.errors import ConfigError, Gone, RetryLater
from notify.event import Event
from notify.notifier import Notifier
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock
from notify.testing.fake_discord import FakeDiscord
from notify.testing.fake_telegram import CHAT_ID, TOKEN, FakeTelegram

GONE = "no such webhook"
QUIET = Route(logging.INFO, parse_topics("nothing"))  # wants nothing of its own
SILENT = Route(logging.INFO, parse_topics("!alert"))  # nothing of what is told of the delivery itself


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
    clock = clock or FakeClock()
    outbox = None if state is None else Outbox(state, clock=clock)
    with Notifier(backends, routes=routes, clock=clock, outbox=outbox) as notifier:
        yield notifier


def falling(to: str, route: Route = SILENT) -> Route:
    return Route(route.level, route.topics, fallback=to)


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


def wait_for_both_gone(notifier: Notifier, waiting: int) -> None:
    """Wait until both are known to be gone, and all that is *waiting* is where it was meant to go."""

    def so() -> bool:
        first, second = (notifier.stats()[name] for name in ("first", "second"))
        # The second has nothing but the news that the first is gone.
        known = first["last_error"] == second["last_error"] == GONE
        idle = waits("lane-first", "wait") and waits("lane-second", "wait")
        return known and idle and (first["pending"], second["pending"]) == (waiting, 1)

    until(so)


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

    told = f"first takes no messages any more: {GONE}. It is tried again every ten minutes. Meanwhile second gets them."
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


def test_a_backend_that_is_gone_and_does_not_even_answer_is_tried_every_ten_minutes_too() -> None:
    clock, second = FakeClock(), Switch()
    first = Scripted(Gone(GONE), OSError("unreachable"), Gone(GONE))

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        notifier.notify("a").wait(LONG)
        clock.advance(PROBE_INTERVAL)
        notifier.notify("b").wait(LONG)
        clock.advance(PROBE_INTERVAL - 1)
        notifier.notify("c").wait(LONG)
        clock.advance(1)
        notifier.notify("d").wait(LONG)

    assert first.batches == ["a", "b", "d"]
    assert second.messages == ["a", "b", "c", "d"]


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
        wait_for_both_gone(notifier, 2)
        assert counts(notifier, "first") == (2, 0, 0)
        assert_all_is_accounted_for(notifier)
        first.gone = False
        clock.advance(PROBE_INTERVAL)
        until(lambda: len(first.messages) == 2)

        assert_all_is_accounted_for(notifier)
    assert sorted(first.messages) == ["a", "b"]
    assert all("in place of" not in event.fields for event in first.events)
    assert second.messages == []


def test_when_the_fallback_is_there_again_it_gets_what_waits() -> None:
    clock, first, second = FakeClock(), Switch(gone=True), Switch(gone=True)

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        for number in range(20):
            notifier.notify(f"{number}")
        wait_for_both_gone(notifier, 20)
        second.gone = False
        clock.advance(PROBE_INTERVAL)
        assert notifier.flush(LONG)  # the first has not to wait for its own next attempt

        assert counts(notifier, "first") == (20, 0, 20)
        assert_all_is_accounted_for(notifier)
    assert sorted(second.messages, key=int) == [f"{number}" for number in range(20)]


def test_what_comes_home_goes_before_what_was_said_since() -> None:
    lock, backend = threading.RLock(), Hanging()
    lane = Lane(
        "first",
        backend,
        QUIET,
        clock=FakeClock(),
        lock=lock,
        settled=threading.Condition(lock),
        outbox=None,
        on_gone=lambda name, text: None,
        redact=str,
    )
    under_way, *said = (Entry.of(Event(id=text, time=0.0, message="", level=20), None) for text in "xabcd")
    lane.put([under_way])
    assert backend.called.wait(LONG)
    lane.put(said[2:])

    lane.take_back(said[:2])
    backend.let.set()
    until(lambda: len(backend.events) == 5)
    lane.stop()
    lane.join(LONG)

    assert [event.id for event in backend.events] == ["x", "a", "b", "c", "d"]


def test_what_comes_in_the_place_of_another_while_guests_go_home_stays() -> None:
    queue, lock = LaneQueue(), threading.RLock()
    chat = Holdings("chat", queue, NoDisk(), lock, threading.Condition(lock))
    said = Entry.of(Event(id="a", time=0.0, message="", level=20), None)

    class Home:
        def __init__(self, name: str) -> None:
            self.name = name

        def take_back(self, entries: Sequence[Entry], /) -> None:
            queue.put([said._replace(home=two)])

    one, two = Home("one"), Home("two")
    queue.put([said._replace(home=one)])

    Absence(chat, NoDisk(), on_gone=lambda *_: None, on_moved=lambda *_: None).send_home()

    assert [guest.home for guest in chat.guests()] == [two]  # or the event would be nowhere


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


# ---- matters


class People(Switch):
    """A backend that people read: repeats fold."""

    def __init__(self, *, gone: bool = False, edits: bool = False) -> None:
        super().__init__(gone=gone, folds=True, edits=edits)


def test_repeats_of_what_the_fallback_was_told_are_counted_there_and_it_is_told_the_end() -> None:
    clock, first, second = FakeClock(), People(gone=True), People()

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        notifier.notify("RPC is down", level=logging.ERROR, key="rpc").wait(LONG)
        for _ in range(9):
            notifier.notify("RPC is down", level=logging.ERROR, key="rpc")
        assert notifier.flush(LONG)
        assert second.messages == ["RPC is down"]
        clock.advance(3600)
        until(lambda: len(second.messages) == 2)
        first.gone = False
        ended = notifier.resolve("rpc").wait(LONG)

        assert counts(notifier, "first") == (10, 0, 1)  # nine were counted
        assert_all_is_accounted_for(notifier)
    assert second.messages == ["RPC is down", "RPC is down × 10", "Resolved: RPC is down"]
    assert ended == {"second": "delivered"}
    assert first.messages == []  # who was told of no beginning is told of no end


def test_an_end_reaches_who_was_told_of_the_beginning_and_in_his_place_the_fallback() -> None:
    clock, first, second = FakeClock(), People(), People()

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        notifier.notify("RPC is down", level=logging.ERROR, key="rpc").wait(LONG)
        first.gone = True
        notifier.resolve("rpc").wait(LONG)

        assert_all_is_accounted_for(notifier)
    assert first.messages == ["RPC is down"]
    assert second.messages == ["Resolved: RPC is down"]


def test_a_count_that_only_changes_a_message_is_not_handed_over() -> None:
    clock, first, second = FakeClock(), People(edits=True), People()

    with speaking(PAIR, clock=clock, first=first, second=second) as notifier:
        notifier.notify("RPC is down", level=logging.ERROR, key="rpc").wait(LONG)
        first.gone = True
        notifier.notify("RPC is down", level=logging.ERROR, key="rpc")
        assert notifier.flush(LONG)
        clock.advance(30)
        until(lambda: first.asked == 2)
        assert notifier.flush(LONG)

        assert counts(notifier, "first") == (3, 1, 0)  # the announcement, a repeat and the count
        assert_all_is_accounted_for(notifier)
    assert second.messages == []


def test_repeats_for_a_machine_are_counted_by_a_fallback_that_folds() -> None:
    first, second = Switch(gone=True), People()

    with speaking(PAIR, first=first, second=second) as notifier:
        for _ in range(10):
            notifier.notify("RPC is down", level=logging.ERROR, key="rpc")
        assert notifier.flush(LONG)

        assert counts(notifier, "first") == (10, 0, 10)
        assert notifier.stats()["second"]["folded"] == 9
        assert_all_is_accounted_for(notifier)
        assert second.messages == ["RPC is down"]


def test_in_the_place_of_a_relay_where_repeats_are_counted_people_get_the_first_the_worse_and_the_end() -> None:
    relay, people = Switch(gone=True), People()
    relay.passes_matters = relay.in_order = people.in_order = True
    with speaking(PAIR, first=relay, second=people) as notifier:
        for level in (logging.WARNING, logging.WARNING, logging.ERROR, logging.ERROR):
            notifier.notify("No RPC", level=level, key="rpc")
        notifier.resolve("rpc")
        notifier.notify("No RPC", level=logging.WARNING, key="rpc")
        for _ in range(2):
            notifier.notify("Said without a key", level=logging.WARNING)
            notifier.notify("A line")  # below WARNING nothing folds

        assert notifier.flush(LONG)
        assert people.messages == [
            *("No RPC", "No RPC", "Resolved: rpc", "No RPC", "Said without a key", "A line", "A line"),
        ]
        assert notifier.stats()["second"]["folded"] == 3  # one warning, one error and one without a key
        assert_all_is_accounted_for(notifier)


def test_what_comes_back_from_a_fallback_that_is_gone_too_was_told_to_nobody() -> None:
    clock, relay, people = FakeClock(), Switch(gone=True), People()
    relay.passes_matters = True
    with speaking(PAIR, clock=clock, first=relay, second=people) as notifier:
        notifier.notify("A line")
        assert notifier.flush(LONG)
        people.gone = True
        ticket = notifier.notify("No RPC", level=logging.WARNING, key="rpc")
        until(lambda: notifier.stats()["second"]["retried"])
        until(lambda: counts(notifier, "second")[0] == 2)  # it has come back: this is the line and the alert
        people.gone = False
        clock.advance(PROBE_INTERVAL)

        assert notifier.flush(LONG)
        assert ticket.wait(LONG)["second"] == "delivered"
    assert people.messages == ["A line", "No RPC"]


def test_after_a_restart_while_it_is_still_gone_nothing_is_announced_again(state: Path) -> None:
    routes, first, second = PAIR, People(gone=True), People()
    for _ in range(3):
        with speaking(routes, state=state, first=first, second=second) as notifier:
            notifier.notify("RPC is down", level=logging.ERROR, key="rpc")
            assert notifier.flush(LONG)

    assert second.messages == ["RPC is down"]


# ---- on disk


def test_a_durable_event_changes_its_destination_on_disk_and_the_next_start_delivers_it_there(state: Path) -> None:
    first, hanging = Switch(gone=True), Hanging(durable=False)  # it is durable since it stands in for one that is
    try:
        with speaking(PAIR, state=state, first=first, second=hanging) as notifier:
            assert notifier.trade("Bought").durable
            until(lambda: hanging.called.is_set() and notifier.stats()["first"]["handed_over"] == 1)
            assert on_disk(state) == [("second", "Bought")]
            notifier.close(0)
    finally:
        hanging.let.set()
    until(lambda: hanging.events)


def test_what_waits_on_disk_for_a_backend_that_is_gone_goes_to_the_fallback_of_the_next_start(state: Path) -> None:
    with speaking({}, state=state, first=Switch(gone=True)) as notifier:
        for text in ("a", "b", "c"):
            notifier.trade(text)
        notifier.close(0)
    assert [destination for destination, _ in on_disk(state)] == ["first"] * 3
    first, second = Switch(gone=True), Switch()

    with speaking(PAIR, state=state, first=first, second=second) as notifier:
        assert notifier.flush(LONG)

        assert_all_is_accounted_for(notifier)
    assert (first.asked, second.messages) == (1, ["a", "b", "c"])
    assert on_disk(state) == []


def test_an_event_that_comes_back_has_its_own_destination_and_its_own_text_on_disk_again(state: Path) -> None:
    first, second = Switch(gone=True), Switch(gone=True)
    with speaking(PAIR, state=state, first=first, second=second) as notifier:
        notifier.trade("Bought")
        wait_for_both_gone(notifier, 1)
        notifier.close(0)

    (row,) = listing.waiting(state, 10)
    assert row.event is not None
    assert (row.destination, row.event.message, dict(row.event.fields)) == ("first", "Bought", {})


def test_while_the_disk_is_in_trouble_events_are_handed_over_all_the_same(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[str] = []
    move = Store.move

    def refusing(store: Store, *args: Any, **more: Any) -> None:
        moves.append("tried")
        if len(moves) == 1:
            raise StoreHeld("the disk is full")
        move(store, *args, **more)

    monkeypatch.setattr(Store, "move", refusing)
    second = Switch()

    with speaking(PAIR, state=state, first=Switch(gone=True), second=second) as notifier:
        notifier.trade("Bought")
        assert notifier.flush(LONG)

    assert second.messages == ["Bought"]
    assert len(moves) == 2  # it is written down before that it has arrived
    assert on_disk(state) == []


@pytest.mark.process
def test_on_a_full_disk_events_are_handed_over_and_what_is_left_there_is_cleared_when_there_is_room(
    tmp_path: Path,
) -> None:
    clock, first, second = FakeClock(), Scripted(RetryLater(after=5), Gone(GONE), durable=True), Switch()
    with disk(tmp_path / "disk", "size=4m"):
        state, ballast = tmp_path / "disk" / "state", tmp_path / "disk" / "ballast"
        with speaking(PAIR, clock=clock, state=state, first=first, second=second) as notifier:
            assert notifier.trade("x" * 100_000).durable
            until(lambda: notifier.stats()["first"]["retried"] == 1)
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            clock.advance(5)
            assert notifier.flush(LONG)

            assert notifier.stats()["outbox"]["broken"] == "the disk is full"
            assert second.messages == ["x" * 100_000]
            ballast.unlink()
        assert on_disk(state) == []


FALLING = """
import notify
from pathlib import Path
from notify.delivery import absence, lane
from notify.delivery.outbox import front, store
from notify.errors import Gone

place, state, received = sys.argv[1:]
said = threading.Event()

def killed(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

def kill_at(owner, name, *, after=False):
    inner = getattr(owner, name)
    def outer(*args, **more):
        if after:
            inner(*args, **more)
        killed()
    setattr(owner, name, outer)

if place == "before the move":
    kill_at(store.Store, "move")
elif place == "after the move":
    kill_at(store.Store, "move", after=True)
elif place == "before the fallback has it":
    kill_at(absence, "_settle")
elif place == "before it is noted":
    kill_at(lane.Lane, "handed_over")

class First:
    durable = True
    def send(self, events):
        said.wait()
        raise Gone("no such webhook")
    def close(self):
        pass

class Second:
    durable = True
    folds = False
    def send(self, events):
        if place == "before it is sent":
            killed()
        with open(received, "a") as file:
            file.write(events[0].message + "\\n")
        if place == "before it is acknowledged":
            killed()
    def close(self):
        pass

env = {"FIRST_FALLBACK": "second", "SECOND_TOPICS": "nothing", "FIRST_TOPICS": "trade",
       "NOTIFY_STATE_DIR": state, "NOTIFY_STDOUT": "off"}
notifier = notify.setup(env=env, backends={"first": First(), "second": Second()})
if place != "nowhere":
    for number in range(5):
        assert notifier.trade(f"Bought {number}").durable
    said.set()
    idle()
else:
    said.set()
    assert notifier.flush(30)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("place", "may_come_twice"),
    [
        ("before the move", 0),
        ("after the move", 0),
        ("before the fallback has it", 0),
        ("before it is noted", 1),
        ("before it is sent", 0),
        ("before it is acknowledged", 1),
    ],
)
def test_killed_while_events_are_handed_over_the_next_start_delivers_each_of_them_to_the_fallback(
    place: str, may_come_twice: int, state: Path, tmp_path: Path
) -> None:
    received = tmp_path / "received"
    received.touch()
    with running(FALLING, arguments=[place, state, received]) as process:
        assert ended(process).code == -signal.SIGKILL
    with running(FALLING, arguments=["nowhere", state, received]) as process:
        assert ended(process).code == 0

    lines = received.read_text().splitlines()
    bought = [f"Bought {number}" for number in range(5)]
    assert {line for line in lines if line.startswith("Bought")} == set(bought)
    # One was sent when it happened, and whether its sender still noted that is up to the threads.
    assert sum(lines.count(text) > 1 for text in bought) <= may_come_twice, lines
    assert on_disk(state) == []


# ---- from outside


def test_a_webhook_that_was_deleted_hands_its_alerts_over_to_telegram_and_to_another_webhook() -> None:
    with FakeDiscord() as discord, FakeDiscord() as ops, FakeTelegram() as telegram:
        discord.answer_with(404)
        ops.answer_with(404)
        backends = {
            "discord": DiscordBackend(discord.url),
            "discord_ops": DiscordBackend(ops.url),
            "telegram": TelegramBackend(TOKEN, CHAT_ID, base=telegram.base),
        }
        routes = {"discord": falling("discord_ops"), "discord_ops": falling("telegram", QUIET), "telegram": QUIET}
        with Notifier(backends, routes=routes) as notifier:
            outcome = notifier.notify("Liquidated", level=logging.CRITICAL).wait(LONG)

        assert outcome["telegram"] == "delivered"
        (text,) = [text for text in telegram.texts if "Liquidated" in text]
        assert "in place of" in text
        assert "discord" in text
        assert titles(discord) == titles(ops) == []


def test_closing_hands_over_what_waits_and_waits_for_the_fallback() -> None:
    first, gate = Gate(), Gate()
    notifier = Notifier({"first": first, "second": gate}, routes=PAIR)  # type: ignore[dict-item]  # Gates
    notifier.notify("a")
    first.called.acquire()
    notifier.notify("b")

    def gone(events: Sequence[Event], /) -> int:
        raise Gone(GONE)

    def told() -> None:
        first.let.release(2)
        gate.let.release(9)

    first.send = gone  # type: ignore[method-assign]  # from the second call on
    threading.Timer(0.2, told).start()
    notifier.close(LONG)

    assert gate.batches[-1] == ["b"]
    assert_all_is_accounted_for(notifier)


@pytest.mark.process
def test_a_forked_child_learns_for_itself_that_a_backend_is_gone_and_hands_over_its_own() -> None:
    first, second = Switch(gone=True), Switch()
    with speaking(PAIR, first=first, second=second) as notifier:
        notifier.notify("parent").wait(LONG)
        pid = os.fork()
        if pid == 0:
            outcome = notifier.notify("child").wait(LONG)
            fine = dict(outcome) == {"first": "handed over to second", "second": "delivered"}
            os._exit(0 if fine and second.messages == ["parent", "child"] and first.asked == 2 else 1)
        assert os.waitpid(pid, 0)[1] == 0


# ---- what is no fallback


@pytest.mark.parametrize(
    ("fallbacks", "text"),
    [
        ({"first": "first"}, "routes['first']: fallback: a backend cannot stand in for itself"),
        ({"first": "third"}, "routes['first']: fallback: not the name of a backend; here there is second"),
        (
            {"first": "second", "second": "first"},
            "routes['first']: fallback: goes round in a circle: first → second → first",
        ),
    ],
)
def test_a_fallback_that_cannot_be_one_is_a_configuration_error(fallbacks: dict[str, str], text: str) -> None:
    routes = {name: Route(fallback=to) for name, to in fallbacks.items()}

    with pytest.raises(ConfigError) as caught:
        Notifier({"first": Switch(), "second": Switch()}, routes=routes)

    assert str(caught.value) == text


# ---- what is about the one that stands in


def test_what_is_not_for_the_fallback_is_dropped_and_neither_told_nor_counted_as_handed_over() -> None:
    first, second = Switch(gone=True), Switch()
    with speaking({"first": Route(fallback="second"), "second": Route()}, first=first, second=second) as notifier:
        assert notifier.notify("m").wait(LONG)["second"] == "delivered"
        # The message, and the news that the first is gone, are in the second's hands.
        until(lambda: counts(notifier, "first") == (1, 0, 1) and counts(notifier, "second") == (2, 2, 0))

        notifier._pipeline._announcer.say("Not delivered to second: 1 event (rejected).", but_not_to="second")
        until(lambda: notifier.stats()["first"]["dropped"] == {ABOUT_STAND_IN: 1})

        assert counts(notifier, "first") == (2, 0, 1)
        assert counts(notifier, "second") == (2, 2, 0)
        for _ in range(2):  # what were told of it would be dropped for the same reason, and so on
            notifier._pipeline._housekeeping.tell_drops()
        assert notifier.flush(LONG)
        assert counts(notifier, "second") == (2, 2, 0)
        assert_all_is_accounted_for(notifier)


def test_who_was_told_anyway_is_not_told_again_in_the_place_of_another_whatever_its_route_wants() -> None:
    first, second = Switch(gone=True), Switch()
    routes = {"first": Route(fallback="second"), "second": QUIET, "third": Route(fallback="second")}
    with speaking(routes, first=first, second=second, third=Switch(gone=True)) as notifier:
        notifier.notify("m").wait(LONG)
        # Each has the message and the news that the other is gone, and hands over both.
        until(lambda: counts(notifier, "first")[2] == counts(notifier, "third")[2] == 2)
        until(lambda: notifier.stats()["second"]["pending"] == 0)

    told = sorted(event.message.partition(" takes")[0] for event in second.events if event.topic == "alert")
    assert told == ["first", "third"]
