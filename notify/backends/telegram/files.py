"""The files of an event: which of them Telegram takes, and as what."""

import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from notify.backends.written import whole_text
from notify.clip import clip
from notify.event import Attachment, Event

MAX_FILES = 10  # of one event; each is a message of its own
MAX_FILE = 50_000_000  # bytes, as Telegram documents for bots
MAX_PHOTO = 10_000_000  # bytes, as Telegram documents; a larger one goes as a document
_MAX_TEXT = 10 * 2**20  # characters of a text file: no more than four bytes each

_PHOTOS = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF.{4}WEBP", re.DOTALL)  # how these files begin
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")


@dataclass(frozen=True, slots=True)
class File:
    """A file under the name that it has at Telegram."""

    name: str
    data: bytes = field(repr=False)
    content_type: str

    @property
    def is_photo(self) -> bool:
        """Whether Telegram shows it as a picture, by what it begins with."""
        return len(self.data) <= MAX_PHOTO and _PHOTOS.match(self.data) is not None


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
        name = _safe_name(attachment.filename)
        files.append(File(name, attachment.data, _content_type(attachment.content_type, name)))
    return sorted(files, key=lambda file: not file.is_photo), left_out


def described(filename: str, size: int) -> str:
    """Return a file's name and size, as people read it."""
    if size >= 2**20:
        amount = f"{size / 2**20:.1f} MiB"
    else:
        amount = f"{size / 2**10:.1f} KiB" if size >= 2**10 else f"{size} bytes"
    return f"{filename[:60]} ({amount})"


def _safe_name(filename: str) -> str:
    """Return *filename* in the characters that survive a multipart header."""
    path = PurePosixPath(_UNSAFE.sub("_", filename).strip(".") or "file")
    return path.stem[:60] + path.suffix[:20]


def _content_type(given: str | None, name: str) -> str:
    if given is not None and _CONTENT_TYPE.fullmatch(given):
        return given
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
