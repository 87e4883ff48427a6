"""The files of a message: what was attached, and the text that no embed can hold."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from notify.backends import written
from notify.backends.files import File, content_type_of, safe_name
from notify.event import Attachment, Event

MAX_FILES = 10  # in a message, as Discord documents
MAX_FILE = 10 * 2**20  # bytes; Discord's limit where nobody paid for more
MAX_REQUEST = 20 * 2**20  # bytes of all files; Discord documents 25 MiB for the whole request

_IMAGES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}
_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})


def whole_text(event: Event, names: set[str], *, crash: bool = False) -> File:
    """Return a file with everything that *event* says.

    Args:
        event: what happened.
        names: of the message's files, in lower case; the new one's is added.
        crash: call it `traceback.txt` instead of `message.txt`, if there is a traceback.
    """
    name = "traceback.txt" if crash and event.exception is not None else "message.txt"
    return File(_unique(name, names), _bounded(written.whole_text(event).encode()), "text/plain; charset=utf-8")


def attach(
    attachments: Sequence[Attachment], names: set[str], *, beside: File | None
) -> tuple[list[File], list[Attachment]]:
    """Return the files that one message of Discord's takes, and the attachments it does not take.

    Args:
        attachments: of one event.
        names: of the message's files, in lower case; those of the new ones are added.
        beside: the event's own text, when that travels as a file.
    """
    files: list[File] = []
    left_out: list[Attachment] = []
    places = MAX_FILES - (beside is not None)
    room = MAX_REQUEST - (len(beside.data) if beside is not None else 0)
    for attachment in attachments:
        size = len(attachment.data)
        if not size or size > MAX_FILE or size > room or len(files) >= places:
            left_out.append(attachment)
            continue
        name = _unique(_name(attachment), names)
        files.append(File(name, attachment.data, content_type_of(attachment, name)))
        room -= size
    return files, left_out


def is_image(name: str) -> bool:
    """Say whether Discord shows the file of this name in an embed."""
    return PurePosixPath(name).suffix.lower() in _IMAGE_SUFFIXES


def _name(attachment: Attachment) -> str:
    """Return the attachment's name with the ending of an image: Discord goes by that when it decides what to show."""
    name = safe_name(attachment.filename)
    ending = _IMAGES.get(attachment.content_type or "")
    return name if ending is None or is_image(name) else f"{name}{ending}"


def _unique(name: str, names: set[str]) -> str:
    path = PurePosixPath(name)
    number = 1
    while name.lower() in names:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    names.add(name.lower())
    return name


def _bounded(data: bytes) -> bytes:
    """Return *data*, without its middle when it is more than a file may hold."""
    if len(data) <= MAX_FILE:
        return data
    half = MAX_FILE // 2 - 100  # leaves room for the mark
    mark = f"\n…[{len(data) - 2 * half} bytes cut: more than Discord takes]…\n"
    return (data[:half].decode(errors="ignore") + mark + data[-half:].decode(errors="ignore")).encode()
