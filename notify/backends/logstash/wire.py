"""An event as the document that Logstash gets: python-logstash's version 1 schema, or the Elastic Common Schema."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from notify.event import Event
from notify.levels import level_name
from notify.plain import LONG, SCALARS, clean, jsonable, keep, keep_fields, safe_repr, safe_str

ECS_VERSION = "8.11.0"

Document = dict[str, object]

_LEAST = -LONG
_REDACTED = "[redacted]"
# python-logstash leaves these two out. That they were there is worth knowing.
_SECRET = frozenset({"password", "auth_token"})
# Not in every document, and still not for a program's values: Logstash refuses an event whose
# @metadata is no object, and the other two are how a shortened document says so.
_RESERVED = frozenset({"@metadata", "truncated", "original_bytes"})
_SPECIAL = _SECRET | _RESERVED
# No field may hide these: the names that every document has, and the special ones.
_TAKEN = _SPECIAL | {
    "@timestamp", "@version", "message", "host", "path", "tags", "type", "level", "logger_name", "application",
    "event_id", "topic",
}  # fmt: skip

CALLS = 1024
"""Log calls of which what their documents have in common is remembered."""


@dataclass(frozen=True, slots=True, eq=False)  # told apart by identity: it is looked up for each event
class Speaker:
    """Who speaks: the same in every document.

    Args:
        application: name of the program.
        host: name of the machine.
        tags: what receivers sort by.
    """

    application: str
    host: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)  # as above
class Shared:
    """What the documents of many events have in common.

    Args:
        document: names and values, which nobody changes.
    """

    document: Document


NOTHING = Shared({})
InParts = tuple[Document, Shared]
"""A document as what it has for itself, and what it shares with others."""


def version_1(events: Sequence[Event], speaker: Speaker) -> list[InParts]:
    """Return *events* in python-logstash's version 1 schema, plus `application`, `event_id` and `topic`.

    Each comes in two parts that have no name in common. Fields stand beside the schema's names; one that would hide
    another is renamed with the prefix `extra_`, as often as it takes. Never raises an Exception.
    """
    documents: list[InParts] = []
    source = logger = topic = level = origin = None
    stamp, since, until = "", 0.0, 0.0
    for event in events:
        # A log call in a loop is made many times in a row, and to compare costs less than to look up.
        if (
            event.source is not source
            or event.topic is not topic
            or event.logger is not logger
            or event.level != level
            or event.origin is not origin
        ):
            source, topic, logger, level = event.source, event.topic, event.logger, event.level
            origin = event.origin
            shared = _shared(_application(event, speaker), speaker, level_name(level), logger, source.path, topic)
        try:
            if not since <= event.time < until:  # a burst has many events in each millisecond
                stamp, since, until = _stamp(event.time)
        except TypeError:  # made by hand
            stamp = timestamp(event.time)
        own: Document = {"@timestamp": stamp, "message": event.message, "event_id": event.id}
        taken: frozenset[str] = _TAKEN
        if event.exception is not None:
            own["stack_trace"] = event.exception.traceback
            own["lineno"] = event.source.line
            own["process"] = event.source.process
            own["thread_name"] = event.source.thread
            taken = _TAKEN.union(own)
        if event.body or event.key is not None or event.attachments or event.tail:
            own.update(_parts(event))
            taken = _TAKEN.union(own)
        _add_fields(own, event.fields, taken)
        documents.append((own, shared))
    return documents


@lru_cache(maxsize=CALLS)
def _shared(application: str, speaker: Speaker, level: str, logger: str, path: str, topic: str) -> Shared:
    """Return what the documents of one log call have in common."""
    return Shared(
        {
            "@version": "1",
            "host": speaker.host,
            "path": path,
            "tags": list(speaker.tags),
            "type": "logstash",
            "level": level,
            "logger_name": logger or "notify",
            "application": application,
            "topic": topic,
        }
    )


def ecs(events: Sequence[Event], speaker: Speaker) -> list[InParts]:
    """Return *events* in the Elastic Common Schema: `host` is an object, a program's own fields are in `fields`, and
    what ECS has no name for is in `notify`.

    In two parts as `version_1`, of which the second is empty. Logstash 8 and later refuses an event with a plain `host`
    in its default mode. Never raises an Exception.
    """
    return [(_ecs(event, speaker), NOTHING) for event in events]


def _ecs(event: Event, speaker: Speaker) -> Document:
    source = event.source
    log: Document = {
        "level": level_name(event.level),
        "logger": event.logger or "notify",
        "origin": {"file": {"name": source.path, "line": source.line}, "function": source.function},
    }
    document: Document = {
        "@timestamp": timestamp(event.time),
        "ecs": {"version": ECS_VERSION},
        "message": event.message,
        "host": {"name": speaker.host},
        "tags": list(speaker.tags),
        "service": {"name": _application(event, speaker)},
        "event": {"id": event.id},
        "log": log,
        "process": {"pid": source.process, "thread": {"name": source.thread}},
        "notify": {"topic": event.topic, **_parts(event)},
    }
    if event.exception is not None:
        document["error"] = {
            "type": event.exception.type,
            "message": event.exception.message,
            "stack_trace": event.exception.traceback,
        }
    fields: Document = {}
    _add_fields(fields, event.fields, _SPECIAL)
    if fields:
        document["fields"] = fields
    return document


def _application(event: Event, speaker: Speaker) -> str:
    return speaker.application if event.origin is None else f"executor-{event.origin.executor}"


def timestamp(moment: float) -> str:
    """Return epoch seconds as `2026-01-31T23:59:59.999Z`; 1970 for a number that is no time."""
    return _stamp(moment)[0]


def _stamp(moment: float) -> tuple[str, float, float]:
    """Return the timestamp of *moment*, and from when until before when others have the same for sure."""
    try:
        milliseconds = round(moment * 1e6) // 1000
        second, rest = divmod(milliseconds, 1000)
        return f"{_second(second)}.{rest:03d}Z", milliseconds / 1000, (milliseconds + 0.999) / 1000
    except (ArithmeticError, ValueError, OSError, TypeError):
        return "1970-01-01T00:00:00.000Z", 0.0, 0.0


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    moment = time.gmtime(second)
    if not 1 <= moment.tm_year <= 9999:
        raise ValueError("a year that ISO 8601 has no four digits for")
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment)


def _parts(event: Event) -> Document:
    """Return what an event of `Notifier.notify` may have and a log record has not."""
    parts: Document = {}
    if event.body:
        parts["body"] = event.body
    if event.key is not None:
        parts["key"] = event.key
    if event.attachments:
        parts["attachments"] = [{"name": file.filename, "size": len(file.data)} for file in event.attachments]
    if event.tail:
        parts["tail"] = list(event.tail)
    return parts


def _add_fields(document: Document, fields: Mapping[str, object], taken: frozenset[str]) -> None:
    """Add *fields* to *document*, under other names where theirs are *taken*."""
    for name, value in (fields if type(fields) is dict else keep_fields(fields)).items():
        kind = type(value)
        if kind is int:
            if not _LEAST <= value < LONG:  # type: ignore[operator]  # it is one
                value = _plain(value)
        elif kind not in SCALARS:
            value = _plain(value)
        if type(name) is not str or name in taken:
            name, value = _renamed((taken - _SECRET).union(document), name, value)
            taken = taken.union(document, (name,))
        document[name] = value


def _plain(value: object) -> object:
    """Return *value* as python-logstash has it: what JSON has no type for as `repr`, inside a list or dict as `str`."""
    try:
        if isinstance(value, tuple):
            return clean(safe_repr(value))
        return jsonable(value, other=safe_str if isinstance(value, dict | list) else safe_repr)
    except Exception:  # noqa: BLE001 - a cycle, or a container that breaks: then a bounded copy
        return jsonable(keep(value))


def _renamed(taken: frozenset[str], name: object, value: object) -> tuple[str, object]:
    """Return a free name for a field, and what may be shown of it."""
    free = name if type(name) is str else clean(safe_str(name))
    if free in _SECRET:
        value = _REDACTED
    while free in taken:
        free = f"extra_{free}"
    return free, value
