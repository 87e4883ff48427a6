"""What a crash report says: what went wrong and where first, then how it came about, then how the process was."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from types import TracebackType
from typing import NamedTuple

from notify.clip import clip, clip_end
from notify.crash.run_file import Facts
from notify.duration import duration
from notify.exceptions import MAX_TRACEBACK, chain, is_own, leaves, type_name
from notify.notifier import Notifier
from notify.plain import class_name, clean, safe_str
from notify.reported import Report, mark_of
from notify.run_state import RunState

_TITLE = 80  # code points: what Discord's embeds show as a title, and a phone on its lock screen
_SUMMARY = 300  # code points of an exception in the list of those that followed
_LISTED = 10  # root causes, and exceptions that followed them
_PATH_PARTS = 2  # of a file's path: enough to recognise it

_OURS = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120 - guard() is in the middle of what it guards
# What pools put under an exception of a worker: the worker's traceback as text, and no cause.
_REMOTE = frozenset({"RemoteTraceback", "_RemoteTraceback"})
traceback_of = BaseException.__dict__["__traceback__"].__get__
"""Returns the traceback of an exception, past a class that has its own idea of attributes."""


class Place(NamedTuple):
    """A place in the code.

    Args:
        path: file name, empty when unknown.
        line: line number, 0 when unknown.
        function: name of the function.
    """

    path: str = ""
    line: int = 0
    function: str = ""

    def __str__(self) -> str:
        short = "/".join(PurePath(self.path).parts[-_PATH_PARTS:])
        return f"{short}:{self.line} in {self.function}" if self.function else short


class Text(NamedTuple):
    """What a report says in words.

    Args:
        message: what went wrong, in one short line.
        body: the places in the code, and what followed.
        place: where it went wrong.
    """

    message: str
    body: str
    place: Place


def text_of(exception: BaseException, where: str) -> Text:
    """Say in words that *exception* ended what runs at *where*: its root cause, and then what followed from it."""
    above = _chain(exception)
    roots = root_causes(exception)
    own = (place for one in (roots[0], *above) if (place := _own_place(one)) is not None)
    place = next(own, None) or place_of(roots[0])
    # Without the module: the title is short, and the whole name stands below.
    raised = f"{class_name(roots[0])}: {safe_str(roots[0])}".removesuffix(": ")
    headline = f"Crashed in {where}: {raised}"
    more = f" (and {len(roots) - 1} more)" if len(roots) > 1 else ""
    message = _title(headline, f"Crashed: {raised}", _TITLE - len(more)) + more

    said: list[str] = []
    if len(roots) > 1:
        said += _first_few([_with_place(root) for root in roots])
    else:
        said += [clip(headline, MAX_TRACEBACK)] if message != headline else []
        said += [str(place)] if place.line else []
    said += _first_few([f"then {_summary(one)}" for one in above if one is not roots[0]])
    return Text(clean(message), clean("\n".join(said)), place)


def root_causes(exception: BaseException) -> list[BaseException]:
    """Return what *exception* comes from in the end: one exception, or those of each member when that is a group."""
    found: list[BaseException] = []
    waiting = [exception]
    looked_at: set[int] = set()
    while waiting:
        root = _chain(waiting.pop())[0]
        if id(root) in looked_at:
            continue
        looked_at.add(id(root))
        members = leaves(root)
        if members[0] is root:
            found.append(root)
        else:
            waiting.extend(reversed(members))
    return found or [exception]


def place_of(exception: BaseException) -> Place:
    """Return the deepest place in the program's own code that *exception* came by, or else in any."""
    return _own_place(exception) or _deepest_place(exception)


