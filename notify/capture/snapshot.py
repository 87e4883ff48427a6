"""A log record as it was at the moment of the call."""

import logging
import sys
from collections.abc import Iterator
from itertools import filterfalse, islice
from logging import LogRecord
from operator import itemgetter
from typing import Any

from notify.capture import context
from notify.capture.event_dict import NOT_FIELDS, body_of, exception_in, exception_of
from notify.capture.log_record import (
    BEFORE_LAST,
    LAST,
    NO_EXTRAS,
    PLACE,
    common_of,
    fields_of,
    integer_of,
    place_of,
    text_of,
    time_of,
    topic_in,
    topic_of,
    unformatted,
)
from notify.clip import clip
from notify.delivery.ticket import Ticket
from notify.event import Event, event_of_record, new_id
from notify.exceptions import Raised
from notify.interruption import came_from_a_signal
from notify.plain import MAX_MESSAGE, SCALARS, clean, keep, keep_fields, safe_repr
from notify.plain import weight as weight_of
from notify.reported import report_of
from notify.rules.fingerprint import Subject, subject_of_log

# structlog's own, on the records of its ProcessorFormatter.
_OF_STRUCTLOG = ("_logger", "_name")
_STRUCTLOG = context.STRUCTLOG
_modules = sys.modules
_NO_FIELDS = NOT_FIELDS - {"topic"}  # which is taken from the fields like that of any record


