"""What people are told of the delivery itself: who is gone, who is there again, and what was not delivered."""

from pathlib import Path

import pytest
from lanes import LONG, Hanging, Scripted, until, waits
from outboxes import an_event, opened

from notify.backends.memory import MemoryBackend
from notify.delivery import intake
from notify.delivery.lane import Lane
from notify.delivery.outbox import Outbox
from notify.delivery.retry import PROBE_INTERVAL
from notify.errors import Gone, Rejected
from notify.notifier import Notifier
from notify.rules.redaction import MASK, Redactor
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock


def alerts(backend: MemoryBackend) -> list[str]:
    return [event.message for event in backend.events if event.topic == "alert"]


def look_after(notifier: Notifier) -> None:
    """Have done now what is done once a minute."""
    notifier._pipeline._housekeeping.wake()


def test_every_other_backend_is_told_once_who_is_gone_and_when_he_is_there_again() -> None:
    clock = FakeClock()
    gone = Scripted(Gone("no such webhook"), Gone("no such webhook"))
    first, second = MemoryBackend(), MemoryBackend()
    with Notifier({"discord": gone, "first": first, "second": second}, clock=clock) as notifier:  # type: ignore[dict-item]
        ticket = notifier.notify("a")
        for _ in range(2):  # it is asked twice
            assert clock.next_wait() == PROBE_INTERVAL
            clock.advance(PROBE_INTERVAL)
        assert ticket.wait(LONG)["discord"] == "delivered"
        until(lambda: len(alerts(first)) == len(alerts(second)) == 2)
        notifier.notify("b").wait(LONG)

    told = [
        "discord takes no messages any more: no such webhook. It is tried again every ten minutes.",
        "discord takes messages again.",
    ]
    assert alerts(first) == alerts(second) == told
    assert gone.batches == ["a", "a", "a", "b"]  # and nothing about itself


def test_what_waits_for_a_backend_that_is_not_there_any_more_is_told_once(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as outbox:
        for _ in range(2):
            outbox.accept(an_event(), ["telegram"])
        outbox.accept(an_event("for discord"), ["discord"])
    discord, clock = MemoryBackend(durable=True), FakeClock()
    with Notifier({"discord": discord}, outbox=Outbox(tmp_path / "state", clock=clock), clock=clock) as notifier:
        until(lambda: alerts(discord))
        look_after(notifier)
        look_after(notifier)

    assert alerts(discord) == [
        "2 events of earlier runs cannot be delivered: there is no backend telegram, or it is not durable any more. "
        "Set it up again, or look at `notify outbox list`."
    ]
    assert "for discord" in discord.messages


def test_a_backend_that_wants_no_alerts_gets_none() -> None:
    clock = FakeClock()
    routes = {"quiet": Route(topics=parse_topics("!alert"))}
    quiet, loud = MemoryBackend(), MemoryBackend()
    backends = {"discord": Scripted(Gone("deleted")), "quiet": quiet, "loud": loud}
    notifier = Notifier(backends, routes=routes, clock=clock)  # type: ignore[arg-type]  # send and close
    notifier.notify("a")
    until(lambda: alerts(loud) and quiet.messages)

    notifier.close(0)

    assert quiet.messages == ["a"]


def test_what_did_not_fit_is_told_once_with_its_number_and_reason(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Lane.__init__.__kwdefaults__, "capacity", 4)  # events
    routes = {"slow": Route(topics=parse_topics("!alert"))}
    people = MemoryBackend()
    notifier = Notifier({"slow": hanging, "people": people}, routes=routes)
    until(lambda: waits("housekeeping", "_run"))  # for a minute, so that it says nothing before the last is dropped
    notifier.notify("in flight")
    assert hanging.called.wait(LONG)
    for number in range(5):
        notifier.notify(str(number))
        assert len(people.wait_for(number + 2)) == number + 2  # whose lane is as small
    until(lambda: notifier.stats()["slow"]["dropped"] == {"queue full": 2})

    for _ in range(3):
        look_after(notifier)
    until(lambda: alerts(people))
    notifier.close(0.1)

    assert alerts(people) == ["Not delivered to slow: 2 events (queue full)."]


def test_who_refuses_is_not_told_of_it_and_the_others_are() -> None:
    people = MemoryBackend()
    picky = Scripted(*[Rejected("too long")] * 3)
    with Notifier({"picky": picky, "people": people}) as notifier:  # type: ignore[dict-item]  # send and close
        for ticket in [notifier.notify(str(number)) for number in range(3)]:
            ticket.wait(LONG)
        look_after(notifier)
        until(lambda: alerts(people))

    assert picky.batches == ["0", "1", "2"]
    assert sum(int(message.split(": ")[1].split()[0]) for message in alerts(people)) == 3
    assert {message.split(" (")[1] for message in alerts(people)} == {"rejected)."}


def test_a_reason_that_holds_a_secret_is_told_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    people = MemoryBackend()
    pager = Scripted(Gone("404 at https://pager/s3cret-token-1"))
    redact = Redactor(["s3cret-token-1"])
    backends = {"pager": pager, "people": people}
    with Notifier(backends, redact=redact, clock=clock) as notifier:  # type: ignore[arg-type]  # send and close
        notifier.notify("a")
        until(lambda: alerts(people))
        reason = notifier.stats()["pager"]["last_error"]
        clock.advance(clock.next_wait())

    assert reason == f"404 at https://pager/{MASK}"
    assert alerts(people)[0].startswith(f"pager takes no messages any more: {reason}.")
    assert "s3cret-token-1" not in capsys.readouterr().err


def test_what_the_intake_has_no_room_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "CAPACITY", 0)
    monkeypatch.setattr(intake, "RESERVE", 0)
    people = MemoryBackend()
    with Notifier({"people": people}) as notifier:
        for number in range(3):
            notifier.notify(str(number))
        look_after(notifier)
        told = [event.message for event in people.wait_for(1)]

    # The first look, at the start, may have come in between.
    assert sum(int(message.split(": ")[1].split()[0]) for message in told) <= 3
    assert told[0].startswith("Not delivered to anybody: ")
    assert told[0].endswith(" (intake full).")
