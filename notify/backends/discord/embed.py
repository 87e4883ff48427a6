"""One event as one embed, and as the files that hold what an embed cannot."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from notify import imports
from notify.backends.discord import text
from notify.backends.discord.blocks import Block, ends, field_line, fill, prose, stack, table_block
from notify.backends.discord.files import attach, is_image, whole_text
from notify.backends.files import File, left_out
from notify.backends.written import field_text, origin_name, value_text
from notify.event import Attachment, Event, Phase
from notify.levels import severity
from notify.setting import parse_web_address
from notify.table import table_of

MAX_TEXT = 6000  # Discord documents it as the sum over all embeds of a message

# UTF-16 units of what one embed may take. Together they stay below MAX_TEXT, and the description below Discord's 4096.
_TITLE = 80
_DESCRIPTION = 3500
_NOTES = 400
_FIELDS = 1400
_FOOTER_PART = 80

_MAX_FIELDS = 25  # this and the next two are Discord's
_FIELD_NAME = 256
_FIELD_VALUE = 1024
_INLINE = 40  # characters of a value that leaves room for others beside it
_BLANK_FIELD = "–"

# Least severity, colour and emoji, as readers of trade-executor's channels know them.
_LOOKS = (
    (50, 14362664, "🆘"),
    (40, 14362664, "❌"),
    (30, 16497928, "⚠️"),
    (21, 2040357, ""),
    (20, 2196944, ""),
    (10, 8947848, ""),
)
_DEFAULT_LOOK = (2040357, "")
GREEN = 5763719
RESOLVED = "✅"


@dataclass(frozen=True, slots=True)
class Card:
    """What one event takes of a message.

    Args:
        embed: with Discord's keys only.
        size: how much it counts toward `MAX_TEXT`.
        files: what goes with it.
    """

    embed: dict[str, Any]
    size: int
    files: tuple[File, ...]

    @property
    def weight(self) -> int:
        """Bytes of the files."""
        return sum(len(file.data) for file in self.files)


# Of the model's attributes: it has others, and some of them are its own.
_KEYS = ("author", "title", "description", "color", "timestamp", "fields", "footer", "image")


def make_card(event: Event, taken: Iterable[str] = (), *, with_files: bool = True) -> Card:
    """Return *event* as an embed. Never raises for what is in the event.

    Args:
        event: what happened.
        taken: names of files that are in the message already.
        with_files: False leaves every file out, and says so.
    """
    imports.load("discord_webhook")
    from discord_webhook import DiscordEmbed

    colour, emoji = _look(event)
    title, said = _title_and_rest(event)
    fields, spilled = _fields(event)
    author = _author(event)
    footer, footer_whole = _footer(event)
    blocks = [*prose(said), *spilled]
    description, whole = fill(blocks, ends(event), _DESCRIPTION)
    whole = whole and footer_whole

    names = {name.lower() for name in taken}
    text_file: File | None = None
    attached: list[File] = []
    missing: Sequence[Attachment] = event.attachments
    if with_files:
        if not whole:
            # The text alone fits half of the room: then it is the traceback that does not fit.
            text_file = whole_text(event, names, crash=stack(blocks, _DESCRIPTION // 2)[1])
        attached, missing = attach(event.attachments, names, beside=text_file)
    notes = _notes(whole, text_file, missing)

    if emoji and title:
        title = f"{emoji} {title}"
    elif emoji:
        gap = "\n" if description.startswith("```") else " "
        description = f"{emoji}{gap}{description}".rstrip()
    description = "\n\n".join(part for part in (description, notes) if part)
    if not title and not description and not fields:
        description = "(no text)"
    image = next((file.name for file in attached if is_image(file.name)), None)
    model = DiscordEmbed(
        title=title,
        description=description,
        color=colour,
        timestamp=_timestamp(event.time),
        fields=fields,
        author=author,
        footer={"text": footer},
        image={"url": f"attachment://{image}"} if image else None,
    )
    said_by = author["name"] if author else ""
    counted = [
        said_by,
        title,
        description,
        footer,
        *(part for field in fields for part in (field["name"], field["value"])),
    ]
    return Card(
        embed={key: value for key in _KEYS if (value := getattr(model, key, None))},
        size=sum(text.length(part) for part in counted),
        files=(*([text_file] if text_file else []), *attached),
    )


def plain_text(event: Event) -> str:
    """Return what *event* says without any markup, its emoji first."""
    _, emoji = _look(event)
    parts = [origin_name(event), text.visible(event.message), text.visible(event.body)]
    parts += [text.visible(field_text(name, value)) for name, value in event.fields.items()]
    if event.exception is not None:
        parts.append(f"{text.visible(event.exception.type)}: {text.visible(event.exception.message)}")
    said = "\n".join(part for part in parts if not text.is_blank(part))
    return f"{emoji} {said or '(no text)'}".strip()


def emojis() -> list[str]:
    """Return those that titles begin with."""
    return [emoji for _, _, emoji in _LOOKS if emoji]


def _timestamp(at: float) -> str | None:
    """Return UTC epoch seconds as embeds show them; None, which they may lack, when no calendar has that day."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None


