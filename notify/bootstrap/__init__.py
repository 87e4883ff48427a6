"""From the environment to a running notifier: the only room that sees everyone."""

from notify.bootstrap.front import extend, redactor_of, setup
from notify.bootstrap.parts import open_outbox, redactor
from notify.bootstrap.seen import serving, status_url, stop_serving

__all__ = ["extend", "open_outbox", "redactor", "redactor_of", "serving", "setup", "status_url", "stop_serving"]
