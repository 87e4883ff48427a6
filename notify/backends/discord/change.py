"""What a message becomes when the matter that it tells of goes on or ends."""

from collections.abc import Sequence
from typing import Any

from notify.backends.discord.embed import GREEN, RESOLVED, emojis, make_card
from notify.backends.discord.message import Message, edit_payload
from notify.backends.discord.sent import Sent
from notify.backends.files import File
from notify.event import Event, Matter, Phase

_CHANGES = frozenset({Phase.COUNTED, Phase.RESOLVED, Phase.LIVING})


def is_change(event: Event) -> bool:
    """Say whether *event* changes the message of its matter, if there is one."""
    return event.matter is not None and event.matter.phase in _CHANGES


def living_run(events: Sequence[Event]) -> int:
    """Return how many of the first *events* say the newest of one matter: only the last of them is worth sending."""
    first = events[0].matter
    if first is None or first.phase is not Phase.LIVING:
        return 1
    run = 1
    while run < len(events) and _is_newer(events[run].matter, first):
        run += 1
    return run


def together(events: Sequence[Event]) -> Sequence[Event]:
    """Return as many of the first *events* as may share a message: none that changes one, but for the first."""
    if events[0].matter is not None and events[0].matter.phase is Phase.LIVING:
        return events[:1]  # its files are replaced with it
    for place, event in enumerate(events[1:], 1):
        if is_change(event):
            return events[:place]
    return events


def change(sent: Sent, event: Event) -> Message:
    """Return what *sent* becomes by *event*, and note that in it: a request that takes the place of what is there."""
    matter = event.matter
    files: tuple[File, ...] = ()
    if matter is None or matter.phase is Phase.LIVING:
        card = make_card(event)
        sent.embeds, sent.place, sent.notes, sent.attachments = [card.embed], 0, {}, []
        files = card.files
    elif matter.phase is Phase.RESOLVED:
        sent.embeds[sent.place] = _green(sent.embeds[sent.place])
        sent.notes[sent.place] = event.body
    else:
        sent.notes[sent.place] = f"**{matter.often}**, last <t:{int(matter.last)}:T>"
    return Message(edit_payload(sent.shown(), sent.attachments, files), files, 1)


def _green(embed: dict[str, Any]) -> dict[str, Any]:
    """Return *embed* in green, its emoji replaced."""
    turned = {**embed, "color": GREEN}
    name = "title" if embed.get("title") else "description"
    said = str(embed.get(name, ""))
    for emoji in emojis():
        said = said.removeprefix(emoji)
    turned[name] = f"{RESOLVED} {said.lstrip(' ')}".strip()
    return turned


def _is_newer(matter: Matter | None, first: Matter) -> bool:
    return matter is not None and matter.phase is Phase.LIVING and matter.id == first.id
