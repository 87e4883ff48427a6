"""Whether an exception is the doing of what was being looked at, or of who has interrupted us.

Those who catch whatever an object of the program's raises let the others through: Ctrl-C, a handler that ends the
program, a time limit.
"""

import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType

_KNOWN = {*sys.stdlib_module_names, "notify"}
_number_of = vars(OSError)["errno"].__get__  # past what a class of its own may have in its place
_VARARGS = 0x04  # inspect.CO_VARARGS, whose module is not imported for it


def came_from_a_signal(error: BaseException) -> bool:
    """Say whether a signal raised *error*: it is KeyboardInterrupt, or a handler of a signal stands in its traceback.

    Those who catch whatever an object raises let this through: it would be a SIGTERM that ends nothing.
    """
    if issubclass(type(error), KeyboardInterrupt):  # isinstance() runs what an object says of its own class
        return True
    if threading.current_thread() is not threading.main_thread():
        return False  # Python runs handlers in the main thread only
    handlers = frozenset(_handlers())
    interrupted: FrameType | None = None
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        # A handler may have put another one in its place before it raised, be behind a `functools.partial`, or have let
        # go of the frame that it was given: hence both.
        if frame.f_code in handlers or (interrupted is not None and _is_given(frame, interrupted)):
            return True
        interrupted = frame
        traceback = traceback.tb_next
    return False


def came_from_outside(error: BaseException) -> bool:
    """Say whether *error* was raised by none of the objects that we look at: by a signal, or into the calling thread.

    Time limits for threads and gevent do the latter, and it comes between any two steps of ours. For who catches what
    is left when everybody who asks an object has caught what that raises.
    """
    if came_from_a_signal(error):
        return True
    if not _is_strange(error):
        return False
    module: object = None
    traceback = error.__traceback__
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__")
        traceback = traceback.tb_next
    return type(module) is str and module.startswith("notify.")


def _is_strange(error: BaseException) -> bool:
    """Say whether *error* is what neither the system nor Python raises, nor any step of ours."""
    kind = type(error)
    if not issubclass(kind, Exception):
        return True
    if issubclass(kind, OSError):
        return _number_of(error) is None  # the system's have one
    module = kind.__module__  # which a class may have of any kind
    return type(module) is str and module.partition(".")[0] not in _KNOWN


def _handlers() -> Iterator[CodeType]:
    signal = sys.modules.get("signal")
    if signal is None:  # then nobody has set one; and where no file can be opened, nothing can be imported
        return
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        code = getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
        if isinstance(code, CodeType):
            yield code


def _is_given(called: FrameType, frame: FrameType) -> bool:
    """Say whether *frame* is among the arguments of *called*, as Python gives a handler the frame that it interrupts.

    A function of the program's that one of its objects calls so, and which raises, is taken for a handler.
    """
    code = called.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & _VARARGS)
    values = called.f_locals
    given = [values.get(name) for name in code.co_varnames[:count]]
    return any(each is frame or (type(each) is tuple and any(part is frame for part in each)) for each in given)
