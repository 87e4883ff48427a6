"""A log record as it was at the moment of the call."""

import logging
from itertools import islice

from notify.delivery.ticket import Ticket
from notify.event import Event, Source, new_id
from notify.exceptions import Raised
from notify.plain import MAX_ITEMS, clean, clean_fields, clip, keep, safe_repr

# Attributes that every record has; extras come after them, since makeRecord() adds them last.
_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
_STANDARD_COUNT = len(_STANDARD)
# Set by formatters and other handlers that saw the record before us, and no one's extras.
_ADDED_BY_HANDLERS = frozenset({"message", "asctime", "taskName"})
_SIMPLE = frozenset({int, float, bool, type(None)})
_SHORT = 1000  # code points of a string extra that is kept without a further look

_NO_FIELDS: dict[str, object] = {}
_TOPIC_OF_LEVEL = {"TRADE": "trade", "TRADE_HIGH": "decision"}


class Snapshot:
    """What an event is made of later: the formatted message, the extras, the place and the exception.

    Built on the caller's thread, so this constructor is the price of a log call: no regular expression, no
    JSON, no frame is kept. Never raises an Exception.
    """

    __slots__ = (
        "exception",
        "fields",
        "level",
        "level_name",
        "line",
        "logger",
        "message",
        "path",
        "place",
        "stack",
        "thread",
        "time",
    )

    ticket: Ticket | None = None

    def __init__(self, record: logging.LogRecord) -> None:
        try:
            # getMessage() without its call, and without its str() of what is a str already.
            message = record.msg
            if type(message) is not str:
                message = str(message)
            self.message = message % record.args if record.args else message
        except Exception as error:  # noqa: BLE001 - a template that does not fit its arguments, or a raising __repr__
            self.message = _unformatted(record, error)
        self.time = record.created
        self.level = record.levelno
        self.level_name = record.levelname
        self.logger = record.name
        self.path = record.pathname
        self.line = record.lineno
        self.place = (record.funcName, record.process)
        self.thread = record.threadName
        self.stack = record.stack_info
        self.fields = _extras(record.__dict__) if len(record.__dict__) > _STANDARD_COUNT else None
        self.exception = _raised(record.exc_info) if record.exc_info else None

    def event(self) -> Event:
        """Make the event of it. May be called more than once; never raises an Exception."""
        fields = self.fields or {}
        topic = fields.get("topic")
        if isinstance(topic, str) and topic:
            fields = {name: value for name, value in fields.items() if name != "topic"}
        else:
            topic = _TOPIC_OF_LEVEL.get(self.level_name, "log")
        function, process = self.place
        return Event(
            id=new_id(self.time),
            time=self.time,
            message=clean(self.message),
            body=clean(self.stack) if self.stack else "",
            level=self.level,
            topic=clean(topic),
            fields=clean_fields(fields) if fields else _NO_FIELDS,
            exception=self.exception.info() if self.exception is not None else None,
            logger=self.logger,
            source=Source(self.path, self.line, function or "", process or 0, self.thread or ""),
        )


def _extras(attributes: dict[str, object]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in islice(attributes.items(), _STANDARD_COUNT, None):
        kind = type(value)
        if kind in _SIMPLE or (kind is str and len(value) < _SHORT):  # type: ignore[arg-type]  # a str has a length
            fields[name] = value
        elif name not in _ADDED_BY_HANDLERS:
            fields[name] = keep(value)
    if not fields.keys().isdisjoint(_ADDED_BY_HANDLERS):
        for name in _ADDED_BY_HANDLERS & fields.keys():
            del fields[name]
    return fields


def _raised(exc_info: object) -> Raised | None:
    """Take what a record may have as exc_info: a triple, an exception, or something odd that a program made up."""
    exception = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) > 1 else exc_info
    return Raised(exception) if isinstance(exception, BaseException) else None


def _unformatted(record: logging.LogRecord, error: Exception) -> str:
    """Return the template and its arguments, when they do not go together."""
    template = record.msg if isinstance(record.msg, str) else safe_repr(record.msg)
    args = record.args if isinstance(record.args, tuple) else (record.args,)
    shown = ", ".join(clip(safe_repr(argument), _SHORT) for argument in args[:MAX_ITEMS])
    return f"{template} [not formatted, {type(error).__name__}: {shown}]"
