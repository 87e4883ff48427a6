"""A structlog processor: for programs whose structlog prints by itself."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

from notify.levels import parse_level
from notify.notifier import get_notifier

_NOT_FIELDS = frozenset(
    {"event", "level", "timestamp", "logger", "exc_info", "exception", "stack", "stack_info", "topic"}
)
_LEVEL_OF_METHOD = {"warn": logging.WARNING, "exception": logging.ERROR, "fatal": logging.CRITICAL, "msg": logging.INFO}


def structlog_processor(
    logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hand the event to the notifier that `setup()` made, and pass it on unchanged.

    Place it before the renderer. Programs whose structlog writes through the standard library's logging do not need it:
    there the logging handler hears the same event.

    Args:
        logger: structlog's wrapped logger.
        method_name: `info`, `warning`, `trade` …
        event_dict: `event`, `exc_info` and `topic` are understood, the rest are fields.

    Raises `ConfigError` when `setup()` was not called.
    """
    exception = event_dict.get("exc_info")
    if exception is True:
        exception = sys.exc_info()[1]
    elif isinstance(exception, tuple):
        exception = exception[1]
    get_notifier().notify(
        event_dict.get("event", ""),
        level=_level(method_name),
        topic=event_dict.get("topic", "log"),
        fields={name: value for name, value in event_dict.items() if name not in _NOT_FIELDS},
        exc=exception if isinstance(exception, BaseException) else None,
    )
    return event_dict


def _level(method_name: str) -> int:
    try:
        return _LEVEL_OF_METHOD.get(method_name) or parse_level(method_name)
    except ValueError:
        return logging.INFO
