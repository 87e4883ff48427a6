"""Two who write to one terminal take turns: standard output's backend, and Python with its traceback."""

import os
import sys
from contextlib import suppress

from notify.delivery.ticket import Ticket
from notify.descriptor import descriptor_of

_PATIENCE = 0.5  # seconds; a terminal that takes nothing holds up nobody for longer


def let_stdout_first(ticket: Ticket) -> None:
    """Wait until standard output shows the event of *ticket*, when standard error is shown in the same place.

    What writes to standard error next would otherwise stand in the midst of it.
    """
    if _is_one_place():
        ticket.wait_for("stdout", _PATIENCE)


def _is_one_place() -> bool:
    with suppress(OSError, ValueError):  # one of them is closed
        out, err = descriptor_of(sys.stdout), descriptor_of(sys.stderr)
        return out is not None and err is not None and os.path.samestat(os.fstat(out), os.fstat(err))
    return False
