"""Hears of exceptions that nobody caught, in the main thread and in others."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType

from notify import diagnostics
from notify.crash.report import report_crash
from notify.notifier import Notifier


def install(notifier: Notifier) -> Callable[[], None]:
    """Report uncaught exceptions through *notifier*, and return what takes the hooks off again.

    The hooks that were there before run in every case, also when ours fails. Delivery is left to the end of
    the program, where `Notifier.close` waits for it.
    """
    undo_main = _install_main(notifier)
    undo_threads = _install_threads(notifier)

    def undo() -> None:
        undo_main()
        undo_threads()

    return undo


def _install_main(notifier: Notifier) -> Callable[[], None]:
    previous = sys.excepthook
    installed = True

    def excepthook(kind: type[BaseException], exception: BaseException, traceback: TracebackType | None) -> None:
        try:
            # Ctrl-C is a person's decision, and SystemExit a program's own.
            if installed and not isinstance(exception, KeyboardInterrupt | SystemExit):
                _report(notifier, exception, traceback, "the main thread")
        finally:
            previous(kind, exception, traceback)

    sys.excepthook = excepthook

    def undo() -> None:
        nonlocal installed
        installed = False
        if sys.excepthook is excepthook:  # otherwise somebody chained to ours, and taking it off would cut him off
            sys.excepthook = previous

    return undo


def _install_threads(notifier: Notifier) -> Callable[[], None]:
    previous = threading.excepthook
    installed = True

    def excepthook(args: "threading.ExceptHookArgs", /) -> None:
        try:
            # sys.exit() in a thread ends that thread, and the hook is called all the same.
            if installed and args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
                name = args.thread.name if args.thread is not None else "unknown"
                _report(notifier, args.exc_value, args.exc_traceback, f"thread {name}")
        finally:
            previous(args)

    threading.excepthook = excepthook

    def undo() -> None:
        nonlocal installed
        installed = False
        if threading.excepthook is excepthook:
            threading.excepthook = previous

    return undo


def _report(notifier: Notifier, exception: BaseException, traceback: TracebackType | None, where: str) -> None:
    try:
        if exception.__traceback__ is None and traceback is not None:
            exception = exception.with_traceback(traceback)
        report_crash(exception, where=where, notifier=notifier)
    except Exception as error:  # noqa: BLE001 - the program is dying of something else; say so and let it
        diagnostics.report("crash hook", f"a crash could not be reported: {type(error).__name__}")
