"""An event as the JSON that outlives the process, in the outbox and in a relay, and back.

JSON and not pickle, because a file that somebody tampered with must not run code. What JSON has no type for comes
back as its text: Decimal and datetime as `str()` shows them, integers beyond 64 bits as digits, NaN as None.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson  # at once: nothing can be imported when the interpreter shuts down, or halfway in a signal handler

from notify.event import Attachment, Event, ExceptionInfo, Matter, Phase, Source
from notify.plain import jsonable, safe_str

_T = TypeVar("_T")
_PHASES = frozenset(Phase)


def encode(event: Event) -> bytes:
    """Return *event* as JSON in UTF-8. Raises nothing for what `plain.keep` made of the fields."""
    document = _document(event)
    options = orjson.OPT_PASSTHROUGH_DATETIME
    try:
        return orjson.dumps(document, default=_plain, option=options)
    except TypeError:  # a large integer, a name that is no string, a lone surrogate
        return orjson.dumps(jsonable(document))


def decode(data: bytes) -> Event:
    """Return the event that *data* was made of. What a newer version added is left out.

    Raises `ValueError` when *data* is no JSON or lacks what makes an event.
    """
    document = orjson.loads(data)
    if not isinstance(document, dict):
        raise ValueError("not an event: no JSON object")
    try:
        return Event(
            id=_required(document, "id", str),
            time=float(_required(document, "time", (int, float))),
            message=_required(document, "message", str),
            level=_required(document, "level", int),
            body=_text(document, "body"),
            topic=_text(document, "topic", "log"),
            key=_optional(document, "key", str),
            fields=_optional(document, "fields", dict) or {},
            attachments=tuple(map(_attachment, _optional(document, "attachments", list) or ())),
            exception=_part(document, "exception", _exception),
            tail=tuple(map(safe_str, _optional(document, "tail", list) or ())),
            logger=_text(document, "logger"),
            source=_part(document, "source", _source) or Source(),
            matter=_part(document, "matter", _matter),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an event: {type(error).__name__}") from None


def _document(event: Event) -> dict[str, object]:
    """Return what is worth keeping; what has its default value is left out, which saves a third of a plain event."""
    document: dict[str, object] = {
        "id": event.id,
        "time": event.time,
        "message": event.message,
        "level": event.level,
        "topic": event.topic,
    }
    if event.body:
        document["body"] = event.body
    if event.key is not None:
        document["key"] = event.key
    if event.fields:
        document["fields"] = dict(event.fields)
    if event.attachments:
        document["attachments"] = [
            {"filename": file.filename, "data": base64.b64encode(file.data).decode(), "content_type": file.content_type}
            for file in event.attachments
        ]
    if (exception := event.exception) is not None:
        document["exception"] = {
            "type": exception.type,
            "message": exception.message,
            "traceback": exception.traceback,
        }
    if event.tail:
        document["tail"] = event.tail
    if event.logger:
        document["logger"] = event.logger
    if (matter := event.matter) is not None:
        document["matter"] = {
            "id": matter.id,
            "phase": matter.phase.value,
            "count": matter.count,
            "since": matter.since,
            "last": matter.last,
            **({"executors": matter.executors} if matter.executors != 1 else {}),
        }
    source = event.source
    document["source"] = {
        "path": source.path,
        "line": source.line,
        "function": source.function,
        "process": source.process,
        "thread": source.thread,
    }
    return document


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else safe_str(value)


def _required(document: Mapping[str, Any], name: str, kind: type[_T] | tuple[type[_T], ...]) -> _T:
    value = document[name]
    if not isinstance(value, kind):
        raise TypeError(name)
    return value


def _optional(document: Mapping[str, Any], name: str, kind: type[_T]) -> _T | None:
    """Return an entry if it is what this version expects of it, so that one odd part does not cost the event."""
    value = document.get(name)
    return value if isinstance(value, kind) else None


def _text(document: Mapping[str, Any], name: str, default: str = "") -> str:
    value = _optional(document, name, str)
    return default if value is None else value


def _part(document: Mapping[str, Any], name: str, make: Callable[[Mapping[str, Any]], _T | None]) -> _T | None:
    part = _optional(document, name, dict)
    return None if part is None else make(part)


def _attachment(document: Mapping[str, Any]) -> Attachment:
    return Attachment(
        filename=_text(document, "filename"),
        data=base64.b64decode(_text(document, "data")),
        content_type=_optional(document, "content_type", str),
    )


def _exception(document: Mapping[str, Any]) -> ExceptionInfo:
    return ExceptionInfo(_text(document, "type"), _text(document, "message"), _text(document, "traceback"))


def _matter(document: Mapping[str, Any]) -> Matter | None:
    phase = _text(document, "phase")
    if phase not in _PHASES:
        return None
    return Matter(
        id=_text(document, "id"),
        phase=Phase(phase),
        count=_optional(document, "count", int) or 1,
        since=_optional(document, "since", float) or 0.0,
        last=_optional(document, "last", float) or 0.0,
        executors=_optional(document, "executors", int) or 1,
    )


def _source(document: Mapping[str, Any]) -> Source:
    return Source(
        path=_text(document, "path"),
        line=_optional(document, "line", int) or 0,
        function=_text(document, "function"),
        process=_optional(document, "process", int) or 0,
        thread=_text(document, "thread"),
    )
