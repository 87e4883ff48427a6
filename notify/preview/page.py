"""Messages as one page that loads nothing and runs nothing: what Discord would show of them."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from typing import Any

from notify.backends.discord.message import Message
from notify.backends.files import File
from notify.preview.markdown import block_html, inline_html
from notify.preview.style import STYLE

_MOST_OF_A_FILE = 50_000  # characters of a text file that the page holds
_SUPPRESS_NOTIFICATIONS = 1 << 12
_NOBODY = "Webhook"  # who speaks when the message names nobody: Discord shows the webhook's own name
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


def page(messages: Sequence[Message]) -> str:
    """Return *messages* as a page in HTML, images in it. Nothing that they say can become markup of the page."""
    articles = [_article(message.payload, message.files) for message in messages]
    colours = {
        embed["color"] for message in messages for embed in message.payload.get("embeds", ()) if "color" in embed
    }
    style = STYLE + "".join(
        f".{_class(colour)} {{ border-left-color: #{colour:06x}; }}\n" for colour in sorted(colours)
    )
    # By its hash: even if text got out of its place, no style or script that it brings along would count.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>As Discord shows it</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(articles)}</main>\n</body>\n</html>\n"
    )


def _article(payload: Mapping[str, Any], files: Sequence[File]) -> str:
    embeds: Sequence[Mapping[str, Any]] = payload.get("embeds", ())
    images = {file.name: file for file in files}
    in_embeds = {_image_name(embed) for embed in embeds}
    name = payload.get("username") or _NOBODY
    when = next((_time(embed["timestamp"]) for embed in embeds if "timestamp" in embed), "")
    silent = payload.get("flags", 0) & _SUPPRESS_NOTIFICATIONS
    parts = [
        f'<p class="who">{escape(name)} <span class="app">APP</span>{when}'
        f"{'<span class=silent>🔕 no sound</span>' if silent else ''}</p>",
        _markdown(payload.get("content", "")),
        *(_file(file) for file in files if file.name not in in_embeds),
        *(_embed(embed, images) for embed in embeds),
    ]
    return (
        f'<article>\n<div class="avatar" aria-hidden="true">{escape(name[:1].upper())}</div>\n<div>\n'
        f"{''.join(part + chr(10) for part in parts if part)}</div>\n</article>\n"
    )


def _embed(embed: Mapping[str, Any], images: Mapping[str, File]) -> str:
    title, footer, image = embed.get("title", ""), embed.get("footer"), _image_name(embed)
    author = embed.get("author")
    moment = _time(embed["timestamp"]) if "timestamp" in embed else ""
    small = " • ".join(part for part in (escape(footer["text"]) if footer else "", moment) if part)
    parts = [
        f'<p class="author">{escape(author["name"])}</p>' if author else "",  # its picture would have to be loaded
        f"<h2>{inline_html(title)}</h2>" if title else "",
        _markdown(embed.get("description", "")),
        _fields(embed.get("fields", ())),
        _image(images[image]) if image is not None and image in images else "",
        f"<footer>{small}</footer>" if small else "",
    ]
    colour = f" {_class(embed['color'])}" if "color" in embed else ""
    return f'<section class="embed{colour}">\n{"".join(part + chr(10) for part in parts if part)}</section>'


def _class(colour: int) -> str:
    return f"colour-{colour:06x}"


def _markdown(text: str) -> str:
    return f'<div class="markdown">{block_html(text)}</div>' if text else ""


def _fields(fields: Sequence[Mapping[str, Any]]) -> str:
    shown = [
        f'<div class="span{span}"><dt>{inline_html(field["name"])}</dt>'
        f'<dd class="markdown">{block_html(field["value"])}</dd></div>'
        for field, span in _placed(fields)
    ]
    return f'<dl class="fields">\n{"".join(part + chr(10) for part in shown)}</dl>' if shown else ""


def _placed(fields: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield each field with how many of twelve columns it gets: up to three that are inline share a row."""
    for inline, group in groupby(fields, lambda field: bool(field.get("inline"))):
        run = list(group)
        for number, field in enumerate(run):
            beside = min(3, len(run) - number // 3 * 3) if inline else 1
            yield field, 12 // beside


def _image_name(embed: Mapping[str, Any]) -> str | None:
    image = embed.get("image")
    return str(image["url"]).removeprefix("attachment://") if image else None


def _file(file: File) -> str:
    name = f'{escape(file.name)} <span class="size">{len(file.data):,} bytes</span>'
    if _image_type(file.data):
        return f'<div class="file">{name}{_image(file)}</div>'
    if not file.content_type.startswith("text/"):
        return f'<div class="file">📄 {name}</div>'
    text = file.data.decode(errors="replace")
    rest = len(text) - _MOST_OF_A_FILE
    cut = f"\n… {rest:,} more characters" if rest > 0 else ""
    return (
        f'<details class="file"><summary>📄 {name}</summary>\n'
        f"<pre>{escape(text[:_MOST_OF_A_FILE] + cut)}</pre></details>"
    )


def _image(file: File) -> str:
    kind = _image_type(file.data)
    if kind is None:
        return f'<p class="nothing">🖼 {escape(file.name)} is no picture that can be shown.</p>'
    data = base64.b64encode(file.data).decode()
    return f'<img alt="{escape(file.name)}" src="data:{kind};base64,{data}">'


def _image_type(data: bytes) -> str | None:
    return next((kind for start, kind in _IMAGES if data.startswith(start)), None)


def _time(iso: str) -> str:
    at = datetime.fromisoformat(iso).astimezone(UTC)
    return f'<time datetime="{escape(iso)}">{at:%Y-%m-%d %H:%M} UTC</time>'
