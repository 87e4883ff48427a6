"""Repeats, seen from outside: what people get, what machines get, and that everything is accounted for."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from folds import Chat, People
from lanes import LONG, Hanging, until

from notify.arguments import Parts
from notify.backend import Backend
from notify.backends.memory import MemoryBackend
from notify.delivery.folding.front import INTERVAL, Folding
from notify.delivery.intake import Draft
from notify.delivery.made import Made
from notify.delivery.outbox import Outbox, listing
from notify.delivery.ticket import DELIVERED, FOLDED, Ticket
from notify.errors import RetryLater
from notify.event import Event, Phase
from notify.notifier import Notifier
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock

HOUR = 3600.0
logger = logging.getLogger("rpc")

pytestmark = pytest.mark.usefixtures("patient")


@contextmanager
def speaking(
    clock: FakeClock,
    state: Path | None = None,
    *,
    routes: Mapping[str, Route] | None = None,
    storm_limit: int = 60,
    close_in: float = LONG,
    **backends: Backend,
) -> Iterator[Notifier]:
    outbox = None if state is None else Outbox(state, clock=clock)
    notifier = Notifier(backends, routes=routes, outbox=outbox, clock=clock, storm_limit=storm_limit)
    notifier.attach(logger)
    logger.setLevel(logging.DEBUG)
    try:
        yield notifier
    finally:
        notifier.detach(logger)
        logger.setLevel(logging.NOTSET)
        notifier.close(close_in)


def down(count: int) -> None:
    for number in range(count):
        logger.error("node %d is down", number)


def accounted(notifier: Notifier) -> None:
    """Check that every backend's numbers add up."""
    for name, counts in notifier.stats().items():
        if "accepted" in counts:
            dropped = sum(counts["dropped"].values())  # type: ignore[attr-defined]  # numbers by reason
            parts = (counts["delivered"], counts["pending"], dropped, counts["folded"])
            assert counts["accepted"] == sum(parts), name  # type: ignore[arg-type]  # numbers


# ---- what folds


def test_people_get_the_first_and_machines_get_all(clock: FakeClock) -> None:
    people, machine = People(), MemoryBackend()
    with speaking(clock, people=people, machine=machine) as notifier:
        down(100)
        assert notifier.flush(LONG)

        assert people.messages == ["node 0 is down"]
        assert machine.messages == [f"node {number} is down" for number in range(100)]
        assert notifier.stats()["people"]["folded"] == 99
        assert notifier.stats()["machine"]["folded"] == 0
        accounted(notifier)


def test_a_ticket_says_that_its_event_was_folded(clock: FakeClock) -> None:
    with speaking(clock, people=People(), machine=MemoryBackend()) as notifier:
        outcomes = [dict(notifier.notify("gas is high", key="gas", level=logging.WARNING).wait(LONG)) for _ in range(2)]

    assert outcomes == [{"people": DELIVERED, "machine": DELIVERED}, {"people": FOLDED, "machine": DELIVERED}]


