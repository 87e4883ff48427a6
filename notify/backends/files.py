"""Files as services take them: their names, what they are, how large."""

import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from notify.backends.text import visible
from notify.event import Attachment
from notify.plural import plural

_STEM, _SUFFIX = 60, 20  # characters of a name
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message.

    Args:
        name: that it has there.
        data: its content.
        content_type: a media type.
    """

    name: str
    data: bytes = field(repr=False)
    content_type: str


def safe_name(filename: str) -> str:
    """Return *filename* in the characters that survive a multipart header and an address."""
    path = PurePosixPath(_UNSAFE.sub("_", filename).strip(".") or "file")
    return path.stem[:_STEM] + path.suffix[:_SUFFIX]


def content_type_of(attachment: Attachment, name: str) -> str:
    """Return the media type that *attachment* has, or else what its *name* suggests."""
    given = attachment.content_type
    if given is not None and _CONTENT_TYPE.fullmatch(given):
        return given
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def described(filename: str, size: int) -> str:
    """Return a file's name and size, as people read it."""
    if size >= 2**20:
        amount = f"{size / 2**20:.1f} MiB"
    elif size >= 2**10:
        amount = f"{size / 2**10:.1f} KiB"
    else:
        amount = f"{size} {plural(size, 'byte')}"
    return f"{visible(filename)[:_STEM]} ({amount})"


def left_out(attachments: Sequence[Attachment], service: str) -> str:
    """Say which files *service* does not take; an empty text when there are none."""
    if not attachments:
        return ""
    listed = ", ".join(described(file.filename, len(file.data)) for file in attachments[:3])
    more = f" and {len(attachments) - 3} more" if len(attachments) > 3 else ""
    return f"✂️ Left out, because {service} does not take it: {listed}{more}."
