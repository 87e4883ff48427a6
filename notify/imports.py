"""What takes long to import, and is imported late: never while a thread forks, nor where an event loop waits."""

import importlib
import os
import threading
from collections.abc import Iterable
from threading import get_ident

from notify.interruption import came_from_a_signal

_LOADING = 2.0  # seconds that a fork waits for an import; the longest takes a quarter of that

_loaded: set[str] = set()
_loading = threading.RLock()
_loader: int | None = None  # the thread that has it and loads
_postponed: set[int] = set()  # signals
_is_forked = False
_forking = threading.local()


def _wait_for_imports() -> None:
    _forking.waited = _loading.acquire(timeout=_LOADING)


def _go_on() -> None:
    if _forking.waited:
        _loading.release()


def _begin_in_child() -> None:
    global _is_forked, _loading, _loader
    _is_forked = True
    _loading = threading.RLock()
    _loader = None
    _postponed.clear()


os.register_at_fork(before=_wait_for_imports, after_in_parent=_go_on, after_in_child=_begin_in_child)


def load(*names: str) -> None:
    """Import modules that take long, while no other thread forks.

    A child that was forked in the middle of an import finds the module half made, and its lock taken by a thread that
    it does not have: it would wait there for good.

    Raises `ImportError` as `import` does.
    """
    if _loaded.issuperset(names):
        return
    try:
        with _loading:
            _load(names)
    finally:
        if _postponed and threading.current_thread() is threading.main_thread():  # only there it interrupts a sleep
            _raise_postponed()


def _raise_postponed() -> None:
    import signal  # see `interruption`

    while _postponed and _loader != get_ident():
        signal.raise_signal(_postponed.pop())


def _load(names: Iterable[str]) -> None:
    global _loader
    before, _loader = _loader, get_ident()  # a module that is loaded may ask for others
    try:
        for name in names:
            importlib.import_module(name)
        _loaded.update(names)
    finally:
        _loader = before


def postpone(signum: int) -> bool:
    """Have a signal come again once the calling thread has loaded what it is loading. False: it loads nothing.

    For a handler that waits for other threads: those that need the same modules wait for the thread it has interrupted.
    """
    if _loader != get_ident():
        return False
    _postponed.add(signum)
    return True


def load_early(*names: str) -> None:
    """Import modules on the calling thread, at the start of the program, that threads of ours would import later on.

    Python lets a thread that imports keep the interpreter lock for 5 ms at a time, and there are many such times in a
    tenth of a second: an event loop would stand still for each of them. Raises nothing but what a signal does: what
    cannot be imported is left to the thread that needs it, which tells. In a forked child all is left to them: who was
    importing in the parent does not exist there, and to wait for him would be to wait for good.
    """
    for name in () if _is_forked else names:
        try:
            load(name)
        except BaseException as error:
            if came_from_a_signal(error):
                raise
