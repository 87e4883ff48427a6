"""Text as Discord shows it: escaped, fenced, cut."""

import re
import unicodedata
from collections.abc import Callable

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

# What Discord's Markdown acts on, and no more. An underscore between letters or digits is inert, one next to
# another is not; \ escapes only what is no letter, digit or space; > and # act at the start of a line, before a space.
_ACTIVE = re.compile(
    r"""
      (?P<url>https?://[^\s<>*`|\\\]]+)
    | (?P<mark>
          [*`] | ~~ | \|\|
        | \\(?![0-9A-Za-z\s])
        | _(?![0-9A-Za-z]) | (?<![0-9A-Za-z])_
        | <(?=[@\#:/]|a:|t:|id:)
      )
    | (?P<link>\]\()
    | (?P<start>^[ \t]*(?:>>>|>|\#{1,3}|-\#)(?=\s))
    """,
    re.VERBOSE | re.MULTILINE,
)
_BACKTICKS = re.compile("`{3,}")
_FRAME = re.compile(r'^ +File "[^\n]*, line [0-9]+', re.MULTILINE)  # as tracebacks and faulthandler have it
_LONGEST_CHARACTER = 16  # code points of an emoji of a family with skin tones; more is no character but an attack
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")  # they belong to what stands before or after them


def visible(text: str) -> str:
    """Return *text* with control characters, lone surrogates and bidirectional overrides written out."""
    return clean(text).replace("\r\n", "\n").translate(_SHOWN)


def is_blank(text: str) -> bool:
    """Say whether there is nothing to see in *text*: Discord refuses an embed or field of that kind."""
    return all(
        character.isspace() or character in _FILLERS or unicodedata.category(character) in _HIDDEN_CATEGORIES
        for character in text
    )


def length(text: str) -> int:
    """Return the length of *text* in UTF-16 units.

    Discord's documented limits count code points, which are never more. But it refused a description of 2491
    emoji and took 2490, and this unit keeps clear of that second limit.
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def escape(text: str) -> str:
    r"""Return *text* so that Discord shows it as it is.

    Escapes only what Discord's Markdown would act on: `snake_case`, `C:\path`, `#1` and addresses stay as they are.
    """
    return _ACTIVE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    found = match.group()
    if match["url"]:
        return found
    if match["link"]:
        return r"]\("
    if match["start"]:
        indent = len(found) - len(found.lstrip(" \t"))
        return f"{found[:indent]}\\{found[indent:]}"
    return "".join(f"\\{character}" for character in found)


def bold(text: str) -> str:
    """Return one line of *text*, escaped, in bold."""
    return f"**{escape(text.strip())}**"


def fence(text: str) -> str:
    """Return *text* as a block of code that nothing in it can end."""
    text = _BACKTICKS.sub(lambda match: "\u200b".join(match.group()), text.strip("\n"))
    return f"```\n{text}\n```"


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


def head_that_fits(text: str, limit: int, render: Callable[[str], str]) -> tuple[str, bool]:
    """Return the rendered beginning of *text* that is at most *limit* long, and whether that is all of it.

    It ends between words if there is one nearby, and never inside an emoji. Empty when nothing fits.
    """
    if len(text) <= limit and length(whole := render(text)) <= limit:
        return whole, True
    most = most_that_fit(min(len(text), max(0, limit)), lambda count: length(render(text[:count])) <= limit)
    nearby = text[most * 3 // 4 : most]
    breaks = max(nearby.rfind("\n"), nearby.rfind(" "))
    end = most * 3 // 4 + breaks if breaks > 0 and not text[most : most + 1].isspace() else most
    for earlier in range(end, max(0, end - _LONGEST_CHARACTER), -1):
        if not _joins(text, earlier):
            end = earlier
            break
    shown = text[:end].rstrip()
    # A shorter text may be one longer when rendered: a character at the end is escaped that was not in the middle.
    while length(rendered := render(shown)) > limit and shown:
        shown = shown[:-1]
    return (rendered if shown else ""), False


def tail_that_fits(text: str, limit: int, render: Callable[[str], str]) -> tuple[str, bool]:
    """Return the rendered end of *text* that is at most *limit* long, and whether that is all of it.

    It begins at a line's start if there is one nearby. Empty when nothing fits.
    """
    if len(text) <= limit and length(whole := render(text)) <= limit:
        return whole, True
    size = len(text)
    most = most_that_fit(min(size, max(0, limit)), lambda count: length(render("…\n" + text[size - count :])) <= limit)
    shown = text[size - most :] if most else ""
    line = shown.find("\n")
    if 0 <= line < len(shown) // 2:
        shown = shown[line + 1 :]
    return (render("…\n" + shown), False) if shown else ("", False)


def most_that_fit(high: int, fits: Callable[[int], bool]) -> int:
    """Return about the largest count up to *high* that fits, 0 if none does."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


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
