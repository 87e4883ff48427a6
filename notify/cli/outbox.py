"""`notify outbox`: what waits to be delivered, what was given up, and what becomes of it."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from notify.backends.stdout import as_dict, escape
from notify.cli.output import print_json, print_table
from notify.delivery.outbox import listing
from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.listing import Listed, NoOutbox
from notify.delivery.state_dir import StateDirError
from notify.levels import level_name
from notify.plain import iso_time

_P = ParamSpec("_P")

_MESSAGE = 80  # characters of a message that a table shows
_UNREADABLE = "(it cannot be read any more)"
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))  # in seconds


def _one_line_if_unusable(command: Callable[_P, int]) -> Callable[_P, int]:
    """Have *command* return 1, after one line on stderr, when there is no outbox or it cannot be used."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except NoOutbox as error:
            _say(f"{error}; say where the program has its own: --state-dir, NOTIFY_STATE_DIR or EXECUTOR_ID")
        except (StoreError, StateDirError) as error:
            _say(str(error))
        except OSError as error:
            _say(f"the outbox cannot be used: {error.strerror}")
        return 1

    return run


@_one_line_if_unusable
def list_outbox(directory: Path, *, waiting: bool, dead: bool, limit: int, as_json: bool) -> int:
    """Print what waits and what is dead, *limit* of each at most, and return the exit code."""
    rows = listing.waiting(directory, limit) if waiting else []
    rows += listing.dead(directory, limit) if dead else []
    if as_json:
        print_json([_as_json(row) for row in rows])
        return 0
    waits, letters = listing.counts(directory)
    print(f"Waiting: {waits:,}. Dead letters: {letters:,}.")
    if rows:
        now = time.time()
        columns = ("age", "destination", "level", "message", "id", "state")
        print_table("", columns, [_cells(row, now) for row in rows], unfolded="id")
    return 0


@_one_line_if_unusable
def show_in_outbox(directory: Path, event_id: str, *, as_json: bool) -> int:
    """Print one event and its destinations, and return the exit code: 1 when it is not there."""
    rows = listing.show(directory, event_id)
    if not rows:
        _say_unknown([event_id], "event")
        return 1
    # The rows of one event are the same event, unless one of them is damaged.
    event = next((row.event for row in rows if row.event is not None), None)
    if as_json:
        states = [{name: value for name, value in _as_json(row).items() if name in _OF_DESTINATION} for row in rows]
        print_json({"id": event_id, "event": None if event is None else as_dict(event), "destinations": states})
        return 0
    print_table("", ("destination", "state"), [(row.destination, _state(row)) for row in rows])
    print()
    for line in [_UNREADABLE] if event is None else _lines(as_dict(event)):
        print(line)
    return 0


@_one_line_if_unusable
def retry_in_outbox(directory: Path, event_ids: Sequence[str] | None, *, as_json: bool) -> int:
    """Have dead letters delivered again, all of them for None; print and return as `drop_from_outbox`."""
    found = listing.retry_all(directory) if event_ids is None else listing.retry(directory, event_ids)
    return _told(found, "will be delivered again", "dead letter", as_json=as_json)


@_one_line_if_unusable
def drop_from_outbox(directory: Path, event_ids: Sequence[str] | None, *, as_json: bool) -> int:
    """Remove events, or all dead letters for None.

    Prints how many there were, once per destination, and returns the exit code: 1 when one of them was not there.
    """
    found = listing.drop_dead(directory) if event_ids is None else listing.drop(directory, event_ids)
    return _told(found, "removed", "event", as_json=as_json)


def _told(found: Mapping[str, int], done: str, kind: str, *, as_json: bool) -> int:
    unknown = [event_id for event_id, count in found.items() if not count]
    if as_json:
        print_json(dict(found))
    elif len(unknown) < len(found) or not found:
        print(f"{sum(found.values()):,} {done}.")
    _say_unknown(unknown, kind)
    return 1 if unknown else 0


def _say_unknown(event_ids: Sequence[str], kind: str) -> None:
    if event_ids:
        _say(f"no such {kind}: {', '.join(event_ids)}")


def _say(text: str) -> None:
    print(f"notify: {escape(text)}", file=sys.stderr)


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


def _cells(row: Listed, now: float) -> tuple[str, ...]:
    event = row.event
    level, message = ("", _UNREADABLE) if event is None else (level_name(event.level), _first_line(event.message))
    return _age(now - row.created), row.destination, level, message, row.event_id, _state(row)


def _state(row: Listed) -> str:
    return "waiting" if row.dead_at is None else f"dead: {row.dead_reason}"


def _first_line(text: str) -> str:
    first = (text.strip().splitlines() or [""])[0]
    return first if len(first) <= _MESSAGE else first[: _MESSAGE - 1] + "…"


def _age(seconds: float) -> str:
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"  # events may come from a clock that is ahead


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
