"""An exception as data: taken on the caller's thread without its frames, made into text on ours."""

import linecache
import os
import stat
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path, PurePath
from typing import NamedTuple

from notify.clip import clip
from notify.event import ExceptionInfo
from notify.interruption import came_from_a_signal
from notify.plain import class_name, clean, safe_str

MAX_TRACEBACK = 262_144  # code points: a recursion of a thousand frames is 100 kB
_MAX_SOURCE = 4 * 2**20  # bytes of a file that source lines are read from; CPython's own longest module has 0.2 MB
_MAX_LINE = 2000  # code points of a source line; what is longer was written by a program, for none to read

_FILES = 1024  # of code, of which it is remembered whose they are
_OUTLINE_FRAMES = 20
_FRAME = 200  # bytes of what is needed to print one
_STDLIB = os.path.join(os.path.dirname(os.__file__), "")  # noqa: PTH118, PTH120 - with the separator at its end
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_OUTLINE_TEXT = 500  # code points of a message

_MAX_RELATED = 1000  # exceptions in a chain or a group that are looked at

# Past the object: its class may have properties of the same names.
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_hides_context = BaseException.__dict__["__suppress_context__"].__get__
_members_of = BaseExceptionGroup.__dict__["exceptions"].__get__


def causes(exception: BaseException) -> list[BaseException]:
    """Return *exception* and what it was raised `from`, the root cause last; each once, even in a circle."""
    return _followed(exception, _cause_of)


def chain(exception: BaseException) -> list[BaseException]:
    """Return what Python prints for *exception*, in that order: the root cause first, itself last.

    That is what it was raised `from`, or what was being handled when it was raised; each once, even in a circle.
    """
    return _followed(exception, _printed_above)[::-1]


def leaves(exception: BaseException) -> list[BaseException]:
    """Return the exceptions in a group that are no groups, at whatever depth; *exception* itself if it is no group."""
    found: list[BaseException] = []
    waiting = [exception]
    looked_at: set[int] = set()
    while waiting and len(looked_at) < _MAX_RELATED:
        one = waiting.pop()
        if id(one) in looked_at:
            continue
        looked_at.add(id(one))
        if issubclass(type(one), BaseExceptionGroup):
            waiting.extend(reversed(_members_of(one)))
        else:
            found.append(one)
    return found or [exception]


def _printed_above(exception: BaseException) -> BaseException | None:
    cause: BaseException | None = _cause_of(exception)
    return cause if cause is not None or _hides_context(exception) else _context_of(exception)


def _followed(exception: BaseException, to: Callable[[BaseException], BaseException | None]) -> list[BaseException]:
    found = [exception]
    looked_at = {id(exception)}
    while (before := to(found[-1])) is not None and id(before) not in looked_at and len(found) < _MAX_RELATED:
        looked_at.add(id(before))
        found.append(before)
    return found


@lru_cache(maxsize=_FILES)
def is_own(path: str) -> bool:
    """Say whether a file of code is neither Python's nor an installed package's."""
    return not (path.startswith(("<frozen ", _STDLIB)) or _INSTALLED.intersection(PurePath(path).parts))


class Outline(NamedTuple):
    """What is worth remembering of an exception for long: a few kilobytes at most.

    Args:
        type: qualified name of the class, with its module unless that is `builtins`.
        message: the beginning of its text.
        frames: file name, line number and function of the innermost frames, outermost first.
    """

    type: str
    message: str
    frames: tuple[tuple[str, int, str], ...]

    def as_dict(self) -> dict[str, object] | None:
        """Return the frames in the shape of `tblib.Traceback.to_dict()`, each in the `tb_next` of its caller.

        None when there are none: what was never raised has no traceback.
        """
        below: dict[str, object] | None = None
        for path, line, function in reversed(self.frames):
            code = {"co_filename": path, "co_name": function}
            frame = {"f_globals": {"__file__": path}, "f_code": code, "f_lineno": line}
            below = {"tb_frame": frame, "tb_lineno": line, "tb_next": below}
        return below


