"""Text as Telegram shows it: escaped, marked up, and split where no tag and no character is torn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from notify.backends.text import is_blank, length, whole_characters

_LEAST = 200  # UTF-16 units that are worth beginning a block in; with less room it begins in the next message
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # all that the HTML of the Bot API has to have escaped
_TABLE = str.maketrans(_ESCAPES)


class Style(Enum):
    """How a block looks: the tag around it."""

    PLAIN = ""
    MONOSPACE = "pre"
    SMALL = "i"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a message that is shown in one way.

    Args:
        text: without markup.
        style: of all of it.
        bold: characters at its beginning that are bold. For plain text.
        gap: what stands between it and the block before.
    """

    text: str
    style: Style = Style.PLAIN
    bold: int = 0
    gap: str = "\n\n"


Part = Sequence[Block]
"""The blocks of one message."""


def escape(text: str) -> str:
    """Return *text* so that Telegram shows it as it is."""
    return text.translate(_TABLE)


def html(part: Part) -> str:
    """Return the blocks of a message in Telegram's HTML."""
    return _joined(part, [_marked_up(block) for block in part])


def plain(part: Part) -> str:
    """Return the blocks of a message without markup."""
    return _joined(part, [block.text for block in part])


def split(blocks: Sequence[Block], limit: int) -> Iterator[list[Block]]:
    """Yield *blocks* as messages, each at most *limit* UTF-16 units of HTML long.

    What does not fit one message ends at a line's end if there is one in its second half, otherwise between words,
    never inside what is seen as one character. Nothing is left out but the white space at such a place, and messages
    in which there would be nothing to see.

    Args:
        blocks: of one event.
        limit: at least 100, which holds any tag and any character.
    """
    part: list[Block] = []
    room = limit
    for block in blocks:
        rest: Block | None = block
        while rest is not None:
            gap = len(rest.gap) if part else 0
            size = _size(rest)
            if size + gap <= room:
                part.append(rest)
                room -= size + gap
                break
            # A short block stays whole in the next message, and where there is hardly room left it begins there.
            begins_here = not part or (room >= _LEAST + gap and size > limit // 2)
            if begins_here and (fits := _fitting(rest, room - gap)):
                head, rest = _cut(rest, fits)
                part.append(head)
            if not _blank(part):
                yield part
            part, room = [], limit
    if not _blank(part):
        yield part


def tail(text: str, room: int) -> str:
    """Return the end of *text*, escaped at most *room* UTF-16 units long, from a line's start if one is near."""
    start = len(text)
    while start and room >= _cost(text[start - 1]):
        start -= 1
        room -= _cost(text[start])
    if not start:
        return text
    line = text.find("\n", start, start + (len(text) - start) // 2)
    return text[line + 1 :] if line >= 0 else text[start:]


def _joined(part: Part, texts: Sequence[str]) -> str:
    return "".join((block.gap if number else "") + texts[number] for number, block in enumerate(part))


def _marked_up(block: Block) -> str:
    if block.style is not Style.PLAIN:
        return f"<{block.style.value}>{escape(block.text)}</{block.style.value}>"
    if not block.bold:
        return escape(block.text)
    return f"<b>{escape(block.text[: block.bold])}</b>{escape(block.text[block.bold :])}"


def _size(block: Block) -> int:
    """Return the length of a block's HTML. Telegram counts what is left of it, which is never more."""
    return length(_marked_up(block))


def _cost(character: str) -> int:
    return len(_ESCAPES.get(character, "")) or (1 if ord(character) < 0x10000 else 2)


def _fitting(block: Block, room: int) -> int:
    """Return how many characters of *block*, which is too long, go into *room*: 0 when not even one does."""
    text = block.text
    room -= _size(replace(block, text="", bold=0)) + (len("<b></b>") if block.bold else 0)
    most = 0
    while most < len(text) and room >= _cost(text[most]):
        room -= _cost(text[most])
        most += 1
    for mark, nearest in (("\n", most // 2), (" ", most * 3 // 4)):
        # From one further: where the mark itself is what does not fit, nothing is cut.
        at = text.rfind(mark, nearest, most + 1)
        if at > 0:
            return at
    return whole_characters(text, most)


def _cut(block: Block, at: int) -> tuple[Block, Block | None]:
    """Return the beginning of *block* and the rest, None when that is white space only."""
    text, bold = block.text, block.bold
    end = at + 1 if text[at : at + 1] in ("\n", " ") else at  # it is what the two are parted by
    head = replace(block, text=text[:at], bold=min(bold, at))
    if not text[end:].strip():
        return head, None
    return head, replace(block, text=text[end:], bold=max(0, bold - end))


def _blank(part: Part) -> bool:
    return all(is_blank(block.text) for block in part)
