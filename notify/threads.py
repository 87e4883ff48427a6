"""Our own threads, and how to tell whether a record was logged by one of them.

What our threads log (the HTTP client's debug lines, a host's callable that logs) must not come back to us as an
event: it would be sent, logged again and sent again. The mark is the thread, not a shared flag, so that no
record of another thread is lost meanwhile.
"""

import os
import threading
from collections.abc import Callable, Container
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import get_ident

from notify import diagnostics
from notify.plain import class_name

_ours: set[int] = set()
idents: Container[int] = _ours
"""Idents of the threads that are ours, for who asks so often that a call of `is_ours` is too dear."""

_lives: set[object] = set()
"""One for each time that a worker's thread runs: numbers of threads are given again, in a forked child too."""

_at_exit = False


def _begin_in_child() -> None:
    _ours.clear()  # none of them lives here, and threads of this process may be given the same numbers
    _lives.clear()


os.register_at_fork(after_in_child=_begin_in_child)


def is_ours() -> bool:
    """Say whether the calling thread was started by this package."""
    return get_ident() in _ours


def start(name: str, target: Callable[[], None], *, marked: bool = True) -> threading.Thread:
    """Start and return a daemon thread of ours.

    Args:
        name: shown after `notify-`.
        target: what it runs.
        marked: what is logged there is ours. False for a thread that runs nothing that logs: what is logged there all
            the same comes from objects of the program that the garbage collector happens to end there.

    Raises `RuntimeError` when the system refuses another thread or the interpreter is shutting down.
    """
    if _at_exit:
        raise RuntimeError("the interpreter is shutting down")

    def run() -> None:
        _let_others_run()
        ident = get_ident()
        if marked:
            _ours.add(ident)
        try:
            target()
        finally:
            _ours.discard(ident)

    thread = threading.Thread(target=run, name=f"notify-{name}", daemon=True)
    thread.start()
    return thread


def _let_others_run() -> None:
    """Have the calling thread push no other from its processor when it wakes up. Where the system cannot, as before.

    The caller of a durable event wakes ours while he writes, and Linux likes to wake it where he runs: it took his
    processor, and then the interpreter lock, for one to two milliseconds. A batch thread has the same share, and waits
    until he goes to rest.
    """
    if threading.get_native_id() == os.getpid() or _may_kill():  # gevent's threads are all the main one
        return
    with suppress(AttributeError, OSError):  # another system, or a sandbox
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


@cache
def _may_kill() -> bool:
    """Say whether a filter of systemd's may end the process for the attempt, as `SystemCallFilter=~@resources` does."""
    if "INVOCATION_ID" not in os.environ:
        return False
    try:
        return "\nSeccomp:\t2" in Path("/proc/self/status").read_text()
    except OSError:
        return False


def start_no_more() -> None:
    """Start no thread from now on. For the end of the program, where Python 3.12 refuses and others might hang."""
    global _at_exit
    _at_exit = True


class Worker:
    """One thread of ours that is started again when it has died. Thread-safe.

    Args:
        name: shown after `notify-`.
        target: what it runs; the thread has died when this raises, and has ended when it returns.
        marked: as for `start`.

    A thread that the system refuses is reported, and tried again by `revive`.
    """

    def __init__(self, name: str, target: Callable[[], None], *, marked: bool = True) -> None:
        self.restarts = 0
        self._name = name
        self._target = target
        self._marked = marked
        self._starting = threading.RLock()  # a signal handler may interrupt whoever holds it
        self._ended = False
        self._being_started = False
        self._life: object = None
        self._thread: threading.Thread | None = None
        self._start()

    def revive(self) -> None:
        """Start the thread again if it has died. Cheap when it has not."""
        # Each durable event asks for two threads, and Thread.is_alive() takes four calls.
        if self._ended or self._life in _lives or (self._thread is not None and self._thread.is_alive()):
            return
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            died = self._thread is not None
            if self._start() and died:
                self.restarts += 1
                diagnostics.report(f"thread {self._name}", f"the thread {self._name} had died and was started again")

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, *timeout* seconds at most. A thread that asks for itself does not wait."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _start(self) -> bool:
        if self._being_started:  # a signal handler has interrupted this, and two threads must not run
            return False
        self._being_started = True
        try:
            self._thread = start(self._name, self._run, marked=self._marked)
        except RuntimeError as error:
            diagnostics.report(f"thread {self._name}", f"the thread {self._name} could not be started: {error}")
        finally:
            self._being_started = False
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        self._life = life = object()
        _lives.add(life)
        try:
            self._target()
            self._ended = True
        except BaseException as error:  # noqa: BLE001 - nobody catches it above this; `revive` mends it
            diagnostics.report(f"thread {self._name}", f"the thread {self._name} died: {class_name(error)}")
        finally:
            _lives.discard(life)
