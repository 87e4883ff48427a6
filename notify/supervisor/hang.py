"""Says that the program hangs, with the stacks that it has written down, and when it goes on."""

import logging

from notify import diagnostics
from notify.crash import looks
from notify.crash.fault import program_threads
from notify.crash.stacks import SIGNAL
from notify.crash.watchdog import KEY
from notify.duration import duration
from notify.notifier import Notifier
from notify.supervisor.child import Child
from notify.supervisor.mark import Mark

_STACKS = 2.0  # seconds in which the child writes them down; 100 threads take it milliseconds
_PAUSE = 0.05  # seconds between two looks at what it has written

_UNKNOWN = "The stacks are not known: the program has not set up what writes them down."
_STOPPED = "The program is stopped, by a signal or a debugger."
_SILENT = "The stacks are not known: the program did not write them down within 2 s."


class HangWatch:
    """Looks at the progress that one child, or a program behind it, notes. For the main thread.

    Nothing is said before the program has noted any: a program that does not use this package, or never calls
    `run_state.refresh()`, does not hang, and only stderr is told that this watch is of no use. The same goes for a
    program that a wrapper, such as a shell, has started anew.

    Args:
        notifier: says it: a hang at level ERROR, once, and its end.
        child: the program.
        mark: where it notes progress.
        program: what it is called.
        hang_after: seconds without progress after which it hangs.
    """

    def __init__(self, notifier: Notifier, child: Child, mark: Mark, program: str, hang_after: float) -> None:
        self._notifier = notifier
        self._child = child
        self._mark = mark
        self._program = program
        self._hang_after = hang_after
        self.interval = looks.interval(hang_after)
        """Seconds between two looks."""
        self._looked_at = self._progress_seen_at = notifier.clock.monotonic()
        self._silence = 0.0
        self._pid = mark.pid
        self._progress_at: float | None = None
        self._hangs = False

    def look(self) -> bool:
        """Say what is to be said, and return whether a hang has just begun."""
        now = self._notifier.clock.monotonic()
        self._silence += looks.counted(now - self._looked_at, self.interval)
        self._looked_at = now
        progress_at = self._mark.progress_at()
        if self._mark.pid != self._pid:
            self._pid = self._mark.pid
            self._progress_at, self._silence = None, 0.0
        if progress_at is None:
            progress_at = self._progress_at  # a mark that is gone is no progress
        if progress_at != self._progress_at:
            if self._hangs:
                self._tell_end(now)
            self._progress_at, self._progress_seen_at = progress_at, now
            self._silence = 0.0
            self._hangs = False
        if self._silence < self._hang_after or self._hangs:
            return False
        if progress_at is None:
            diagnostics.report("hang", "--hang-after: the program notes no progress, so nobody can tell if it hangs")
            self._silence = float("-inf")
            return False
        if not (self._mark.is_running() and self._mark.is_alive()):
            return False
        self._hangs = True
        self._tell(now)
        return True

    def _tell(self, now: float) -> None:
        self._notifier.notify(
            f"{self._program} hangs: no progress for {duration(now - self._progress_seen_at)}",
            body=self._stacks(),
            level=logging.ERROR,
            topic="watchdog",
            key=KEY,
        )

    def _tell_end(self, now: float) -> None:
        self._notifier.resolve(
            KEY, f"{self._program} goes on: it made no progress for {duration(now - self._progress_seen_at)}"
        )

    def _stacks(self) -> str:
        if not self._mark.gives_stacks():
            return _UNKNOWN
        if self._mark.is_stopped():  # it would write them down as soon as it goes on, when nobody waits for them
            return _STOPPED
        self._mark.stacks(take=True)  # what it wrote too late the last time
        self._child.kill(SIGNAL, self._mark.pid)
        deadline = self._notifier.clock.monotonic() + _STACKS
        written = ""
        while self._notifier.clock.monotonic() < deadline and self._child.wait(_PAUSE) is None:
            before, written = written, self._mark.stacks()
            if written and written == before:  # it writes without a pause
                break
        return program_threads(self._mark.stacks(take=True)) or _SILENT