def circumstances(notifier: Notifier) -> dict[str, object]:
    """Return how the process is at this moment: what can be found out of it."""
    state = getattr(notifier, "run_state", None)
    asked: dict[str, Callable[[], object]] = {
        "run_time": lambda: duration(notifier.clock.time() - state.started_at),  # type: ignore[union-attr]  # see below
        "completed_cycle": lambda: state.completed_cycle,  # type: ignore[union-attr]  # see below
        "version": lambda: _tag(state.version),  # type: ignore[union-attr]  # see below
        "host": lambda: os.uname().nodename,
        "process": lambda: f"{process_name()} ({os.getpid()})",
        "memory_peak": _memory_peak,
        "status": lambda: notifier.status_url,
    }
    found: dict[str, object] = {}
    for name, ask in asked.items():
        with suppress(Exception):  # the program may have put anything into the run state; the rest is said
            value = ask()
            if value is not None:
                found[name] = value if type(value) is int else clean(safe_str(value))
    return found


def process_name() -> str:
    """Return the name of the process: that of a child of `multiprocessing`, or of the program."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        return safe_str(processes.current_process().name)
    return PurePath(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"


def _chain(exception: BaseException) -> list[BaseException]:
    """Return the root cause and what followed, without what is no news: it was a report of its own, or is none."""
    own = mark_of(exception)
    return [one for one in chain(exception) if class_name(one) not in _REMOTE and _is_news(one, own)] or [exception]


def _is_news(exception: BaseException, own: Report | None) -> bool:
    earlier = mark_of(exception)
    return earlier is None or (own is not None and earlier.id == own.id)


def _memory_peak() -> str:
    import resource  # for those who crash

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # KiB on Linux, bytes on macOS: getrusage(2) of either.
    return f"{peak / (2**20 if sys.platform == 'darwin' else 2**10):.1f} MiB"


def facts_of(state: RunState) -> Facts:
    """Return what the program has said of its run."""
    cycles = getattr(state, "cycles", None)
    return Facts(
        version=_asked(lambda: _tag(state.version)),
        completed_cycle=_asked(lambda: state.completed_cycle),
        cycles=cycles if type(cycles) is int else None,
    )


def _asked(ask: Callable[[], object]) -> str:
    with suppress(Exception):  # the program may have put anything there
        value = ask()
        return "" if value is None else safe_str(value)
    return ""


def _tag(version: object) -> object:
    return version.get("tag") if isinstance(version, dict) else getattr(version, "tag", version)


def _title(whole: str, brief: str, room: int) -> str:
    """Return the first line of *whole*, or of *brief* where that is too long: what was raised says more than where."""
    first = next(iter(whole.splitlines()), "")
    return first if len(first) <= room else clip_end(next(iter(brief.splitlines()), ""), room)


def _summary(exception: BaseException) -> str:
    return clip(f"{type_name(exception)}: {safe_str(exception)}".removesuffix(": "), _SUMMARY)


def _with_place(exception: BaseException) -> str:
    place = f"\n    {place_of(exception)}" if traceback_of(exception) is not None else ""
    return f"{_summary(exception)}{place}"


def _first_few(lines: list[str]) -> list[str]:
    left_out = len(lines) - _LISTED
    return [*lines[:_LISTED], f"… and {left_out} more"] if left_out > 0 else lines


def _own_place(exception: BaseException) -> Place | None:
    """Return the deepest place in the program's own code, None when all of it is library."""
    own: TracebackType | None = None
    traceback: TracebackType | None = traceback_of(exception)
    while traceback is not None:
        if _is_own(traceback.tb_frame.f_code.co_filename):
            own = traceback
        traceback = traceback.tb_next
    return None if own is None else _place(own)


def _deepest_place(exception: BaseException) -> Place:
    traceback: TracebackType | None = traceback_of(exception)
    if traceback is None:
        return Place(clean(sys.argv[0]) if sys.argv else "")
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return _place(traceback)


def _place(traceback: TracebackType) -> Place:
    code = traceback.tb_frame.f_code
    return Place(clean(code.co_filename), traceback.tb_lineno or 0, clean(code.co_name))


def _is_own(path: str) -> bool:
    return is_own(path) and not path.startswith(_OURS)
