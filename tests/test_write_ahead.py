"""What is put on disk on the caller's thread, and what is not."""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from notify.delivery.folding import Judged
from notify.delivery.ticket import Ticket
from notify.delivery.write_ahead import WriteAhead
from notify.event import Event, Matter, Phase
from notify.levels import TRADE
from notify.rules.routing import Route, parse_topics


class Disk:
    """An outbox that does what it is told."""

    def __init__(self) -> None:
        self.broken: str | None = None
        self.takes = True
        self.written: list[tuple[str, str]] = []

    def accept(self, event: Event, destinations: Sequence[str]) -> bool:
        if self.takes:
            self.written.append((event.message, " ".join(destinations)))
        return self.takes


class Draft:
    def __init__(self, level: int = TRADE, topic: str = "log", make: Callable[[], Event] | None = None) -> None:
        self.level = level
        self.ticket: Ticket | None = Ticket("1", changed=threading.Condition())
        self.event = make or (lambda: Event(id="1", time=0.0, message="secret", level=level, topic=topic))


def masked(events: Sequence[Event]) -> list[Event]:
    return [replace(event, message="masked") for event in events]


@pytest.fixture
def disk() -> Disk:
    return Disk()


def write_ahead(
    disk: Disk,
    routes: dict[str, Route] | None = None,
    *,
    level: int = TRADE,
    folding: Collection[str] = (),
    redact: Callable[[Sequence[Event]], Sequence[Event]] = masked,
    broke: Callable[[], None] = lambda: None,
    rescue: Callable[[object], None] = lambda draft: None,
) -> WriteAhead:
    return WriteAhead(
        disk,
        routes or {"discord": Route()},
        folding=folding,
        level=level,
        redact=redact,
        broke=broke,
        describe=lambda matter, event: None,
        rescue=rescue,
    )


def test_what_is_on_disk_is_redacted_and_so_is_what_goes_on(disk: Disk) -> None:
    draft = Draft()

    kept = write_ahead(disk).keep(draft)

    assert disk.written == [("masked", "discord")]
    assert kept is not None
    assert (kept.event().message, kept.stored, kept.ticket, kept.level) == ("masked", True, draft.ticket, TRADE)


def test_each_durable_backend_that_wants_an_event_has_a_row(disk: Disk) -> None:
    routes = {"loud": Route(logging.ERROR), "gas": Route(topics=parse_topics("gas")), "all": Route()}
    keeper = write_ahead(disk, routes)

    keeper.keep(Draft())
    keeper.keep(Draft(topic="gas"))
    keeper.keep(Draft(logging.ERROR, topic="gas"))

    assert [destinations for _, destinations in disk.written] == ["all", "gas all", "loud gas all"]


def test_what_no_durable_backend_wants_is_not_written(disk: Disk) -> None:
    draft = Draft(topic="log")

    assert write_ahead(disk, {"gas": Route(topics=parse_topics("gas"))}).keep(draft) is None

    assert disk.written == []
    assert draft.ticket is not None
    assert not draft.ticket.durable


@pytest.mark.parametrize(("level", "route", "least"), [(TRADE, 30, 30), (TRADE, 10, TRADE), (10, 10, 10)])
def test_what_neither_the_setting_nor_any_route_wants_is_not_even_looked_at(
    disk: Disk, level: int, route: int, least: int
) -> None:
    def make() -> NoReturn:
        raise AssertionError("nobody asked for it")

    keeper = write_ahead(disk, {"discord": Route(route)}, level=level)

    assert keeper.level == least
    assert keeper.keep(Draft(least - 1, make=make)) is None
    assert keeper.keep(Draft(least)) is not None


