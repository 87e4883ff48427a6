"""The files of a message: what was attached, and the text that no embed can hold."""

import json
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath

from notify.event import Attachment, Event
from notify.levels import level_name
from notify.plain import clean, jsonable, safe_str
from notify.table import PHONE, table_of

MAX_FILES = 10  # in a message, as Discord documents
MAX_FILE = 10 * 2**20  # bytes; Discord's limit where nobody paid for more
MAX_REQUEST = 20 * 2**20  # bytes of all files; Discord documents 25 MiB for the whole request

_IMAGES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}
_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message, under the name that it has there."""

    name: str
    data: bytes = field(repr=False)
    content_type: str


def whole_text(event: Event, names: set[str], *, crash: bool = False) -> File:
    """Return a file with everything that *event* says.

    Args:
        event: what happened.
        names: of the message's files, in lower case; the new one's is added.
        crash: call it `traceback.txt` instead of `message.txt`, if there is a traceback.
    """
    source = event.source
    head = [
        f"{iso_time(event.time) or event.time} {level_name(event.level)} {event.topic} {event.id}",
        *([f"logger {event.logger}"] if event.logger else []),
        *([f"{source.path}:{source.line} {source.function}"] if source.path else []),
    ]
    parts = ["\n".join(head), event.message, event.body]
    parts.append("\n".join(field_text(name, value, None) for name, value in event.fields.items()))
    if event.exception is not None:
        parts.append(f"{event.exception.type}: {event.exception.message}")
        parts.append(event.exception.traceback)
    if event.tail:
        parts.append("\n".join(("Last log lines:", *event.tail)))
    data = clean("\n\n".join(part.strip("\n") for part in parts if part)).encode()
    name = "traceback.txt" if crash and event.exception is not None else "message.txt"
    return File(_unique(name, names), _bounded(data), "text/plain; charset=utf-8")


def attach(
    attachments: Sequence[Attachment], names: set[str], *, beside: File | None
) -> tuple[list[File], list[Attachment]]:
    """Return the files that one message of Discord's takes, and the attachments it does not take.

    Args:
        attachments: of one event.
        names: of the message's files, in lower case; those of the new ones are added.
        beside: the event's own text, when that travels as a file.
    """
    files: list[File] = []
    left_out: list[Attachment] = []
    places = MAX_FILES - (beside is not None)
    room = MAX_REQUEST - (len(beside.data) if beside is not None else 0)
    for attachment in attachments:
        size = len(attachment.data)
        if not size or size > MAX_FILE or size > room or len(files) >= places:
            left_out.append(attachment)
            continue
        name = _unique(_safe_name(attachment.filename, attachment.content_type), names)
        files.append(File(name, attachment.data, _content_type(attachment.content_type, name)))
        room -= size
    return files, left_out


def is_image(name: str) -> bool:
    """Say whether Discord shows the file of this name in an embed."""
    return PurePosixPath(name).suffix.lower() in _IMAGE_SUFFIXES


def iso_time(at: float) -> str | None:
    """Return epoch seconds in ISO 8601, UTC; None when no calendar has that day."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None


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


def _safe_name(filename: str, content_type: str | None) -> str:
    """Return *filename* in the characters that survive a multipart header and an attachment:// address."""
    path = PurePosixPath(_UNSAFE.sub("_", filename).strip(".") or "file")
    suffix = path.suffix
    if suffix.lower() not in _IMAGE_SUFFIXES and content_type in _IMAGES:
        return path.name[:60] + _IMAGES[content_type]  # Discord goes by the name when it decides what to show
    return path.stem[:60] + suffix[:20]


def _content_type(given: str | None, name: str) -> str:
    if given is not None and _CONTENT_TYPE.fullmatch(given):
        return given
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _unique(name: str, names: set[str]) -> str:
    path = PurePosixPath(name)
    number = 1
    while name.lower() in names:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    names.add(name.lower())
    return name


def _bounded(data: bytes) -> bytes:
    """Return *data*, without its middle when it is more than a file may hold."""
    if len(data) <= MAX_FILE:
        return data
    half = MAX_FILE // 2 - 100  # leaves room for the mark
    mark = f"\n…[{len(data) - 2 * half} bytes cut: more than Discord takes]…\n"
    return (data[:half].decode(errors="ignore") + mark + data[-half:].decode(errors="ignore")).encode()
