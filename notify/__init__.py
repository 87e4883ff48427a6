"""The flight recorder and pager of a long-running Python daemon.

`notify.setup()` reads the environment; from then on what the program logs reaches Discord, Logstash and standard
output, and the caller never waits for any of them.
"""

from notify.backend import Backend
from notify.bootstrap import setup
from notify.crash.report import report_crash
from notify.delivery.ticket import Ticket
from notify.errors import ConfigError, DeliveryError, Gone, NotifyError, Rejected, RetryLater
from notify.event import Attachment, Event
from notify.integrations.structlog import structlog_processor
from notify.levels import TRADE, TRADE_HIGH
from notify.notifier import Notifier, get_notifier
from notify.version import __version__

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
    "Rejected",
    "RetryLater",
    "Ticket",
    "__version__",
    "get_notifier",
    "report_crash",
    "setup",
    "structlog_processor",
]