def test_a_decision_is_as_grave_as_it_means_whatever_its_number(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(logging._levelToName, 51, "TRADE_HIGH")  # as some programs have it

    assert write_ahead(disk, level=logging.ERROR).keep(Draft(51)) is None
    assert write_ahead(disk, level=TRADE).keep(Draft(51)) is not None


@pytest.mark.parametrize("takes", [True, False])
def test_a_ticket_says_whether_its_event_is_on_disk(disk: Disk, takes: bool) -> None:
    disk.takes = takes
    draft = Draft()

    kept = write_ahead(disk).keep(draft)

    assert kept is not None
    assert kept.stored is takes
    assert draft.ticket is not None
    assert draft.ticket.durable is takes


def test_an_event_without_a_ticket_is_written_too(disk: Disk) -> None:
    draft = Draft()
    draft.ticket = None

    assert write_ahead(disk).keep(draft) is not None
    assert len(disk.written) == 1


def fail(*_: object) -> NoReturn:
    raise ValueError("c4nary")


@pytest.mark.parametrize("broken", ["the draft", "the redaction"])
def test_what_cannot_be_made_is_left_to_the_dispatcher(
    disk: Disk, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = write_ahead(disk, redact=fail if broken == "the redaction" else masked)

    assert keeper.keep(Draft(make=fail if broken == "the draft" else None)) is None

    assert disk.written == []
    assert capsys.readouterr().err == "notify: an event could not be made: ValueError\n"


# ---- a disk that fails


def test_a_disk_that_has_failed_is_told_once(disk: Disk) -> None:
    told: list[str] = []
    keeper = write_ahead(disk, broke=lambda: told.append("broke"))
    disk.takes, disk.broken = False, "full"

    for _ in range(3):
        keeper.keep(Draft())

    assert told == ["broke"]


def test_a_disk_that_fails_again_is_told_again(disk: Disk) -> None:
    told: list[str] = []
    keeper = write_ahead(disk, broke=lambda: told.append("broke"))
    for takes, broken in [(False, "full"), (True, None), (False, "full")]:
        disk.takes, disk.broken = takes, broken
        keeper.keep(Draft())

    assert told == ["broke", "broke"]


def test_a_disk_that_is_only_busy_is_not_told_of(disk: Disk) -> None:
    disk.takes = False

    write_ahead(disk, broke=fail).keep(Draft())


# ---- what folds


PEOPLE_AND_MACHINE = {"discord": Route(), "machine": Route()}


def folding_keeper(disk: Disk, *folding: str) -> WriteAhead:
    return write_ahead(disk, PEOPLE_AND_MACHINE, folding=folding)


def test_a_repeat_is_written_for_who_gets_every_event(disk: Disk) -> None:
    keeper = folding_keeper(disk, "discord")

    kept = keeper.keep(Judged(Draft(), folded=True))

    assert disk.written == [("masked", "machine")]
    assert kept is not None
    assert kept.judged is not None
    assert not keeper.is_for_people


def test_a_repeat_that_everybody_folds_is_not_written(disk: Disk) -> None:
    keeper = folding_keeper(disk, "discord", "machine")

    assert keeper.is_for_people
    assert keeper.keep(Judged(Draft(), folded=True)) is None
    assert disk.written == []


def test_what_is_for_certain_backends_is_written_for_those_that_are_durable(disk: Disk) -> None:
    keeper = folding_keeper(disk)

    assert keeper.keep(Judged(Draft(), to=frozenset({"machine", "stdout"}))) is not None
    assert keeper.keep(Judged(Draft(), to=frozenset({"stdout"}))) is None
    assert disk.written == [("masked", "machine")]


def test_an_announcement_is_written_with_its_matter(disk: Disk) -> None:
    matter = Matter("rpc", Phase.ANNOUNCED)

    kept = folding_keeper(disk).keep(Judged(Draft(), matter=matter))

    assert kept is not None
    assert kept.made.matter == matter


class Interrupted(BaseException):
    """What a signal or another thread raises in the middle of a call."""


def test_what_was_judged_is_rescued_from_an_interruption_since_its_repeats_are_not_sent(disk: Disk) -> None:
    def interrupted(events: Sequence[Event]) -> NoReturn:
        raise Interrupted

    rescued: list[object] = []
    judged = Judged(Draft(), matter=Matter("m", Phase.ANNOUNCED))
    with pytest.raises(Interrupted):
        write_ahead(disk, redact=interrupted, rescue=rescued.append).keep(judged)

    assert rescued == [judged]
