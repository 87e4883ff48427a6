"""Has logging and warnings go through a notifier."""

import logging
import warnings
from collections.abc import Callable

from notify import diagnostics, settings
from notify.notifier import Notifier
from notify.settings import Settings


def listen_to_logging(notifier: Notifier, config: Settings, *, heard: bool) -> None:
    """Have logging and warnings go through *notifier* until it is closed.

    Args:
        notifier: says it.
        config: the settings.
        heard: whether it has a backend. That it has none is said on stderr, unless somebody has asked for silence.
    """
    if not heard and _is_unasked(config):
        diagnostics.report(
            "no backend",
            "there is no backend: nothing is configured, and NOTIFY_STDOUT=auto leaves the console to the program's "
            "own logging; set NOTIFY_STDOUT=text to have events there",
        )
    root = logging.getLogger()
    wanted = notifier.handler.level
    if root.level > wanted and heard:
        if root.handlers:
            diagnostics.report(
                "root level",
                f"the root logger is at {logging.getLevelName(root.level)} and keeps back what is wanted here; "
                f"logging.getLogger().setLevel({logging.getLevelName(wanted)!r}) lets it through",
            )
        else:
            # Nobody has configured logging: WARNING is Python's default, not the program's choice.
            notifier.at_close(_lower(root, wanted))
    notifier.attach()
    notifier.at_close(notifier.detach)
    notifier.at_close(_capture_warnings())


def _is_unasked(config: Settings) -> bool:
    """Say whether nobody has asked for silence: neither for a run without network, nor for nothing on stdout."""
    return not settings.is_offline(config) and config.get(settings.NOTIFY_STDOUT) == "auto"


def _lower(logger: logging.Logger, level: int) -> Callable[[], None]:
    """Set *level*, and return what undoes it unless the program has set another one since."""
    before = logger.level
    logger.setLevel(level)

    def undo() -> None:
        if logger.level == level:
            logger.setLevel(before)

    return undo


def _capture_warnings() -> Callable[[], None]:
    """Have warnings go through logging, unless the program has arranged that itself; return what undoes it."""
    before = warnings.showwarning
    logging.captureWarnings(True)
    if warnings.showwarning is before:
        return lambda: None
    return lambda: logging.captureWarnings(False)
