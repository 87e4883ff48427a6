"""Which crashes were seen lately, so that one place in the code that fails by the thousand is not told each time."""

import os
import re
import threading
from weakref import WeakKeyDictionary

from notify.crash.content import place_of
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.plain import class_name

_INTERVAL = 600.0  # seconds between two reports of one place
_PLACES = 1000  # that are remembered
_NUMBER = re.compile("[0-9]+")  # by which the threads and tasks that run the same differ

_Place = tuple[str, str, object]


class Seen:
    """When each place was last reported, and how often it was seen since. Thread-safe, in finalisers too."""

    def __init__(self) -> None:
        self._last: dict[_Place, float] = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was held back, which the parent tells. For a forked child, where nobody may let go of a lock."""
        # Re-entrant, since the garbage collector runs finalisers wherever it likes.
        self._lock = threading.RLock()
        self._held: dict[_Place, int] = {}

    def due(self, exception: BaseException, where: str, now: float) -> int | None:
        """Return how many like it were held back since the last report; None when this one is held back too.

        Alike are those of one type, raised at one place in the code, in what has the same name but for its numbers.

        Args:
            exception: what was raised.
            where: what it ended.
            now: monotonic seconds.
        """
        place = _place(exception, where)
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

    def forget(self, exception: BaseException, where: str) -> None:
        """Take back that *exception* was due: its report has failed."""
        with self._lock:
            self._last.pop(_place(exception, where), None)

    def untold(self) -> dict[str, int]:
        """Return how many were held back and not told, by where, once."""
        with self._lock:
            held, self._held = self._held, {}
        return {f"{where}: {kind}": count for (where, kind, _), count in held.items()}


def _place(exception: BaseException, where: str) -> _Place:
    return (_NUMBER.sub("N", where), class_name(exception), place_of(exception))


_seen_by: WeakKeyDictionary[Notifier, Seen] = WeakKeyDictionary()


def seen_by(notifier: Notifier) -> Seen:
    """Return what was seen of the crashes that *notifier* tells."""
    return _seen_by.setdefault(notifier, Seen())


def tell_rest(notifier: Notifier) -> None:
    """Say through *notifier* how many crashes were held back and not told, if there are any."""
    untold = seen_by(notifier).untold()
    if untold:
        told = "\n".join(f"{count} in {where}" for where, count in untold.items())
        notifier.notify("More crashes like those that were reported", body=told, level=TRADE, topic="crash")


def _begin_anew_in_child() -> None:
    for seen in list(_seen_by.values()):
        seen.begin_anew()


os.register_at_fork(after_in_child=_begin_anew_in_child)
