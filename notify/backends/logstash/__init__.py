"""Logstash: every event as strict JSON, over UDP, TCP or TLS."""

from notify.backends.logstash.address import DEFAULT_PORT, Address, parse_address
from notify.backends.logstash.backend import LogstashBackend

__all__ = ["DEFAULT_PORT", "Address", "LogstashBackend", "parse_address"]
