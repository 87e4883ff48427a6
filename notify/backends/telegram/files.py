"""The files of an event: which of them Telegram takes, and as what."""

import re
from collections.abc import Sequence

from notify.backends.files import File, content_type_of, safe_name
from notify.backends.written import whole_text
from notify.clip import clip
from notify.event import Attachment, Event

MAX_FILES = 10  # of one event; each is a message of its own
MAX_FILE = 50_000_000  # bytes, as Telegram documents for bots
MAX_PHOTO = 10_000_000  # bytes, as Telegram documents; a larger one goes as a document
_MAX_TEXT = 10 * 2**20  # characters of a text file: no more than four bytes each

_PHOTOS = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF.{4}WEBP", re.DOTALL)  # how these files begin


def text_file(event: Event) -> File:
    """Return a file with everything that *event* says."""
    name = "message.txt" if event.exception is None else "traceback.txt"
    return File(name, clip(whole_text(event), _MAX_TEXT).encode(), "text/plain; charset=utf-8")


def attach(attachments: Sequence[Attachment]) -> tuple[list[File], list[Attachment]]:
    """Return the files that Telegram takes, pictures first, and the attachments that it does not take."""
    files: list[File] = []
    left_out: list[Attachment] = []
    for attachment in attachments:
        if not 0 < len(attachment.data) <= MAX_FILE or len(files) >= MAX_FILES:
            left_out.append(attachment)
            continue
        name = safe_name(attachment.filename)
        files.append(File(name, attachment.data, content_type_of(attachment, name)))
    return sorted(files, key=lambda file: not is_photo(file)), left_out


def is_photo(file: File) -> bool:
    """Say whether Telegram shows *file* as a picture, by what it begins with."""
    return len(file.data) <= MAX_PHOTO and _PHOTOS.match(file.data) is not None
