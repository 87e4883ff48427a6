"""How long somebody may wait at most, of whatever was passed as a timeout."""

import threading
from contextlib import suppress

FOR_EVER = threading.TIMEOUT_MAX / 2
"""Seconds: over a century, and from any moment on a wait that Python takes."""


def seconds(timeout: object, *, otherwise: float) -> float:
    """Return *timeout* as seconds, 0 at least. None means for ever, and what is no number *otherwise*. Never raises."""
    if timeout is None:
        return FOR_EVER
    with suppress(Exception):  # whatever an object of the program raises
        return min(max(0.0, float(timeout)), FOR_EVER)  # type: ignore[arg-type]  # that is the question
    return otherwise
