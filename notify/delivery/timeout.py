"""How long somebody may wait at most, of whatever was passed as a timeout."""

import threading

from notify.interruption import came_from_a_signal

FOR_EVER = threading.TIMEOUT_MAX / 2
"""Seconds: over a century, and from any moment on a wait that Python takes."""


def seconds(timeout: object, *, otherwise: float) -> float:
    """Return *timeout* as seconds, 0 at least. None means for ever, and what is no number *otherwise*. Never raises."""
    if timeout is None:
        return FOR_EVER
    try:
        return min(max(0.0, float(timeout)), FOR_EVER)  # type: ignore[arg-type]  # that is the question
    except Exception as error:  # whatever an object of the program raises
        if came_from_a_signal(error):
            raise
        return otherwise
