"""The signal by which a supervisor has this process write down where each of its threads is."""

import faulthandler
import signal
from collections.abc import Callable

SIGNAL = int(getattr(signal, "SIGRTMAX", 1)) - 1
"""A real-time signal, since programs make use of SIGUSR1 and SIGUSR2; 0 where there are none, as on macOS."""


def answer(descriptor: int) -> Callable[[], None]:
    """Have the stacks of all threads written to *descriptor* whenever the signal comes, and return what undoes it.

    No Python code runs for it, so that it works in a process whose threads wait for each other, or inside C code. Does
    nothing in a program that has another use for the signal. Only in the main thread.

    Args:
        descriptor: of a file that stays open as long as this is not undone.
    """
    if not SIGNAL or signal.getsignal(SIGNAL) is not signal.SIG_DFL:
        return lambda: None
    faulthandler.register(SIGNAL, file=descriptor, all_threads=True)

    def undo() -> None:
        faulthandler.unregister(SIGNAL)

    return undo
