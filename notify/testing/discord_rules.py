"""What Discord refuses in the body of a webhook message, and how it says so."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

MAX_FILE = 10 * 2**20  # bytes of a file, as Discord documents
MAX_REQUEST = 25 * 2**20  # bytes of a request, as Discord documents
_MAX_EMBED_TEXT = 6000  # characters of all embeds of a message, as Discord documents
_MAX_MENTIONS = 100
_FLAGS = (1 << 2) | (1 << 12) | (1 << 15)  # the ones a webhook may set

# The keys of the documentation. Discord itself ignores others; here they are refused, because they are mistakes.
_KEYS = {
    "allowed_mentions": "parse users roles replied_user",
    "attachments": "id filename description duration_secs waveform title is_spoiler is_remix",
    "embeds": "title type description url timestamp color footer image thumbnail video provider author fields",
    "embeds.author": "name url icon_url proxy_icon_url",
    "embeds.fields": "name value inline",
    "embeds.footer": "text icon_url proxy_icon_url",
    "embeds.image": "url proxy_url height width",
    "embeds.thumbnail": "url proxy_url height width",
}
_TOP_KEYS = (
    "content username avatar_url tts embeds allowed_mentions components attachments flags thread_name applied_tags poll"
)

_EDIT_KEYS = "content embeds allowed_mentions components attachments flags"

# Most characters of a text, and whether it may be empty.
_TEXTS = {
    "content": (2000, True),
    "username": (80, False),
    "avatar_url": (2048, True),
    "embeds.title": (256, True),
    "embeds.description": (4096, True),
    "embeds.fields.name": (256, False),
    "embeds.fields.value": (1024, False),
    "embeds.footer.text": (2048, True),
    "embeds.author.name": (256, True),
    "attachments.filename": (1024, False),
}
_ITEMS = {"embeds": 10, "embeds.fields": 25, "attachments": 10, "allowed_mentions.users": 100}
_COUNTED = frozenset({"embeds.title", "embeds.description", "embeds.footer.text", "embeds.author.name"}) | {
    "embeds.fields.name",
    "embeds.fields.value",
}

Error = tuple[str, str, str]
"""Path with dots, Discord's code and its message."""


