"""The flight recorder and pager of a long-running Python daemon.

`notify.setup()` reads the environment; from then on what the program logs reaches Discord, Logstash and standard
output, and the caller never waits for any of them.
"""

import importlib as _importlib
import typing as _typing

from notify.errors import ConfigError, DeliveryError, Gone, NotifyError, Rejected, RetryLater, Unfit
from notify.levels import TRADE, TRADE_HIGH
from notify.version import __version__

if _typing.TYPE_CHECKING:
    from notify.backend import Backend
    from notify.bootstrap import setup
    from notify.capture.configured import NotifyHandler
    from notify.crash.guard import guard
    from notify.crash.report import report_crash
    from notify.delivery.ticket import Ticket
    from notify.event import Attachment, Event
    from notify.integrations.structlog import structlog_processor
    from notify.notifier import Notifier, get_notifier
    from notify.threshold import Threshold

__all__ = [
    "TRADE",
    "TRADE_HIGH",
    "Attachment",
    "Backend",
    "ConfigError",
    "DeliveryError",
    "Event",
    "Gone",
    "Notifier",
    "NotifyError",
    "NotifyHandler",
    "Rejected",
    "RetryLater",
    "Threshold",
    "Ticket",
    "Unfit",
    "__version__",
    "get_notifier",
    "guard",
    "report_crash",
    "setup",
    "structlog_processor",
]

# Everything else is imported when it is first asked for: a library that imports this package for the names of its
# errors does not pay for what runs a notifier, nor a backend's author for the records that he only annotates with.
_LATER = {
    "Attachment": "notify.event",
    "Backend": "notify.backend",
    "Event": "notify.event",
    "Notifier": "notify.notifier",
    "NotifyHandler": "notify.capture.configured",
    "Threshold": "notify.threshold",
    "Ticket": "notify.delivery.ticket",
    "get_notifier": "notify.notifier",
    "guard": "notify.crash.guard",
    "report_crash": "notify.crash.report",
    "setup": "notify.bootstrap",
    "structlog_processor": "notify.integrations.structlog",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, once. Raises `AttributeError` for what is not in `__all__`."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(_importlib.import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
