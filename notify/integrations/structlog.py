"""A structlog processor: for programs whose structlog prints by itself."""

import logging
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from notify import diagnostics
from notify.arguments import caller, event_of
from notify.capture.event_dict import NOT_FIELDS, body_of, exception_of
from notify.event import Event, Source
from notify.interruption import came_from_a_signal
from notify.levels import parse_level
from notify.notifier import current_notifier
from notify.plain import clean, safe_str
from notify.threads import is_ours

# Whose frames lie between the program's call and ours.
_OUR_PACKAGES = ("structlog", __name__)
_TOPIC_OF_METHOD = {"trade": "trade", "trade_high": "decision"}
_LEVEL_OF_METHOD = {"exception": logging.ERROR}


def structlog_processor(
    logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hand the event to the notifier that `setup()` made, and pass it on unchanged.

    Place it before the renderer. Programs whose structlog writes through the standard library's logging do not need it:
    there the logging handler hears the same event.

    Args:
        logger: structlog's wrapped logger.
        method_name: `info`, `warning`, `trade` …
        event_dict: `event`, `exc_info` and `topic` are understood, `stack` and `exception` that processors before
            this one have rendered become the body, the rest are fields.

    What a backend says while it delivers is passed on only. Never raises: while there is no notifier, before `setup()`
    and after `close()`, a line on stderr says so.
    """
    if is_ours():
        return event_dict  # a backend of the program's own says how a delivery went: that must not cause another one
    notifier = current_notifier()
    if notifier is None:
        diagnostics.report("structlog", "an event of structlog was not sent: there is no notifier, see notify.setup()")
        return event_dict
    source = caller(_OUR_PACKAGES)
    try:
        event = _event(notifier.clock.time(), source, method_name, event_dict)
    except BaseException as error:  # a dict of the program's own class may raise anything
        if came_from_a_signal(error):
            raise
        event = event_of(notifier.clock.time(), source, event_dict, level=_level(method_name))
    notifier.accept(event)
    return event_dict


def _event(now: float, source: Source, method_name: str, event_dict: MutableMapping[str, Any]) -> Event:
    topic = event_dict.get("topic")
    if topic is None or (type(topic) is str and not topic):
        topic = _TOPIC_OF_METHOD.get(method_name, "log")
    event = event_of(
        now,
        source,
        event_dict.get("event", ""),
        body=body_of(event_dict),
        level=_level(method_name),
        topic=topic,
        fields={name: value for name, value in event_dict.items() if name not in NOT_FIELDS},
        exc=exception_of(event_dict),
    )
    logger = event_dict.get("logger")
    return event if logger is None else replace(event, logger=clean(safe_str(logger)))


def _level(method_name: str) -> int:
    try:
        return _LEVEL_OF_METHOD.get(method_name) or parse_level(method_name)
    except ValueError:
        return logging.INFO