def _look(event: Event) -> tuple[int, str]:
    """Return the colour and the emoji of *event*, by its level unless it says that something is over."""
    if event.matter is not None and event.matter.phase is Phase.RESOLVED:
        return GREEN, RESOLVED
    level = severity(event.level)
    return next(((colour, emoji) for least, colour, emoji in _LOOKS if level >= least), _DEFAULT_LOOK)


def _author(event: Event) -> dict[str, str] | None:
    """Return who said *event*, where many speak, with the picture that Discord would take."""
    if event.origin is None or not (said_by := origin_name(event)):
        return None
    with suppress(ValueError):
        return {"name": said_by, "icon_url": parse_web_address(event.origin.icon_url)}
    return {"name": said_by}


def _title_and_rest(event: Event) -> tuple[str, list[str]]:
    """Return the title, empty when the first line is too long for one, and the texts below it."""
    message, body = text.visible(event.message).strip(), text.visible(event.body)
    first, _, rest = message.partition("\n")
    if len(first) > _TITLE or text.is_blank(first) or first.strip() == text.SECTION_BREAK:
        return "", [message, body]
    return text.escape(first.strip()), [rest, body]


def _fields(event: Event) -> tuple[list[dict[str, Any]], list[Block]]:
    """Return the fields that fit an embed, and the others as blocks of its description."""
    fields: list[dict[str, Any]] = []
    spilled: list[Block] = []
    room = _FIELDS
    for key, given in event.fields.items():
        name, table = text.visible(key), table_of(given)
        if table is not None and table.rows_within(_FIELD_VALUE) < len(table):
            spilled.append(table_block(name, table))
            continue
        value = text.visible(value_text(given))
        drawn = table is not None or text.is_table(value)
        shown_name = _BLANK_FIELD if text.is_blank(name) else text.escape(name.strip())
        shown = _BLANK_FIELD if text.is_blank(value) else text.fence(value) if drawn else text.escape(value.strip())
        size = text.length(shown_name) + text.length(shown)
        if (
            len(fields) < _MAX_FIELDS
            and text.length(shown_name) <= _FIELD_NAME
            and text.length(shown) <= _FIELD_VALUE
            and size <= room
        ):
            beside = len(shown) <= _INLINE and "\n" not in shown
            fields.append({"name": shown_name, "value": shown, "inline": beside})
            room -= size
        else:
            spilled.append(table_block(name, table) if table is not None else field_line(name, value))
    return fields, spilled


def _footer(event: Event) -> tuple[str, bool]:
    """Return topic, id and logger in one line, and whether they are all there."""
    parts = [" ".join(text.visible(part).split()) for part in (event.topic, event.id, event.logger)]
    shown = [text.head_that_fits(part, _FOOTER_PART, str) for part in parts if not text.is_blank(part)]
    return " · ".join(part for part, _ in shown) or "–", all(whole for _, whole in shown)


def _notes(whole: bool, text_file: File | None, missing: Sequence[Attachment]) -> str:
    """Say what is in a file, and what is nowhere."""
    notes: list[str] = []
    if text_file is not None:
        notes.append(f"📎 The whole text is in {text_file.name}.")
    elif not whole:
        notes.append("✂️ The rest of the text was too much for Discord.")
    if missing:
        notes.append(left_out(missing, "Discord"))
    return text.head_that_fits("\n".join(notes), _NOTES, text.escape)[0]
