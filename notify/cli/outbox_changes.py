"""`notify outbox retry` and `drop`: what becomes of single events."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from notify.backends.stdout import escape
from notify.cli.outbox import message_of, none_kept, whole_id
from notify.cli.outbox_errors import Refused, errors_told, say
from notify.cli.output import print_json
from notify.delivery.outbox import listing
from notify.delivery.outbox.listing import Names
from notify.errors import ConfigError
from notify.plural import plural

_SHOWN = 10  # events that are shown before they are removed


def retry_in_outbox(directory: Path, event_ids: Sequence[str] | None, *, as_json: bool) -> int:
    """Have dead letters delivered again, all of them for None.

    Prints how many there were, once per destination, and returns the exit code: 1 when one of them was not there.
    """
    with errors_told(directory, as_json=as_json):
        if event_ids is None:
            return _told(listing.retry_all(directory), "will be delivered again", as_json=as_json)
        there = listing.names(directory)
        wanted = [whole_id(text, there) for text in event_ids]
        found = listing.retry(directory, wanted)
        unknown = _refuse_if_all([each for each, count in found.items() if not count], found, "dead letter")
        if not as_json:
            _say_unknown(unknown, "dead letter")
        return _told(found, "will be delivered again", as_json=as_json)


def drop_from_outbox(
    directory: Path, event_ids: Sequence[str] | None, *, destination: str | None, yes: bool, as_json: bool
) -> int:
    """Remove events; for None all for *destination*, and all dead letters when that is None as well.

    Unless *yes*, shows them and asks first. Prints and returns as `retry_in_outbox`; the code is 1 also when nothing
    is kept for *destination*. Raises `ConfigError` when there is nobody to ask.
    """
    with errors_told(directory, as_json=as_json):
        there = listing.names(directory)
        wanted = dict.fromkeys(whole_id(text, there) for text in event_ids or ())
        if event_ids is not None:
            going = there.of_events(wanted)
        elif destination is not None:
            going = there.of(destination)
            if not any(going):
                raise Refused(none_kept(destination, there))
        else:
            going = Names([], there.dead)
        known = going.event_ids()
        unknown = _refuse_if_all([each for each in wanted if each not in known], wanted, "event")
        if not as_json:
            _say_unknown(unknown, "event")
        if known and not yes:
            _ask(directory, going)
        found = listing.drop_rows(directory, going) if event_ids is None else listing.drop(directory, wanted)
        return _told(found, "removed", as_json=as_json)


def _ask(directory: Path, going: Names) -> None:
    """Show what would be removed and ask. Raises `Refused` when the answer is no."""
    if not _somebody_is_there():
        raise ConfigError("nothing was removed: there is nobody to ask here; add --yes")
    every = going.waiting + going.dead
    for row in listing.listed(directory, every[:_SHOWN]):
        print(f"  {escape(row.destination)}: {escape(message_of(row))}", file=sys.stderr)
    if len(every) > _SHOWN:
        print(f"  and {len(every) - _SHOWN:,} more", file=sys.stderr)
    count = len(going.event_ids())
    # Not click's confirm(), which writes to standard output as well: that is for the result.
    print(f"Remove {count:,} {plural(count, 'event')} for good? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        print(file=sys.stderr)  # leaves the line of the question
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("nothing was removed")


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _refuse_if_all(unknown: Sequence[str], wanted: Mapping[str, object], kind: str) -> Sequence[str]:
    """Return *unknown*. Raises `Refused` when nothing else is wanted."""
    if unknown and len(unknown) == len(wanted):
        raise Refused(f"no such {kind}: {', '.join(unknown)}")
    return unknown


def _say_unknown(event_ids: Sequence[str], kind: str) -> None:
    if event_ids:
        say(f"no such {kind}: {', '.join(event_ids)}")


def _told(found: Mapping[str, int], done: str, *, as_json: bool) -> int:
    if as_json:
        print_json(dict(found))
    else:
        print(f"{sum(found.values()):,} {done}.")
    return 0 if all(found.values()) else 1
