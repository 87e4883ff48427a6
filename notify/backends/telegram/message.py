"""One event as the blocks of its messages."""

from collections.abc import Sequence
from dataclasses import replace

from notify.backends.telegram.text import Block, Style, html, split, tail
from notify.backends.text import SECTION_BREAK, WIDE, is_blank, is_table, length, sections, visible
from notify.backends.written import origin_name, value_text
from notify.event import Event, ExceptionInfo
from notify.levels import severity

LIMIT = 4096  # UTF-16 units of a message, as Telegram documents
_HEADING = 256  # characters of a first line that is bold
_NUMBER = 20  # UTF-16 units that a message's number may take
_LOG = "Last log lines"

# UTF-16 units of what stands at the end of a message whose whole text is in a file. The rest is for its beginning.
_SUMMARY = 400
_TRACE = 1200
_NOTE = 500
_LAST = 300

# Least severity and emoji, as readers of trade-executor's chats know them.
_EMOJI = ((50, "🆘"), (40, "❌"), (30, "⚠️"), (21, "💰"))


def messages(event: Event, note: str, most: int) -> list[list[Block]] | None:
    """Return *event* as numbered messages, None when it needs more than *most* of them.

    Never raises for what is in an event.

    Args:
        event: what happened.
        note: said at the end, when there is one.
        most: at least 1.
    """
    ends = [*_exception(event), *_log(event), *_note(note), _small(event)]
    parts: list[list[Block]] = []
    for part in split([*_front(event), *ends], LIMIT - _NUMBER):
        if len(parts) == most:
            return None
        parts.append(part)
    if len(parts) == 1:
        return parts
    return [[*part, Block(f"({number}/{len(parts)})", Style.SMALL)] for number, part in enumerate(parts, start=1)]


def head(event: Event, note: str) -> list[Block]:
    """Return one message with the beginning of *event*, the end of its traceback, and *note*.

    Args:
        event: what happened, too much for some messages.
        note: says where the rest is.
    """
    ends: list[Block] = []
    if event.exception is not None:
        ends += _within(_summary(event.exception, event.message), _SUMMARY)
        trace = visible(event.exception.traceback).strip("\n")
        end = tail(trace, _TRACE)
        mark = "" if end == trace else "…\n"
        ends += [] if is_blank(end) else [Block(mark + end, Style.MONOSPACE, gap="\n" if ends else "\n\n")]
    ends += [*_within(_note(note), _NOTE), *_within([_small(event)], _LAST)]
    room = LIMIT - length(html(ends)) - len("\n\n")
    return [*_within(_front(event), room), *ends]


def fits(part: Sequence[Block], limit: int) -> bool:
    """Say whether a message's HTML is at most *limit* UTF-16 units long."""
    return length(html(part)) <= limit


def _emoji(level: int) -> str:
    level = severity(level)
    return next((sign for least, sign in _EMOJI if level >= least), "")


def _within(blocks: Sequence[Block], room: int) -> list[Block]:
    return next(split(blocks, room), [])


def _note(note: str) -> list[Block]:
    return [Block(visible(note))] if note else []


def _front(event: Event) -> list[Block]:
    """Return message, body and fields."""
    said, body = visible(event.message).strip(), visible(event.body)
    first, _, rest = said.partition("\n")
    sign = _emoji(event.level)
    if is_blank(first) or first.strip() == SECTION_BREAK or len(first) > _HEADING:
        heading, blocks, texts = "", [], [said, body]
    else:
        heading = f"{sign} {first.strip()}".strip()
        blocks, texts = [Block(heading, bold=len(heading))], [rest, body]
    for text in texts:
        separated = any(line.strip() == SECTION_BREAK for line in text.split("\n"))
        for section in sections(text):
            blocks += _section(section, heading=separated)
    if sign and not heading:
        blocks = _with_sign(sign, blocks)
    for number, (name, value) in enumerate(event.fields.items()):
        blocks += _field(visible(name).strip(), visible(value_text(value)).strip("\n"), "\n" if number else "\n\n")
    blocks = blocks or [Block("(no text)")]
    if said_by := origin_name(event):
        return [Block(said_by, Style.SMALL), replace(blocks[0], gap="\n"), *blocks[1:]]
    return blocks


def _with_sign(sign: str, blocks: list[Block]) -> list[Block]:
    """Return *blocks*, which have no heading, with an emoji in front."""
    first = blocks[0] if blocks else None
    if first is None or first.style is not Style.PLAIN:
        return [Block(sign), *blocks]
    bold = first.bold and first.bold + len(f"{sign} ")
    return [replace(first, text=f"{sign} {first.text}", bold=bold), *blocks[1:]]


def _section(section: str, *, heading: bool) -> list[Block]:
    first, _, rest = section.partition("\n")
    heading = heading and len(first) <= WIDE
    if not is_table(section):
        return [Block(section, bold=len(first) if heading else 0)]
    if heading and "  " not in first.strip():
        return [Block(first, bold=len(first)), Block(rest, Style.MONOSPACE, gap="\n")]
    return [Block(section, Style.MONOSPACE)]


def _field(name: str, value: str, gap: str) -> list[Block]:
    name = "–" if is_blank(name) else name
    value = "–" if is_blank(value) else value
    if is_table(value):
        return [Block(f"{name}:", bold=len(name), gap=gap), Block(value, Style.MONOSPACE, gap="\n")]
    return [Block(f"{name}: {value}", bold=len(name), gap=gap)]


def _exception(event: Event) -> list[Block]:
    raised = event.exception
    if raised is None:
        return []
    blocks = _summary(raised, event.message)
    trace = visible(raised.traceback).strip("\n")
    return blocks if is_blank(trace) else [*blocks, Block(trace, Style.MONOSPACE, gap="\n" if blocks else "\n\n")]


def _summary(raised: ExceptionInfo, said: str) -> list[Block]:
    """Return the exception in a line, unless the message says it, as that of a crash does."""
    summary = f"{raised.type}: {raised.message}".strip()
    if summary in said or is_blank(summary):
        return []
    return [Block(visible(summary), bold=len(visible(raised.type)))]


def _log(event: Event) -> list[Block]:
    lines = visible("\n".join(event.tail)).strip("\n")
    if is_blank(lines):
        return []
    return [Block(_LOG, bold=len(_LOG)), Block(lines, Style.MONOSPACE, gap="\n")]


def _small(event: Event) -> Block:
    """Return topic, logger and id in one line."""
    parts = (" ".join(visible(part).split()) for part in (event.topic, event.logger, event.id))
    return Block(" · ".join(part for part in parts if not is_blank(part)) or "–", Style.SMALL)
