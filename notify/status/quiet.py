"""What waitress says, kept out of the program's logging."""

import logging
import sys

from waitress.channel import ClientDisconnected

from notify import diagnostics
from notify.plain import class_name


class _Quiet(logging.Logger):
    """Says nothing but defects, and those on stderr.

    What the library logs about clients would come back as events (guarantee 11). A handler of the program may hold
    its lock for ever, and a thread that answers must not wait for it. It is no logger of the program's tree, so that a
    waitress of the program's own goes on logging.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        return False

    def exception(self, msg: object, *args: object, **_: object) -> None:
        """Say on stderr that something was raised in there: nearly always by the app."""
        if not isinstance(sys.exception(), ClientDisconnected):  # which is no defect
            diagnostics.report("status app", f"what should answer a request has failed: {class_name(sys.exception())}")


QUIET = _Quiet("notify.status")
