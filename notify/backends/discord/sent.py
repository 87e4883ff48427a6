"""What was sent and may be changed: which message tells of which matter, and what stands in it."""

import json
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from notify.backends.http import mapping
from notify.event import Event, Phase
from notify.setting import parse_snowflake

_MESSAGE = "message "  # what the name of a message begins with; a matter's id has no space


@dataclass(slots=True)
class Sent:
    """The message of a matter.

    Args:
        id: Discord's, of the message.
        place: of the matter's embed in it.
        embeds: all of them, without notes.
        notes: a line below an embed, by its place.
        attachments: Discord's ids of its files.
    """

    id: str
    place: int
    embeds: list[dict[str, Any]]
    notes: dict[int, str] = field(default_factory=dict)
    attachments: list[str] = field(default_factory=list)

    def shown(self) -> list[dict[str, Any]]:
        """Return the embeds as people see them."""
        return with_notes(self.embeds, self.notes)


def with_notes(embeds: Sequence[Mapping[str, Any]], notes: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return *embeds*, with each of *notes* as the last paragraph of the embed at its place."""
    return [
        {**embed, "description": "\n\n".join(filter(None, (embed.get("description"), notes[place])))}
        if place in notes
        else dict(embed)
        for place, embed in enumerate(embeds)
    ]


class SentMessages:
    """Finds the messages of matters, in what a backend may note. For one thread at a time.

    Args:
        posted: where it is noted.
    """

    def __init__(self, posted: MutableMapping[str, str]) -> None:
        self.posted = posted

    def find(self, matter_id: str) -> Sent | None:
        """Return the newest message of a matter, None when it is not known, or not any more."""
        message_id, _, place = self.posted.get(matter_id, "").partition(" ")
        if not place:
            return None
        try:
            said = mapping(json.loads(self.posted.get(_MESSAGE + message_id, "")))
            sent = Sent(
                parse_snowflake(message_id),
                int(place),
                [dict(embed) for embed in said["embeds"]],
                {int(number): str(note) for number, note in said["notes"].items()},
                [str(one) for one in said["attachments"]],
            )
            return sent if sent.place < len(sent.embeds) else None
        except (ValueError, TypeError, LookupError, AttributeError):  # a file that somebody has changed
            return None

    def note(
        self,
        said: Mapping[str, Any],
        events: Sequence[Event],
        embeds: Sequence[dict[str, Any]],
        notes: Mapping[int, str],
    ) -> None:
        """Note a message that was taken, for those of *events* that are of a matter which goes on.

        Args:
            said: what Discord has answered.
            events: in the order of their embeds.
            embeds: without notes.
            notes: by the place of the embed.
        """
        message_id = said.get("id")
        placed = list(_of_matters(events, len(embeds)))
        if not placed or not isinstance(message_id, str):
            return
        sent = Sent(message_id, 0, list(embeds), dict(notes), file_ids(said) or [])
        self.keep(sent)
        for place, matter_id in placed:
            self.posted[matter_id] = f"{message_id} {place}"

    def keep(self, sent: Sent) -> None:
        """Note what stands in a message by now."""
        self.posted[_MESSAGE + sent.id] = json.dumps(
            {"embeds": sent.embeds, "notes": sent.notes, "attachments": sent.attachments}
        )

    def forget(self, matter_id: str) -> None:
        """Note nothing of a matter any more, since it has ended or its message is gone."""
        message_id, _, _ = self.posted.pop(matter_id, "").partition(" ")
        if message_id and not any(value.startswith(f"{message_id} ") for value in list(self.posted.values())):
            self.posted.pop(_MESSAGE + message_id, None)


def file_ids(said: Mapping[str, Any]) -> list[str] | None:
    """Return the ids of a message's files in what Discord has answered, None when that does not say."""
    files = said.get("attachments")
    return [str(one["id"]) for one in files if mapping(one).get("id")] if isinstance(files, list) else None


def _of_matters(events: Sequence[Event], count: int) -> Iterator[tuple[int, str]]:
    for place, event in enumerate(events[:count]):
        if event.matter is not None and event.matter.phase != Phase.RESOLVED:
            yield place, event.matter.id
