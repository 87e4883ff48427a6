"""A backend of one's own: posts every event to an HTTP server that pages whoever is on call.

    pip install ./pager
    NOTIFY_BACKENDS=pager PAGER_URL=https://pager.example.com/page PAGER_LEVEL=ERROR python strategy.py

It needs nothing but notify and the standard library.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

import notify

TIMEOUT = 10  # seconds; a backend may block, but not for ever


class Pager:
    """Pages by HTTP. A thread of its own calls it, so that it needs no lock and holds nobody up."""

    durable = True  # what is TRADE and above waits on disk until the pager has it, also over a restart
    max_batch = 1  # one page for each event

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, events: Sequence[notify.Event], /) -> int:
        """Page about the first event, and return how many were delivered."""
        event = events[0]
        page = {"title": event.message[:200], "text": event.body[:2000], "id": event.id}  # the id: to know it again
        request = urllib.request.Request(self._url, json.dumps(page).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT):
                return 1
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (401, 403, 404):
                raise notify.Gone(f"HTTP {error.code}") from None  # nothing will arrive: tried again in ten minutes
            if error.code in (408, 429) or error.code >= 500:
                raise notify.RetryLater(reason=f"HTTP {error.code}") from None  # after 1 s, 2 s … 5 min
            raise notify.Rejected(f"HTTP {error.code}") from None  # this event never, the next one perhaps
        # Any other OSError, such as a refused connection, is tried again as well.

    def close(self) -> None:
        """Have nothing to close."""


def from_env(env: Mapping[str, str]) -> Pager | None:
    """Return the backend that the environment asks for, None when it does not."""
    url = env.get("PAGER_URL")
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise notify.ConfigError("PAGER_URL: not an address of HTTP")  # names the setting, never shows its value
    return Pager(url)
