"""Out of the intake, into the lanes: redacted, routed, and whatever a draft raises."""

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from intakes import an_intake
from lanes import LONG, Ledger, die, until

from notify.backends.memory import MemoryBackend
from notify.clock import SystemClock
from notify.delivery import dispatcher
from notify.delivery.dispatcher import Dispatcher
from notify.delivery.folding.front import INTERVAL, STORM_LIMIT, Folding
from notify.delivery.intake import Kept
from notify.delivery.lane import Lane
from notify.delivery.ticket import DELIVERED, Ticket
from notify.event import Event
from notify.rules.routing import Route, parse_topics


class Draft:
    weight = 0

    def __init__(self, make: Callable[[], Event], ticket: Ticket | None = None) -> None:
        self.level = logging.CRITICAL  # wakes
        self.event = make
        self.ticket = ticket


class Floor:
    """A dispatcher between an intake and lanes of memory backends."""

    def __init__(self, routes: dict[str, Route], first: Callable[["Floor"], None]) -> None:
        lock = threading.RLock()
        self.settled = threading.Condition(lock)
        self.intake = an_intake()
        self.ledger = Ledger()
        self.backends = {name: MemoryBackend(durable=name.startswith("durable")) for name in routes}
        self.lanes = [
            Lane(
                name,
                self.backends[name],
                route,
                clock=SystemClock(),
                lock=lock,
                settled=self.settled,
                outbox=self.ledger if name.startswith("durable") else None,
                on_gone=lambda name, text: None,
                redact=str,
            )
            for name, route in routes.items()
        ]
        self.dispatcher = Dispatcher(
            self.intake,
            self.lanes,
            settled=self.settled,
            redact=masked,
            before_first=lambda: first(self),
            folding=Folding(
                self.backends,
                routes,
                redact=masked,
                clock=SystemClock(),
                journal=None,
                interval=INTERVAL,
                storm_limit=STORM_LIMIT,
            ),
        )

    def event(self, message: str, /, **parts: object) -> Event:
        return Event(**{"id": message, "time": 0.0, "message": message, "level": logging.INFO, **parts})  # type: ignore[arg-type]  # parts of Event, some of them odd on purpose

    def say(self, message: str, /, **parts: object) -> Ticket:
        made = self.event(message, **parts)
        return self.put(lambda: made)

    def put(self, make: Callable[[], Event]) -> Ticket:
        ticket = Ticket("1", changed=self.settled)
        self.intake.accept(Draft(make, ticket))
        return ticket


def masked(events: Sequence[Event]) -> list[Event]:
    return [replace(event, message=event.message.replace("secret", "[redacted]")) for event in events]


@contextmanager
def floor(first: Callable[[Floor], None] = lambda floor: None, /, **routes: Route) -> Iterator[Floor]:
    made = Floor(routes, first)
    try:
        yield made
    finally:
        made.dispatcher.stop(5)
        for lane in made.lanes:
            lane.stop()
            lane.join(5)


def test_each_lane_gets_what_its_route_wants() -> None:
    with floor(people=Route(logging.WARNING), gas=Route(topics=parse_topics("gas")), machine=Route()) as house:
        warning = house.say("warning", level=logging.WARNING)
        gas = house.say("gas", topic="gas")

        assert warning.wait(5) == {"people": DELIVERED, "machine": DELIVERED}
        assert gas.wait(5) == {"gas": DELIVERED, "machine": DELIVERED}
        assert house.backends["people"].messages == ["warning"]
        assert house.backends["machine"].messages == ["warning", "gas"]


def test_an_event_that_no_lane_wants_is_settled_all_the_same() -> None:
    with floor(people=Route(logging.ERROR)) as house:
        assert house.say("unheard").wait(60) == {}


def test_events_that_no_lane_wants_are_counted_and_others_are_not() -> None:
    with floor(people=Route(logging.ERROR), gas=Route(topics=parse_topics("gas"))) as house:
        for _ in range(3):
            house.say("unheard").wait(60)
        house.say("heard", level=logging.ERROR).wait(60)
        house.say("heard by one", topic="gas").wait(60)

        counts = house.intake.stats()
        assert (counts["accepted"], counts["unrouted"], counts["dropped"]) == (3, 3, {})


