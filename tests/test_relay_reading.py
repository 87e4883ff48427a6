"""Entries that can be read, and what becomes of the others."""

from collections.abc import Sequence

from notify.backends.relay.wire import Entry, fields_of
from notify.event import Event, Origin
from notify.relay.reading import read
from notify.relay.stream import Found


def found(entry: str, event: Event | None) -> Found:
    fields = {b"odd": b"one"}
    if event is not None:
        fields = {
            name.encode(): value if isinstance(value, bytes) else value.encode()
            for name, value in fields_of(Entry(event, frozenset({"discord"}))).items()
        }
    return Found(entry, b"a", fields, None, frozenset())


def event(message: str) -> Event:
    return Event(id=message, time=0.0, message=message, level=20, origin=Origin("a", "A"))


def masked(events: Sequence[Event]) -> Sequence[Event]:
    if any(each.message == "poison" for each in events):
        raise RecursionError
    return events


def test_what_can_be_read_comes_in_its_order_with_whom_it_is_for() -> None:
    readable, aside = read([found("1-0", event("one")), found("2-0", event("two"))], masked)

    assert [each.event.message for each in readable] == ["one", "two"]
    assert {each.to for each in readable} == {frozenset({"discord"})}
    assert aside == []


def test_what_is_not_ours_or_cannot_be_searched_is_set_aside_and_the_rest_goes_on() -> None:
    entries = [found("1-0", None), found("2-0", event("poison")), found("3-0", event("well"))]

    readable, aside = read(entries, masked)

    assert [each.event.message for each in readable] == ["well"]
    assert [(each.entry, each.reason) for each in aside] == [
        ("1-0", "no entry of notify: it has no version"),
        ("2-0", "it cannot be searched for secrets: RecursionError"),
    ]
