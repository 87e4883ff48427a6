"""On which loggers the handler of a notifier was put, and whether it is there still."""

import logging

from notify.capture.configured import NotifyHandler


class Placement:
    """Puts a handler on loggers, and tells when something has taken it off. Thread-safe."""

    def __init__(self) -> None:
        self._handlers: dict[logging.Logger, logging.Handler] = {}

    def put(self, handler: logging.Handler, logger: logging.Logger) -> None:
        """Put *handler* on *logger*, unless one of ours is there."""
        if not _is_heard(logger, handler):
            logger.addHandler(handler)
        self._handlers[logger] = handler

    def take_off(self, handler: logging.Handler, logger: logging.Logger) -> None:
        """Take *handler* off *logger*, and miss it no more."""
        self._handlers.pop(logger, None)
        logger.removeHandler(handler)

    def trouble(self) -> str | None:
        """Say which loggers have lost the handler, None while none has.

        It is not put back: whoever has cleared the handlers may have meant it, and would be at odds with us for good.
        """
        # One call into C: another thread may put a handler somewhere meanwhile. It may also take one off by our method.
        lost = [
            logger.name
            for logger, handler in tuple(self._handlers.items())
            if not _is_heard(logger, handler) and logger in self._handlers
        ]
        if not lost:
            return None
        loggers = "logger " + lost[0] if len(lost) == 1 else "loggers " + " and ".join(lost)
        return (
            f"What is logged is not heard any more: something has taken notify's handler off the {loggers}, as "
            "logging.config.dictConfig() and basicConfig(force=True) do. Call notify.setup() again after it."
        )


def _is_heard(logger: logging.Logger, handler: logging.Handler) -> bool:
    return any(each is handler or isinstance(each, NotifyHandler) for each in tuple(logger.handlers))