def test_a_draft_that_breaks_its_promise_ends_nothing(internal_errors: list[str]) -> None:
    def broken() -> Event:
        raise ValueError("broken")

    with floor(people=Route()) as house:
        assert house.put(broken).wait(60) == {"people": "dropped: could not be made"}
        assert house.say("next").wait(60) == {"people": DELIVERED}
    assert internal_errors == ["draft"]


@pytest.mark.parametrize(
    "odd",
    [{"level": "ERROR"}, {"level": None}, {"topic": ["gas"]}, {"topic": None}, {"message": 5}, {"attachments": 7}],
    ids=str,
)
def test_an_event_of_odd_types_ends_nothing(odd: dict[str, object], internal_errors: list[str]) -> None:
    with floor(people=Route(topics=parse_topics("!gas"))) as house:
        assert house.say("odd", **odd).wait(60) == {"people": "dropped: could not be made"}
        assert house.say("next").wait(60) == {"people": DELIVERED}
    assert internal_errors == ["draft"]


def test_stopping_hands_over_what_is_in_the_intake_first() -> None:
    with floor(people=Route()) as house:
        for number in range(1000):  # a few batches
            house.say(str(number))
        house.dispatcher.stop(60)

        assert house.dispatcher.idle()
        assert sum(lane.stats()["accepted"] for lane in house.lanes) == 1000  # type: ignore[misc]  # a number


def test_a_dispatcher_at_work_is_not_idle() -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def slow() -> Event:
        at_work.set()
        go_on.wait()
        return Event(id="1", time=0.0, message="slow", level=logging.INFO)

    with floor(people=Route()) as house:
        ticket = house.put(slow)
        at_work.wait()
        assert len(house.intake) == 0
        assert not house.dispatcher.idle()
        go_on.set()
        assert ticket.wait(60) == {"people": DELIVERED}


def test_ordinary_drafts_that_wake_nobody_are_found_all_the_same() -> None:
    with floor(people=Route()) as house:
        house.intake.wake_level = logging.CRITICAL + 1

        assert house.say("quiet").wait(60) == {"people": DELIVERED}


def test_a_draft_that_raises_what_ends_programs_ends_nothing(internal_errors: list[str]) -> None:
    def broken() -> Event:
        raise KeyboardInterrupt

    with floor(people=Route()) as house:
        assert house.put(broken).wait(60) == {"people": "dropped: could not be made"}
        assert house.say("next").wait(60) == {"people": DELIVERED}
    assert internal_errors == ["draft"]


def test_a_draft_that_cannot_be_made_costs_none_of_those_that_were_taken_with_it(internal_errors: list[str]) -> None:
    tickets: list[Ticket] = []

    def broken() -> Event:
        raise ValueError

    def before_the_first_round(house: Floor) -> None:
        tickets.extend((house.say("before"), house.put(broken), house.say("the secret behind"), house.say("last")))

    with floor(before_the_first_round, people=Route()) as house:
        until(lambda: "last" in house.backends["people"].messages)

        outcomes = [ticket.wait(60)["people"] for ticket in tickets]
        assert outcomes == [DELIVERED, "dropped: could not be made", DELIVERED, DELIVERED]
        assert house.backends["people"].messages == ["before", "the [redacted] behind", "last"]
        assert house.intake.dropped == {"could not be made": 1}
    assert internal_errors == ["draft"]


# ---- what the logging handler has deferred


def events_of(deferred: Sequence[tuple[str, int]]) -> list[Event]:
    """Make an event of each message, and raise for one that is `broken`."""
    return [
        Event(id=message, time=0.0, message=message, level=logging.INFO, topic=message if message == "gas" else "log")
        for message, _ in deferred
        if message != "broken" or message > None  # type: ignore[operator]  # the point
    ]


def test_what_was_deferred_is_redacted_and_goes_where_it_is_wanted_in_its_turn() -> None:
    def before_the_first_round(house: Floor) -> None:
        house.intake.events_of = events_of
        for message in ("one", "the secret", "gas"):
            house.intake.waiting.append((message, 7))
        house.say("four")
        house.intake.waiting.append(("five", 7))
        house.say("six")

    with floor(before_the_first_round, all=Route(), gas=Route(topics=parse_topics("gas")), none=Route(60)) as house:
        until(lambda: "six" in house.backends["all"].messages and house.backends["gas"].messages)

        assert house.backends["all"].messages == ["one", "the [redacted]", "gas", "four", "five", "six"]
        assert house.backends["gas"].messages == ["gas"]
        assert house.intake.stats()["unrouted"] == 0


