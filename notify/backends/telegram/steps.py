"""What has to be sent for one event, request by request."""

from dataclasses import dataclass, replace

from notify.backends.files import File, described, left_out
from notify.backends.http import Part
from notify.backends.telegram import message, text
from notify.backends.telegram.files import attach, is_photo, text_file
from notify.backends.telegram.text import Block
from notify.event import Event

CAPTION = 1024  # UTF-16 units of the text with a file, as Telegram documents
_MESSAGES = 3  # of one event; what needs more goes as one, with its whole text in a file


@dataclass(frozen=True, slots=True)
class Step:
    """One request of the Bot API.

    Args:
        blocks: the text, or the caption of the file; may be empty beside a file.
        file: goes with it.
        as_photo: shown as a picture, and not as a file to open.
        as_plain_text: without markup.
        silent: makes no sound.
    """

    blocks: tuple[Block, ...] = ()
    file: File | None = None
    as_photo: bool = False
    as_plain_text: bool = False
    silent: bool = False

    @property
    def method(self) -> str:
        """The name of the request."""
        if self.file is None:
            return "sendMessage"
        return "sendPhoto" if self.as_photo else "sendDocument"

    def json(self, chat_id: int) -> dict[str, object]:
        """Return the body of a request without a file."""
        # Previews of links would be fetched by Telegram, and push the message out of sight.
        return {"chat_id": chat_id, "link_preview_options": {"is_disabled": True}, **self._shown("text")}

    def parts(self, chat_id: int) -> list[Part]:
        """Return the body of a request with a file."""
        if self.file is None:
            return []
        fields = {"chat_id": str(chat_id), **self._shown("caption")}
        if self.as_photo and self.blocks:
            fields["show_caption_above_media"] = True
        values = {name: "true" if value is True else str(value) for name, value in fields.items()}
        kind = "photo" if self.as_photo else "document"
        return [
            *(Part(name, value.encode(), content_type="text/plain; charset=utf-8") for name, value in values.items()),
            Part(kind, self.file.data, self.file.name, self.file.content_type),
        ]

    def less(self) -> "Step | None":
        """Return what to try instead once Telegram has refused this; None when everything was tried.

        A picture is sent as a document, a document is left out with a word about it, HTML becomes plain text.
        """
        if self.as_photo:
            return replace(self, as_photo=False)
        if self.file is not None:
            what = described(self.file.name, len(self.file.data))
            note = Block(f"✂️ Left out, because Telegram refused it: {what}.")
            return replace(self, file=None, blocks=(*self.blocks, note))
        return None if self.as_plain_text else replace(self, as_plain_text=True)

    def _shown(self, name: str) -> dict[str, object]:
        """Return the text under the *name* that this request has for it, and whether it makes a sound."""
        shown: dict[str, object] = {}
        if self.blocks and self.as_plain_text:
            shown[name] = text.plain(self.blocks)
        elif self.blocks:
            shown |= {name: text.html(self.blocks), "parse_mode": "HTML"}
        if self.silent:
            shown["disable_notification"] = True
        return shown


def steps_for(event: Event, *, silent: bool) -> list[Step]:
    """Return the requests for *event*, at least one. Only the first makes a sound, and none does when *silent*.

    Never raises for what is in an event.
    """
    files, missing = attach(event.attachments)
    note = left_out(missing, "Telegram")
    parts = message.messages(event, note, _MESSAGES)
    if parts is None:
        whole = text_file(event)
        files.insert(0, whole)
        parts = [message.head(event, "\n".join(filter(None, (f"📎 The whole text is in {whole.name}.", note))))]
    steps = [Step(tuple(part)) for part in parts]
    if files and is_photo(files[0]) and len(parts) == 1 and message.fits(parts[0], CAPTION):
        steps = [Step(tuple(parts[0]), files.pop(0), as_photo=True)]
    steps += [Step(file=file, as_photo=is_photo(file)) for file in files]
    return [replace(step, silent=silent or number > 0) for number, step in enumerate(steps)]
