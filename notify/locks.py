"""Locks that who is interrupted does not keep.

Python runs the handler of a signal between any two steps of the main thread, and what the handler raises ends what was
being done there: Ctrl-C, or a time limit. Behind `acquire()` the step to the `try:` is such a place, and a context
manager that is written in Python has some inside. `threading.Condition` is one. Whoever is interrupted there keeps
the lock for good, and all others wait for it. `with` on what takes and lets go in C is a single step on either side.
"""

import threading
from functools import partial
from operator import attrgetter


class Turn:
    """A re-entrant lock that nobody waits for without end: `with turn as held`.

    When *held* is false, the end of the `with` raises `RuntimeError`, since there is nothing to let go of.

    Args:
        lock: which one.
        patience: seconds to wait for it.
    """

    __slots__ = ("_lock", "_take")

    def __init__(self, lock: threading.RLock, patience: float) -> None:
        self._lock = lock
        self._take = partial(lock.acquire, timeout=patience)

    # A property of the class is asked in C, where a method would be a step in Python.
    __enter__ = property(attrgetter("_take"))
    __exit__ = property(attrgetter("_lock.__exit__"))


class Condition(threading.Condition):
    """A condition with a re-entrant lock, to be used by the main thread, too."""

    __enter__ = property(attrgetter("_lock.__enter__"))  # see `Turn`
    __exit__ = property(attrgetter("_lock.__exit__"))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified, *timeout* seconds at most; None: however long it takes. Say whether that was so."""
        try:
            return super().wait(timeout)
        except BaseException:
            if not self._is_owned():  # type: ignore[attr-defined]  # it was let go of, and not taken back yet
                self._lock.acquire()  # type: ignore[attr-defined]  # of the standard library's class
            raise