def test_what_is_taken_together_is_redacted_and_put_into_a_lane_together_whatever_its_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redacted: list[int] = []
    put: list[int] = []

    def before_the_first_round(house: Floor) -> None:
        house.intake.events_of = events_of
        until(lambda: hasattr(house, "dispatcher"))
        redact, put_into = house.dispatcher._redact, house.lanes[0].put
        house.dispatcher._redact = lambda events: redacted.append(len(events)) or redact(events)
        house.lanes[0].put = lambda entries: put.append(len(entries)) or put_into(entries)  # type: ignore[method-assign]  # the point
        for number in range(10):
            house.intake.waiting.append((f"deferred {number}", 7))
            house.intake.waiting.append(Kept(house.event(f"kept {number}"), None, stored=False))
            house.say(f"said {number}")
        go_on.wait(LONG)

    go_on = threading.Event()
    with floor(before_the_first_round, people=Route()) as house:
        go_on.set()
        until(lambda: len(house.backends["people"].messages) == 30)

        kinds = ("deferred", "kept", "said")
        assert house.backends["people"].messages == [f"{kind} {number}" for number in range(10) for kind in kinds]
        assert house.backends["people"].events[1].topic == "log"
    assert (redacted, put) == ([20], [30])  # what was kept is redacted already


def test_what_was_deferred_and_nobody_wants_is_counted() -> None:
    def before_the_first_round(house: Floor) -> None:
        house.intake.events_of = events_of
        house.intake.waiting.extend([("one", 7), ("two", 7)])
        house.say("three")

    with floor(before_the_first_round, people=Route(logging.ERROR)) as house:
        until(lambda: house.intake.stats()["unrouted"] == 3)

        assert house.backends["people"].messages == []


def test_what_cannot_be_made_of_what_was_deferred_costs_none_of_the_others(internal_errors: list[str]) -> None:
    def before_the_first_round(house: Floor) -> None:
        house.intake.events_of = events_of
        house.intake.waiting.extend([("before", 7), ("broken", 7), ("behind", 7)])
        house.say("last")

    with floor(before_the_first_round, people=Route()) as house:
        until(lambda: "last" in house.backends["people"].messages)

        assert house.backends["people"].messages == ["before", "behind", "last"]
        assert house.intake.dropped == {"could not be made": 1}
    assert internal_errors == ["draft"]


class Waits:
    """Stands in for an intake's `wait`: notes how long, and does what is to happen meanwhile."""

    def __init__(self, house: Floor, *meanwhile: int | bool) -> None:
        self.asked: list[float] = []
        self._house = house
        self._meanwhile = list(meanwhile)
        self._wait = house.intake.wait
        house.intake.events_of = events_of
        house.intake.wait = self  # type: ignore[method-assign]  # the point

    def __call__(self, timeout: float) -> bool:
        self.asked.append(timeout)
        if not self._meanwhile:
            return self._wait(timeout)
        happens = self._meanwhile.pop(0)
        if happens is True:  # somebody has woken it
            return True
        self._house.intake.waiting.extend([("x", 1)] * happens)
        return False


def waited(*meanwhile: int | bool) -> list[float]:
    """Return how long the dispatcher has waited each time, until there was nothing more to do."""
    made: list[Waits] = []
    with floor(lambda house: made.append(Waits(house, *meanwhile)), people=Route()) as house:
        until(lambda: bool(made) and not made[0]._meanwhile and house.dispatcher.idle())
    return made[0].asked[: len(meanwhile)]


def test_who_says_very_much_is_let_alone_until_he_has_said_it() -> None:
    # 200 in 50 ms and in each 5 ms, then 99, of which the dispatcher thinks that it was all.
    assert waited(200, 200, 200, 99) == [0.05, 0.005, 0.005, 0.005]


