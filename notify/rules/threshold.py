"""Limits of a value: from when on it is worth a warning, from when on it is critical, and when it is well again."""

import math
from dataclasses import dataclass
from logging import CRITICAL, WARNING

WELL = 0
"""The level of a value that is within its limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a value gets too high, or too low when *critical* lies below *warn*.

    A value that was beyond *warn* is well again only when it is within *clear*, so that one which trembles around a
    limit is told once. Until then it stays at the worst level that it has had.

    Args:
        warn: WARNING from this value on.
        critical: CRITICAL from this value on.
        clear: well again on the other side of this value.

    Raises `ValueError`, naming what is wrong, when these do not fit together.
    """

    warn: float
    critical: float
    clear: float

    def __post_init__(self) -> None:
        for name in ("warn", "critical", "clear"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is not a number")
        if self.warn == self.critical:
            raise ValueError("critical is the same as warn, so that nobody knows which side of them is bad")
        if not self.falls and self.clear > self.warn:
            raise ValueError("clear is above warn, where values are bad, since critical is above warn")
        if self.falls and self.clear < self.warn:
            raise ValueError("clear is below warn, where values are bad, since critical is below warn")

    @property
    def falls(self) -> bool:
        """Whether low values are the bad ones."""
        return self.critical < self.warn

    def level(self, value: float, before: int) -> int:
        """Return the level of *value*: WELL, WARNING or CRITICAL.

        Args:
            value: a number.
            before: the level of the value before it.
        """
        low, high = self.calm(before)
        if low <= (-value if self.falls else value) < high:
            return before
        sign = -1 if self.falls else 1
        if value * sign >= self.critical * sign:
            return CRITICAL
        return max(WARNING, before) if value * sign >= self._end(before) else WELL

    def calm(self, level: int) -> tuple[float, float]:
        """Return the range in which a value keeps *level*: the first is in it, the second is not.

        Where low values are bad, it is the range of the value's negative: bad is high then, too.
        """
        sign = -1 if self.falls else 1
        if level == WELL:
            return -math.inf, self.warn * sign
        return self.clear * sign, self.critical * sign if level < CRITICAL else math.inf

    def _end(self, before: int) -> float:
        """Return from where on a value is not well, in the range of `calm`."""
        return (self.warn if before == WELL else self.clear) * (-1 if self.falls else 1)
