"""The handler that a program places itself, in a `logging.config.dictConfig` for one."""

import logging
from logging import LogRecord

from notify import diagnostics
from notify.capture.handler import filtered
from notify.threads import is_ours

_target: logging.Handler | None = None


def hand_to(handler: logging.Handler | None) -> None:
    """Have every `NotifyHandler` pass its records on to *handler*, that of the notifier in force; None: to nobody."""
    global _target
    _target = handler


class NotifyHandler(logging.Handler):
    """Passes what it is given on to the notifier that `setup()` made. For programs that configure logging themselves.

        {"handlers": {"notify": {"class": "notify.NotifyHandler", "level": "INFO"}}, "root": {"handlers": ["notify"]}}

    It may be made before `setup()` and after it, and needs no arguments. On the root logger it takes the place of the
    one that `setup()` would put there, so that its level and its filters decide. What that one takes already, this one
    leaves alone: nothing is said twice. Records that come while there is no notifier go nowhere, and a line on stderr
    says so. Thread-safe; never raises, never waits for a network.

    Args:
        level: least level taken.
    """

    def handle(self, record: LogRecord) -> bool:
        """Pass *record* on if the filters let it pass; False if not."""
        passed = filtered(self, record)
        if passed is None:
            return False
        target = _target
        if target is not None:
            if passed.levelno >= target.level and not _comes_to(target, passed):
                target.handle(passed)
        elif not is_ours():
            diagnostics.report("no notifier", "a log record was not sent: there is no notifier, see notify.setup()")
        return True

    def emit(self, record: LogRecord) -> None:
        """See `handle`. For those who call it themselves."""
        self.handle(record)


def _comes_to(handler: logging.Handler, record: LogRecord) -> bool:
    """Say whether *record* is given to *handler* by a logger anyway."""
    root = logging.getLogger()
    named = root.manager.loggerDict.get(record.name)  # getLogger() would make one
    logger = named if isinstance(named, logging.Logger) else root
    while logger is not None:
        if handler in logger.handlers:
            return True
        if not logger.propagate:
            return False
        logger = logger.parent  # type: ignore[assignment]  # None above the root logger, which typeshed says too late
    return False
