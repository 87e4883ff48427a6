"""Hears of exceptions that nobody caught, in the main thread and in others."""

import atexit
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from notify.crash.report import is_wanted, report_from_hook
from notify.crash.seen import tell_rest
from notify.crash.signals import cut_off_handler
from notify.notifier import Notifier


def install(
    notifier: Notifier, *, ending: Callable[[], object] = lambda: None, crashed: Callable[[], None] = lambda: None
) -> Callable[[], None]:
    """Report uncaught exceptions through *notifier*, and return what takes the hooks off again.

    The hooks that were there before run in every case, also when ours fails. Delivery is left to the end of
    the program, where `Notifier.close` waits for it.

    Args:
        notifier: says it.
        ending: called before the report of what ends the main thread, and with it the program.
        crashed: called after that report.
    """
    undo_main = _install_main(notifier, ending, crashed)
    undo_threads = _install_threads(notifier)

    def undo() -> None:
        undo_main()
        undo_threads()
        tell_rest(notifier)

    return undo


def is_interactive() -> bool:
    """Say whether a person types what is run, so that an uncaught exception is a typing mistake.

    That is the case in Python's prompt, with `python -i`, in IPython and in notebooks.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or (shell is not None and shell() is not None)


def _install_main(notifier: Notifier, ending: Callable[[], object], crashed: Callable[[], None]) -> Callable[[], None]:
    previous = sys.excepthook
    installed = True
    interrupted = False

    def excepthook(kind: type[BaseException], exception: BaseException, traceback: TracebackType | None) -> None:
        nonlocal interrupted
        interrupted = kind is KeyboardInterrupt
        try:
            if interrupted and exception.__traceback__ is not None:
                cut_off_handler(exception.__traceback__)
            # Ctrl-C is a person's decision, and SystemExit a program's own.
            is_crash = installed and not is_wanted(exception, (KeyboardInterrupt, SystemExit))
            if is_crash:
                ending()
            if is_crash and report_from_hook(
                exception,
                where="the main thread",
                notifier=notifier,
                traceback=traceback,
                folds=False,
                is_printed=True,
            ):
                crashed()
        finally:
            previous(kind, exception, traceback)

    sys.excepthook = excepthook

    def undo() -> None:
        nonlocal installed
        installed = False
        if sys.excepthook is excepthook:  # otherwise somebody chained to ours, and taking it off would cut him off
            sys.excepthook = previous

    def at_exit() -> None:
        if interrupted:
            _end_as_interrupted()

    atexit.register(at_exit)  # runs after what was registered later: when all is delivered
    return undo


def _end_as_interrupted() -> None:
    """Have the process end by SIGINT all the same: Python forgets that it is to, when anybody compiles something."""
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102 - this is what it remembers it by


def _install_threads(notifier: Notifier) -> Callable[[], None]:
    previous = threading.excepthook
    installed = True

    def excepthook(args: "threading.ExceptHookArgs", /) -> None:
        try:
            exception = args.exc_value
            # sys.exit() in a thread ends that thread, and the hook is called all the same.
            if installed and exception is not None and not is_wanted(exception, (SystemExit,)):
                name = args.thread.name if args.thread is not None else "unknown"
                report_from_hook(
                    exception,
                    where=f"thread {name}",
                    notifier=notifier,
                    traceback=args.exc_traceback,
                    is_printed=True,
                )
        finally:
            previous(args)

    threading.excepthook = excepthook

    def undo() -> None:
        nonlocal installed
        installed = False
        if threading.excepthook is excepthook:
            threading.excepthook = previous

    return undo
