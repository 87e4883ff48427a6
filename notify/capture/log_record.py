"""The attributes of a log record, and the event that they make."""

import time
from collections.abc import Mapping
from functools import lru_cache
from logging import LogRecord
from operator import itemgetter
from typing import Any

from notify.clip import clip
from notify.clock import is_time
from notify.event import Source
from notify.interruption import came_from_a_signal
from notify.plain import MAX_ITEMS, MAX_TEXT, class_name, clean, safe_repr, safe_str

STANDARD = tuple(LogRecord("", 0, "", 0, "", (), None).__dict__)
"""Attributes that every record has; extras come after them, since makeRecord() adds them last."""
LAST = STANDARD[-1]
BEFORE_LAST = len(STANDARD) - 1
NO_EXTRAS = frozenset(STANDARD) | {"message", "asctime", "taskName"}
"""The others are set by formatters and handlers that saw the record before us, and are no one's extras."""

PLACE = ("name", "levelname", "pathname", "lineno", "funcName", "process", "threadName")
"""Where a record comes from. Many come from one place, so what is made of these is remembered."""
place_of = itemgetter(*PLACE)
"""Takes these of the attributes of a record."""
Place = tuple[Any, ...]
"""Their values."""

Common = tuple[str, str, Source]
"""Logger, topic and source."""

_CALLS = 1024  # log calls, counted for each thread that makes them, whose place in the code is remembered
_SHORT = 1000  # code points of an argument that is shown when the message does not format
_TOPIC_OF_LEVEL = {"TRADE": "trade", "TRADE_HIGH": "decision"}


def unformatted(template: object, args: object, error: BaseException) -> str:
    """Return a template and its arguments, when they do not go together."""
    # isinstance() believes, and so runs, what an object says of its own class.
    shown_template = safe_str(template) if issubclass(type(template), str) else safe_repr(template)
    given = args if type(args) is tuple else (args,)
    shown = ", ".join(clip(safe_repr(argument), _SHORT) for argument in given[:MAX_ITEMS])
    return f"{shown_template} [not formatted, {class_name(error)}: {shown}]"


def time_of(created: object) -> float:
    """Return when a record was made, in UTC epoch seconds; now when it has no time that makes sense."""
    return created if type(created) is float and is_time(created) else time.time()


def text_of(value: object) -> str:
    """Return as valid Unicode what is a string, or None, in all but odd records."""
    if type(value) is str and value.isascii():
        return value
    return "" if value is None else clean(safe_str(value))


def integer_of(value: object, otherwise: int) -> int:
    """Return what is an integer in all but odd records."""
    return int.__int__(value) if isinstance(value, int) else otherwise


def topic_of(level_name: str) -> str:
    """Return the topic of what is logged at a level."""
    return _TOPIC_OF_LEVEL.get(level_name, "log")


def topic_in(fields: dict[str, object], otherwise: str) -> str:
    """Remove and return the topic that an extra gives, the other one when there is none."""
    wanted = fields.get("topic")
    if not isinstance(wanted, str) or not wanted:
        return otherwise
    del fields["topic"]
    return wanted


def fields_of(extras: Mapping[Any, object]) -> dict[str, object]:
    """Return a copy of *extras* without those that are no one's: long strings cut, all of them valid Unicode."""
    fields: dict[str, object] = {}
    for name, value in extras.items():
        if name in NO_EXTRAS:  # a formatter has added it
            continue
        if type(value) is str and not (value.isascii() and len(value) <= MAX_TEXT):
            value = clean(clip(value, MAX_TEXT))
        if type(name) is not str or not name.isascii():
            name = clean(safe_str(name))
        fields[name] = value
    return fields


def common_of(place: Place) -> Common:
    """Return what all records of one place have in common. Never raises an Exception."""
    try:
        return _cached_common(*place)
    except Exception as error:  # odd records may hold what cannot be hashed, or will not be
        if came_from_a_signal(error):
            raise
        return _make_common(*place)


def _make_common(
    name: object, level: object, path: object, line: object, function: object, process: object, thread: object
) -> Common:
    source = Source(text_of(path), integer_of(line, 0), text_of(function), integer_of(process, 0), text_of(thread))
    return text_of(name), topic_of(text_of(level)), source


# By type too: 7.0 equals 7, and a sound record must not get what was made of an odd one.
_cached_common = lru_cache(maxsize=_CALLS, typed=True)(_make_common)
