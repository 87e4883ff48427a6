"""A log record as it was at the moment of the call."""

import logging
import time
from itertools import islice
from logging import LogRecord
from typing import Any

from notify.delivery.ticket import Ticket
from notify.event import Event, Source, new_id
from notify.exceptions import Raised
from notify.plain import MAX_ITEMS, MAX_TEXT, SCALARS, clean, clean_fields, clip, keep, safe_repr, safe_str

# Attributes that every record has; extras come after them, since makeRecord() adds them last.
_STANDARD = frozenset(LogRecord("", 0, "", 0, "", (), None).__dict__)
_STANDARD_COUNT = len(_STANDARD)
# The others are set by formatters and handlers that saw the record before us, and are no one's extras.
_NO_EXTRAS = _STANDARD | {"message", "asctime", "taskName"}
_YEAR_10000 = 253_402_300_800.0  # epoch seconds
_SHORT = 1000  # code points of an argument that is shown when the message does not format
_TOPIC_OF_LEVEL = {"TRADE": "trade", "TRADE_HIGH": "decision"}


class Snapshot:
    """What an event is made of later: the attributes of a record, and in them nothing that can change.

    Built on the caller's thread, so this constructor is the price of a log call: no regular expression, no
    JSON, no frame is kept. Never raises an Exception.
    """

    __slots__ = ("_attributes", "exception", "level", "message")

    ticket: Ticket | None = None

    def __init__(self, record: LogRecord) -> None:
        # One copy of everything is cheaper than a few attributes one by one, and what formatters and
        # other handlers do to the record later does not show.
        self._attributes = attributes = record.__dict__.copy()
        message = record.msg
        try:
            # getMessage() without its call, and without its str() of what is a str already.
            if type(record) is not LogRecord:  # the program's own may format, or redact, in its own way
                self.message = str.__str__(record.getMessage())
            else:
                if type(message) is not str:
                    message = str.__str__(str(message))
                self.message = message % record.args if record.args else message
        except Exception as error:  # noqa: BLE001 - a template that does not fit its arguments, or a raising __repr__
            self.message = _unformatted(record, error)
        level = record.levelno
        self.level = level if type(level) is int else _number(level, logging.INFO)
        self.exception = None
        if record.exc_info:
            self.exception = _raised(record.exc_info)
            attributes["exc_info"] = attributes["exc_text"] = None
        # They may be objects of any size, and would live as long as this does.
        attributes["msg"] = attributes["args"] = None
        # The program's own LogRecord may set attributes before LogRecord does.
        first = _STANDARD_COUNT if type(record) is LogRecord else 0
        for value in islice(attributes.values(), first, None):
            if type(value) not in SCALARS:
                _keep_all(attributes)
                break

    @property
    def time(self) -> float:
        """UTC epoch seconds; now when the record has none that makes sense."""
        created = self._attributes.get("created")
        return created if type(created) is float and 0 <= created < _YEAR_10000 else time.time()

    @property
    def level_name(self) -> str:
        """Name of the level, as the record has it."""
        return _text(self._attributes.get("levelname"))

    @property
    def logger(self) -> str:
        """Name of the logger."""
        return _text(self._attributes.get("name"))

    def event(self) -> Event:
        """Make the event of it. May be called more than once; never raises an Exception."""
        recorded = self._attributes.get
        fields = _extras(self._attributes)
        topic = fields.get("topic")
        if isinstance(topic, str) and topic:
            del fields["topic"]
        else:
            topic = _TOPIC_OF_LEVEL.get(self.level_name, "log")
        moment = self.time
        return Event(
            id=new_id(moment),
            time=moment,
            message=clean(self.message),
            # A record that came through a socket or a pickle has its traceback as text only.
            body=_text(recorded("stack_info")) or _text(recorded("exc_text")),
            level=self.level,
            topic=clean(topic),
            fields=clean_fields(fields),
            exception=self.exception.info() if self.exception is not None else None,
            logger=self.logger,
            source=Source(
                _text(recorded("pathname")),
                _number(recorded("lineno"), 0),
                _text(recorded("funcName")),
                _number(recorded("process"), 0),
                _text(recorded("threadName")),
            ),
        )


def _keep_all(attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if type(value) not in SCALARS:
            attributes[name] = keep(value)


def _extras(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return what is no standard attribute of a record, long strings cut."""
    return {
        name: clip(value, MAX_TEXT) if type(value) is str and len(value) > MAX_TEXT else value
        for name, value in attributes.items()
        if name not in _NO_EXTRAS
    }


def _raised(exc_info: object) -> Raised | None:
    """Take what a record may have as exc_info: a triple, an exception, or something odd that a program made up."""
    exception = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) > 1 else exc_info
    return Raised(exception) if isinstance(exception, BaseException) else None


def _number(value: object, otherwise: int) -> int:
    return int.__int__(value) if isinstance(value, int) else otherwise


def _text(value: object) -> str:
    """Return as valid Unicode what is a string, or None, in all but odd records."""
    if type(value) is str and value.isascii():
        return value
    return "" if value is None else clean(safe_str(value))


def _unformatted(record: LogRecord, error: Exception) -> str:
    """Return the template and its arguments, when they do not go together."""
    template = safe_str(record.msg) if isinstance(record.msg, str) else safe_repr(record.msg)
    args = record.args if isinstance(record.args, tuple) else (record.args,)
    shown = ", ".join(clip(safe_repr(argument), _SHORT) for argument in args[:MAX_ITEMS])
    return f"{template} [not formatted, {type(error).__name__}: {shown}]"
