"""Events as one message of Discord's."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from notify import imports
from notify.backends.discord import text
from notify.backends.discord.embed import MAX_TEXT, Card, make_card, plain_text
from notify.backends.discord.files import MAX_FILES, MAX_REQUEST, attach, whole_text
from notify.backends.discord.identity import Mention
from notify.backends.discord.sent import with_notes
from notify.backends.files import File
from notify.event import Event, Phase
from notify.levels import severity

MAX_EMBEDS = 10  # in a message, as Discord documents
MAX_CONTENT = 2000  # code points, as Discord documents
_NOTE = 100  # code points that are left for a note that comes later
_SUPPRESS_EMBEDS = 1 << 2  # no previews of links
_SUPPRESS_NOTIFICATIONS = 1 << 12
_CALLED_FROM = logging.ERROR

# The rest of what the model would send is its own settings.
_KEYS = ("content", "embeds", "allowed_mentions", "attachments", "flags", "username", "avatar_url")


@dataclass(frozen=True, slots=True)
class Appearance:
    """How the messages of one backend look and sound.

    Args:
        username: shown instead of the webhook's own, acceptable to Discord.
        avatar_url: shown instead of the webhook's own picture.
        mention: who is called at ERROR and above.
        silent: says which events make no sound; a CRITICAL one always does.
    """

    username: str | None = None
    avatar_url: str | None = None
    mention: Mention | None = None
    silent: Callable[[Event], bool] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What one request carries.

    Args:
        payload: the JSON body.
        files: in the order of the payload's attachments.
        count: how many events are in it.
        embeds: those of the payload, without notes.
        notes: the line below an embed, by its place.
    """

    payload: dict[str, Any]
    files: tuple[File, ...]
    count: int
    embeds: tuple[dict[str, Any], ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)


def compose(events: Sequence[Event], appearance: Appearance, *, with_files: bool = True) -> Message:
    """Return a message with as many of the first *events* as fit, at least one.

    Each is one embed. Never raises for what is in an event.

    Args:
        events: at least one.
        appearance: how it looks and sounds.
        with_files: False leaves every file out, and says so.
    """
    cards: list[Card] = []
    files: list[File] = []
    size = weight = 0
    for event in events[:MAX_EMBEDS]:
        card = make_card(event, [file.name for file in files], with_files=with_files)
        size += card.size + (_NOTE if event.matter is not None else 0)
        weight += card.weight
        if cards and (size > MAX_TEXT or len(files) + len(card.files) > MAX_FILES or weight > MAX_REQUEST):
            break
        cards.append(card)
        files += card.files
    together = events[: len(cards)]
    embeds = tuple(card.embed for card in cards)
    notes = {place: note for place, event in enumerate(together) if (note := _note(event))}
    called = _called(together, appearance)
    payload = _payload(
        together,
        appearance,
        files,
        content=called.text if called else None,
        embeds=with_notes(embeds, notes),
        username=appearance.username,
        avatar_url=appearance.avatar_url,
    )
    return Message(payload, tuple(files), len(cards), embeds, notes)


def edit_payload(embeds: Sequence[dict[str, Any]], kept: Sequence[str], files: Sequence[File]) -> dict[str, Any]:
    """Return the body of a request that changes a message. It calls nobody: edits forget whom the message might call.

    Args:
        embeds: all that it has from now on.
        kept: Discord's ids of files that stay.
        files: that come to it.
    """
    attachments = [{"id": one} for one in kept]
    attachments += [{"id": str(number), "filename": file.name} for number, file in enumerate(files)]
    return {"embeds": list(embeds), "allowed_mentions": {"parse": []}, "attachments": attachments}


def compose_plain(event: Event, appearance: Appearance) -> Message:
    """Return *event* as text and files, with as little else as possible: for when Discord refused its embed."""
    names: set[str] = set()
    whole = whole_text(event, names)
    attached, left_out = attach(event.attachments, names, beside=whole)
    called = _called([event], appearance)
    lines = [
        called.text if called else "",
        f"📎 The whole text is in {whole.name}.",
        f"✂️ Left out, because Discord does not take them: {len(left_out)} of the attached files." if left_out else "",
    ]
    said = text.head_that_fits(plain_text(event), MAX_CONTENT - sum(len(line) + 1 for line in lines), text.escape)[0]
    lines.insert(1, said)
    files = [whole, *attached]
    content = "\n".join(line for line in lines if line)
    payload = _payload([event], appearance, files, content=content, flags=_SUPPRESS_EMBEDS)
    return Message(payload, tuple(files), 1)


def _payload(
    events: Sequence[Event], appearance: Appearance, files: Sequence[File], *, flags: int = 0, **more: object
) -> dict[str, Any]:
    imports.load("discord_webhook")
    from discord_webhook import DiscordWebhook

    called = _called(events, appearance)
    if _is_silent(events, appearance):
        flags |= _SUPPRESS_NOTIFICATIONS
    model = DiscordWebhook(
        url="",
        # Named ids and an empty list of kinds: nothing that stands in an event can call anybody.
        allowed_mentions={"parse": [], **({called.kind: [called.id]} if called else {})},
        attachments=[{"id": str(number), "filename": file.name} for number, file in enumerate(files)],
        flags=flags,
        **more,
    )
    body = model.json
    return {key: body[key] for key in _KEYS if body.get(key)}


def _note(event: Event) -> str:
    """Say how often it has happened before, when that is told anew."""
    matter = event.matter
    if matter is None or matter.phase is not Phase.ANNOUNCED or matter.count < 2:
        return ""
    return f"**{matter.often}** since <t:{int(matter.since)}:f>"


def _is_quiet(event: Event) -> bool:
    """Say whether *event* only counts what was told before."""
    return event.matter is not None and event.matter.phase is Phase.COUNTED


def _called(events: Sequence[Event], appearance: Appearance) -> Mention | None:
    matters = any(severity(event.level) >= _CALLED_FROM and not _is_quiet(event) for event in events)
    return appearance.mention if matters else None


def _is_silent(events: Sequence[Event], appearance: Appearance) -> bool:
    silent = appearance.silent
    return all(
        _is_quiet(event) or (silent is not None and severity(event.level) < logging.CRITICAL and silent(event))
        for event in events
    )
