"""What is said to a notifier arrives, whatever a destination does meanwhile."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from lanes import LONG, Hanging, until

from notify.backends.memory import MemoryBackend
from notify.delivery import dispatcher
from notify.delivery.ticket import DELIVERED, Ticket
from notify.errors import ConfigError
from notify.event import Attachment, Event
from notify.levels import TRADE
from notify.notifier import Notifier, current_notifier, get_notifier, set_notifier
from notify.rules.redaction import MASK
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock


def only(notifier: Notifier, backend: MemoryBackend) -> Event:
    assert notifier.flush(LONG)
    (event,) = backend.events
    return event


# ---- what is said arrives


def test_everything_that_was_passed_is_in_the_event(backend: MemoryBackend) -> None:
    chart = Attachment("chart.png", b"png")
    with Notifier({"memory": backend}, clock=FakeClock(time=1000.0)) as notifier:
        ticket = notifier.notify(
            "Gas is high",
            body="200 gwei",
            level=logging.WARNING,
            topic="gas",
            key="gas price",
            fields={"gwei": 200},
            attachments=[chart],
            exc=ValueError("too high"),
        )
        event = only(notifier, backend)

    assert (event.id, event.time, event.message, event.body) == (ticket.id, 1000.0, "Gas is high", "200 gwei")
    assert (event.level, event.topic, event.key) == (logging.WARNING, "gas", "gas price")
    assert (event.fields, event.attachments) == ({"gwei": 200}, (chart,))
    assert event.exception is not None
    assert event.exception.traceback == "ValueError: too high\n"


def test_an_event_knows_who_said_it(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.notify("here")

    source = only(notifier, backend).source
    assert (source.path, source.function) == (__file__, "test_an_event_knows_who_said_it")
    assert (source.thread, source.line > 0, source.process > 0) == ("MainThread", True, True)


def test_a_trade_is_of_its_level_and_topic_and_knows_who_said_it(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.trade("Bought", fields={"pair": "ETH"}, body="more")

    event = only(notifier, backend)
    assert (event.level, event.topic, event.fields, event.body) == (TRADE, "trade", {"pair": "ETH"}, "more")
    assert event.source.function == "test_a_trade_is_of_its_level_and_topic_and_knows_who_said_it"


def test_a_trade_may_be_of_another_topic(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.trade("Rebalanced", topic="decision")

    assert only(notifier, backend).topic == "decision"


def test_fields_are_what_they_were_when_they_were_said(hanging: Hanging) -> None:
    with Notifier({"slow": hanging}) as notifier:
        fields = {"legs": [1, 2]}
        notifier.notify("Bought", fields=fields)
        fields["legs"].append(3)
        hanging.let.set()
        notifier.flush(LONG)

    assert hanging.events[0].fields == {"legs": [1, 2]}


def test_each_backend_gets_what_its_route_wants() -> None:
    people, machine = MemoryBackend(), MemoryBackend()
    routes = {"people": Route(TRADE, parse_topics("trade"))}
    with Notifier({"people": people, "machine": machine}, routes=routes) as notifier:
        notifier.notify("debug", level=logging.DEBUG)
        notifier.notify("info")
        ticket = notifier.trade("trade")

        assert ticket.wait(LONG) == {"people": DELIVERED, "machine": DELIVERED}
    assert people.messages == ["trade"]
    assert machine.messages == ["info", "trade"]  # INFO and above for who has no route


def test_events_arrive_in_the_order_they_were_said(notifier: Notifier, backend: MemoryBackend) -> None:
    said = [str(number) for number in range(2000)]
    for message in said:
        notifier.notify(message)

    notifier.flush(LONG)
    assert backend.messages == said


def test_nothing_is_lost_when_eight_threads_speak_at_once(notifier: Notifier, backend: MemoryBackend) -> None:
    start = threading.Barrier(8)

    def speak(name: int) -> None:
        start.wait()
        for number in range(250):
            notifier.notify(f"{name} {number}")

    speakers = [threading.Thread(target=speak, args=(name,)) for name in range(8)]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join()

    notifier.flush(LONG)
    assert sorted(backend.messages) == sorted(f"{name} {number}" for name in range(8) for number in range(250))
    for name in range(8):
        own = [message for message in backend.messages if message.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(250)]


# ---- a destination that hangs


def test_calls_return_while_a_destination_hangs(hanging: Hanging) -> None:
    with Notifier({"hanging": hanging}) as notifier:
        notifier.notify("stuck")
        assert hanging.called.wait(LONG)

        tickets = [notifier.notify(str(number)) for number in range(1000)]
        notifier.handler.handle(logging.makeLogRecord({"msg": "logged", "levelno": logging.ERROR}))

        assert notifier.stats()["hanging"]["delivered"] == 0
        hanging.let.set()
        assert tickets[-1].wait(LONG) == {"hanging": DELIVERED}


def test_a_destination_that_hangs_delays_no_other(hanging: Hanging, backend: MemoryBackend) -> None:
    with Notifier({"hanging": hanging, "healthy": backend}) as notifier:
        first = notifier.notify("first")
        assert hanging.called.wait(LONG)
        notifier.notify("second")

        assert [event.message for event in backend.wait_for(2, LONG)] == ["first", "second"]
        until(lambda: first.wait(0) == {"hanging": "pending", "healthy": DELIVERED})  # it is settled a moment later
        hanging.let.set()


def test_flush_keeps_its_deadline(hanging: Hanging) -> None:
    with Notifier({"hanging": hanging}) as notifier:
        notifier.notify("stuck")
        assert hanging.called.wait(LONG)

        assert not notifier.flush(0.01)
        assert not notifier.flush(0)
        hanging.let.set()
        assert notifier.flush(float("inf"))


# ---- flush


def test_flush_is_true_when_everything_is_delivered(notifier: Notifier, backend: MemoryBackend) -> None:
    tickets = [notifier.notify(str(number)) for number in range(500)]

    assert notifier.flush(LONG)
    assert len(backend.events) == 500
    assert all(ticket.wait(0) == {"memory": DELIVERED} for ticket in tickets)


def test_flush_of_a_notifier_that_was_told_nothing_is_true_at_once(notifier: Notifier) -> None:
    assert notifier.flush(LONG)


def test_flush_does_not_wait_for_the_dispatchers_next_look(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_LOOK_EVERY", 10 * LONG)
    with Notifier({"memory": backend}) as notifier:
        for number in range(100):
            notifier.notify(str(number))  # below TRADE: wakes nobody
            assert notifier.flush(LONG)
            assert len(backend.events) == number + 1


# ---- the rest


def test_stats_are_by_backend(notifier: Notifier) -> None:
    notifier.notify("x").wait(LONG)

    stats = notifier.stats()

    assert list(stats) == ["memory"]
    assert stats["memory"]["delivered"] == 1


def test_a_notifier_names_its_backends_and_nothing_else(notifier: Notifier) -> None:
    assert repr(notifier) == "Notifier(memory)"


def test_attaching_puts_the_handler_on_the_root_logger_or_another(notifier: Notifier, backend: MemoryBackend) -> None:
    other = logging.getLogger("attached")
    other.propagate = False
    notifier.attach()
    notifier.attach(other)

    logging.getLogger("anyone").warning("to the root")
    other.warning("to the other")

    notifier.flush(LONG)
    assert backend.messages == ["to the root", "to the other"]
    other.handlers.clear()
    other.propagate = True


def test_there_is_no_notifier_before_one_was_made(notifier: Notifier) -> None:
    assert current_notifier() is None
    with pytest.raises(ConfigError, match=r"call notify\.setup"):
        get_notifier()

    set_notifier(notifier)

    assert get_notifier() is current_notifier() is notifier


def test_a_ticket_comes_at_once_and_is_not_durable(notifier: Notifier) -> None:
    ticket = notifier.notify("x")

    assert isinstance(ticket, Ticket)
    assert not ticket.durable


def test_a_level_may_be_given_by_name(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.notify("a", level="error")  # type: ignore[arg-type]  # what a program in a hurry writes

    assert [event.level for event in backend.wait_for(1)] == [logging.ERROR]


def test_what_did_not_fit_the_intake_is_counted(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "intake" not in notifier.stats()
    monkeypatch.setattr(notifier._pipeline.intake, "capacity", 0)

    notifier.notify("a")


def test_what_looks_like_a_secret_is_redacted_when_nobody_has_said_what_the_secrets_are(
    notifier: Notifier, backend: MemoryBackend
) -> None:
    notifier.notify("x", fields={"password": "hunter22"})

    assert only(notifier, backend).fields == {"password": MASK}


def test_who_redacts_is_asked_before_anybody_else_sees_an_event(backend: MemoryBackend) -> None:
    class Upper:
        def events(self, events: Sequence[Event], /) -> list[Event]:
            return [replace(event, message=event.message.upper()) for event in events]

        def text(self, text: str, /) -> str:
            return text.upper()

    with Notifier({"memory": backend}, redact=Upper()) as notifier:
        notifier.notify("said")
        notifier.handler.handle(logging.makeLogRecord({"msg": "logged", "levelno": logging.ERROR}))

    assert sorted(backend.messages) == ["LOGGED", "SAID"]


def test_the_last_records_are_there_as_logs_serves_them(notifier: Notifier) -> None:
    notifier.attach()
    logging.getLogger("strategy").warning("low %s", "gas")

    (record,) = notifier.records()

    assert (record["level"], record["message"], record["level_number"]) == ("warning", "low gas", 30)
