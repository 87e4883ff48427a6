"""What this package says about itself: one line per kind and ten seconds, on stderr, never to logging."""

import os
import sys
import threading
import time

_INTERVAL = 10.0  # seconds, guarantee 11
_KINDS_REMEMBERED = 1000

# Re-entrant, because a signal handler may interrupt a report and make one of its own.
_lock = threading.RLock()
_last_said: dict[str, float] = {}
_held: dict[str, int] = {}


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


# Another thread may hold it at the moment of a fork, and would never let go of it in the child.
os.register_at_fork(after_in_child=_renew_lock)


def report(kind: str, text: str) -> None:
    """Write one line to stderr, unless the same *kind* was written in the last ten seconds.

    Never raises. *text* must not contain credentials.
    """
    try:
        now = time.monotonic()
        with _lock:
            last = _last_said.get(kind)
            if last is not None and now - last < _INTERVAL:
                _held[kind] = _held.get(kind, 0) + 1
                return
            if len(_last_said) >= _KINDS_REMEMBERED:
                _last_said.clear()
                _held.clear()
            _last_said[kind] = now
            held = _held.pop(kind, 0)
        more = f" ({held} more like it)" if held else ""
        line = " ".join(text.split())
        if sys.stderr is not None:
            sys.stderr.write(f"notify: {line}{more}\n")
            sys.stderr.flush()
    except Exception:  # noqa: BLE001 - a closed or broken stderr must not become the caller's problem
        return


def forget() -> None:
    """Forget what was said, so that the next report of every kind is written. For tests."""
    with _lock:
        _last_said.clear()
        _held.clear()