def test_below_warning_nothing_folds_and_distinct_trades_never_do(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        for _ in range(3):
            notifier.trade("Bought", key="position 1")
            logger.log(logging.WARNING - 1, "the same")
        assert notifier.flush(LONG)

    assert people.messages == ["Bought", "the same"] * 3


def test_different_places_and_texts_do_not_fold(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        for number in range(2):
            notifier.notify(f"RPC {number} is down", level=logging.ERROR)
        notifier.notify("RPC 0 is down", level=logging.ERROR)
        assert notifier.flush(LONG)

    assert len(people.messages) == 3


def test_log_records_fold_by_their_template_and_where_the_exception_was_raised(clock: FakeClock) -> None:
    def fail(how: type[Exception]) -> None:
        raise how

    people = People()
    with speaking(clock, people=people) as notifier:
        for how in (ValueError, ValueError, KeyError):
            try:
                fail(how)
            except Exception:
                logger.exception("cycle %s failed", how)
        assert notifier.flush(LONG)

        assert [event.exception and event.exception.type for event in people.events] == ["ValueError", "KeyError"]


def test_the_key_is_the_programs_and_machines_see_no_other(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people):
        down(2)  # the second of which is told in a count, at the end

    assert [event.key for event in people.events] == [None, None]
    assert [event.matter and event.matter.phase for event in people.events] == [Phase.ANNOUNCED, Phase.REMINDED]


def test_a_worse_event_of_the_same_key_reaches_who_wants_only_the_worst(clock: FakeClock) -> None:
    everybody, ops = People(), People()
    with speaking(clock, routes={"ops": Route(logging.ERROR)}, everybody=everybody, ops=ops) as notifier:
        for level in (logging.WARNING, logging.WARNING, logging.ERROR, logging.WARNING, logging.ERROR):
            notifier.notify("gas", key="gas", level=level)
        assert notifier.flush(LONG)

        assert len(everybody.messages) == 2
        assert len(ops.messages) == 1
        accounted(notifier)


def test_an_event_that_cannot_be_compared_is_sent(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    people = People()
    odd = Event(id="1", time=0.0, message="odd", level=logging.ERROR, source=7)  # type: ignore[arg-type]  # that is odd
    with speaking(clock, people=people) as notifier:
        notifier.accept(odd)
        notifier.accept(odd)

    assert "could not be compared" in capsys.readouterr().err
    assert len(people.messages) == 2


# ---- what is told later


def test_people_are_told_the_count_at_the_interval(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        down(412)
        assert notifier.flush(LONG)
        clock.advance(HOUR)

        summary = people.wait_for(2, LONG)[1]
        assert notifier.flush(LONG)  # or the lane may not have counted it yet
        assert summary.message == "node 0 is down × 412"
        assert summary.body == "First 00:00:00 UTC, last 00:00:00 UTC."
        assert (summary.level, summary.topic, summary.logger) == (logging.ERROR, "log", "rpc")
        accounted(notifier)


def test_who_can_change_messages_is_told_every_30_seconds_and_nobody_else(clock: FakeClock) -> None:
    chat, people, machine = Chat(), People(), MemoryBackend()
    with speaking(clock, chat=chat, people=people, machine=machine) as notifier:
        down(10)
        assert notifier.flush(LONG)
        clock.advance(30)
        counted = chat.wait_for(2, LONG)[1]
        assert notifier.flush(LONG)
        assert (counted.matter and (counted.matter.phase, counted.matter.count)) == (Phase.COUNTED, 10)
        down(1)
        clock.advance(29)
        clock.advance(1)
        assert chat.wait_for(3)[2].matter.count == 11  # type: ignore[union-attr]  # it has one

        machine.wait_for(11)
        assert notifier.flush(LONG)
        assert len(people.events) == 1
        assert len(machine.events) == 11


def test_a_count_comes_after_its_announcement_however_long_the_dispatcher_is_held_up(clock: FakeClock) -> None:
    chat = Chat()
    with speaking(clock, chat=chat) as notifier:
        intake = notifier._pipeline.intake
        take, late = intake.take, [60]  # seconds

        def held_up(limit: int) -> list[Draft]:
            taken = take(limit)
            if late and not taken:  # as by a disk that hangs, while the program goes on
                seconds = late.pop()
                down(10)
                clock.advance(seconds)
            return taken

        intake.take = held_up  # type: ignore[method-assign]
        until(lambda: not late)
        assert notifier.flush(LONG)
        chat.wait_for(2)

    assert chat.messages == ["node 0 is down", "node 0 is down × 10"]


def test_what_was_said_of_a_matter_and_has_not_arrived_is_not_said_again(clock: FakeClock, hanging: Hanging) -> None:
    hanging.folds = True  # type: ignore[attr-defined]  # for people
    hanging.posted = {}  # type: ignore[attr-defined]  # that can be changed
    with speaking(clock, chat=hanging) as notifier:
        down(1)
        assert hanging.called.wait(LONG)
        for _ in range(5):
            down(1)
            until(lambda: notifier._pipeline._dispatcher.idle())
            clock.advance(31)
            until(lambda: notifier._pipeline._folding._grouping.due_at > notifier._pipeline._folding.now())

        assert notifier.stats()["chat"]["pending"] == 2  # the announcement and one count
        hanging.let.set()
        assert notifier.flush(LONG)


def test_at_the_end_nothing_is_left_uncounted(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people):
        down(5)

    assert people.messages == ["node 0 is down", "node 0 is down × 5"]


# ---- storms


def test_a_storm_of_different_errors_is_cut_off_and_told_in_sum(clock: FakeClock) -> None:
    people, machine = People(), MemoryBackend()
    with speaking(clock, people=people, machine=machine, storm_limit=3) as notifier:
        for number in range(10):
            notifier.notify(f"error {number}", level=logging.ERROR)
        notifier.notify("fire", level=logging.CRITICAL)
        assert notifier.flush(LONG)
        assert people.messages == ["fire", "error 0", "error 1", "error 2"] or set(people.messages) == {
            "fire", "error 0", "error 1", "error 2",
        }  # fmt: skip
        clock.advance(60)

        digest = people.wait_for(5)[4]
        assert digest.message == "Held back: 7 events of 7 matters"
        assert digest.body.splitlines() == [
            "Too many different ones at once. Some of them:", *(f"error {number}" for number in range(3, 8)),
        ]  # fmt: skip
        assert (digest.level, digest.topic) == (logging.ERROR, "alert")
        assert len(machine.messages) == 11
        accounted(notifier)


# ---- the end of a matter


def test_an_end_is_told_once_with_how_long_and_how_often(clock: FakeClock) -> None:
    people, machine = People(), MemoryBackend()
    with speaking(clock, people=people, machine=machine) as notifier:
        for _ in range(3):
            notifier.notify("gas is high", key="gas", level=logging.WARNING, topic="gas")
        clock.advance(3700)
        ticket = notifier.resolve("gas")

        assert ticket.wait(LONG) == {"people": DELIVERED, "machine": DELIVERED}
        end = people.events[-1]
        assert end.message == "Resolved: gas is high"
        assert end.body == "It happened 3 times, and was over after 1 h 1 min."
        assert (end.level, end.topic, end.key) == (logging.INFO, "gas", "gas")
        assert machine.events[-1].message == "Resolved: gas is high"
        assert notifier.resolve("gas").wait(LONG) == {}


def test_an_end_in_ones_own_words(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        notifier.notify("gas is high", key="gas", level=logging.WARNING)
        notifier.resolve("gas", "Gas is back at 20 gwei")

    assert people.messages == ["gas is high", "Gas is back at 20 gwei"]
    assert people.events[1].body == "It happened once, and was over after 0 s."


def test_what_nobody_was_told_of_is_not_ended_aloud(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        notifier.notify("below", key="low", level=logging.INFO)
        assert notifier.resolve("low").wait(LONG) == {}
        assert notifier.resolve("never").wait(LONG) == {}

    assert people.messages == ["below"]


def test_an_end_goes_to_who_was_told_whatever_level_he_wants(clock: FakeClock) -> None:
    ops, gas, trades = People(), People(), People()
    routes = {
        "ops": Route(logging.ERROR),
        "gas": Route(logging.WARNING, parse_topics("gas")),
        "trades": Route(logging.INFO, parse_topics("trade")),
    }
    with speaking(clock, routes=routes, ops=ops, gas=gas, trades=trades) as notifier:
        notifier.notify("gas is high", key="gas", level=logging.ERROR, topic="gas")

        assert notifier.resolve("gas").wait(LONG) == {"ops": DELIVERED, "gas": DELIVERED}
    assert trades.messages == []


def test_with_machines_only_an_end_is_told_too(clock: FakeClock) -> None:
    machine = MemoryBackend()
    with speaking(clock, machine=machine) as notifier:
        notifier.notify("gas is high", key="gas", level=logging.WARNING)
        notifier.notify("gas is high", key="gas", level=logging.WARNING)
        notifier.resolve("gas")

    assert machine.messages == ["gas is high", "gas is high", "Resolved: gas is high"]


def test_what_comes_right_after_the_other_is_told_in_its_order(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        for _ in range(20):
            notifier.notify("up", key="k", level=logging.WARNING)
            notifier.resolve("k")

    assert people.messages == ["up", "Resolved: up"] * 20


def test_a_secret_in_a_key_or_a_text_is_in_nothing_that_is_said_later(clock: FakeClock) -> None:
    from notify.rules.redaction import Redactor

    people = People()
    notifier = Notifier({"people": people}, redact=Redactor(["c4nary-c4nary"]), clock=clock)
    for _ in range(2):
        notifier.notify("is c4nary-c4nary", key="k c4nary-c4nary", level=logging.ERROR)
    assert notifier.flush(LONG)
    clock.advance(HOUR)
    people.wait_for(2)
    notifier.resolve("k c4nary-c4nary", "no more c4nary-c4nary")
    notifier.close(LONG)

    assert len(people.events) == 3
    assert "c4nary" not in repr(people.events)


# ---- living messages


def test_a_living_message_takes_the_place_of_the_one_before_it(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        for step in range(3):
            notifier.notify(f"step {step}", key="cycle", update=True)
        notifier.notify("no key", update=True)

    assert people.messages == ["step 0", "step 1", "step 2", "no key"]
    assert [event.matter.phase if event.matter else None for event in people.events] == [Phase.LIVING] * 3 + [None]
    assert len({event.matter.id for event in people.events if event.matter}) == 1


@pytest.mark.parametrize("way", ["notify", "trade"])
def test_a_living_message_that_matters_is_sent_each_time(clock: FakeClock, way: str) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        parts: Parts = {"key": "rebalance", "update": True, "level": logging.WARNING}
        tickets = [getattr(notifier, way)(f"step {step}", **parts) for step in range(3)]
        assert [ticket.wait(LONG) for ticket in tickets] == [{"people": DELIVERED}] * 3
        assert notifier.resolve("rebalance").wait(LONG) == {"people": DELIVERED}


# ---- on disk


def on_disk(state: Path) -> list[tuple[str, str]]:
    return [(row.destination, row.event.message) for row in listing.waiting(state, 1000) if row.event is not None]


def durable_hanging() -> Hanging:
    hanging = Hanging(durable=True)
    hanging.folds = True  # type: ignore[attr-defined]  # for people
    return hanging


def test_what_folds_needs_no_row_of_its_own(clock: FakeClock, state: Path) -> None:
    hanging = durable_hanging()
    with speaking(clock, state, discord=hanging) as notifier:
        tickets = [notifier.notify("down", key="rpc", level=logging.ERROR) for _ in range(10)]
        assert on_disk(state) == [("discord", "down")]
        assert [ticket.durable for ticket in tickets] == [True] + [False] * 9
        hanging.let.set()


def test_a_durable_machine_has_a_row_of_every_event(clock: FakeClock, state: Path) -> None:
    hanging, machine = durable_hanging(), Hanging(durable=True)
    machine.folds = False  # type: ignore[attr-defined]  # a machine
    with speaking(clock, state, discord=hanging, machine=machine) as notifier:
        for _ in range(3):
            notifier.notify("down", key="rpc", level=logging.ERROR)
        assert sorted(on_disk(state)) == [("discord", "down")] + [("machine", "down")] * 3
        hanging.let.set()
        machine.let.set()


def test_an_end_is_on_disk_like_what_it_ends(clock: FakeClock, state: Path) -> None:
    hanging = durable_hanging()
    with speaking(clock, state, discord=hanging) as notifier:
        notifier.notify("down", key="rpc", level=logging.ERROR)
        ticket = notifier.resolve("rpc")

        assert ticket.durable
        assert on_disk(state) == [("discord", "down"), ("discord", "Resolved: down")]
        hanging.let.set()


def test_after_a_restart_nothing_is_announced_again_and_an_end_is_still_told(clock: FakeClock, state: Path) -> None:
    for _ in range(5):
        people = People(durable=True)
        with speaking(clock, state, people=people) as notifier:
            notifier.notify("down", key="rpc", level=logging.ERROR)
            down(1)
        clock.advance(1)
    assert people.messages == []

    with speaking(clock, state, people=people) as notifier:
        clock.advance(HOUR)
        assert {event.message for event in people.wait_for(2)} == {"down × 5", "node 0 is down × 5"}
        clock.advance(HOUR)
        assert notifier.resolve("rpc").wait(LONG) == {"people": DELIVERED}
    assert people.events[-1].body == "It happened 5 times, and was over after 2 h."


def test_what_another_process_has_left_on_disk_to_announce_is_not_announced_twice(
    clock: FakeClock, state: Path
) -> None:
    postponing = People([RetryLater(after=HOUR)], durable=True)
    with speaking(clock, state, people=postponing, close_in=0) as notifier:
        notifier.notify("down", key="rpc", level=logging.ERROR)
    (state / "matters.jsonl").unlink()  # as if it had been killed before it could write that

    people = People(durable=True)
    with speaking(clock, state, people=people) as notifier:
        assert [event.message for event in people.wait_for(1)] == ["down"]
        ticket = notifier.notify("down", key="rpc", level=logging.ERROR)
        assert ticket.wait(LONG) == {"people": FOLDED}


def test_what_another_process_has_left_on_disk_to_end_has_ended(clock: FakeClock, state: Path) -> None:
    postponing = People([RetryLater(after=HOUR)], durable=True)
    with speaking(clock, state, people=postponing, close_in=0) as notifier:
        notifier.notify("down", key="rpc", level=logging.ERROR)
        notifier.resolve("rpc")
    (state / "matters.jsonl").unlink()

    people = People(durable=True)
    with speaking(clock, state, people=people) as notifier:
        assert [event.message for event in people.wait_for(2)] == ["down", "Resolved: down"]
        assert notifier.notify("down", key="rpc", level=logging.ERROR).wait(LONG) == {"people": DELIVERED}


# ---- threads, signals and forks


def test_from_many_threads_one_is_announced_and_the_others_are_counted(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        threads = [threading.Thread(target=down, args=(500,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert notifier.flush(LONG)
        accounted(notifier)

    # Who waits in vain for the others, 50 ms, is sent: on a busy machine a few of the 4,000 are.
    assert people.messages[0].endswith(" is down")
    assert len(people.messages) < 40
    assert " is down × " in people.messages[-1]


def test_who_interrupts_it_is_sent(clock: FakeClock) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        folding: Folding = notifier._pipeline._folding
        notifier.notify("down", key="rpc", level=logging.ERROR)

        def interrupt() -> tuple[Ticket, Ticket]:  # as a signal handler does, and a finaliser
            return notifier.notify("down", key="rpc", level=logging.ERROR), notifier.resolve("rpc")

        said = folding._alone(interrupt, otherwise=None)

        assert said is not None
        ticket, end = said
        assert ticket.wait(LONG) == {"people": DELIVERED}
        assert end.wait(LONG) == {"people": DELIVERED}
        assert notifier.notify("down", key="rpc", level=logging.ERROR).wait(LONG) == {"people": DELIVERED}


def test_nobody_waits_long_for_who_holds_it(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.delivery.folding.front._PATIENCE", 0.05)  # seconds, as it is elsewhere
    people = People()
    with speaking(clock, people=people) as notifier:
        notifier.notify("down", key="rpc", level=logging.ERROR)
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            notifier._pipeline._folding._alone(stay, otherwise=None)

        def stay() -> None:
            held.set()
            go_on.wait(LONG)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(LONG)
        ticket = notifier.notify("down", key="rpc", level=logging.ERROR)  # 50 ms later
        go_on.set()
        thread.join(LONG)

        assert ticket.wait(LONG) == {"people": DELIVERED}


# ---- what does not arrive


def test_a_count_that_did_not_arrive_before_the_end_is_told_by_the_next_process(clock: FakeClock, state: Path) -> None:
    people = People([None, RetryLater(after=HOUR)], durable=True)
    with speaking(clock, state, people=people, close_in=0.2) as notifier:
        down(1)
        people.wait_for(1)
        down(4)
        assert notifier.flush(LONG)
        clock.advance(HOUR + 1)
        until(lambda: notifier.stats()["people"]["retried"])

    later = People(durable=True)
    with speaking(clock, state, people=later):
        clock.advance(HOUR + 1)
        assert [event.message for event in later.wait_for(1)] == ["node 0 is down × 5"]


def test_a_notifier_that_is_given_no_time_loses_no_count(clock: FakeClock, state: Path) -> None:
    with speaking(clock, state, people=People(durable=True), close_in=0):
        down(5)

    later = People(durable=True)
    with speaking(clock, state, people=later):
        clock.advance(HOUR + 1)
        until(lambda: "node 0 is down × 5" in later.messages)


def test_who_speaks_of_another_program_remembers_nothing_beside_its_outbox(clock: FakeClock, state: Path) -> None:
    with Notifier(
        {"people": People(durable=True)}, outbox=Outbox(state, clock=clock), clock=clock, remembers=False
    ) as notifier:
        assert notifier.notify("down", key="rpc", level=logging.ERROR).wait(LONG) == {"people": DELIVERED}

    assert not (state / "matters.jsonl").exists()


# ---- what is urgent, and what came before it


class HangingPeople(Hanging):
    """People who read nothing for now."""

    folds = True


def go_out_and_in_again(notifier: Notifier) -> None:
    notifier.notify("gas is out", key="gas", level=logging.ERROR)
    notifier.resolve("gas")
    notifier.notify("gas is out again", key="gas", level=logging.ERROR)


IN_ORDER = ["gas is out", "Resolved: gas is out", "gas is out again"]


def test_the_end_of_a_matter_is_not_overtaken_by_its_next_beginning(clock: FakeClock) -> None:
    people = HangingPeople()
    with speaking(clock, people=people) as notifier:
        notifier.trade("busy")
        assert people.called.wait(LONG)
        notifier.trade("ordinary")
        go_out_and_in_again(notifier)
        until(lambda: notifier.stats()["people"]["accepted"] == 5)
        people.let.set()
        assert notifier.flush(LONG)

    assert [event.message for event in people.events] == ["busy", *IN_ORDER, "ordinary"]


def test_what_replaces_a_message_is_not_overtaken_by_what_replaces_it_in_turn(clock: FakeClock) -> None:
    people = HangingPeople()
    with speaking(clock, people=people) as notifier:
        notifier.trade("busy")
        assert people.called.wait(LONG)
        notifier.notify("fine", key="positions", update=True)
        notifier.notify("FAILING", key="positions", level=logging.ERROR, update=True)
        until(lambda: notifier.stats()["people"]["accepted"] == 3)
        people.let.set()
        assert notifier.flush(LONG)

    assert [event.message for event in people.events] == ["busy", "fine", "FAILING"]


def test_nor_is_it_after_a_restart(clock: FakeClock, state: Path) -> None:
    people = HangingPeople(durable=True)
    with speaking(clock, state, people=people, close_in=0) as notifier:
        notifier.trade("busy")
        assert people.called.wait(LONG)
        go_out_and_in_again(notifier)
    people.let.set()

    later = People(durable=True)
    with speaking(clock, state, people=later):
        assert [event.message for event in later.wait_for(3)] == IN_ORDER


def test_an_alarm_after_an_end_that_had_to_wait_is_told(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    people = People()
    with speaking(clock, people=people) as notifier:
        notifier.notify("gas is out", key="gas", level=logging.ERROR)
        assert notifier.flush(LONG)
        folding: Folding = notifier._pipeline._folding
        until(lambda: not folding._grouping.pressing)  # or our own thread would end it soon enough
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            folding._alone(stay, otherwise=None)

        def stay() -> None:
            held.set()
            go_on.wait(LONG)

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(LONG)
        find = folding._grouping.find

        def find_when_nobody_holds_it(matter_id: str) -> object:
            going = find(matter_id)  # who waited for the lock in vain has not yet left the note that it has ended
            go_on.set()
            thread.join(LONG)
            return going

        with monkeypatch.context() as patched:
            patched.setattr(folding._grouping, "find", find_when_nobody_holds_it)
            patched.setattr("notify.delivery.folding.front._PATIENCE", 0.05)  # seconds, as it is elsewhere
            assert notifier.resolve("gas").wait(LONG) == {"people": DELIVERED}

        assert notifier.notify("gas is out", key="gas", level=logging.ERROR).wait(LONG) == {"people": DELIVERED}
        assert notifier.notify("gas is out", key="gas", level=logging.ERROR).wait(LONG) == {"people": FOLDED}
    assert people.messages[:3] == ["gas is out", "Resolved: gas is out", "gas is out"]


def test_an_alarm_that_ended_while_the_disk_failed_is_told_when_it_comes_again_after_a_restart(
    clock: FakeClock, state: Path
) -> None:
    people = People(durable=True)
    journal = state / "matters.jsonl"
    with speaking(clock, state, people=people) as notifier:
        notifier.notify("gas is out", key="gas", level=logging.ERROR)
        assert notifier.flush(LONG)
        until(lambda: notifier._pipeline._folding._grouping._changed == {})  # it is noted
        journal.rename(state / "meanwhile")
        journal.mkdir()
        notifier.resolve("gas")
        folding: Folding = notifier._pipeline._folding
        until(lambda: folding._journal is not None and folding._journal.lacks_all)
        journal.rmdir()
        (state / "meanwhile").rename(journal)
        clock.advance(61)  # a minute until the disk is tried again

    later = People(durable=True)
    with speaking(clock, state, people=later) as notifier:
        notifier.notify("gas is out", key="gas", level=logging.ERROR)
        assert [event.message for event in later.wait_for(1)] == ["gas is out"]


def test_where_nothing_outlives_the_process_what_has_ended_is_forgotten(clock: FakeClock) -> None:
    with speaking(clock, people=People()) as notifier:
        for number in range(100):
            notifier.notify("down", key=f"node {number}", level=logging.CRITICAL)
            notifier.resolve(f"node {number}")
        assert notifier.flush(LONG)

        until(lambda: not notifier._pipeline._folding._grouping._changed)


# ---- what is remembered has bounds


def judging(clock: FakeClock) -> Folding:
    """Return what decides of drafts, of which nobody makes events."""
    people = People()
    return Folding(
        {"people": people},
        {"people": Route()},
        redact=lambda events: events,
        clock=clock,
        journal=None,
        interval=INTERVAL,
        storm_limit=1_000_000,
    )


def said(level: int = logging.ERROR, topic: str = "log", key: str = "rpc") -> Made:
    event = Event(id=key, time=0.0, message="down", level=level, topic=topic, key=key)
    return Made(event, Ticket(key, changed=threading.Condition()), folds=True)


def test_announcements_of_which_no_events_are_made_do_not_pile_up(clock: FakeClock) -> None:
    folding = judging(clock)
    most = 0

    for number in range(5100):
        folding.judge(said(key=f"node {number}"))
        most = max(most, len(folding._unread))

    assert most == 5000  # what is dropped at the intake is never read, and would be here for good


def test_routes_of_ever_new_topics_are_not_remembered_for_good(clock: FakeClock) -> None:
    folding = judging(clock)
    most = 0

    for number in range(1100):
        folding.judge(said(topic=f"topic {number}"))
        most = max(most, len(folding._wanted))

    assert most == 1000  # a program may make topics of anything