def test_who_goes_on_saying_very_much_is_let_alone_for_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(step=0.03)  # each look at the time is so much later
    monkeypatch.setattr(dispatcher, "time", SimpleNamespace(monotonic=lambda: next(seconds)))

    # The first look at the time begins the tenth of a second, and the fifth is after it.
    assert waited(200, 200, 200, 200, 0) == [0.05, 0.005, 0.005, 0.005, 0.05]


def test_who_says_something_important_need_not_wait_for_others_to_be_silent() -> None:
    assert waited(200, True, 0) == [0.05, 0.005, 0.05]


def test_a_few_log_lines_are_no_rush() -> None:
    assert waited(10, 0, 99, 0) == [0.05] * 4


# ---- redaction and what is on disk


def test_an_event_is_redacted_before_any_lane_has_it_and_stays_as_it_was_for_its_caller() -> None:
    mine = Event(id="1", time=0.0, message="the secret", level=logging.INFO)

    with floor(people=Route(), machine=Route()) as house:
        house.put(lambda: mine).wait(LONG)

        assert house.backends["people"].messages == house.backends["machine"].messages == ["the [redacted]"]
    assert mine.message == "the secret"


def test_what_was_kept_is_redacted_already_and_leaves_the_disk_when_it_has_arrived() -> None:
    with floor(durable=Route(), people=Route()) as house:
        ticket = Ticket("1", changed=house.settled)
        event = Event(id="1", time=0.0, message="said to be no secret", level=logging.INFO)

        house.intake.waiting.append(Kept(event, ticket, stored=True))
        house.intake.wake()

        assert ticket.wait(LONG) == {"durable": DELIVERED, "people": DELIVERED}
        assert house.backends["durable"].messages == ["said to be no secret"]
        assert house.ledger.lines == ["delivered durable 1"]


def test_an_event_is_stored_only_in_the_lanes_that_are_durable() -> None:
    crowded = {"durable": Route(), "people": Route()}
    with floor(**crowded) as house:
        event = Event(id="1", time=0.0, message="", level=logging.INFO)
        put: dict[str, bool] = {}
        for lane in house.lanes:
            lane.put = lambda entries, name=lane.name: put.update({name: entries[0].stored})  # type: ignore[method-assign]  # the point

        house.intake.waiting.append(Kept(event, None, stored=True))
        house.intake.wake()

        until(lambda: len(put) == 2)
        assert put == {"durable": True, "people": False}


def test_what_the_intake_had_no_room_for_is_parked_in_every_durable_lane_that_wants_it_and_lost_in_the_others() -> None:
    crashes = Route(level=logging.CRITICAL)
    with floor(durable_a=Route(), durable_b=Route(), durable_c=crashes, people=Route()) as house:
        event = Event(id="1", time=0.0, message="", level=logging.INFO)
        house.intake._parked.append(Kept(event, None, stored=True))
        house.intake.wake()

        until(lambda: house.lanes[-1].dropped())  # the last
        assert house.ledger.lines == ["park durable_a 1", "park durable_b 1"]
        assert house.lanes[-1].dropped() == {"intake full": 1}


def test_what_is_to_be_first_is_done_before_anything_is_handed_over() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def first(house: Floor) -> None:
        begun.set()
        go_on.wait(LONG)

    with floor(first, people=Route()) as house:
        ticket = house.say("new", level=logging.CRITICAL)
        assert begun.wait(LONG)
        assert (len(house.intake), ticket.wait(0)) == (1, {})
        go_on.set()

        assert ticket.wait(LONG) == {"people": DELIVERED}


def test_a_dispatcher_that_died_is_started_again_and_nothing_that_was_taken_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []
    with floor(lambda house: begun.append("first"), people=Route()) as house:
        with monkeypatch.context() as patched:
            patched.setattr(dispatcher, "_LOOK_EVERY", LONG)  # it stays where it waits
            assert house.say("before").wait(LONG) == {"people": DELIVERED}
            die("dispatcher", waiting_in="wait", wake=house.intake.wake)
        ticket = house.say("while it is dead")
        assert not house.dispatcher.idle()

        house.dispatcher.revive()

        assert ticket.wait(LONG) == {"people": DELIVERED}
        assert house.backends["people"].messages == ["before", "while it is dead"]
    assert begun == ["first"]  # and not once more
