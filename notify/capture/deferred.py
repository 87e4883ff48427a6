"""A log record that is put together later: nothing that an ordinary one has can change meanwhile."""

import re
from typing import Any

from notify.capture.log_record import Origin, common_of, fields_of, topic_in, unformatted
from notify.delivery.ticket import Ticket
from notify.event import Event, event_of_record
from notify.plain import clean

_LONGEST = 1024  # code points of a template that is remembered
_TEMPLATES = 4096  # at most: those of a program's log calls, unless it makes them up

narrow: set[str] = set()
"""Templates whose messages are about as long as what goes into them. The others may make 100 MB of one number, which
must be done once, and by who asks for it."""
_WIDE = re.compile(r"%[-+ #0-9.]*(?:\*|\d{3})")  # a width or a precision that is an argument, or 100 and more


class Deferred:
    """A draft of a record whose arguments and extras are scalars, and whose message is formatted later.

    Args:
        origin: the values of `log_record.ORIGIN`.
        time: UTC epoch seconds.
        level: severity, in logging's numbers.
        template: of the message.
        args: what goes into it.
        extras: values by names, which may be anything.
    """

    __slots__ = ("_args", "_extras", "_origin", "_template", "level", "time")

    ticket: Ticket | None = None
    weight = 0  # less than takes a second place

    def __init__(
        self,
        origin: Origin,
        time: float,
        level: int,
        template: str,
        args: tuple[object, ...],
        extras: dict[Any, object],
    ) -> None:
        self._origin = origin
        self.time = time
        self.level = level
        self._template = template
        self._args = args
        self._extras = extras

    def event(self) -> Event:
        """Make the event of it. May be called more than once; never raises an Exception."""
        # Of these there may be very many: what is called costs more than what it does.
        logger, topic, source = common_of(self._origin)
        fields = fields_of(self._extras)
        if "topic" in fields:
            topic = topic_in(fields, topic)
        message = formatted(self._template, self._args) if self._args else self._template
        if not message.isascii():
            message = clean(message)
        return event_of_record(self.time, message, self.level, "", topic, fields, None, logger, source)


Unmade = tuple[type[Deferred], Origin, float, int, str, tuple[object, ...], dict[Any, object]]
"""What the handler leaves in the intake: the class, and what that is given."""


def note_template(template: object) -> None:
    """Note whether messages of *template* may be deferred, from the next one on. Raises nothing, thread-safe."""
    if type(template) is str and len(template) < _LONGEST and template not in narrow and not _WIDE.search(template):
        if len(narrow) >= _TEMPLATES:
            narrow.clear()
        narrow.add(template)


def formatted(template: str, args: tuple[object, ...]) -> str:
    """Return a template with its arguments. Never raises an Exception."""
    try:
        return template % args if args else template
    except Exception as error:  # noqa: BLE001 - they do not go together
        return unformatted(template, args, error)
