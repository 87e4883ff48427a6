"""Watches one value, such as a price of gas, and says when it is too high or too low, and when it is well again."""

import math
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from logging import CRITICAL
from weakref import WeakSet

from notify import diagnostics
from notify.arguments import caller, event_of
from notify.errors import ConfigError
from notify.interruption import came_from_a_signal
from notify.notifier import Notifier, current_notifier
from notify.plain import class_name
from notify.rules.threshold import WELL, Limits

_REMIND_EVERY = 3600.0  # seconds
_DIGITS = 12  # of the value in a field: 0.1 - 0.03 * 3 is 0.01 there. A float is exact to 15
_LARGEST = 1e15  # from here on a number of digits is harder to read than a power of ten


class Threshold:
    """Says once when a value passes a limit, now and then that it still is beyond it, and once when it is well again.

        gas = notify.Threshold("gas price", unit="gwei", warn=80, critical=200, clear=60)
        gas.observe(price)  # as often as you like

    With *critical* below *warn* low values are the bad ones, as of the gas that is left in a wallet. Between *clear*
    and *warn* nothing changes, so that a value which trembles around a limit is told once. Once critical, it stays so
    until it is well. What a run before this one has announced is not announced again, and its end is still said.

    Thread-safe, also in signal handlers and forked children.

    Args:
        name: what is observed, for people. Two of one name are one matter.
        unit: of the values, for people.
        warn: WARNING from this value on.
        critical: CRITICAL from this value on.
        clear: well again on the other side of this value; by default of *warn*.
        remind_every: seconds between two reminders while it is not well.
        topic: what it is about; routes choose by it.
        notifier: says it; by default the one that `setup()` has made when there is something to say.

    Raises `ConfigError`, naming the threshold and the argument, when the limits do not fit together.
    """

    def __init__(
        self,
        name: str,
        *,
        warn: float,
        critical: float,
        clear: float | None = None,
        unit: str = "",
        remind_every: float = _REMIND_EVERY,
        topic: str = "alert",
        notifier: Notifier | None = None,
    ) -> None:
        try:
            self._limits = Limits(warn, critical, warn if clear is None else clear)
        except ValueError as error:
            raise ConfigError(f"Threshold({name!r}): {error}") from None
        if not remind_every > 0:
            raise ConfigError(f"Threshold({name!r}): remind_every is not a number of seconds above 0")
        self.name = name
        self._unit = f" {unit}" if unit else ""
        self._remind_every = remind_every
        self._topic = topic
        self._notifier = notifier
        self._monotonic: Callable[[], float] = time.monotonic if notifier is None else notifier.clock.monotonic
        self._lock = threading.RLock()
        self._falls = self._limits.falls
        self._level = WELL
        self._since = 0.0  # monotonic seconds
        # Low, high, and until when: while a value is between them nothing is to be said. None is, before the first.
        self._calm = (0.0, 0.0, 0.0)
        _living.add(self)

    def __repr__(self) -> str:
        return f"Threshold({self.name!r})"

    @property
    def key(self) -> str:
        """The key of its matter, for `Notifier.resolve`."""
        return f"threshold:{self.name}"

    def observe(self, value: float | Decimal) -> None:
        """Take note of a value. Returns at once: below one microsecond when nothing is to be said.

        Never raises. What is not a number is reported on stderr and changes nothing.
        """
        try:
            low, high, until = self._calm
            if low <= (-value if self._falls else value) < high and self._monotonic() < until:
                return
            self._look(float(value))
        except Exception as error:  # the loop that observes has nothing to do with it
            if came_from_a_signal(error):
                raise
            diagnostics.report(f"threshold {self.name}", f"{self!r} was given no number: {class_name(error)}")

    def _look(self, value: float) -> None:
        if value != value:  # NaN
            diagnostics.report(f"threshold {self.name}", f"{self!r} was given NaN")
            return
        notifier = self._notifier or current_notifier()
        if notifier is None:
            diagnostics.report(f"threshold {self.name}", f"{self!r} tells nobody: notify.setup() was not called yet")
            return
        with self._lock:
            now = self._monotonic()
            level, before, due_at = self._limits.level(value, self._level), self._level, self._calm[2]
            self._level = level
            if level == before and now < due_at:
                return  # another thread was quicker
            self._calm = (*self._limits.calm(level), math.inf if level == WELL else now + self._remind_every)
            if before == WELL:
                self._since = now
        if level == WELL:
            # Also at the first value of a run: the one before may have told that it was not well.
            notifier.resolve(self.key, f"{self.name} is well again: {self._shown(value)}")
            return
        word = "low" if self._falls else "high"
        limit = self._limits.critical if level == CRITICAL else self._limits.warn
        fields: dict[str, object] = {"value": float(f"{value:.{_DIGITS}g}"), "limit": limit}
        is_news = level > before
        if not is_news:
            fields["for"] = str(timedelta(seconds=round(now - self._since)))
        event = event_of(
            notifier.clock.time(),
            caller((__name__,)),
            f"{self.name} is {'' if is_news else 'still '}{word}: {self._shown(value)}",
            level=level,
            topic=self._topic,
            key=self.key,
            fields=fields,
        )
        notifier.accept(event, folds=is_news)

    def _shown(self, value: float) -> str:
        # From a million on, six digits would be written as a power of ten.
        return f"{value:,.0f}{self._unit}" if 1e6 <= abs(value) < _LARGEST else f"{value:,.6g}{self._unit}"


_living: WeakSet[Threshold] = WeakSet()


def _renew_locks() -> None:
    """In a forked child: another thread may have held one, which does not exist there."""
    for threshold in list(_living):
        threshold._lock = threading.RLock()


# Once for all of them: it is never undone, and a program may make one for each value.
os.register_at_fork(after_in_child=_renew_locks)
