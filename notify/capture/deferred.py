"""Log records that are made events later: nothing that an ordinary one has can change meanwhile."""

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from notify.capture.log_record import NO_EXTRAS, Place, common_of, fields_of, topic_in, unformatted
from notify.event import Event, event_of_record, new_ids
from notify.plain import clean

_LONGEST = 1024  # code points of a template that is remembered
_TEMPLATES = 4096  # at most: those of a program's log calls, unless it makes them up

narrow: set[str] = set()
"""Templates whose messages are about as long as what goes into them. The others may make 100 MB of one number, which
must be done once, and by who asks for it."""
_WIDE = re.compile(r"%[-+ #0-9.]*(?:\*|\d{3})")  # a width or a precision that is an argument, or 100 and more

DeferredRecord = tuple[Place, float, int, str, tuple[object, ...], dict[Any, object], int]
"""What is kept of a record whose arguments and extras are scalars, and whose message is formatted later.

The values of `log_record.PLACE`, UTC epoch seconds, severity in logging's numbers, the template, its arguments, the
extras, which may have any names and are nobody else's, and about how many characters all that has.
"""

_time_of = itemgetter(1)
_SPECIAL = NO_EXTRAS | {"topic"}
_SOUND = frozenset({str, int, type(None)})


def events_of(deferred: Sequence[DeferredRecord]) -> list[Event]:
    """Return the events of *deferred*, as many, in order. The extras become their fields. Never raises an Exception."""
    try:
        return _together(deferred)
    except Exception:  # noqa: BLE001 - an odd one among them, which cannot be compared
        return [event for each in deferred for event in _together((each,))]  # which is compared with nothing


def _together(deferred: Sequence[DeferredRecord]) -> list[Event]:
    # Of these there may be very many: what is called costs more than what it does. Those of a loop come in a row.
    events: list[Event] = []
    add = events.append
    known: Place | None = None
    ids = iter(new_ids(map(_time_of, deferred)))
    for place, time, level, template, args, extras, _ in deferred:
        if place != known:
            logger, usual, source = common_of(place)
            # 7.0 equals 7, and a sound record must not get what was made of an odd one. The other way round it may.
            known = place if _SOUND.issuperset(map(type, place)) else None
        fields, topic = extras, usual
        for name, value in extras.items():  # none of them is long
            if (
                type(name) is not str
                or name in _SPECIAL
                or not name.isascii()
                or (type(value) is str and not value.isascii())
            ):
                fields = fields_of(extras)
                topic = topic_in(fields, usual)
                break
        message = formatted(template, args) if args else template
        if not message.isascii():
            message = clean(message)
        add(event_of_record(next(ids), time, message, level, "", topic, fields, None, logger, source))
    return events


def allow_deferring(template: object) -> None:
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
