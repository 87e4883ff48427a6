"""Whatever a caller passed, as an event."""

import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import FrameType
from typing import Any, TypedDict, Unpack

from notify import diagnostics
from notify.clip import clip
from notify.clock import is_time
from notify.event import Attachment, Event, Matter, Phase, Source, new_id
from notify.exceptions import Raised
from notify.interruption import came_from_a_signal
from notify.levels import parse_level
from notify.plain import MAX_ITEMS, MAX_MESSAGE, class_name, clean, keep, keep_fields, safe_str
from notify.rules.fingerprint import id_of_key

_MAX_FILES = 25 * 2**20  # bytes of all files of an event: more than Discord takes without a paid server
_LEVEL_NAME = 20  # characters: the longest of ours has 10
_NAME = 100  # code points of a file's name in such a note


class Parts(TypedDict, total=False):
    """The keyword arguments of `Notifier.notify`."""

    body: str
    level: int
    topic: str
    key: str | None
    fields: Mapping[str, object] | None
    attachments: Sequence[Attachment]
    exc: BaseException | None
    update: bool


def in_time(event: Event, now: float) -> Event:
    """Return *event* with *now* in place of what is no time, its own or its matter's: an infinite one, or none at all.

    Backends count and format with them. What else is odd about the event is left to them.
    """
    if not is_time(event.time):
        event = replace(event, time=now)
    matter = event.matter
    if type(matter) is Matter and not (is_time(matter.since) and is_time(matter.last)):
        since, last = (moment if is_time(moment) else now for moment in (matter.since, matter.last))
        event = replace(event, matter=replace(matter, since=since, last=last))
    return event


def caller(above: tuple[str, ...] = ()) -> Source:
    """Return the place two frames up, who called the method that asks, or the first beyond the modules *above*."""
    thread = _thread_name()
    frame: FrameType | None
    try:
        frame = sys._getframe(2)
    except ValueError:  # called by C: as an atexit callback, or as all that a thread runs
        frame = None
    while above and frame is not None and _module_of(frame).startswith(above):
        frame = frame.f_back
    if frame is None:
        return Source(process=os.getpid(), thread=thread)
    code = frame.f_code
    return Source(clean(code.co_filename), frame.f_lineno or 0, clean(code.co_name), os.getpid(), thread)


def _thread_name() -> str:
    try:
        return clean(safe_str(threading.current_thread().name))
    except BaseException as error:  # the program's own Thread may have a name that raises
        if came_from_a_signal(error):
            raise
        return ""


def _module_of(frame: FrameType) -> str:
    name = dict.get(frame.f_globals, "__name__")  # exec() takes dicts of the program's own class
    return name if type(name) is str else ""


def event_of(now: float, source: Source, message: object, **parts: Unpack[Parts]) -> Event:
    """Make an event of whatever was passed, even of what breaks when it is looked at."""
    try:
        return _read(now, source, message, **parts)
    except BaseException as error:  # a name that is no parameter, or what nobody has thought of
        if came_from_a_signal(error):
            raise
        return Event(
            id=new_id(now),
            time=now,
            message=clean(safe_str(message)),
            level=_level(parts.get("level")) or logging.WARNING,
            fields={"notify": f"<unreadable arguments: {class_name(error)}>"},
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
    attachments: object = (),
    exc: object = None,
    update: object = False,
) -> Event:
    """Make an event of what was passed. What cannot be used is shown in it instead."""
    kept = keep_fields(fields) if fields is not None else {}
    if "fields" in kept and not _has_items(fields):
        _tell("fields", f"{class_name(fields)} is no mapping of names to values; it is shown as a field", source)
    files, unusable = _files(attachments)
    if unusable:
        kept["attachments"] = unusable
    number = _level(level)
    if number is None:
        kept["level"] = keep(level)
        _tell("level", f"{_shown(level)} is no level; INFO is taken", source)
    # By its type: isinstance() believes what an object says of its own class.
    raised = Raised(exc) if issubclass(type(exc), BaseException) else None  # type: ignore[arg-type]  # it is one
    if exc is not None and raised is None:
        kept["exc"] = keep(exc)
    name = None if key is None else clean(safe_str(key))
    return Event(
        id=new_id(now),
        time=now,
        message=clean(clip(safe_str(message), MAX_MESSAGE)),
        body=clean(clip(safe_str(body), MAX_MESSAGE)),
        level=logging.INFO if number is None else number,
        topic=clean(safe_str(topic)),
        key=name,
        fields=kept,
        attachments=files,
        exception=raised.info() if raised is not None else None,
        source=source,
        matter=Matter(id_of_key(name), Phase.LIVING, since=now, last=now) if update is True and name else None,
    )


def _has_items(fields: object) -> bool:
    try:
        return getattr(fields, "items", None) is not None
    except BaseException as error:  # as it did when it was read, which the event says
        if came_from_a_signal(error):
            raise
        return True


def _shown(level: object) -> str:
    """Return the name of a level, or else the class of what is none: it may be anything, a secret for one."""
    is_name = type(level) is str and level.isascii() and level.isidentifier() and len(level) <= _LEVEL_NAME
    return f"{level!r}" if is_name else f"an object of {class_name(level)}"


def _tell(argument: str, what: str, source: Source) -> None:
    """Say on stderr, too, that a caller has passed what cannot be used: routes may keep the event from people."""
    where = f" in {source.path}, line {source.line}" if source.path else ""
    diagnostics.report(f"argument {argument}", f"notify({argument}=…){where}: {what}")


def _files(attachments: Any) -> tuple[tuple[Attachment, ...], str]:
    """Return what can be attached of what was passed, and a word on the rest."""
    given: list[object] = []
    unread = ""
    try:
        if issubclass(type(attachments), Attachment):  # instead of a list of one
            given.append(attachments)
        else:
            given.extend(islice(() if attachments is None else attachments, MAX_ITEMS + 1))
    except BaseException as error:  # what came before it is attached
        if came_from_a_signal(error):
            raise
        unread = f"<unreadable: {class_name(error)}>"
    files = [file for one in given[:MAX_ITEMS] if (file := _attachment(one)) is not None]
    if not unread and len(files) < len(given):
        unread = f"{len(given) - len(files)} of {len(given)} are no Attachment, or too many"
    room = _MAX_FILES
    fitting: list[Attachment] = []
    for file in files:
        if len(file.data) > room:
            unread = f"{clip(file.filename, _NAME)} is left out: {len(file.data):,} bytes are too many"
        else:
            room -= len(file.data)
            fitting.append(file)
    return tuple(fitting), unread


def _attachment(given: Any) -> Attachment | None:
    """Return an attachment of Python's own bytes and strings, None for what is none."""
    try:
        if not issubclass(type(given), Attachment):
            return None
        kind = given.content_type
        if type(given) is Attachment and type(given.data) is bytes and (kind is None or type(kind) is str):
            return given
        data = bytes.__getitem__(given.data, slice(None))  # asks no method of a class that inherits from bytes
        return Attachment(safe_str(given.filename), data, None if kind is None else safe_str(kind))
    except BaseException as error:  # a class that inherits from Attachment may be anything
        if came_from_a_signal(error):
            raise
        return None


def _level(level: Any) -> int | None:
    """Return a level given by number or by name, None when it is neither."""
    if issubclass(type(level), int):
        return max(-sys.maxsize, min(int.__int__(level), sys.maxsize))  # longer ones cannot be printed
    try:
        return parse_level(str.__str__(level)) if issubclass(type(level), str) else None
    except ValueError:
        return None
