"""Discord's Markdown as HTML: as much of it as messages of this package have in them, and everything else as it is."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape

_FENCE = re.compile(r"```(?:[a-z0-9_+\-.#]+\n)?\n*([^\n].*?)\n*```\n?", re.IGNORECASE | re.DOTALL)
_NO_FENCE = re.compile(r"(?:\\.|(?!```).)+|.", re.DOTALL)
_QUOTE = re.compile(r"(?:^>[ ][^\n]*(?:\n|\Z))+", re.MULTILINE)
_INLINE = re.compile(
    r"""
      \\(?P<escaped>[^0-9A-Za-z\s])
    | (?<!`)(?P<ticks>`{1,2})(?!`)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)
    | (?P<url>https?://[^\s<>*`|\\\]]+)
    | \[(?P<label>(?:\\.|[^\]\\])+)\]\((?P<target>https?://[^\s()<>\\]+)\)
    | \*\*(?=\S)(?P<bold>(?:\\.|[^\\])+?)\*\*(?!\*)
    | \*(?=[^\s*])(?P<star>(?:\\.|[^\\*])+)\*
    | (?<![0-9A-Za-z])_(?P<line>(?:\\.|[^\\_])+)_(?![0-9A-Za-z])
    | <@(?P<role>&?)(?P<mention>[0-9]{1,20})>
    | <t:(?P<moment>-?[0-9]{1,12})(?::[tTdDfFR])?>
    """,
    re.VERBOSE | re.DOTALL,
)
_MOST_NESTED = 4


def block_html(text: str) -> str:
    """Return *text* with its blocks of code, its quotes and all that `inline_html` knows."""
    return "".join(_blocks(text))


def inline_html(text: str, *, depth: int = 0) -> str:
    """Return one paragraph: bold, italics, code, links, mentions and times. Everything else is escaped.

    Args:
        text: as it is in the payload.
        depth: of the marks around it.
    """
    shown: list[str] = []
    at = 0
    for found in _INLINE.finditer(text):
        shown += (escape(text[at : found.start()]), _piece(found, depth))
        at = found.end()
    return "".join([*shown, escape(text[at:])])


def _blocks(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if fence := _FENCE.match(text, at):
            yield f"<pre><code>{escape(fence[1])}</code></pre>"
            at = fence.end()
            continue
        plain = _NO_FENCE.match(text, at)
        end = plain.end() if plain else len(text)
        yield from _around(_QUOTE, text[at:end], _quote)
        at = end


def _around(pattern: re.Pattern[str], text: str, render: Callable[[str], str]) -> Iterator[str]:
    at = 0
    for found in pattern.finditer(text):
        yield inline_html(text[at : found.start()])
        yield render(found[0])
        at = found.end()
    yield inline_html(text[at:])


def _quote(lines: str) -> str:
    quoted = "\n".join(line[2:] for line in lines.rstrip("\n").split("\n"))
    return f"<blockquote>{inline_html(quoted)}</blockquote>"


def _piece(found: re.Match[str], depth: int) -> str:
    def nested(text: str) -> str:
        return inline_html(text, depth=depth + 1) if depth < _MOST_NESTED else escape(text)

    if (character := found["escaped"]) is not None:
        return escape(character)
    if found["code"] is not None:
        return f"<code>{escape(found['code'])}</code>"
    if found["url"] is not None:
        return _link(found["url"], escape(found["url"]))
    if found["label"] is not None:
        return _link(found["target"], nested(found["label"]))
    if found["bold"] is not None:
        return f"<strong>{nested(found['bold'])}</strong>"
    if (leaning := found["star"] or found["line"]) is not None:
        return f"<em>{nested(leaning)}</em>"
    if found["mention"] is not None:
        return f'<span class="mention">@{"role" if found["role"] else "user"} {found["mention"]}</span>'
    return _time(int(found["moment"]), found[0])


def _link(target: str, label: str) -> str:
    address = escape(target)
    return f'<a href="{address}" title="{address}" rel="noreferrer noopener">{label}</a>'


def _time(moment: int, written: str) -> str:
    try:
        at = datetime.fromtimestamp(moment, UTC)
    except (ValueError, OverflowError, OSError):
        return escape(written)
    return f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M} UTC</time>'
