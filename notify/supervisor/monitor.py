"""Tells the monitor that a program which sent heartbeats has died."""

import threading
from collections.abc import Callable

from notify import threads
from notify.status.heartbeat import LAST_PING, Pings
from notify.supervisor.death import Death, title


class Monitor:
    """Sends `/fail` for each death, on a thread. For the main thread.

    The program does so itself for a crash that Python sees. Monitors take it twice without harm.

    Args:
        url: of the monitor, a credential.
        redact_text: takes secrets out of what is told.
    """

    def __init__(self, url: str, redact_text: Callable[[str], str]) -> None:
        self._url = url
        self._redact_text = redact_text
        self._thread: threading.Thread | None = None

    def crashed(self, death: Death) -> None:
        """Tell of *death*. Raises `RuntimeError` when the system refuses a thread."""
        message = self._redact_text(title(death))

        def tell() -> None:
            pings = Pings(self._url)  # one that is told meanwhile may hang
            pings.fail(message)
            pings.close()

        self._thread = threads.start("heartbeat", tell)

    def close(self) -> None:
        """Wait for what was told last, two seconds at most."""
        if self._thread is not None:
            self._thread.join(LAST_PING)
