"""Whether the outbox works, and what people are told when that changes."""

import time
from collections import deque

from notify import diagnostics
from notify.delivery.outbox.errors import StoreBusy, StoreHeld, out_of_descriptors

_ALERTS = 20  # that wait to be told
_TRIES = 3  # that were in vain in a row: then nobody waits any more
_HELD = 1.0  # seconds that all tries were in vain: then it is told
_TELL_EVERY = 60.0  # seconds between two troubles that people are told of: a quota makes one of each event


class Health:
    """What is wrong with an outbox at present. Thread-safe: whoever comes second says the same.

    Either it is broken, and nobody touches it before it was repaired. Or another process has the file for a long time:
    then everybody tries, but nobody waits, and the first who succeeds has it work again.
    """

    def __init__(self) -> None:
        self.trouble: str | None = None
        """Why nothing is kept on disk, None while all is well."""
        self._held = False
        self._in_vain = 0
        self._since = 0.0  # monotonic seconds
        self._told = False  # people know of the trouble
        self._told_at = -_TELL_EVERY  # monotonic seconds
        self._alerts: deque[str] = deque(maxlen=_ALERTS)

    @property
    def usable(self) -> bool:
        """Whether to try at all."""
        return self.trouble is None or self._held

    @property
    def patient(self) -> bool:
        """Whether it is worth waiting for the others."""
        return self._in_vain < _TRIES

    def failed(self, error: Exception, *, also_busy: bool = False) -> None:
        """Note what an attempt came to.

        Args:
            error: a `StoreError`, `StateDirError` or `OSError`.
            also_busy: nothing was open before: also what passes keeps it from working.
        """
        if isinstance(error, StoreHeld) and not also_busy:
            self._wait_in_vain(str(error))
        elif also_busy or not (isinstance(error, StoreBusy) or out_of_descriptors()):
            self._break(error)

    def worked(self) -> None:
        """Note that something was written."""
        if self._in_vain:
            self._in_vain = 0
            if self._held:
                self.repaired()

    def wait_no_more(self) -> None:
        """Have nobody wait for the others until somebody succeeds."""
        self._in_vain = _TRIES

    def repaired(self) -> None:
        """Note that it works, and say so if it did not."""
        self._in_vain = 0
        self._held = False
        if self.trouble is not None:
            self.trouble = None
            if self._told:
                self._told = False
                self.say("The outbox works again: events are kept on disk.")

    def say(self, text: str) -> None:
        """Tell people, now on stderr and later by an alert."""
        self._alerts.append(text)
        diagnostics.report("outbox", text)

    def alerts(self) -> tuple[str, ...]:
        """Return what is to be told, each once."""
        self._tell_trouble()
        alerts = tuple(self._alerts)
        self._alerts.clear()
        return alerts

    def be_child(self) -> None:
        """Leave to the parent what it has to tell."""
        self._alerts.clear()
        self._in_vain = 0

    def _wait_in_vain(self, reason: str) -> None:
        now = time.monotonic()
        if not self._in_vain:
            self._since = now
        self._in_vain += 1
        if self._in_vain >= _TRIES and now - self._since >= _HELD and self.trouble is None:
            self._held = True
            self._say_trouble(reason)

    def _break(self, error: Exception) -> None:
        if self.usable:
            self._held = False
            reason = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
            self._say_trouble(reason)

    def _say_trouble(self, reason: str) -> None:
        self.trouble = reason
        self._tell_trouble()

    def _tell_trouble(self) -> None:
        reason, now = self.trouble, time.monotonic()
        if reason is not None and not self._told and now - self._told_at >= _TELL_EVERY:
            self._told = True
            self._told_at = now
            self.say(f"The outbox cannot be used: {reason}. Events wait in memory, and are lost if the process dies.")
