"""All that an event says as plain text: for a file, and for services that have no markup of their own."""

from notify.backends.discord.files import field_text
from notify.event import Event
from notify.levels import level_name
from notify.plain import clean, iso_time


def whole_text(event: Event) -> str:
    """Return everything that *event* says, its source included, as text that can be encoded."""
    source = event.source
    head = [
        f"{iso_time(event.time)} {level_name(event.level)} {event.topic} {event.id}",
        *([f"logger {event.logger}"] if event.logger else []),
        *([f"{source.path}:{source.line} {source.function}"] if source.path else []),
    ]
    return _paragraphs("\n".join(head), event.message, *_details(event))


def said_below(event: Event) -> str:
    """Return what *event* says below the first line of its message."""
    return _paragraphs(event.message.strip().partition("\n")[2], *_details(event))


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
