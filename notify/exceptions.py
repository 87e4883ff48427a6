"""An exception as data: taken on the caller's thread without its frames, made into text on ours."""

import traceback

from notify.event import ExceptionInfo
from notify.plain import clean, clip, safe_str

MAX_TRACEBACK = 262_144  # code points: a recursion of a thousand frames is 100 kB


class Raised:
    """What is needed to print *exception* later: code positions and texts, no frames and no locals.

    Walking the frames costs 52 us for ten of them, formatting them 295 us; only the first is
    done here. Never raises an Exception.
    """

    __slots__ = ("_message", "_printed", "_type")

    def __init__(self, exception: BaseException) -> None:
        kind = type(exception)
        self._type = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        self._message = safe_str(exception)
        self._printed: traceback.TracebackException | None
        try:
            self._printed = traceback.TracebackException(
                kind, exception, exception.__traceback__, lookup_lines=False, capture_locals=False, compact=True
            )
            if isinstance(self._printed.__notes__, list):
                self._printed.__notes__ = list(self._printed.__notes__)  # not the list that add_note() grows
        except Exception:  # noqa: BLE001 - a hostile __cause__ or __notes__; type and message are known already
            self._printed = None

    def info(self) -> ExceptionInfo:
        """Return the exception as text, as Python itself prints it. Never raises an Exception."""
        try:
            text = "".join(self._printed.format()) if self._printed is not None else ""
        except Exception:  # noqa: BLE001 - as above, or a source file that is not text
            text = ""
        text = text or f"{self._type}: {self._message}\n"
        return ExceptionInfo(
            type=clean(self._type),
            message=clean(clip(self._message, MAX_TRACEBACK)),
            traceback=clean(clip(text, MAX_TRACEBACK)),
        )
