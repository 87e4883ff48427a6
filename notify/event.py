"""One thing that happened, as the record that travels through the whole program."""

import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import cast

from notify.plain import clean

_sequence = itertools.count()
_BYTES = tuple(f"{byte:02x}" for byte in range(256))
_process_mark = os.urandom(4).hex()


def _mark_process() -> None:
    global _process_mark
    _process_mark = os.urandom(4).hex()


# A forked child shares the counter's value with its parent; a mark of its own keeps their ids apart.
os.register_at_fork(after_in_child=_mark_process)


def new_id(at: float) -> str:
    """Return an id that is unique and sorts by time: `milliseconds-sequence-process`, all in hex.

    Args:
        at: UTC epoch seconds.
    """
    return f"{int(at * 1000):012x}-{next(_sequence) & 0xFFFFFF:06x}-{_process_mark}"


def new_ids(times: Iterable[float]) -> list[str]:
    """Return the ids of events of these *times*, in UTC epoch seconds. See `new_id`.

    A burst has many events in each millisecond: of the numbers only what changes is formatted anew.
    """
    ids: list[str] = []
    moment = middle = begin = ""
    since = until = 0.0  # when *moment* is right
    end = 0  # the number from which on *middle* is wrong
    for at, number in zip(times, _sequence, strict=False):  # which has no end
        if not since <= at < until:
            milliseconds = int(at * 1000)
            since, until = milliseconds / 1000, (milliseconds + 1) / 1000
            moment = f"{milliseconds:012x}-"
            begin = moment + middle
        if number >= end:
            end = (number | 0xFF) + 1
            middle = f"{number >> 8 & 0xFFFF:04x}"
            begin = moment + middle
        ids.append(f"{begin}{_BYTES[number & 0xFF]}-{_process_mark}")
    return ids


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with an event.

    Args:
        filename: shown to the reader; path separators are no part of it.
        data: the content.
        content_type: a media type such as `image/png`; guessed from the name when None.

    Raises `TypeError` when *data* is not bytes or *filename* not a string.
    """

    filename: str
    data: bytes = field(repr=False)
    content_type: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.data, bytes):
            raise TypeError(f"attachment data must be bytes, not {type(self.data).__name__}")
        if not isinstance(self.filename, str):
            raise TypeError(f"an attachment's filename must be a string, not {type(self.filename).__name__}")
        # Names of files that are not UTF-8 have lone surrogates in them.
        object.__setattr__(self, "filename", clean(self.filename))


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """An exception as text, so that no frame or local variable is kept alive.

    Args:
        type: qualified name of the class, with its module unless that is `builtins`.
        message: `str()` of the exception.
        traceback: what `traceback.format_exception()` gives, chain and notes included, no locals.
    """

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where an event was said.

    Args:
        path: file name of the source code, empty when unknown.
        line: line number, 0 when unknown.
        function: name of the function.
        process: process id.
        thread: name of the thread.
    """

    path: str = ""
    line: int = 0
    function: str = ""
    process: int = 0
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who said an event, when it comes through a relay, where many speak.

    Args:
        executor: its id; routes choose by it.
        name: shown to people.
        icon_url: a picture of who speaks, empty without one.
    """

    executor: str
    name: str
    icon_url: str = ""


class Phase(StrEnum):
    """What an event says of the matter that it belongs to."""

    ANNOUNCED = "announced"
    """It has happened: for the first time, after a long silence, or worse than before."""
    COUNTED = "counted"
    """How often it has happened by now: the message that announced it can say that."""
    REMINDED = "reminded"
    """It goes on."""
    RESOLVED = "resolved"
    """It has ended."""
    LIVING = "living"
    """It replaces what was said of it before."""


@dataclass(frozen=True, slots=True)
class Matter:
    """The ongoing matter that an event belongs to.

    Args:
        id: the same for all events of the matter.
        phase: what this event says of it.
        count: how often it has happened by now.
        since: UTC epoch seconds of the first time.
        last: the same of the last time.
        executors: how many programs have told of it, where a relay counts those of many together.
    """

    id: str
    phase: Phase
    count: int = 1
    since: float = 0.0
    last: float = 0.0
    executors: int = 1

    @property
    def often(self) -> str:
        """How often, as people read it: `× 10,000 on 200 executors`."""
        return f"× {self.count:,}" + (f" on {self.executors:,} executors" if self.executors > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. Immutable; text in it is valid Unicode.

    Args:
        id: unique, sorts by time.
        time: UTC epoch seconds.
        message: what happened; the first line is what people see first.
        body: more text under the message.
        level: severity, in logging's numbers.
        topic: what it is about, such as `log`, `trade` or `crash`.
        key: events with the same key are about the same ongoing matter.
        fields: names and values: numbers, strings, None, Decimal, datetime and other immutable
            values, and lists and dicts of these, bounded in depth and size.
        attachments: files.
        exception: what was raised, when something was.
        tail: the last log lines before it, on crashes.
        logger: name of the logger, empty when it did not come from one.
        source: the place in the code.
        matter: what it is to an ongoing matter, for backends that people read; most events have none.
        origin: who said it, in a relay; None: this program.
    """

    id: str
    time: float
    message: str
    level: int
    body: str = ""
    topic: str = "log"
    key: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    exception: ExceptionInfo | None = None
    tail: tuple[str, ...] = ()
    logger: str = ""
    source: Source = Source()
    matter: Matter | None = None
    origin: Origin | None = None


class _Unfrozen:
    """What an event is while it is put together: the same slots, and nothing that keeps them from being set."""

    __slots__ = Event.__slots__

    id: str
    time: float
    message: str
    level: int
    body: str
    topic: str
    key: str | None
    fields: Mapping[str, object]
    attachments: tuple[Attachment, ...]
    exception: ExceptionInfo | None
    tail: tuple[str, ...]
    logger: str
    source: Source
    matter: Matter | None
    origin: Origin | None


def event_of_record(
    id: str,  # noqa: A002 - as the event has it
    time: float,
    message: str,
    level: int,
    body: str,
    topic: str,
    fields: Mapping[str, object],
    exception: ExceptionInfo | None,
    logger: str,
    source: Source,
) -> Event:
    """Return the event of a log record, of which there may be very many: this takes 0.3 us, the constructor 1.8.

    Args are those of `Event`. A frozen dataclass sets each attribute by a call.
    """
    event = _Unfrozen()
    event.id = id
    event.time = time
    event.message = message
    event.level = level
    event.body = body
    event.topic = topic
    event.key = None
    event.fields = fields
    event.attachments = ()
    event.exception = exception
    event.tail = ()
    event.logger = logger
    event.source = source
    event.matter = None
    event.origin = None
    event.__class__ = Event  # type: ignore[assignment]  # the same slots: from here on, it cannot be changed
    return cast("Event", event)


def worded(event: Event) -> Event:
    """Return *event* with a message for people.

    The end of a matter that is passed on may have none: whoever counts repeats there knows how it began, and words it.
    """
    return event if event.message else replace(event, message=f"Resolved: {event.key}")


def with_matter(event: Event, matter: Matter | None) -> Event:
    """Return *event* as one of *matter*, or of none.

    `dataclasses.replace` takes three times as long, and callers wait for this.
    """
    changed = _Unfrozen()
    for name in Event.__slots__:
        setattr(changed, name, getattr(event, name))
    changed.matter = matter
    changed.__class__ = Event  # type: ignore[assignment]  # as above
    return cast("Event", changed)
