"""What Telegram refuses in a message, and how it says so."""

import html
import re
from collections.abc import Mapping

MAX_TEXT = 4096  # UTF-16 units of what is left of a text when its markup is gone; documented as characters
MAX_CAPTION = 1024
MAX_PHOTO = 10_000_000  # bytes
MAX_FILE = 50_000_000  # bytes
_MAX_BYTES = 35_000  # of a text with its markup: what is longer, Telegram's server cuts, tags and all

# What its HTML has, with the attributes that each may have; what has none here takes none.
_TAGS: Mapping[str, re.Pattern[str] | None] = {
    **dict.fromkeys(("b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "tg-spoiler", "pre"), None),
    "a": re.compile(r' href="[^"<>]*"'),
    "blockquote": re.compile(" expandable"),
    "code": re.compile(r' class="language-[\w+#-]+"'),
    "span": re.compile(' class="tg-spoiler"'),
    "tg-emoji": re.compile(r' emoji-id="[0-9]+"'),
}
_TAG = re.compile(r"<(/?)([a-zA-Z0-9-]*)([^<>]*)>")
_ENTITY = re.compile("&(?:lt|gt|amp|quot|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")
_INVISIBLE = re.compile("[\\s\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u115f\u1160\u3164\u2800\uffa0]*")
_PHOTO = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF.{4}WEBP", re.DOTALL)


class Refused(ValueError):
    """Telegram would refuse this. Its text is Telegram's."""


def shown(text: str) -> str:
    """Return what Telegram shows of *text* in HTML. Raises `Refused` for what it cannot parse."""
    pieces: list[str] = []
    open_tags: list[str] = []
    at = 0
    while (begin := text.find("<", at)) >= 0:
        pieces.append(_plain(text[at:begin]))
        offset = len(text[:begin].encode())
        tag = _TAG.match(text, begin)
        if tag is None:
            raise Refused(f"can't parse entities: Unclosed start tag at byte offset {offset}")
        closing, name, attributes = tag[1], tag[2].lower(), tag[3]
        if closing and not open_tags:
            raise Refused(f"can't parse entities: Unexpected end tag at byte offset {offset}")
        if closing and open_tags.pop() != name:
            raise Refused(f"can't parse entities: Unmatched end tag at byte offset {offset}")
        if not closing:
            allowed = _TAGS.get(name)
            if name not in _TAGS or (attributes and not (allowed and allowed.fullmatch(attributes))):
                raise Refused(f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {offset}')
            open_tags.append(name)
        at = tag.end()
    if open_tags:
        raise Refused(f"can't parse entities: Can't find end tag corresponding to start tag \"{open_tags[-1]}\"")
    pieces.append(_plain(text[at:]))
    return "".join(pieces)


def check_text(text: str, *, caption: bool) -> None:
    """Raise `Refused` for a text, without its markup, that is too long, or a message that is empty."""
    units = len(text.encode("utf-16-le")) // 2
    if caption and units > MAX_CAPTION:
        raise Refused("message caption is too long")
    if not caption and units > MAX_TEXT:
        raise Refused("message is too long")
    if not caption and _INVISIBLE.fullmatch(text):
        raise Refused("message text is empty")


def check_size(text: str) -> None:
    """Raise `Refused` for a text with markup that Telegram's server would cut."""
    if len(text.encode()) > _MAX_BYTES:
        raise Refused("text must be encoded in UTF-8 and shorter")


def check_file(data: bytes, *, photo: bool) -> None:
    """Raise `Refused` for a file that is empty, and for a photo that is none or too small to be one."""
    if not data:
        raise Refused("file must be non-empty")
    if photo and (len(data) > MAX_PHOTO or not _PHOTO.match(data)):
        raise Refused("IMAGE_PROCESS_FAILED")
    if photo and data.startswith(b"\x89PNG"):
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        if width + height > 10_000 or max(width, height) > 20 * min(width, height):
            raise Refused("PHOTO_INVALID_DIMENSIONS")


def _plain(text: str) -> str:
    """Return text between tags. What is no entity of Telegram's stays as it is."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