class Snapshot:
    """What an event is made of later, taken from a record, and nothing in it that can change.

    Built on the caller's thread, where it is the price of a log call that cannot be deferred: no regular expression, no
    JSON, no frame is kept. Thousands may wait, and the garbage collector walks through all that can hold others: hence
    a tuple and a small dict rather than a copy of the record's. Never raises an Exception.
    """

    __slots__ = (
        "_body", "_created", "_extras", "_is_reported", "_place", "_template", "exception", "level", "message",
        "weight",
    )  # fmt: skip

    ticket: Ticket | None = None

    def __init__(self, record: LogRecord) -> None:
        # All that is asked of the record, in two calls: each is dear on a thread that has just woken up.
        attributes = record.__dict__
        try:
            self._place = place_of(attributes)
            message, args, level, self._created, exc_info, exc_text, self._body = _parts_of(attributes)
        except KeyError:  # a filter has removed one of them, or it is a property of the program's own class
            self._place = tuple(getattr(record, name, None) for name in PLACE)
            message, args, level, self._created, exc_info, exc_text, self._body = (
                getattr(record, name, None) for name in _PARTS
            )
        event_dict: dict[Any, object] | None = None
        try:
            # getMessage() without its call, and without its str() of what is a str already.
            if type(message) is str and type(record) is LogRecord:
                self.message = message % args if args else message
            elif isinstance(message, dict) and "event" in message:  # structlog's, for a formatter of its own
                event_dict = dict(message)
                self.message = str.__str__(str(event_dict["event"]))
            elif type(record) is not LogRecord:  # the program's own may format, or redact, in its own way
                self.message = str.__str__(record.getMessage())
            else:
                message = str.__str__(str(message))
                self.message = message % args if args else message
        except BaseException as error:  # a template that does not fit its arguments, or an object that raises anything
            if came_from_a_signal(error):
                raise
            self.message = unformatted(getattr(record, "msg", None), getattr(record, "args", None), error)
        if type(self.message) is not str:  # "%s" of a string of the program's own class may be one itself
            self.message = str.__str__(self.message)
        self.level = level if type(level) is int else integer_of(level, logging.INFO)
        weight = len(self.message)
        self.exception = None
        if exc_info is not None and (raised := _raised(exc_info)) is not None:
            self.exception = raised
            weight += raised.weight
        elif self._body is None:
            self._body = exc_text  # a record that came through a socket or a pickle has its traceback as text only
        extras: dict[Any, object] = {}
        self._extras = extras
        names: Iterator[Any] = islice(attributes, BEFORE_LAST, None)
        if next(names, None) != LAST:  # the program's own LogRecord may set attributes before LogRecord does
            names = filterfalse(NO_EXTRAS.__contains__, attributes)
        try:
            for name in names:
                value = attributes[name]
                kind = type(value)
                if kind is str:
                    weight += len(value)
                elif kind not in SCALARS:
                    value = keep(value)
                    weight += weight_of(value)
                extras[name] = value
        except Exception as error:  # a class that cannot be hashed, of which there is none by accident
            if came_from_a_signal(error):
                raise
            extras[name] = safe_repr(value)
            extras.update((other, safe_repr(attributes[other])) for other in names)
        self.weight = weight
        """About how many characters of text it has: thousands may wait."""
        if event_dict is not None:
            self._add_parts(event_dict)
        if self._body is not None:
            self.weight += weight_of(self._body)
        if context.bound if context.is_known else _STRUCTLOG in _modules:
            self._add_fields(context.fields())

    def _add_parts(self, event_dict: dict[Any, object]) -> None:
        for name in _OF_STRUCTLOG:
            self._extras.pop(name, None)
        self._body = body_of(event_dict) or self._body
        if self.exception is None and (exception := exception_of(event_dict)) is not None:
            self.exception = Raised(exception)
            self.weight += self.exception.weight
        self._add_fields({name: event_dict[name] for name in event_dict if not _is_part(name)})

    def _add_fields(self, fields: dict[Any, object]) -> None:
        kept = keep_fields(fields)
        for name, value in kept.items():
            self._extras.setdefault(name, value)
        self.weight += weight_of(kept)

    @property
    def time(self) -> float:
        """UTC epoch seconds; now when the record has none that makes sense."""
        return time_of(self._created)

    @property
    def level_name(self) -> str:
        """Name of the level, as the record has it."""
        return text_of(self._place[1])

    @property
    def logger(self) -> str:
        """Name of the logger."""
        return text_of(self._place[0])

    def prepare_subject(self, record: LogRecord) -> None:
        """Remember what `subject` asks for: the message as it was before its arguments were put in, for one."""
        template, args = getattr(record, "msg", None), getattr(record, "args", None)
        has_args = bool(args) if type(args) in (tuple, dict) else args is not None
        self._template = template if has_args and type(template) is str else self.message
        self._is_reported = _is_reported(record)

    def subject(self) -> Subject | None:
        """Return what the record is about, None when it is sent whatever was sent before. See `prepare_subject`."""
        topic = self._extras.get("topic")
        if type(topic) is not str or not topic:
            topic = topic_of(self.level_name)
        if self._is_reported:
            return Subject("", clean(topic), reported=True)
        raised = "" if self.exception is None else self.exception.place()
        return subject_of_log(self.logger, self._template, self.message, raised, clean(topic))

    def event(self) -> Event:
        """Make the event of it. May be called more than once; never raises an Exception."""
        logger, usual, source = common_of(self._place)
        fields = fields_of(self._extras)
        topic = topic_in(fields, usual)
        message, exception = self.message, self.exception
        time = self.time
        return event_of_record(
            new_id(time),
            time,
            message if message.isascii() and len(message) <= MAX_MESSAGE else clean(clip(message, MAX_MESSAGE)),
            self.level,
            text_of(self._body),
            topic,
            fields,
            None if exception is None else exception.info(),
            logger,
            source,
        )


def _is_part(name: object) -> bool:
    """Say whether *name* of an event dict is no field. A key may be of a class that cannot even be compared."""
    return type(name) is str and name in _NO_FIELDS


def _raised(exc_info: object) -> Raised | None:
    """Take what a record may have as exc_info: a triple, an exception, or something odd that a program made up."""
    exception = exception_in(exc_info)
    return None if exception is None else Raised(exception)


def _is_reported(record: LogRecord) -> bool:
    """Say whether *record* is said of a crash that was reported: it has its exception, or says so by its topic."""
    exception = exception_in(getattr(record, "exc_info", None))
    if exception is None:
        topic = record.__dict__.get("topic")
        exception = sys.exception() if type(topic) is str and topic == "crash" else None
    return exception is not None and report_of(exception) is not None


_PARTS = ("msg", "args", "levelno", "created", "exc_info", "exc_text", "stack_info")
_parts_of = itemgetter(*_PARTS)
