"""Whatever a caller passed, as an event."""

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import FrameType
from typing import TypedDict, Unpack

from notify.event import Attachment, Event, Source, new_id
from notify.exceptions import Raised
from notify.levels import parse_level
from notify.plain import MAX_ITEMS, clean, keep, keep_fields, safe_str


class Parts(TypedDict, total=False):
    """The keyword arguments of `Notifier.notify`."""

    body: str
    level: int
    topic: str
    key: str | None
    fields: Mapping[str, object] | None
    attachments: Sequence[Attachment]
    exc: BaseException | None


def caller(above: tuple[str, ...] = ()) -> Source:
    """Return the place two frames up, who called the method that asks, or the first beyond the modules *above*."""
    thread = clean(safe_str(threading.current_thread().name))
    frame: FrameType | None
    try:
        frame = sys._getframe(2)
    except ValueError:  # called by C: as an atexit callback, or as all that a thread runs
        frame = None
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(above or ("\0",)):
        frame = frame.f_back
    if frame is None:
        return Source(process=os.getpid(), thread=thread)
    code = frame.f_code
    return Source(clean(code.co_filename), frame.f_lineno or 0, code.co_name, os.getpid(), thread)


def event_of(now: float, source: Source, message: object, **parts: Unpack[Parts]) -> Event:
    """Make an event of whatever was passed, even of what breaks when it is looked at."""
    try:
        return _read(now, source, message, **parts)
    except Exception as error:  # noqa: BLE001 - such as an object whose __class__ raises
        level = parts.get("level")
        return Event(
            id=new_id(now),
            time=now,
            message=clean(safe_str(message)),
            level=level if type(level) is int else logging.WARNING,
            fields={"notify": f"<unreadable arguments: {type(error).__name__}>"},
            source=source,
        )


def _read(
    now: float,
    source: Source,
    message: object,
    *,
    body: object = "",
    level: object = logging.INFO,
    topic: object = "log",
    key: object = None,
    fields: Mapping[str, object] | None = None,
    attachments: Iterable[object] | None = (),
    exc: object = None,
) -> Event:
    """Make an event of what was passed. What cannot be used is shown in it instead."""
    kept = keep_fields(fields) if fields is not None else {}
    files: tuple[Attachment, ...] = ()
    try:
        one = isinstance(attachments, Attachment)  # instead of a list of one
        given = (attachments,) if one else tuple(islice(attachments or (), MAX_ITEMS + 1))
        files = tuple(file for file in given[:MAX_ITEMS] if isinstance(file, Attachment))
        if len(files) < len(given):
            kept["attachments"] = f"{len(given) - len(files)} of {len(given)} are no Attachment, or too many"
    except Exception as error:  # noqa: BLE001 - a hostile iterator
        kept["attachments"] = f"<unreadable: {type(error).__name__}>"
    number = _level(level)
    if number is None:
        kept["level"] = keep(level)
    if exc is not None and not isinstance(exc, BaseException):
        kept["exc"] = keep(exc)
    return Event(
        id=new_id(now),
        time=now,
        message=clean(safe_str(message)),
        body=clean(safe_str(body)),
        level=logging.INFO if number is None else number,
        topic=clean(safe_str(topic)),
        key=None if key is None else clean(safe_str(key)),
        fields=kept,
        attachments=files,
        exception=Raised(exc).info() if isinstance(exc, BaseException) else None,
        source=source,
    )


def _level(level: object) -> int | None:
    """Return a level given by number or by name, None when it is neither."""
    if isinstance(level, int):
        return max(-sys.maxsize, min(int.__int__(level), sys.maxsize))  # longer ones cannot be printed
    try:
        return parse_level(level) if isinstance(level, str) else None
    except ValueError:
        return None
