"""Hears of what tasks and callbacks of asyncio raised and nobody awaited, whatever runs the loop.

asyncio and uvloop both say that through one logger, at ERROR and with the exception. So nothing is put on a loop, and
asyncio is not imported for a program that has none. A program that sets an exception handler of its own on its loop
handles these itself, and one that switches that logger off is not heard.
"""

import logging
from collections.abc import Callable

from notify.capture.event_dict import exception_in
from notify.capture.handler import ASYNCIO
from notify.crash.report import is_wanted, report_from_hook
from notify.notifier import Notifier
from notify.plain import safe_str

_TASK = "Task exception was never retrieved"
_FUTURE = "Future exception was never retrieved"


def install(notifier: Notifier) -> Callable[[], None]:
    """Report these exceptions through *notifier*, and return what ends that. The logger's records go where they went.

    Only *notifier* itself does not say such a record once more.
    """
    logger = logging.getLogger(ASYNCIO)

    def hear(record: logging.LogRecord) -> bool:
        exception = exception_in(record.exc_info) if record.levelno >= logging.ERROR else None
        if exception is not None and not is_wanted(exception, (KeyboardInterrupt, SystemExit)):
            said = safe_str(record.msg)
            if not _is_about_a_connection(exception, said):
                report_from_hook(exception, where=_where(said), notifier=notifier)
        return True

    logger.addFilter(hear)
    return lambda: logger.removeFilter(hear)


def _is_about_a_connection(exception: BaseException, said: str) -> bool:
    """Say whether a peer is to blame, for a handshake in bad TLS for one: that is a log line, and no crash."""
    return isinstance(exception, OSError) and "\ntransport: " in said


def _where(said: str) -> str:
    if said.startswith(_TASK):
        return "an asyncio task"
    return "an asyncio future" if said.startswith(_FUTURE) else "an asyncio callback"
