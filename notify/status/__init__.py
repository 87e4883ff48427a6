"""The status server: what is known of a run, served over HTTP to people and monitors, also after a crash."""

from notify.status.app import make_app
from notify.status.server import StatusServer

__all__ = ["StatusServer", "make_app"]
