"""Says that SIGTERM or SIGINT came, before the program ends of it."""

import os
import signal
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn

from notify import imports
from notify.crash.identity import is_child
from notify.levels import TRADE
from notify.notifier import Notifier

_Handler = Callable[[int, FrameType | None], object]

# Within the 5 s of guarantee 7, from the signal on: what waits is delivered, then threads and files are put away, and
# in any case the process ends, whatever hangs.
_DELIVERY = 4.0
_END = 4.75

_ONE_END = 60.0  # seconds in which further signals are about the same end, and not announced


def install(notifier: Notifier) -> Callable[[], None]:
    """Announce SIGTERM and SIGINT through *notifier*, and return what puts the handlers before back.

    The announcement has the topic `shutdown` and the level TRADE: the least that reaches people by default, and on disk
    before anything else happens. Then comes what the signal did before:

    - A handler of the program's is called at once. What waits is delivered when the program ends in its own way.
    - Python's own for SIGINT raises `KeyboardInterrupt`, or cancels the main task of `asyncio.run()`.
    - Where there is none, the signal ends the process, without `finally` and `atexit`, but only after what waits was
      delivered: within 5 s, or at once when a second signal comes meanwhile. The parent sees the signal; for process 1
      of a container, which no signal can end, it sees exit code 128 + signal.

    A second signal that comes while the first is announced is one with it.

    Ignored signals stay ignored. A signal that reaches a forked child does there what it did before. A handler that
    somebody else has installed on top stays when ours is taken off.

    In a child of `multiprocessing` nothing is announced, but what waits is delivered.

    Does nothing outside the main thread: Python takes handlers from no other.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handling = _Handling(notifier)
    for signum in (signal.SIGTERM, signal.SIGINT):
        handling.begin(signum)
    return handling.end


def cut_off_handler(traceback: TracebackType) -> None:
    """Take the handler's own frames off the end of what a signal has raised, so that it prints as without us."""
    last = None
    each: TracebackType | None = traceback
    while each is not None:
        if each.tb_frame.f_code.co_filename != __file__:
            last = each
        each = each.tb_next
    if last is not None:
        last.tb_next = None


class _Handling:
    """What the handlers of both signals share."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._process = os.getpid()
        # Between the import of the program and what a child is to run, multiprocessing does not say that it is one.
        self._in_child = is_child()
        self._previous: dict[int, _Handler | signal.Handlers] = {}
        self._announced_at: float | None = None  # monotonic seconds
        self._announcing = False
        self._meanwhile: set[int] = set()  # signals that came while another one was announced
        self._installed = True
        self._late: int | None = None  # the signal that came while the notifier put things away

    def begin(self, signum: int) -> None:
        """Handle *signum*, unless it is ignored, as under nohup, or handled in C, which nobody could pass it on to."""
        previous = signal.getsignal(signum)
        if callable(previous) or previous is signal.SIG_DFL:
            self._previous[signum] = previous
            signal.signal(signum, self._handle)

    def end(self) -> None:
        """Take the handlers off. One that somebody chained to, or that another thread takes off, only passes on.

        What ends the process and came while the notifier put things away ends it now.
        """
        self._installed = False
        if self._late is not None and os.getpid() == self._process:
            self._notifier.flush(_DELIVERY)
            _die(self._late)
        if threading.current_thread() is not threading.main_thread():
            return
        for signum, previous in self._previous.items():
            if signal.getsignal(signum) == self._handle:
                signal.signal(signum, previous)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        # Asked anew each time: a fork makes of one process two, and the end of a worker is not the program's.
        installed = self._installed and os.getpid() == self._process
        if installed and imports.postpone(signum):
            if not callable(self._previous[signum]):
                _end_later(signum)  # whatever hangs
            return
        if installed and self._announcing:
            # Who sends one to the program and to its supervisor, as systemd does, sends the program two: the supervisor
            # passes its own on. The second is about the same end, and would cut the announcement off.
            self._meanwhile.add(signum)
            return
        closed = self._notifier.closed
        ours = installed and not closed
        previous = self._previous[signum]
        if callable(previous):
            call = _interrupt if previous is signal.default_int_handler else previous
            try:
                if ours:
                    self._announce(signum)
            finally:
                try:
                    call(signum, frame)
                finally:
                    self._raise_others(signum)
        elif installed and closed and _end_later(signum):
            self._end_by_second()
            self._late = signum  # it is putting things away, such as the mark of the run, and comes to `end` next
        else:
            try:
                began = time.monotonic()
                in_time = ours and _end_later(signum)  # first, for the disk may hang, too
                if ours:
                    self._announce(signum)
                if in_time:  # otherwise nobody could keep it from hanging; what is durable is on disk
                    self._deliver(began)
            finally:  # also when a handler of another signal raises meanwhile
                signal.signal(signum, signal.SIG_DFL)
                _die(signum)

    def _announce(self, signum: int) -> None:
        if self._in_child or is_child():  # a pool ends its workers so, and that is not the program's end
            return
        now = self._notifier.clock.monotonic()
        if self._announced_at is None or now - self._announced_at > _ONE_END:
            self._announcing = True  # before anything that another signal could interrupt
            try:
                self._announced_at = now
                name = signal.Signals(signum).name
                self._notifier.notify(f"Told to stop: {name}", level=TRADE, topic="shutdown")
            finally:
                self._announcing = False

    def _raise_others(self, signum: int) -> None:
        """Have the program hear of other signals that came meanwhile. One twice is one, as for the kernel."""
        while self._meanwhile:
            other = self._meanwhile.pop()
            if other != signum:
                signal.raise_signal(other)

    def _deliver(self, began: float) -> None:
        self._end_by_second()
        spent = time.monotonic() - began  # the disk may be slow to take the announcement
        # In this thread: the locks that it may hold are re-entrant, but another would wait for them.
        self._notifier.close(max(0.0, _DELIVERY - spent))

    def _end_by_second(self) -> None:
        """Have a second signal end the process at once."""
        for each in self._previous:
            signal.signal(each, signal.SIG_DFL)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Do what Python does on Ctrl-C.

    That is not always KeyboardInterrupt. `asyncio.run()` has a handler that cancels its main task, so that it can end
    in an orderly way, but installs it only where it finds Python's. Found by its frame, it is called all the same.
    """
    interrupted = frame
    while interrupted is not None:
        if interrupted.f_globals.get("__name__") == "asyncio.runners":
            names = interrupted.f_locals
            cancel = getattr(names.get("self"), "_on_sigint", None)
            if cancel is not None and "task" in names:
                cancel(signum, frame, names["task"])
                return
        interrupted = interrupted.f_back
    signal.default_int_handler(signum, frame)


def _end_later(signum: int) -> bool:
    """See to it that the process ends whatever hangs; say whether that worked."""
    try:
        # Not by threading: this thread was perhaps interrupted while it holds one of that module's locks.
        start_new_thread(_die_later, (signum,))
    except RuntimeError:
        return False
    return True


def _die_later(signum: int) -> None:
    time.sleep(_END)
    _die(signum)


def _die(signum: int) -> NoReturn:
    """End the process as the signal does where nobody handles it, so that the parent sees what it would have seen."""
    os.kill(os.getpid(), signum)
    # The kernel spares process 1 of a container, and a handler that is on keeps other threads from dying of it.
    os._exit(128 + signum)
