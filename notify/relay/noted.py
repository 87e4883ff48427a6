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
    return Judged(tuple((_with(event, changed), frozenset(names)) for changed, names in said), frozenset(folded))


def _changed(event: Event, said: Event) -> dict[str, object]:
    changed: dict[str, object] = {
        name: getattr(said, name) for name in _TEXTS if getattr(said, name) != getattr(event, name)
    }
    if (matter := said.matter) is not None:
        changed["matter"] = [matter.id, matter.phase, matter.count, matter.since, matter.last, matter.executors]
    return changed


def _with(event: Event, changed: Mapping[str, Any]) -> Event:
    texts = {name: changed[name] for name in _TEXTS if name in changed}
    matter = None
    if "matter" in changed:
        matter_id, phase, *numbers = changed["matter"]
        matter = Matter(matter_id, Phase(phase), *numbers)
    return replace(event, matter=matter, **texts)
