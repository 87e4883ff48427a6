"""Hooks for Sentry's SDK, in a program that has both: its levels are five, and our requests are none of its business.

    sentry_sdk.init(dsn, before_send=notify.integrations.sentry.before_send,
                    before_breadcrumb=notify.integrations.sentry.before_breadcrumb)

Nothing here imports `sentry_sdk`. A program with hooks of its own calls these from them.
"""

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

from notify.capture.event_dict import exception_in
from notify.levels import severity
from notify.threads import is_ours

T = TypeVar("T")  # a dict: Sentry's own type of it is not imported
_NAMES = (
    (logging.CRITICAL, "fatal"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
    (logging.NOTSET, "debug"),
)
_KNOWN = frozenset({"critical", *(name for _, name in _NAMES)})  # what Sentry's SDK sends of itself


def before_breadcrumb(crumb: T, hint: Mapping[str, Any]) -> T | None:
    """Return *crumb* with a level that Sentry knows, None for what our own threads do: their requests, their logs.

    Trades and decisions are `info`; other levels of the program's own become the next lower one that Sentry knows.
    Thread-safe.

    Args:
        crumb: as Sentry's SDK made it. Changed in place.
        hint: has `log_record` when it was logged.
    """
    if is_ours():
        return None
    _name_level(crumb, _record(hint))
    return crumb


def before_send(event: T, hint: Mapping[str, Any]) -> T | None:
    """Return *event* with a level that Sentry knows, None for a decision that would be an issue by its number alone.

    Where TRADE_HIGH is above ERROR, so that a threshold selects it, Sentry's SDK takes each decision for an error. With
    an exception it is sent, as `info`. Thread-safe.

    Args:
        event: as Sentry's SDK made it. Changed in place.
        hint: has `log_record` when it was logged.
    """
    record = _record(hint)
    if record is not None:
        if severity(record.levelno) < logging.ERROR <= record.levelno and exception_in(record.exc_info) is None:
            return None
        _name_level(event, record)
    return event


def _record(hint: object) -> logging.LogRecord | None:
    """Return the record that was logged; None when there is none, or none with a level."""
    # By class: isinstance() believes, and so runs, what an object says of itself.
    record: Any = hint.get("log_record") if issubclass(type(hint), dict) else None  # type: ignore[attr-defined]  # it is one
    is_one = issubclass(type(record), logging.LogRecord) and type(record.levelno) is int
    return record if is_one else None


def _name_level(said: Any, record: logging.LogRecord | None) -> None:
    if not issubclass(type(said), dict):
        return  # a hook before this one has made something of it that is Sentry's to judge
    level = said.get("level")
    is_known = type(level) is str and level in _KNOWN
    if record is not None:
        if not is_known:
            said["level"] = next((name for least, name in _NAMES if severity(record.levelno) >= least), "debug")
    elif not (is_known or level is None or (type(level) is str and not level)):
        said["level"] = "info"  # a crumb of the program's own making; one without a level is info to Sentry
