"""Text as people see it, whatever shows it: what is visible of it, its sections and tables, where it can be cut."""

import re
import unicodedata

from notify.plain import clean

SECTION_BREAK = "…"
"""A line that holds only this separates sections, as in trade-executor's reports."""

WIDE = 60
"""Characters above which a line is no heading."""

# Control characters become their pictures, C1 and bidirectional overrides their escapes: nothing hides, nothing acts.
_SHOWN: dict[int, str] = (
    {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
    | {0x7F: "\u2421", 0x2028: "\n", 0x2029: "\n"}
    | {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
    | {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
)
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters by category, blank to the eye
_FRAME = re.compile(r'^ +File "[^\n]*, line [0-9]+', re.MULTILINE)  # as tracebacks and faulthandler have it
_LONGEST_CHARACTER = 16  # code points of an emoji of a family with skin tones; more is no character but an attack
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")  # they belong to what stands before or after them


def visible(text: str) -> str:
    """Return *text* with control characters, lone surrogates and bidirectional overrides written out."""
    return clean(text).replace("\r\n", "\n").translate(_SHOWN)


def is_blank(text: str) -> bool:
    """Say whether there is nothing to see in *text*: services refuse a message or a part of one that is so."""
    return all(
        character.isspace() or character in _FILLERS or unicodedata.category(character) in _HIDDEN_CATEGORIES
        for character in text
    )


def length(text: str) -> int:
    """Return the length of *text* in UTF-16 units.

    Telegram counts these. Discord's documented limits count code points, which are never more. But it refused a
    description of 2491 emoji and took 2490, and this unit keeps clear of that second limit.
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def sections(text: str) -> list[str]:
    """Return the sections of *text*, without blank ones and without the lines that separate them."""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip() == SECTION_BREAK:
            found.append([])
        else:
            found[-1].append(line.rstrip())
    return [section for lines in found if not is_blank(section := "\n".join(lines).strip("\n"))]


def is_table(section: str) -> bool:
    """Say whether *section* is laid out for a monospace font.

    That is columns set apart by spaces or bars in more than one line, or the stack of a program.
    """
    lines = section.split("\n")
    columns = sum("  " in line.strip() or sum(map(line.count, "|│┃")) > 1 for line in lines)
    return columns > 1 or _FRAME.search(section) is not None


def whole_characters(text: str, most: int) -> int:
    """Return how much of the beginning of *text* can be shown without part of what is seen as one character.

    Args:
        text: any.
        most: code points that there is room for; returned when all that is before it would belong to one character.
    """
    for end in range(most, max(0, most - _LONGEST_CHARACTER), -1):
        if not _joins(text, end):
            return end
    return most


def _joins(text: str, at: int) -> bool:
    """Say whether cutting *text* at *at* would part what is seen as one character."""
    if at >= len(text):
        return False
    after = text[at]
    return (
        after in _JOINERS
        or text[at - 1] == "\u200d"
        or unicodedata.combining(after) != 0
        or 0x1F3FB <= ord(after) <= 0x1F3FF  # skin tones
    )
