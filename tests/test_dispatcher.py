import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from notify.backends.memory import MemoryBackend
from notify.clock import SystemClock
from notify.delivery.dispatcher import Dispatcher
from notify.delivery.intake import Intake
from notify.delivery.lane import Lane
from notify.delivery.ticket import DELIVERED, Ticket
from notify.event import Event
from notify.rules.routing import Route, parse_topics


class Draft:
    def __init__(self, make: Callable[[], Event], ticket: Ticket | None = None) -> None:
        self.level = logging.CRITICAL  # wakes
        self.event = make
        self.ticket = ticket


class Floor:
    """A dispatcher between an intake and lanes of memory backends."""

    def __init__(self, **routes: Route) -> None:
        self.settled = threading.Condition()
        self.intake = Intake()
        self.backends = {name: MemoryBackend() for name in routes}
        self.lanes = [
            Lane(name, self.backends[name], route, clock=SystemClock(), settled=self.settled)
            for name, route in routes.items()
        ]
        self.dispatcher = Dispatcher(self.intake, self.lanes, settled=self.settled)

    def say(self, message: str, /, **parts: object) -> Ticket:
        made = Event(**{"id": message, "time": 0.0, "message": message, "level": logging.INFO, **parts})  # type: ignore[arg-type]  # parts of Event, some of them odd on purpose
        return self.put(lambda: made)

    def put(self, make: Callable[[], Event]) -> Ticket:
        ticket = Ticket("1", durable=False, changed=self.settled)
        self.intake.accept(Draft(make, ticket))
        return ticket


@contextmanager
def floor(**routes: Route) -> Iterator[Floor]:
    made = Floor(**routes)
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


def test_a_draft_that_breaks_its_promise_ends_nothing(internal_errors: list[str]) -> None:
    def broken() -> Event:
        raise ValueError("broken")

    with floor(people=Route()) as house:
        assert house.put(broken).wait(60) == {}
        assert house.say("next").wait(60) == {"people": DELIVERED}
    assert internal_errors == ["draft"]


@pytest.mark.parametrize(
    "odd",
    [{"level": "ERROR"}, {"level": None}, {"topic": ["gas"]}, {"topic": None}, {"message": 5}, {"attachments": 7}],
    ids=str,
)
def test_an_event_of_odd_types_ends_nothing(odd: dict[str, object], internal_errors: list[str]) -> None:
    with floor(people=Route(topics=parse_topics("!gas"))) as house:
        assert house.say("odd", **odd).wait(60) == {}
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
        assert house.put(broken).wait(60) == {}
        assert house.say("next").wait(60) == {"people": DELIVERED}
    assert internal_errors == ["draft"]
