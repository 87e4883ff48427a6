"""Short forms of event ids, for people: an end that no other one in the outbox has.

An id is `milliseconds-sequence-process`. Events of one process end alike and events of one day begin alike, so the
short form is the end of what stands before the process.
"""

from collections.abc import Collection
from itertools import pairwise

SHORTEST = 4  # characters: with fewer, what is unambiguous now is something else in a minute


def shortened(event_ids: Collection[str]) -> dict[str, str]:
    """Return the short form of each id, or all of it where no part will do."""
    backwards = sorted(_told_apart(event_id)[::-1] for event_id in event_ids)
    alike = dict.fromkeys(backwards, 0)
    for one, following in pairwise(backwards):
        common = _common(one, following)
        alike[one], alike[following] = max(alike[one], common), max(alike[following], common)
    return {event_id: _end(event_id, alike[_told_apart(event_id)[::-1]]) for event_id in event_ids}


def meant(text: str, event_ids: Collection[str]) -> list[str]:
    """Return those of *event_ids* that *text* may stand for: the one that it is, or all whose short form it may be."""
    if text in event_ids:
        return [text]
    if len(text) < SHORTEST:
        return []
    return sorted(event_id for event_id in event_ids if _told_apart(event_id).endswith(text))


def _told_apart(event_id: str) -> str:
    return event_id.rpartition("-")[0] or event_id


def _common(one: str, other: str) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _end(event_id: str, alike: int) -> str:
    """Return the end that is longer than what another id ends with as well, *alike* characters."""
    whole = _told_apart(event_id)
    length = max(SHORTEST, alike + 1)
    if whole[-length:].startswith("-"):  # the command line would take it for an option
        length += 1
    return whole[-length:] if length <= len(whole) else event_id
