"""All that an event says as plain text: for a file, and for services that have no markup of their own."""

import json

from notify.backends.text import visible, whole_characters
from notify.event import Event
from notify.levels import level_name
from notify.plain import clean, iso_time, jsonable, safe_str
from notify.table import PHONE, table_of

_ORIGIN = 80  # characters of a name


def origin_name(event: Event) -> str:
    """Return who said *event*, in one line, when it comes from where many speak; empty when that is clear."""
    origin = event.origin
    named = () if origin is None else (" ".join(visible(name).split()) for name in (origin.name, origin.executor))
    shown = next(filter(None, named), "")
    return shown if len(shown) <= _ORIGIN else shown[: whole_characters(shown, _ORIGIN - 1)] + "…"


def whole_text(event: Event) -> str:
    """Return everything that *event* says, its source included, as text that can be encoded."""
    source = event.source
    head = [
        f"{iso_time(event.time)} {level_name(event.level)} {event.topic} {event.id}",
        *([f"from {said_by}"] if (said_by := origin_name(event)) else []),
        *([f"logger {event.logger}"] if event.logger else []),
        *([f"{source.path}:{source.line} {source.function}"] if source.path else []),
    ]
    return _paragraphs("\n".join(head), event.message, *_details(event))


def said_below(event: Event) -> str:
    """Return what *event* says below the first line of its message."""
    return _paragraphs(event.message.strip().partition("\n")[2], *_details(event))


def value_text(value: object, most: int | None = PHONE) -> str:
    """Return a field's value as people read it: tables drawn, other containers as JSON, the rest as `str` has it.

    Args:
        value: of a field.
        most: columns that a table may take; None as many as it needs.
    """
    if isinstance(value, str):
        return clean(value)
    if (table := table_of(value)) is not None:
        return table.draw(most)
    if isinstance(value, dict | list | tuple):
        return json.dumps(jsonable(value), ensure_ascii=False)
    return clean(safe_str(value))


def field_text(name: str, value: object, most: int | None = PHONE) -> str:
    """Return a field as `name: value`, a table below its name. Args are those of `value_text`."""
    shown = value_text(value, most)
    return f"{name}:\n{shown}" if "\n" in shown else f"{name}: {shown}"


def _details(event: Event) -> list[str]:
    parts = [event.body, "\n".join(field_text(name, value, None) for name, value in event.fields.items())]
    if event.exception is not None:
        parts.append(f"{event.exception.type}: {event.exception.message}")
        parts.append(event.exception.traceback)
    if event.tail:
        parts.append("\n".join(("Last log lines:", *event.tail)))
    return parts


def _paragraphs(*parts: str) -> str:
    return clean("\n\n".join(part.strip("\n") for part in parts if part.strip("\n")))
