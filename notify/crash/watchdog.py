"""Says that the program hangs, where each of its threads is, and when it goes on."""

import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from types import FrameType, TracebackType

from notify import threads
from notify.crash import looks
from notify.duration import duration
from notify.exceptions import Raised
from notify.notifier import Notifier
from notify.plain import class_name, safe_str
from notify.run_state import RunState

KEY = "watchdog"  # a hang and its end are one matter

_ENDING = 0.1  # seconds that the thread is waited for
_FRAMES = 1000  # innermost frames of a stack that are shown: Python's own limit of recursion


def install(notifier: Notifier, run_state: RunState, hang_after: float) -> Callable[[], None]:
    """Watch *run_state* and say through *notifier* when it shows no progress, and return what ends that.

    A hang is one event of level ERROR and topic `watchdog`, whose body has the stack of each of the program's threads;
    no local variables. When `refresh` is called again, a second event says how long it lasted. Nothing is said before
    the first `refresh`, or while `executor_running` is false: who has crashed does not hang. A forked child is watched
    as soon as it calls `refresh` itself.

    Time counts while this thread gets to run. A process that was stopped, or a machine that slept, is not said to
    have hung; and of a hang that keeps every thread from running, inside C code, only the supervisor can know.

    Args:
        notifier: says it.
        run_state: what is watched.
        hang_after: seconds without `refresh` after which the program hangs.

    Raises `ValueError` when *hang_after* is not above 0.
    """
    watchdog = Watchdog(notifier, run_state, hang_after)
    end_listening = run_state.listen(refreshed=watchdog.begin)
    if run_state.seconds_without_progress() is not None:
        watchdog.begin()

    def undo() -> None:
        end_listening()
        watchdog.end()

    return undo


class Watchdog:
    """Looks at a run state from time to time, on a thread of its own. Args and errors are those of `install`."""

    def __init__(self, notifier: Notifier, run_state: RunState, hang_after: float) -> None:
        if not hang_after > 0:
            raise ValueError("hang_after must be above 0 seconds")
        self._notifier = notifier
        self._run_state = run_state
        self._clock = notifier.clock
        self._hang_after = hang_after
        self._interval = looks.interval(hang_after)
        self._begin_anew()
        os.register_at_fork(after_in_child=_beginning_anew(weakref.ref(self)))

    def _begin_anew(self) -> None:
        self._changed = threading.Condition()
        self._ended = False
        self._begun = threading.Lock()  # taken by who starts the thread, and never let go
        self._worker: threads.Worker | None = None
        self._looked_at: float | None = None  # this and what follows: monotonic seconds
        self._silence = 0.0
        self._hanging_since: float | None = None

    def begin(self) -> None:
        """Start the thread if it does not run. Cheap (0.3 us), and safe in any thread and signal handler."""
        if self._worker is not None:
            self._worker.revive()
        elif self._begun.acquire(blocking=False):
            self._worker = threads.Worker("watchdog", self._run)

    def end(self) -> None:
        """Stop the thread, and start none from now on."""
        self._begun.acquire(blocking=False)
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join(_ENDING)

    def _run(self) -> None:
        while True:
            next_look = self.look()
            with self._changed:
                if self._ended:
                    return
                self._clock.wait_until(self._changed, next_look)

    def look(self) -> float:
        """Look at the run state, say what is to be said, and return when to look again, in monotonic seconds."""
        now = self._clock.monotonic()
        passed = 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        without_progress = self._run_state.seconds_without_progress()
        if without_progress is None or not self._run_state.executor_running:
            self._silence = 0.0
            self._hanging_since = None
        else:
            self._silence = min(without_progress, self._silence + looks.counted(passed, self._interval))
            self._judge(now - without_progress, now)
        return now + self._interval

    def _judge(self, progress_at: float, now: float) -> None:
        hangs = self._silence >= self._hang_after
        if hangs and self._hanging_since is None:
            self._hanging_since = progress_at
            self._notifier.notify(
                f"The program hangs: no progress for {duration(now - progress_at)}",
                body=_stacks(),
                level=logging.ERROR,
                topic="watchdog",
                key=KEY,
                fields={"completed_cycle": self._run_state.completed_cycle},
            )
        elif not hangs and self._hanging_since is not None:
            lasted = progress_at - self._hanging_since
            self._hanging_since = None
            self._notifier.resolve(KEY, f"The program goes on: it made no progress for {duration(lasted)}")


def _beginning_anew(watchdog: "weakref.ref[Watchdog]") -> Callable[[], None]:
    def begin() -> None:
        forked = watchdog()
        if forked is not None:
            forked._begin_anew()

    return begin


def _stacks() -> str:
    """Return where each thread of the program is, the main thread first."""
    try:
        frames = sys._current_frames()
        # Not threading.enumerate(): it waits for a lock, and a thread that hangs may be holding it.
        known = dict(threading._active)  # type: ignore[attr-defined]  # no other way leads past that lock
        names = {ident: _name(known.get(ident), ident) for ident in frames}
        main = threading.main_thread().ident
        shown = [ident for ident in frames if not names[ident].startswith("notify-")]
        shown.sort(key=lambda ident: (ident != main, names[ident]))
        return "\n".join(f"Thread {names[ident]}:\n{_stack(frames[ident])}" for ident in shown)
    except Exception as error:  # noqa: BLE001 - that the program hangs must be said all the same
        return f"The stacks could not be read: {class_name(error)}"


def _name(thread: threading.Thread | None, ident: int) -> str:
    try:
        return f"number {ident}" if thread is None else safe_str(thread.name)
    except Exception:  # noqa: BLE001 - a class of the program's may have a name that raises
        return f"number {ident}"


class _Here(Exception):
    """Stands for where a thread is, so that its stack is printed as that of an exception."""


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _stack(frame: FrameType) -> str:
    """Return the lines that a traceback of *frame* has. Source is read as for exceptions: without waiting for it."""
    here: TracebackType | None = None
    for each in islice(_outwards(frame), _FRAMES):
        here = TracebackType(here, each, each.f_lasti, each.f_lineno or 0)
    text = Raised(_Here().with_traceback(here)).info().traceback
    return "\n".join(text.split("\n")[1:-2]) + "\n"  # without "Traceback (most recent call last):" and "…_Here"
