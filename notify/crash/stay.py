"""The end of the main thread by a crash: the run state says so, and the process stays while its status is served."""

import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import NamedTuple

from notify import diagnostics
from notify.crash.report import is_wanted
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.plain import class_name
from notify.run_state import RunState

AFTER_CRASH = "NOTIFY_AFTER_CRASH"
"""The environment variable in which a supervisor tells the program what it does itself after a crash."""

_EXIT_CODE = 1  # of Python after an exception that nobody has caught

# From the signal on: what still waits when threads or `atexit` functions of the program take so long is delivered
# without them, and in any case the process ends. What is left of the 5 s of guarantee 7 is for a supervisor, which then
# looks after what was not delivered, for half a second, and ends.
_CLOSE = 3.25
_DELIVERY = 0.5
_END = 4.0

# The bottom of a stack while the program runs: its own top level, or what runs that for `python -m`.
_TOP_LEVELS = frozenset({"<module>", "_run_module_as_main"})


class Hook(NamedTuple):
    """What `install` has put in place.

    Args:
        undo: takes it off. Closing the notifier does not: a process that is served is so until it ends.
        ending: to be called before a crash is reported that may end the main thread. Where nothing will be served after
            it, the report names no place where the status is seen.
    """

    undo: Callable[[], None]
    ending: Callable[[], None]


def crashed_early(good_startup: float) -> str:
    """Return what is said of a crash that came before *good_startup* seconds: the first half of a sentence."""
    return f"the program has crashed in its first {good_startup:g} s (HTTP_WAIT_GOOD_STARTUP_SECONDS)"


def install(notifier: Notifier, *, url: str | None = None, good_startup: float = 0.0) -> Hook:
    """Have a crash of the main thread stand in the run state, and have the process stay for *url*.

    To be called before `hooks.install`: the report of the crash and the hooks that were there before come first. A hook
    that somebody calls by hand, in another thread or in the middle of the program, ends nothing, and neither does that
    of a forked child. Under a supervisor that is to end, or to start the program again, it ends, too.

    Args:
        notifier: whose run it is.
        url: where the status is served, if the process is to stay for that. None: it ends, as without us.
        good_startup: seconds that the run has to have lasted from now on for that.
    """
    previous = sys.excepthook
    installed = True
    process = os.getpid()
    began = notifier.clock.monotonic()
    after = os.environ.get(AFTER_CRASH, "serve")
    stays_for = url if after == "serve" else None

    def is_early() -> bool:
        return notifier.clock.monotonic() - began < good_startup

    def is_end(frame: FrameType) -> bool:
        return installed and os.getpid() == process and _is_end(frame)

    def ending() -> None:
        if url is not None and (is_early() or after == "exit") and is_end(sys._getframe()):
            notifier.status_url = None

    def excepthook(kind: type[BaseException], exception: BaseException, traceback: TracebackType | None) -> None:
        is_crash = is_end(sys._getframe()) and not is_wanted(exception, (KeyboardInterrupt, SystemExit))
        try:
            if is_crash:
                _note(notifier.run_state, exception)
        finally:
            previous(kind, exception, traceback)
        if is_crash and stays_for is not None:
            if not is_early():
                stay(notifier, stays_for)
            else:
                diagnostics.report(
                    "after crash",
                    f"{crashed_early(good_startup)}, so it ends, and its status is served no longer",
                )

    sys.excepthook = excepthook

    def undo() -> None:
        nonlocal installed
        installed = False
        if sys.excepthook is excepthook:  # otherwise somebody chained to ours
            sys.excepthook = previous

    return Hook(undo, ending)


def stay(notifier: Notifier, url: str) -> None:
    """Wait until SIGTERM or Ctrl-C, and return, for the process to end as its crash would have had it.

    Other threads go on meanwhile, and events are delivered. The program's own handlers of these signals are not called:
    a program that has crashed would have ended without them. Its `atexit` functions still run after this, and so does
    ours, which delivers what waits. From the first signal on the process ends within 4 s, whatever hangs, and at once
    on a second one. SIGINT that is ignored, as under nohup, stays so. Only for the main thread, which has nothing else
    to do any more.

    Args:
        notifier: says that it was told to stop. One that is closed says nothing.
        url: where the status is served, for the line on stderr.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()  # the last words are not to wait for the end
    stops: SimpleQueue[int] = SimpleQueue()  # its `put` is safe in a signal handler
    is_told = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal is_told
        if is_told:
            os._exit(_EXIT_CODE)
        is_told = True
        stops.put(signum)

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    how = f"Ctrl-C, or kill {os.getpid()}"
    diagnostics.report("after crash", f"the program has crashed; this process stays and serves {url} until {how}")
    name = signal.Signals(stops.get()).name
    with suppress(RuntimeError):  # no thread can be had: then nothing cuts short what hangs, but a second signal
        start_new_thread(_end_late, ())
        start_new_thread(_close_late, (notifier,))
    if not notifier.closed:
        notifier.notify(f"Told to stop: {name}", level=TRADE, topic="shutdown")


def _is_end(frame: FrameType) -> bool:
    """Say whether Python has called the hook with this frame because nothing is left to run in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return False
    bottom = frame
    while bottom.f_back is not None:
        bottom = bottom.f_back
    return bottom.f_code.co_name not in _TOP_LEVELS


def _note(run_state: RunState, exception: BaseException) -> None:
    try:
        run_state.set_fail(exception)
    except Exception as error:  # noqa: BLE001 - the hooks of others come next
        diagnostics.report("crash hook", f"a crash could not be noted in the run state: {class_name(error)}")


def _close_late(notifier: Notifier) -> None:
    time.sleep(_CLOSE)
    notifier.close(_DELIVERY)


def _end_late() -> None:
    time.sleep(_END)
    os._exit(_EXIT_CODE)
