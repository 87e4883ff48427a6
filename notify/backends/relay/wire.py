"""What programs and the relay's workers have agreed upon: names of keys in Redis, and an event as an entry there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from notify import imports
from notify.errors import NotifyError
from notify.event import Event, Origin

PREFIX = "notify:"
"""What all keys of ours begin with."""
EVENTS = "notify:events"
"""The stream of events, oldest first."""
GROUP = "notify"
"""The consumer group of that stream: all workers."""
LOGSTASH = "notify:logstash"
"""The list that Logstash's redis input empties: a line of JSON for each event."""
DEAD = "notify:dead"
"""The stream of what was set aside: the fields of the entry, and `reason`, `backend` and `entry`, its id."""

VERSION = 1
_TEXTS = ("id", "executor", "name", "icon")


class UnreadableEntry(NotifyError):
    """An entry of the stream cannot be read. The text says why, and holds nothing of the entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream.

    Args:
        event: with the origin of who published it; the relay's own events have none.
        to: the backends that it is for; empty: routes decide. Only the relay itself names some.
    """

    event: Event
    to: frozenset[str] = frozenset()


def fields_of(entry: Entry) -> dict[str, str | bytes]:
    """Return *entry* as fields, in the order that scripts in Redis rely on: `v`, `id` and `executor` come first.

    Raises nothing for what `plain.keep` made of the event's fields.
    """
    imports.load("notify.event_json")  # with orjson, which a program that publishes nothing need not load
    from notify.event_json import encode

    event = entry.event
    origin = event.origin or Origin("", "")
    fields: dict[str, str | bytes] = {
        "v": str(VERSION),
        "id": event.id,
        "executor": origin.executor,
        "name": origin.name,
        "icon": origin.icon_url,
        "event": encode(event),
    }
    if entry.to:
        fields["to"] = ",".join(sorted(entry.to))
    return fields


def entry_of(fields: Mapping[bytes, bytes]) -> Entry:
    """Return the entry that has these *fields*. What a newer program of this version added is left out.

    Raises `UnreadableEntry` for one of a newer version, and for one that is not ours.
    """
    imports.load("notify.event_json")
    from notify.event_json import decode

    version = fields.get(b"v", b"")
    if not (version.isdigit() and len(version) < 10):
        raise UnreadableEntry("no entry of notify: it has no version")
    if int(version) > VERSION:
        raise UnreadableEntry(f"an entry of version {int(version)}, and this program reads version {VERSION}")
    try:
        texts = {name: fields[name.encode()].decode() for name in _TEXTS}
        event = decode(fields[b"event"])
        to = fields.get(b"to", b"").decode()
    except KeyError as error:
        raise UnreadableEntry(f"no entry of notify: it lacks {error.args[0].decode()}") from None
    except ValueError:
        raise UnreadableEntry("no entry of notify: what it has as its event is none") from None
    if event.id != texts["id"]:
        raise UnreadableEntry("no entry of notify: it has another id than its event")
    if texts["executor"] or texts["name"]:
        event = replace(event, origin=Origin(texts["executor"], texts["name"], texts["icon"]))
    return Entry(event, frozenset(filter(None, to.split(","))))
