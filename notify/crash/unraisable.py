"""Hears of exceptions that Python has nobody to give to: those of finalisers, above all."""

import sys
import threading
from collections.abc import Callable
from types import FunctionType

from notify.crash.content import place_of
from notify.crash.report import is_wanted, report_from_hook
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.plain import class_name, clean, safe_str

_INTERVAL = 600.0  # seconds between two reports of one place
_PLACES = 1000  # that are remembered


def install(notifier: Notifier) -> Callable[[], None]:
    """Report such exceptions through *notifier*, and return what takes the hook off again.

    Finalisers run by the thousand, so one place in the code is reported once in ten minutes. What comes in between is
    counted, and told by the next report or at the end. The hook that was there before runs in every case.
    """
    previous = sys.unraisablehook
    installed = True
    seen = _Seen()

    def unraisablehook(unraisable: "sys.UnraisableHookArgs", /) -> None:
        try:
            exception = unraisable.exc_value
            if installed and exception is not None and not is_wanted(exception, (KeyboardInterrupt, SystemExit)):
                if exception.__traceback__ is None:
                    exception.__traceback__ = unraisable.exc_traceback
                where = _where(unraisable)
                more = seen.due((where, class_name(exception), place_of(exception)), now())
                if more is not None:
                    since = f" ({more} more since the last report)" if more else ""
                    report_from_hook(exception, where=f"{where}{since}", notifier=notifier)
        finally:
            previous(unraisable)

    def now() -> float:
        return notifier.clock.monotonic()

    sys.unraisablehook = unraisablehook

    def undo() -> None:
        nonlocal installed
        installed = False
        if sys.unraisablehook is unraisablehook:
            sys.unraisablehook = previous
        untold = seen.untold()
        if untold:
            told = "\n".join(f"{count} in {where}" for where, count in untold.items())
            notifier.notify("More exceptions that nobody could catch", body=told, level=TRADE, topic="crash")

    return undo


class _Seen:
    """When each place was last reported, and how often it was seen since."""

    def __init__(self) -> None:
        # Re-entrant, since the garbage collector runs finalisers wherever it likes.
        self._lock = threading.RLock()
        self._last: dict[tuple[str, str, object], float] = {}
        self._held: dict[tuple[str, str, object], int] = {}

    def due(self, place: tuple[str, str, object], now: float) -> int | None:
        """Return how many were held back since the last report; None when this one is held back too."""
        with self._lock:
            last = self._last.get(place)
            if last is not None and now - last < _INTERVAL:
                self._held[place] = self._held.get(place, 0) + 1
                return None
            if len(self._last) >= _PLACES:
                self._last.clear()
                self._held.clear()
            self._last[place] = now
            return self._held.pop(place, 0)

    def untold(self) -> dict[str, int]:
        """Return how many were held back and not told, by where."""
        with self._lock:
            return {f"{where}: {kind}": count for (where, kind, _), count in self._held.items()}


def _where(unraisable: "sys.UnraisableHookArgs") -> str:
    """Name what has failed, without a call of the object: it is about to end."""
    failed = unraisable.object
    if type(failed) is FunctionType:
        return clean(failed.__qualname__)
    if unraisable.err_msg:
        return clean(safe_str(unraisable.err_msg)).removeprefix("Exception ignored in").strip() or "a finaliser"
    return "a finaliser" if failed is None else f"a {class_name(failed)}"
