"""What was decided of an entry, as the JSON that stands beside it until all have it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from notify.event import Event, Matter, Phase
from notify.relay.judging import Judged

_TEXTS = ("message", "body", "topic", "logger")  # what the end of a matter changes in its event


def encode(event: Event, judged: Judged) -> str:
    """Return what *judged* says of *event*: only what differs from that."""
    return json.dumps([[[_changed(event, said), sorted(names)] for said, names in judged.said], sorted(judged.folded)])


def decode(event: Event, noted: bytes) -> Judged:
    """Return what was decided of *event*. Raises `ValueError` and `TypeError` for what `encode` has not made."""
    said, folded = json.loads(noted)
    return Judged(tuple((_with(event, changed), _names(names)) for changed, names in said), _names(folded))


def _names(listed: Any) -> frozenset[str]:
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise TypeError("no list of names")
    return frozenset(listed)


def _changed(event: Event, said: Event) -> dict[str, object]:
    changed: dict[str, object] = {
        name: getattr(said, name) for name in _TEXTS if getattr(said, name) != getattr(event, name)
    }
    if (matter := said.matter) is not None:
        changed["matter"] = [matter.id, matter.phase, matter.count, matter.since, matter.last, matter.executors]
    return changed


def _with(event: Event, changed: Mapping[str, Any]) -> Event:
    if not isinstance(changed, dict):
        raise TypeError("no object")
    texts = {name: changed[name] for name in _TEXTS if name in changed}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("no text")
    return replace(event, matter=_matter(changed["matter"]) if "matter" in changed else None, **texts)


def _matter(noted: object) -> Matter:
    match noted:
        case [
            str(matter_id),
            str(phase),
            int(count),
            int() | float() as since,
            int() | float() as last,
            int(executors),
        ]:
            return Matter(matter_id, Phase(phase), count, float(since), float(last), executors)
    raise TypeError("no matter")