class Raised:
    """What is needed to print *exception* later: code positions and texts, no frames and no locals.

    Walking the frames costs 52 us for ten of them, formatting them 295 us; only the first is
    done here. Raises nothing of the exception's.
    """

    __slots__ = ("_message", "_printed", "_type")

    def __init__(self, exception: BaseException) -> None:
        self._type = type_name(exception)
        self._message = safe_str(exception)
        self._printed: traceback.TracebackException | None
        try:
            self._printed = traceback.TracebackException(
                type(exception),
                exception,
                exception.__traceback__,
                lookup_lines=False,
                capture_locals=False,
                compact=True,
            )
            if isinstance(self._printed.__notes__, list):
                self._printed.__notes__ = list(self._printed.__notes__)  # not the list that add_note() grows
        except BaseException as error:  # a hostile __cause__ or __notes__; type and message are known already
            if came_from_a_signal(error):
                raise
            self._printed = None

    @property
    def type(self) -> str:
        """The qualified name of its class as Python prints it, and as text that is valid and not long."""
        return clean(clip(self._type.removeprefix("__main__."), _OUTLINE_TEXT))

    @property
    def weight(self) -> int:
        """About how many bytes it takes. Those of what it came of are left out: none of them is larger, mostly."""
        return len(self._message) + (_FRAME * len(self._printed.stack) if self._printed is not None else 0)

    def place(self) -> str:
        """Return the type, and the deepest place in the program's own code that it came by, or else in any."""
        stack = self._printed.stack if self._printed is not None else ()
        deepest = next((frame for frame in reversed(stack) if is_own(frame.filename)), stack[-1] if stack else None)
        return self._type if deepest is None else f"{self._type} {deepest.filename}:{deepest.lineno}"

    def outline(self) -> Outline:
        """Return what is worth remembering of it for long."""
        stack = self._printed.stack[-_OUTLINE_FRAMES:] if self._printed is not None else ()
        frames = tuple((frame.filename, frame.lineno or 0, frame.name) for frame in stack)
        return Outline(clip(self._type, _OUTLINE_TEXT), clip(self._message, _OUTLINE_TEXT), frames)

    def summary(self) -> str:
        """Return its message and what it came of in the end: all that is in one field.

        With its type where the message says nothing without. Raises nothing of the exception's.
        """
        message = clip(self._message, _OUTLINE_TEXT) or self._type
        if self._type == "KeyError":  # of which the text is no more than the key
            message = named(self._type, message)
        try:
            origin = _origin(self._printed) if self._printed is not None else ""
        except BaseException as error:  # as above
            if came_from_a_signal(error):
                raise
            origin = ""
        return clean(f"{message} ({origin})" if origin else message)

    def info(self) -> ExceptionInfo:
        """Return the exception as text, as Python itself prints it. Raises nothing of the exception's.

        Source lines are shown from regular files only, and not from huge ones: a pipe or a terminal would be waited
        for, and the program's own import loaders would run code of theirs.
        """
        try:
            text = _text(self._printed) if self._printed is not None else ""
        except BaseException as error:  # as above, or a source file that is not text
            if came_from_a_signal(error):
                raise
            text = ""
        text = text or f"{self._type}: {self._message}\n"
        return ExceptionInfo(
            type=clean(self._type),
            message=clean(clip(self._message, MAX_TRACEBACK)),
            traceback=clean(clip(text, MAX_TRACEBACK)),
        )


def named(kind: str, message: str) -> str:
    """Return *message* with the *kind* of exception before it, as Python prints the two.

    Without a kind, or where the message is the kind already (with what it came of, perhaps), it stays as it is.
    """
    return message if not kind or f"{message} ".startswith((f"{kind} ", f"{kind}:")) else f"{kind}: {message}"


def type_name(exception: BaseException) -> str:
    """Return the qualified name of the class of *exception*, with its module unless that is `builtins`."""
    kind = type(exception)
    try:
        return str(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")
    except BaseException as error:  # a hostile metaclass
        if came_from_a_signal(error):
            raise
        return class_name(exception)


def _origin(printed: traceback.TracebackException) -> str:
    """Return what *printed* came of: what was raised first in its chain, or in its group; empty if it has neither."""
    seen: set[int] = set()
    first, how = printed, ""
    while id(first) not in seen:
        seen.add(id(first))
        if first.__cause__ is not None:
            first, how = first.__cause__, how or "caused by"
        elif first.__context__ is not None:
            first, how = first.__context__, how or "while handling"
        elif first.exceptions:
            first, how = first.exceptions[0], how or "the first is"
    if first is printed:
        return ""
    said = (line.strip() for line in first.format_exception_only() if not line.startswith(" "))  # places in a source
    return f"{how} {clip(next(said, ''), _OUTLINE_TEXT)}"


def _text(printed: traceback.TracebackException) -> str:
    readable: dict[str, bool] = {}
    seen: set[int] = set()
    chain = [printed]
    while chain:
        one = chain.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        for number, frame in enumerate(one.stack):
            if not _shows_line(frame, readable):
                one.stack[number] = traceback.FrameSummary(
                    frame.filename, frame.lineno, frame.name, lookup_line=False, line=""
                )
        chain += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]
    return "".join(printed.format())


def _shows_line(frame: traceback.FrameSummary, readable: dict[str, bool]) -> bool:
    path = frame.filename
    if path not in readable:
        readable[path] = _is_readable(path)
    return readable[path] and len(linecache.getline(path, frame.lineno or 0)) <= _MAX_LINE


def _is_readable(path: str) -> bool:
    """Say whether `linecache` gets the lines of *path* without waiting for somebody or running code of the program."""
    if len(linecache.cache.get(path, ())) == 4:  # read already; otherwise it may name a loader that would be asked
        return True
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and 0 < found.st_size <= _MAX_SOURCE  # those of /proc have no size
