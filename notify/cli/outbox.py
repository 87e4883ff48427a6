"""`notify outbox list` and `show`: what waits to be delivered, and what was given up."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from notify.backends.stdout import as_dict, escape
from notify.cli.outbox_errors import Refused, errors_told, say
from notify.cli.output import print_json, print_table
from notify.cli.short_id import meant, shortened
from notify.delivery.outbox import listing
from notify.delivery.outbox.listing import Listed, Names
from notify.levels import level_name
from notify.plain import iso_time

_MESSAGE = 80  # characters of a message that a table shows
_UNREADABLE = "(it cannot be read any more)"
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))  # in seconds


def list_outbox(
    directory: Path, *, waiting: bool, dead: bool, destination: str | None, limit: int, as_json: bool
) -> None:
    """Print what waits and what is dead, *limit* of each at most, of all destinations or of one."""
    with errors_told(directory, as_json=as_json):
        there = listing.names(directory)
        if destination is None:
            rows = listing.waiting(directory, limit) if waiting else []
            rows += listing.dead(directory, limit) if dead else []
            waits, letters = listing.counts(directory)
        else:
            mine = there.of(destination)
            wanted = (mine.waiting[:limit] if waiting else []) + (mine.dead[:limit] if dead else [])
            rows = listing.listed(directory, wanted)
            waits, letters = map(len, mine)
    if destination is not None and not any(there.of(destination)):
        say(none_kept(destination, there))
    if as_json:
        print_json([_as_json(row) for row in rows])
        return
    print(f"Waiting: {waits:,}. Dead letters: {letters:,}.")
    if rows:
        now = time.time()
        short = shortened(there.event_ids() | {row.event_id for row in rows})
        columns = ("age", "destination", "level", "message", "id", "state")
        print_table("", columns, [_cells(row, now, short[row.event_id]) for row in rows], unfolded=["id"])


def show_in_outbox(directory: Path, event_id: str, *, as_json: bool) -> None:
    """Print one event and its destinations. *event_id* may be its short form."""
    with errors_told(directory, as_json=as_json):
        whole = whole_id(event_id, listing.names(directory))
        rows = listing.show(directory, whole)
        if not rows:
            raise Refused(f"no such event: {event_id}")
    # The rows of one event are the same event, unless one of them is damaged.
    event = next((row.event for row in rows if row.event is not None), None)
    if as_json:
        states = [{name: value for name, value in _as_json(row).items() if name in _OF_DESTINATION} for row in rows]
        print_json({"id": whole, "event": None if event is None else as_dict(event), "destinations": states})
        return
    print_table("", ("destination", "state"), [(row.destination, _state(row)) for row in rows])
    print()
    for line in [_UNREADABLE] if event is None else _lines(as_dict(event)):
        print(line)


def whole_id(text: str, names: Names) -> str:
    """Return the id that *text* is or stands for, and *text* itself when it is none. Raises `Refused` for several."""
    found = meant(text, names.event_ids())
    if len(found) > 1:
        raise Refused(f"{text} may be {len(found)} events; give one of them whole: {', '.join(found[:3])}")
    return found[0] if found else text


def none_kept(destination: str, names: Names) -> str:
    """Say that there is nothing for *destination*, and what there is instead: its name may be misspelt."""
    others = names.destinations()
    return f"nothing is kept for {destination}" + (f"; there is: {', '.join(others)}" if others else "")


def message_of(row: Listed) -> str:
    """Return what a table shows of a message: the beginning of its first line."""
    if row.event is None:
        return _UNREADABLE
    first = (row.event.message.strip().splitlines() or [""])[0]
    return first if len(first) <= _MESSAGE else first[: _MESSAGE - 1] + "…"


def age(seconds: float) -> str:
    """Return a time in its largest unit: `59 min`, `2 h`."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"  # events may come from a clock that is ahead


_OF_DESTINATION = ("destination", "state", "dead_at", "reason")


def _as_json(row: Listed) -> dict[str, object]:
    event = row.event
    return {
        "id": row.event_id,
        "destination": row.destination,
        "state": "waiting" if row.dead_at is None else "dead",
        "time": iso_time(row.created),
        "level": None if event is None else level_name(event.level),
        "message": None if event is None else event.message,
        "dead_at": None if row.dead_at is None else iso_time(row.dead_at),
        "reason": row.dead_reason,
    }


def _cells(row: Listed, now: float, short: str) -> tuple[str, ...]:
    level = "" if row.event is None else level_name(row.event.level)
    return age(now - row.created), row.destination, level, message_of(row), short, _state(row)


def _state(row: Listed) -> str:
    return "waiting" if row.dead_at is None else f"dead: {row.dead_reason}"


def _lines(value: object) -> Iterator[str]:
    """Yield *value*, of JSON's types, as lines that are indented below the name they belong to."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            below = list(_lines(part))
            if len(below) == 1 and not isinstance(part, Mapping | list):
                yield f"{escape(name)}: {below[0]}"
            else:
                yield f"{escape(name)}:"
                yield from (f"    {line}" for line in below)
    elif isinstance(value, list):
        for part in value:
            yield from _lines(part)
    else:
        yield from (escape(line.expandtabs()) for line in str(value).splitlines() or [""])