def refusal(
    payload: object, file_names: Sequence[str], *, kept: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Return the body of Discord's 400 for *payload*, None when Discord would take it.

    Args:
        payload: the parsed JSON of a message.
        file_names: of the files beside it, in order.
        kept: of a message that is to be changed: the names of its files, by Discord's ids.
    """
    if not isinstance(payload, dict):
        return {"message": "The request body contains invalid JSON.", "code": 50109}
    errors = [*_walk(payload, "", ""), *_by_schema(payload)]
    if kept is not None:
        errors += [(key, "UNKNOWN_KEY", "An edit cannot set this") for key in payload if key not in _EDIT_KEYS.split()]
    try:
        errors += _whole(payload, file_names, kept or {})
    except (AttributeError, TypeError, ValueError):
        errors.append(("_", "BASE_TYPE_BAD", "A value is of the wrong type"))
    if errors:
        return {"message": "Invalid Form Body", "code": 50035, "errors": _nested(errors)}
    if not (_text(payload.get("content")) or payload.get("embeds") or file_names):
        return {"message": "Cannot send an empty message", "code": 50006}
    return None


def _walk(value: object, path: str, rule: str) -> Iterator[Error]:
    """Find what is wrong in *value*; *rule* is its path without the numbers."""
    if isinstance(value, dict):
        known = _KEYS.get(rule, "" if rule else _TOP_KEYS).split()
        for key, inner in value.items():
            below = f"{path}.{key}" if path else key
            if known and key not in known:
                yield below, "UNKNOWN_KEY", "This key is not documented"
            yield from _walk(inner, below, f"{rule}.{key}" if rule else key)
    elif isinstance(value, list):
        if len(value) > _ITEMS.get(rule, _MAX_MENTIONS):
            yield path, "BASE_TYPE_MAX_LENGTH", f"Must be {_ITEMS.get(rule, _MAX_MENTIONS)} or fewer in length."
        for number, inner in enumerate(value):
            yield from _walk(inner, f"{path}.{number}", rule)
    elif isinstance(value, str) and rule in _TEXTS:
        most, may_be_empty = _TEXTS[rule]
        if len(_text(value)) > most:
            yield path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length."
        if not _text(value) and not may_be_empty:
            yield path, "BASE_TYPE_REQUIRED", "This field is required"


def _whole(payload: Mapping[str, Any], file_names: Sequence[str], kept: Mapping[str, str]) -> Iterator[Error]:
    """Find what is wrong between the parts of *payload*."""
    embeds = [embed for embed in payload.get("embeds") or [] if isinstance(embed, dict)]
    if sum(_counted(embed, "embeds") for embed in embeds) > _MAX_EMBED_TEXT:
        yield "embeds", "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {_MAX_EMBED_TEXT}"
    for number, embed in enumerate(embeds):
        if not any(
            _shows(embed.get(part)) for part in ("title", "description", "fields", "image", "thumbnail", "author")
        ):
            yield f"embeds.{number}.description", "BASE_TYPE_REQUIRED", "This field is required"
        shown = str((embed.get("image") or {}).get("url", ""))
        if shown.startswith("attachment://") and shown.removeprefix("attachment://") not in (
            *file_names,
            *kept.values(),
        ):
            yield f"embeds.{number}.image.url", "URL_TYPE_INVALID_URL", "Referenced attachment not found"
    name = str(payload.get("username") or "").lower()
    for refused in ("discord", "clyde"):
        if refused in name:
            yield "username", "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{refused}"'
    if name in ("everyone", "here"):
        yield "username", "USERNAME_INVALID", f'Username cannot be "{name}"'
    if int(payload.get("flags") or 0) & ~_FLAGS:
        yield "flags", "NUMBER_TYPE_INVALID", "These flags cannot be set"
    ids = [str(attachment.get("id")) for attachment in payload.get("attachments") or []]
    ids = [one for one in ids if one not in kept]
    if "attachments" in payload and sorted(ids) != sorted(str(number) for number in range(len(file_names))):
        yield "attachments", "ATTACHMENT_NOT_FOUND", "Attachment data not found"
    mentions = payload.get("allowed_mentions") or {}
    for kind in ("users", "roles"):
        if mentions.get(kind) and kind in (mentions.get("parse") or []):
            yield "allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", f"parse and {kind} exclude each other"


def _by_schema(payload: object) -> Iterator[Error]:
    """Find what Discord's own schema objects to; nothing where jsonschema is not installed."""
    try:
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it carries no types
    except ImportError:
        return
    for error in Draft202012Validator(_schema()).iter_errors(payload):
        yield ".".join(str(part) for part in error.absolute_path) or "_", "SCHEMA", error.message[:200]


@cache
def _schema() -> dict[str, Any]:
    text = files("notify.testing").joinpath("discord_webhook.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _text(value: object) -> str:
    """Return a text as Discord measures it: without the space around it."""
    return value.strip() if isinstance(value, str) else ""


def _counted(value: object, rule: str) -> int:
    if isinstance(value, dict):
        return sum(_counted(inner, f"{rule}.{key}") for key, inner in value.items())
    if isinstance(value, list):
        return sum(_counted(inner, rule) for inner in value)
    return len(_text(value)) if rule in _COUNTED else 0


def _shows(part: object) -> bool:
    return bool(_text(part)) if isinstance(part, str) else bool(part)


def _nested(errors: Sequence[Error]) -> dict[str, Any]:
    """Return *errors* in Discord's shape: objects by path, each with a list `_errors` at its end."""
    nested: dict[str, Any] = {}
    for path, code, message in errors:
        place = nested
        for name in path.split("."):
            place = place.setdefault(name, {})
        place.setdefault("_errors", []).append({"code": code, "message": message})
    return nested
