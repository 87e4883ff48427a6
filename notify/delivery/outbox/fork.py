"""Forking a process whose outbox is open: the child must get neither connections nor locks that somebody holds.

SQLite must not be carried across a fork: the child would believe that it has the parent's locks on the file, and
another thread of the parent may be inside SQLite, with a lock that nobody in the child lets go of. So whatever is
open is closed before the fork, and opened again by whoever needs it, on either side.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import takewhile
from operator import call
from sys import is_finalizing
from threading import get_ident
from typing import Protocol
from weakref import WeakSet

from notify.delivery.outbox.errors import StoreBusy
from notify.interruption import came_from_outside
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

    def taking(self, seconds: float) -> Callable[[], bool]:
        """Return what takes it as `acquire` does, in a single step of C where others may still let go of it."""
        return self.acquire if is_finalizing() else partial(self._lock.acquire, timeout=seconds)

    def leaving(self) -> Callable[[], None]:
        """Return what lets go of it in the same way."""
        return self.release if is_finalizing() else self._lock.release

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

    # `with` asks for both before it takes the lock, and C takes it then: see `notify.locks`.

    @property
    def __enter__(self) -> Callable[[], object]:
        return self.acquire if is_finalizing() else self._lock.__enter__

    @property
    def __exit__(self) -> Callable[..., None]:
        return self._leave if is_finalizing() else self._lock.__exit__

    def _leave(self, *_: object) -> None:
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
        with _within(self.callers, _SOON) as held:
            if not held:
                raise StoreBusy("a caller is at it")
            yield

    def renew(self) -> None:
        """Replace both: threads that hold them do not exist here."""
        self.lanes = Lock()
        self.callers = Lock()

    def lanes_within(self, seconds: float) -> AbstractContextManager[bool]:
        """Hold the lanes' lock if it can be had within *seconds*, and say whether it was."""
        return _within(self.lanes, seconds)


@contextmanager
def _within(lock: Lock, seconds: float) -> Iterator[bool]:
    if is_finalizing():
        with lock:
            yield True
        return
    held = False
    try:
        with lock.within(seconds) as held:
            if held:
                yield True
    except RuntimeError as error:
        if held or came_from_outside(error):
            raise
    if not held:
        yield False


class Forked(Protocol):
    """What takes part in a fork."""

    locks: Locks

    def let_go(self) -> None:
        """Close every connection. Called in the parent, before the fork, with both locks held."""

    def be_child(self, *, clean: bool) -> None:
        """Begin with nothing. Called in the child. Not *clean*: what is open must never be touched, nor closed."""


class _Prepared:
    """An outbox before a fork: both of its locks are held, or it could not be had in time.

    Where a signal interrupts this, what was done is known, and the next call goes on from there: that a lock is taken
    or let go of, and that this is noted, are one step in C.
    """

    def __init__(self, outbox: Forked) -> None:
        self.outbox = outbox
        self.is_clean = False
        """Whether nothing is open and nobody is at it."""
        self._locks: Sequence[Lock] = (outbox.locks.lanes, outbox.locks.callers)
        self._taken: list[bool] = []  # one for each lock that was to be had
        self._leaving: Iterator[Callable[[], None]] | None = None
        self._is_done = False

    def prepare(self) -> None:
        """Take the locks and close what is open. Idempotent."""
        if self._is_done:
            return
        missing = [lock.taking(_PATIENCE) for lock in self._locks[len(self._taken) :]]
        self._taken.extend(takewhile(bool, map(call, missing)))
        if len(self._taken) == len(self._locks):
            self.outbox.let_go()
            self.is_clean = True
        self._is_done = True

    def release(self) -> None:
        """Let go of what is held. Idempotent."""
        if self._leaving is None:
            held = self._locks[: len(self._taken)]
            self._leaving = iter([lock.leaving() for lock in reversed(held)])
        for _ in map(call, self._leaving):
            pass


_living: WeakSet[Forked] = WeakSet()
_begun_in = os.getpid()
_prepared: dict[int, dict[int, _Prepared]] = {}  # by thread, since two may fork at once, and by the outbox's id


def follow(outbox: Forked) -> None:
    """Have *outbox* take part in every fork from now on, as long as it lives."""
    _living.add(outbox)


def in_progress() -> bool:
    """Say whether the calling thread is about to fork, so that it must not open anything."""
    return get_ident() in _prepared


def _before() -> None:
    prepared = _prepared.setdefault(get_ident(), {})
    for outbox in list(_living):
        prepared.setdefault(id(outbox), _Prepared(outbox)).prepare()


def _in_parent() -> None:
    for each in _prepared.get(get_ident(), {}).values():
        each.release()
    _prepared.pop(get_ident(), None)


def begin_in_child() -> None:
    """Have every outbox begin with nothing, once in a forked child.

    Python asks for it after a fork, but of what is to be done then in the order in which that was registered: who is
    older than this module, and uses an outbox, asks first.
    """
    global _begun_in
    if _begun_in == os.getpid():
        return
    _begun_in = os.getpid()
    prepared = _prepared.get(get_ident(), {})
    _prepared.clear()
    for outbox in list(_living):  # one that `_before` never saw belongs to a program that forks behind Python's back
        before = prepared.get(id(outbox))
        clean = before is not None and before.is_clean
        outbox.be_child(clean=clean)
        if before is not None and clean:
            before.release()
        else:
            outbox.locks.renew()


# Python forks whatever is raised here, and then nobody would let go of the locks. A handler of a signal raises once:
# the second call does what the first one was kept from.
os.register_at_fork(before=_before, after_in_parent=_in_parent)
os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=begin_in_child)
