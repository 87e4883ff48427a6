"""Hears of exceptions that Python has nobody to give to: those of finalisers, above all."""

import sys
from collections.abc import Callable
from types import FunctionType

from notify.crash.content import traceback_of
from notify.crash.report import is_wanted, report_from_hook
from notify.crash.seen import tell_rest
from notify.notifier import Notifier
from notify.plain import class_name, clean, safe_str


def install(notifier: Notifier) -> Callable[[], None]:
    """Report such exceptions through *notifier*, and return what takes the hook off again.

    Finalisers run by the thousand, so one place in the code is reported once in ten minutes. What comes in between is
    counted, and told by the next report or at the end. The hook that was there before runs in every case.
    """
    previous = sys.unraisablehook
    installed = True

    def unraisablehook(unraisable: "sys.UnraisableHookArgs", /) -> None:
        try:
            exception = unraisable.exc_value
            if installed and exception is not None and not is_wanted(exception, (KeyboardInterrupt, SystemExit)):
                BaseException.with_traceback(exception, traceback_of(exception) or unraisable.exc_traceback)
                report_from_hook(exception, where=_where(unraisable), notifier=notifier, may_end=False)
        finally:
            previous(unraisable)

    sys.unraisablehook = unraisablehook

    def undo() -> None:
        nonlocal installed
        installed = False
        if sys.unraisablehook is unraisablehook:
            sys.unraisablehook = previous
        tell_rest(notifier)

    return undo


def _where(unraisable: "sys.UnraisableHookArgs") -> str:
    """Name what has failed, without a call of the object: it is about to end."""
    failed = unraisable.object
    if type(failed) is FunctionType:
        return clean(failed.__qualname__)
    if unraisable.err_msg:
        return clean(safe_str(unraisable.err_msg)).removeprefix("Exception ignored in").strip() or "a finaliser"
    return "a finaliser" if failed is None else f"a {class_name(failed)}"
