"""Hooks for Sentry's SDK, in a program that has both: its levels are five, and our requests are none of its business.

    sentry_sdk.init(dsn, before_send=notify.integrations.sentry.before_send,
                    before_breadcrumb=notify.integrations.sentry.before_breadcrumb)

Nothing here imports `sentry_sdk`. A program with hooks of its own calls these from them.
"""

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

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
    _name_level(crumb, hint.get("log_record"))
    return crumb


def before_send(event: T, hint: Mapping[str, Any]) -> T | None:
    """Return *event* with a level that Sentry knows, None for a decision that would be an issue by its number alone.

    Where TRADE_HIGH is above ERROR, so that a threshold selects it, Sentry's SDK takes each decision for an error. With
    an exception it is sent, as `info`. Thread-safe.

    Args:
        event: as Sentry's SDK made it. Changed in place.
        hint: has `log_record` when it was logged.
    """
    record = hint.get("log_record")
    if isinstance(record, logging.LogRecord):
        if severity(record.levelno) < logging.ERROR <= record.levelno and not record.exc_info:
            return None
        _name_level(event, record)
    return event


def _name_level(said: Any, record: object) -> None:
    level = said.get("level")
    if isinstance(record, logging.LogRecord):
        if level not in _KNOWN:
            weight = severity(record.levelno)
            said["level"] = next(name for least, name in _NAMES if weight >= least)
    elif level and level not in _KNOWN:  # a crumb of the program's own making; one without a level is info to Sentry
        said["level"] = "info"
