"""structlog's event dict: which of its keys mean something, and what they are to us."""

import sys
from collections.abc import Mapping
from typing import Any

from notify.interruption import came_from_a_signal
from notify.plain import safe_str

NOT_FIELDS = frozenset(
    {"event", "level", "timestamp", "exc_info", "exception", "stack", "stack_info", "topic", "logger"}
)
"""Keys that are parts of an event rather than fields, or that processors add and the event has anyway."""

_NONE: Any = object()


def body_of(event_dict: Mapping[str, Any]) -> str:
    """Return what processors have rendered of a stack and of an exception."""
    return "\n".join(
        safe_str(value) for name in ("stack", "exception") if (value := _part(event_dict, name)) is not _NONE
    )


def exception_of(event_dict: Mapping[str, Any]) -> BaseException | None:
    """Return the exception in any of the forms that structlog takes; with True it is the one that is being handled."""
    exception = _part(event_dict, "exc_info")
    if exception is True:
        exception = sys.exc_info()[1]
    return exception_in(exception)


def exception_in(exc_info: object) -> BaseException | None:
    """Return the exception that *exc_info* is or has in its second place, None when it is anything else."""
    if type(exc_info) is tuple:
        exc_info = exc_info[1] if len(exc_info) > 1 else None
    # isinstance() believes, and so runs, what an object says of its own class.
    return exc_info if issubclass(type(exc_info), BaseException) else None  # type: ignore[return-value]  # it is one


def _part(event_dict: Mapping[str, Any], name: str) -> Any:
    """Return what *event_dict* has under *name*; a key that hashes alike and will not be compared is another one."""
    try:
        return event_dict.get(name, _NONE)
    except BaseException as error:
        if came_from_a_signal(error):
            raise
        return _NONE
