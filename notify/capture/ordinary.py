"""A log record that is ordinary: what is taken of it, and what it says later."""

from operator import itemgetter
from typing import Any

from notify.capture.log_record import ORIGIN, event_with, text, unformatted
from notify.delivery.ticket import Ticket
from notify.event import Event

parts_of = itemgetter(*ORIGIN, "created", "levelno", "msg", "args")
"""Takes of the attributes of a record what is needed of an ordinary one."""

_ORIGIN_COUNT = len(ORIGIN)


class Ordinary:
    """A draft of a record that has a time, a template with arguments, extras, and nothing else.

    All of them are scalars, so nothing in it can change, and the message can be formatted later.

    Args:
        parts: what `parts_of` takes.
        extras: values by names, which may be anything.
    """

    __slots__ = ("_extras", "_parts")

    ticket: Ticket | None = None
    weight = 0  # or it would be no ordinary one

    def __init__(self, parts: tuple[Any, ...], extras: dict[Any, object]) -> None:
        self._parts = parts
        self._extras = extras

    @property
    def time(self) -> float:
        """UTC epoch seconds."""
        created: float = self._parts[_ORIGIN_COUNT]
        return created

    @property
    def level(self) -> int:
        """Severity, in logging's numbers."""
        level: int = self._parts[_ORIGIN_COUNT + 1]
        return level

    @property
    def logger(self) -> str:
        """Name of the logger."""
        return text(self._parts[0])

    @property
    def message(self) -> str:
        """The template with its arguments."""
        template, args = self._parts[-2:]
        return _formatted(template, args)

    def event(self) -> Event:
        """Make the event of it. May be called more than once; never raises an Exception."""
        parts = self._parts
        created, level, template, args = parts[_ORIGIN_COUNT:]
        return event_with(parts[:_ORIGIN_COUNT], created, _formatted(template, args), level, self._extras)


def _formatted(template: str, args: tuple[object, ...]) -> str:
    try:
        return template % args if args else template
    except Exception as error:  # noqa: BLE001 - they do not go together
        return unformatted(template, args, error)


UnmadeOrdinary = tuple[type[Ordinary], tuple[Any, ...], dict[Any, object]]
"""What the handler leaves in the intake and in the ring, since to make the draft would cost its caller more."""
