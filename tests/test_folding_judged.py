"""What is decided on the caller's thread, and what is left as it is."""

import logging
import threading

import pytest
from folds import People

from notify.clock import SystemClock
from notify.delivery.folding import Addressed, Folding, Judged, Judging
from notify.delivery.folding.front import INTERVAL, STORM_LIMIT
from notify.delivery.ticket import Ticket
from notify.delivery.write_ahead import WriteAhead
from notify.event import Event, Phase
from notify.levels import TRADE
from notify.rules.fingerprint import Subject
from notify.rules.routing import Route


class Draft:
    def __init__(self, level: int = logging.ERROR, subject: object = Subject("rpc", "log")) -> None:
        self.level = level
        self.ticket: Ticket | None = Ticket("1", changed=threading.Condition())
        self._subject = subject

    def subject(self) -> object:
        if isinstance(self._subject, Exception):
            raise self._subject
        return self._subject

    def event(self) -> Event:
        return Event(id="1", time=0.0, message="down", level=self.level)


class Disk:
    broken: str | None = None

    def __init__(self) -> None:
        self.written: list[Event] = []

    def accept(self, event: Event, destinations: object) -> bool:
        self.written.append(event)
        return True


def judging(disk: Disk | None = None) -> Judging:
    routes = {"people": Route()}
    folding = Folding(
        {"people": People()},
        routes,
        redact=lambda events: events,
        clock=SystemClock(),
        journal=None,
        interval=INTERVAL,
        storm_limit=STORM_LIMIT,
    )
    ahead = None
    if disk is not None:
        ahead = WriteAhead(
            disk,  # type: ignore[arg-type]  # all that it calls
            routes,
            folding=folding.names,
            level=TRADE,
            redact=lambda events: events,
            broke=lambda: None,
            describe=folding.describe,
            rescue=lambda draft: None,
        )
    return Judging(folding, ahead)


def test_the_first_announces_its_matter_and_the_second_is_folded():
    judge = judging()

    first, second = judge.keep(Draft()), judge.keep(Draft())

    assert isinstance(first, Judged)
    assert isinstance(second, Judged)
    assert (first.folded, second.folded) == (False, True)
    matter = first.event().matter
    assert matter is not None
    assert matter.phase is Phase.ANNOUNCED
    assert second.event().matter is None


@pytest.mark.parametrize(
    "draft",
    [Draft(logging.WARNING - 1), Draft(subject=None), Draft(subject=ValueError("odd"))],
    ids=["mild", "alone", "odd"],
)  # fmt: skip
def test_what_cannot_fold_is_left_as_it_is(draft, capsys):
    judge = judging()

    assert judge.keep(draft) is None
    assert judge.keep(draft) is None


def test_a_repeat_is_not_written_and_not_even_made_into_an_event(monkeypatch):
    disk = Disk()
    judge = judging(disk)
    judge.keep(Draft())
    repeat = Draft()
    monkeypatch.setattr(repeat, "event", lambda: pytest.fail("on the caller's thread, and for nobody"))

    judge.keep(repeat)

    assert len(disk.written) == 1
    assert disk.written[0].matter is not None


def test_what_is_below_warning_is_written_as_ever():
    disk = Disk()
    judge = judging(disk)

    judge.keep(Draft(TRADE))
    judge.keep(Draft(TRADE))

    assert judge.level == TRADE
    assert [event.matter for event in disk.written] == [None, None]


def test_what_is_addressed_goes_there():
    ticket = Ticket("1", changed=threading.Condition())
    end = Addressed(Draft().event(), ticket, level=logging.ERROR, to=frozenset({"people"}))

    kept = judging().keep(end)

    assert isinstance(kept, Judged)
    assert (kept.to, kept.folded, kept.ticket) == (frozenset({"people"}), False, ticket)
    assert end.subject() is None
