"""structlog's event dict: which of its keys mean something, and what they are to us."""

import sys
from collections.abc import Mapping
from typing import Any

from notify.plain import safe_str

NOT_FIELDS = frozenset(
    {"event", "level", "timestamp", "exc_info", "exception", "stack", "stack_info", "topic", "logger"}
)
"""Keys that are parts of an event rather than fields, or that processors add and the event has anyway."""


def body_of(event_dict: Mapping[str, Any]) -> str:
    """Return what processors have rendered of a stack and of an exception."""
    return "\n".join(safe_str(event_dict[name]) for name in ("stack", "exception") if name in event_dict)


def exception_of(event_dict: Mapping[str, Any]) -> BaseException | None:
    """Return the exception in any of the forms that structlog takes; with True it is the one that is being handled."""
    exception = event_dict.get("exc_info")
    if exception is True:
        exception = sys.exc_info()[1]
    elif type(exception) is tuple:
        exception = exception[1] if len(exception) > 1 else None
    # isinstance() believes, and so runs, what an object says of its own class.
    return exception if issubclass(type(exception), BaseException) else None
