"""Text as Discord shows it: escaped, fenced, cut."""

import re
from collections.abc import Callable

from notify.backends.text import (
    SECTION_BREAK,
    WIDE,
    is_blank,
    is_table,
    length,
    sections,
    visible,
    whole_characters,
)

__all__ = [
    "SECTION_BREAK", "WIDE", "bold", "escape", "fence", "head_that_fits", "is_blank", "is_table", "length",
    "most_that_fit", "sections", "tail_that_fits", "visible",
]  # fmt: skip

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
    shown = text[: whole_characters(text, end)].rstrip()
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
