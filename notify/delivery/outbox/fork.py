"""Forking a process whose outbox is open: the child must get neither connections nor locks that somebody holds.

SQLite must not be carried across a fork: the child would believe that it has the parent's locks on the file, and
another thread of the parent may be inside SQLite, with a lock that nobody in the child lets go of. So whatever is
open is closed before the fork, and opened again by whoever needs it, on either side.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from sys import is_finalizing
from threading import get_ident
from typing import Protocol
from weakref import WeakSet

from notify.delivery.outbox.errors import StoreBusy
from notify.locks import Turn

_PATIENCE = 1.0  # seconds that a fork waits for a lane in the middle of a flush
_SOON = 0.5  # seconds that a lane waits for a caller


class Lock:
    """Re-entrant, because a signal handler may interrupt whoever holds it, and no obstacle when the interpreter ends.

    All threads but one stand still for good then: what they hold nobody lets go of, and nobody uses.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def acquire(self, timeout: float = -1.0) -> bool:
        """Take it, and say whether that was possible within *timeout* seconds; negative: however long it takes."""
        if is_finalizing():
            self._lock.acquire(blocking=False)
            return True
        return self._lock.acquire(timeout=timeout)

    def within(self, seconds: float) -> Turn:
        """Return what takes it for a `with` within *seconds*. For callers, whom a signal may interrupt anywhere."""
        return Turn(self._lock, seconds)

    def release(self) -> None:
        """Let go of it."""
        try:
            self._lock.release()
        except RuntimeError:
            if not is_finalizing():
                raise

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Locks:
    """The two locks of an outbox."""

    def __init__(self) -> None:
        self.lanes = Lock()
        self.callers = Lock()
        """Taken last, and held across nothing that waits."""

    @contextmanager
    def callers_soon(self) -> Iterator[None]:
        """Hold the callers' lock. For who has the lanes' one. Raises `StoreBusy` when it cannot be had soon.

        A signal handler may have interrupted a caller, and wait for the lanes' lock itself.
        """
        lock = self.callers
        if not lock.acquire(timeout=_SOON):
            raise StoreBusy("a caller is at it")
        try:
            yield
        finally:
            lock.release()

    def renew(self) -> None:
        """Replace both: threads that hold them do not exist here."""
        self.lanes = Lock()
        self.callers = Lock()

    @contextmanager
    def lanes_within(self, seconds: float) -> Iterator[bool]:
        """Hold the lanes' lock if it can be had within *seconds*, and say whether it was."""
        lock = self.lanes
        held = lock.acquire(timeout=seconds)
        try:
            yield held
        finally:
            if held:
                lock.release()

    def take(self) -> bool:
        """Take both, or none if that lasts too long."""
        if not self.lanes.acquire(timeout=_PATIENCE):
            return False
        if not self.callers.acquire(timeout=_PATIENCE):
            self.lanes.release()
            return False
        return True

    def release(self) -> None:
        """Release both."""
        self.callers.release()
        self.lanes.release()


class Forked(Protocol):
    """What takes part in a fork."""

    locks: Locks

    def let_go(self) -> None:
        """Close every connection. Called in the parent, before the fork, with both locks held."""

    def be_child(self, *, clean: bool) -> None:
        """Begin with nothing. Called in the child. Not *clean*: what is open must never be touched, nor closed."""


_living: WeakSet[Forked] = WeakSet()
_begun_in = os.getpid()
_held: dict[int, list[tuple[Forked, bool]]] = {}  # by thread: two threads may fork at once


def follow(outbox: Forked) -> None:
    """Have *outbox* take part in every fork from now on, as long as it lives."""
    _living.add(outbox)


def in_progress() -> bool:
    """Say whether the calling thread is about to fork, so that it must not open anything."""
    return get_ident() in _held


def _before() -> None:
    held: list[tuple[Forked, bool]] = []
    _held[get_ident()] = held
    for outbox in list(_living):
        taken = outbox.locks.take()
        held.append((outbox, taken))  # now: Ctrl-C may come while the connections are closed
        if taken:
            outbox.let_go()


def _in_parent() -> None:
    for outbox, taken in _held.pop(get_ident(), ()):
        if taken:
            outbox.locks.release()


def begin_in_child() -> None:
    """Have every outbox begin with nothing, once in a forked child.

    Python asks for it after a fork, but of what is to be done then in the order in which that was registered: who is
    older than this module, and uses an outbox, asks first.
    """
    global _begun_in
    if _begun_in == os.getpid():
        return
    _begun_in = os.getpid()
    taken = {id(outbox) for outbox, taken in _held.get(get_ident(), ()) if taken}
    _held.clear()
    for outbox in list(_living):  # one that `_before` never saw belongs to a program that forks behind Python's back
        clean = id(outbox) in taken
        outbox.be_child(clean=clean)
        if clean:
            outbox.locks.release()
        else:
            outbox.locks.renew()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=begin_in_child)
