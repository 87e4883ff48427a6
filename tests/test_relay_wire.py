"""Events as entries of the relay's stream."""

from dataclasses import replace
from pathlib import Path

import pytest
import redis
from redis_server import running_redis

from notify import Attachment, Event
from notify.backends.relay import wire
from notify.backends.relay.wire import Entry, UnreadableEntry, entry_of, fields_of
from notify.event import Matter, Origin, Phase

EVENT = Event(
    id="0001-1-a",
    time=1.5,
    message="Bought ¢ETH ✅",
    level=21,
    topic="trade",
    fields={"amount": 2, "pair": "ETH-USDC"},
    attachments=(Attachment("curve.png", b"\x89PNG\0\xff"),),
    matter=Matter("m", Phase.ANNOUNCED, 1, 1.5, 1.5),
    origin=Origin("eth-1", "ETH strategy", "https://example.com/icon.png"),
)


def as_read(fields: dict[str, str | bytes]) -> dict[bytes, bytes]:
    """What a client gives that decodes nothing."""
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in fields.items()}


def test_an_entry_comes_back_as_it_was() -> None:
    entry = Entry(EVENT, frozenset({"discord", "telegram"}))

    assert entry_of(as_read(fields_of(entry))) == entry


def test_the_first_fields_are_those_that_scripts_look_at() -> None:
    assert list(fields_of(Entry(EVENT))) == ["v", "id", "executor", "name", "icon", "event"]


def test_what_the_relay_says_itself_has_no_origin() -> None:
    own = replace(EVENT, origin=None)

    fields = fields_of(Entry(own))

    assert fields["executor"] == ""
    assert entry_of(as_read(fields)).event == own


def test_what_a_newer_program_adds_is_left_out() -> None:
    fields = as_read(fields_of(Entry(EVENT))) | {b"colour": b"green"}

    assert entry_of(fields).event == EVENT


def test_an_entry_of_a_newer_version_is_named() -> None:
    fields = as_read(fields_of(Entry(EVENT))) | {b"v": b"2"}

    with pytest.raises(UnreadableEntry, match="version 2, and this program reads version 1"):
        entry_of(fields)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({b"v": b"one"}, "no version"),
        ({b"v": b"9" * 5000}, "no version"),
        ({b"event": b"{"}, "is none"),
        ({b"event": b"[]"}, "is none"),
        ({b"event": b"[" * 100_000}, "is none"),
        ({b"name": b"\xff\xfe"}, "is none"),
        ({b"id": b"another"}, "another id"),
    ],
)
def test_an_entry_that_is_not_ours_is_named(changed: dict[bytes, bytes], said: str) -> None:
    with pytest.raises(UnreadableEntry, match=said):
        entry_of(as_read(fields_of(Entry(EVENT))) | changed)


@pytest.mark.parametrize("name", [b"id", b"executor", b"name", b"icon", b"event"])
def test_a_field_that_is_missing_is_named(name: bytes) -> None:
    fields = as_read(fields_of(Entry(EVENT)))
    del fields[name]

    with pytest.raises(UnreadableEntry, match=f"it lacks {name.decode()}"):
        entry_of(fields)


@pytest.mark.process
def test_a_server_that_is_killed_has_its_stream_when_it_is_started_again(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        server.client().xadd(wire.EVENTS, fields_of(Entry(EVENT)))
        server.kill()
        with pytest.raises(redis.ConnectionError):
            server.client().ping()
        server.start()

        ((_, fields),) = server.client().xrange(wire.EVENTS)

    assert entry_of(fields).event == EVENT


def test_what_reads_and_writes_events_is_loaded_while_nobody_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("notify.imports.load", loaded.append)

    entry_of(as_read(fields_of(Entry(EVENT))))

    assert loaded == ["notify.event_json"] * 2  # once each way
