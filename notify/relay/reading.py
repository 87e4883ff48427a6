"""Entries of the stream as events that may be sent, and what is wrong with the others."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from notify.backends.relay.wire import UnreadableEntry, entry_of
from notify.event import Event
from notify.plain import class_name
from notify.relay.stream import Found, Settled

Redact = Callable[[Sequence[Event]], Sequence[Event]]


class Read(NamedTuple):
    """An entry that can be read.

    Args:
        found: the entry.
        event: of it, without secrets.
        to: the backends that it names; empty: routes decide.
    """

    found: Found
    event: Event
    to: frozenset[str]


def read(found: Sequence[Found], redact: Redact) -> tuple[list[Read], list[Settled]]:
    """Return those of *found* that can be read, in order, and what is to be set aside of the others."""
    parsed: list[Read] = []
    aside: list[Settled] = []
    for each in found:
        try:
            entry = entry_of(each.fields)
            parsed.append(Read(each, entry.event, entry.to))
        except UnreadableEntry as error:
            aside.append(Settled(each.entry, each.executor, reason=str(error)))
        except Exception as error:  # noqa: BLE001 - whatever strangers put there must not hold up the rest
            aside.append(Settled(each.entry, each.executor, reason=f"it cannot be read: {class_name(error)}"))
    try:
        events = redact([each.event for each in parsed])
        return [each._replace(event=event) for each, event in zip(parsed, events, strict=True)], aside
    except Exception:  # noqa: BLE001 - whoever searches each by itself learns which it is
        return _one_by_one(parsed, redact, aside)


def _one_by_one(parsed: Sequence[Read], redact: Redact, aside: list[Settled]) -> tuple[list[Read], list[Settled]]:
    searched: list[Read] = []
    for each in parsed:
        try:
            (event,) = redact((each.event,))
            searched.append(each._replace(event=event))
        except Exception as error:  # noqa: BLE001 - see above
            reason = f"it cannot be searched for secrets: {class_name(error)}"
            aside.append(Settled(each.found.entry, each.found.executor, reason=reason))
    return searched, aside
