"""HTTP for backends: kept-alive connections, a total deadline for each request, failures that name no URL."""

from notify.backends.http.answer import mapping, number, parsed, short_reason
from notify.backends.http.client import HttpClient
from notify.backends.http.exchange import MAX_BODY, Answer, Part
from notify.backends.http.loopback import is_loopback
from notify.backends.http.session import hush

__all__ = [
    "MAX_BODY",
    "Answer",
    "HttpClient",
    "Part",
    "hush",
    "is_loopback",
    "mapping",
    "number",
    "parsed",
    "short_reason",
]
