"""Our own threads, and how to tell whether a record was logged by one of them.

What our threads log (the HTTP client's debug lines, a host's callable that logs) must not come back to us as an
event: it would be sent, logged again and sent again. The mark is the thread, not a shared flag, so that no
record of another thread is lost meanwhile.
"""

import os
import threading
from collections.abc import Callable
from threading import get_ident

_ours: set[int] = set()
# None of them lives in a forked child, whose own threads may be given the same numbers.
os.register_at_fork(after_in_child=_ours.clear)


def is_ours(thread_ident: int | None = None) -> bool:
    """Say whether the thread (the calling one by default) was started by this package."""
    return (get_ident() if thread_ident is None else thread_ident) in _ours


def start(name: str, target: Callable[[], None], *, marked: bool = True) -> threading.Thread:
    """Start and return a daemon thread of ours.

    Args:
        name: shown after `notify-`.
        target: what it runs.
        marked: what is logged there is ours. False for a thread that runs nothing that logs: what is logged there all
            the same comes from objects of the program that the garbage collector happens to end there.

    Raises `RuntimeError` when the system refuses another thread or the interpreter is shutting down.
    """

    def run() -> None:
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
