"""Rows and columns in a monospace font, for the narrow screen of a phone and for files."""

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate, zip_longest

from notify.plain import clean, jsonable, safe_str

PHONE = 34
"""Columns of monospace text that a phone 360 pixels wide shows in Discord's embeds without breaking a line."""

_GAP = "  "
_NOTHING = "–"
_MORE = re.compile(r"… [0-9]+ more|<unreadable .*>", re.DOTALL)  # what `plain.keep` puts at the end of a list
_NUMBER = re.compile(r"\W{0,3}[0-9][0-9.,_'’\u00a0\u202f]*(?:e[+-]?[0-9]+)?\s?\S{0,5}", re.IGNORECASE)
_CELL = 500  # characters: with longer ones it is a list of texts, and padding would make a flood of them
_DIGITS = 8  # of the largest number in a column
_LEAST, _MOST = 1e-6, 1e15  # the magnitudes that this shows well
_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_EMOJI_STYLE, _JOINER = "\ufe0f", "\u200d"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of the same columns, as text.

    Args:
        rows: the names of the columns first, when they have names.
        named: whether they do.
        left_out: said below: how many rows were too many, if any were.
    """

    rows: tuple[tuple[str, ...], ...]
    named: bool
    left_out: str = ""

    def __len__(self) -> int:
        """How many rows there are, without the names."""
        return len(self.rows) - self.named

    def rows_within(self, limit: int) -> int:
        """Return how many of the first rows have no more than *limit* characters: others need not be drawn to tell."""
        sizes = accumulate(sum(map(len, row)) for row in self.rows[self.named :])
        return sum(size <= limit for size in sizes)

    def first(self, count: int) -> "Table":
        """Return the table with its first *count* rows, and a word on how many are left out."""
        left = len(self) - count
        if left <= 0:
            return self
        return replace(self, rows=self.rows[: count + self.named], left_out=f"… {left} more")

    def draw(self, most: int | None = PHONE) -> str:
        """Return the table as lines of text, numbers to the right.

        Columns that find no room go on below, beside the first column again, and cells that are too wide are folded:
        nothing is left out.

        Args:
            most: columns of a line, at least 10; None takes as many as it needs.
        """
        sheet = list(zip(*self.rows, strict=True))
        right = [_is_numeric(column[self.named :]) or _is_numeric(column[1:]) for column in sheet]
        if most is not None:
            limit = (most - len(_GAP)) // 2
            sheet[0] = tuple(_folded(cell, limit) for cell in sheet[0])
            limit = most - len(_GAP) - _width(sheet[0])
            sheet[1:] = [tuple(_folded(cell, limit) for cell in column) for column in sheet[1:]]
        blocks = [
            "\n".join(_lines([sheet[number] for number in group], [right[number] for number in group]))
            for group in _groups([_width(column) for column in sheet], most)
        ]
        return "\n\n".join(blocks) + (f"\n{self.left_out}" if self.left_out else "")


def table_of(value: object) -> Table | None:
    """Return *value* as a table, None when it is none: neither a list of dicts nor a list of at least two lists.

    Columns of floats get the same number of decimals. With a cell of more than 500 characters it is no table. Raises
    nothing for what `plain.keep` returns.
    """
    if not isinstance(value, list | tuple) or not value:
        return None
    given, left_out = list(value), ""
    if len(given) > 1 and isinstance(given[-1], str) and _MORE.fullmatch(given[-1]):
        left_out = given.pop()
    if all(isinstance(row, Mapping) and row for row in given):
        names = list(dict.fromkeys(name for row in given for name in row))
        columns = [[row.get(name) for row in given] for name in names]
        sheet = [(_one_line(safe_str(name)), *_cells(column)) for name, column in zip(names, columns, strict=True)]
    elif len(given) > 1 and all(isinstance(row, list | tuple) and row for row in given):
        names = []
        sheet = [tuple(_cells(column)) for column in zip_longest(*given, fillvalue="")]
    else:
        return None
    if any(len(cell) > _CELL for column in sheet for cell in column):
        return None
    return Table(tuple(zip(*sheet, strict=True)), bool(names), left_out)


def columns_of(text: str) -> int:
    """Return how many columns *text* takes in a monospace font: most emoji and the characters of East Asia take two."""
    return len(text) if text.isascii() else sum(_advances(text))


def _advances(text: str) -> Iterator[int]:
    """Yield what each character adds to the width: 0 for what belongs to the one before."""
    before, added = "", 0
    for character in text:
        if character == _EMOJI_STYLE:
            added = 1 if added == 1 and before.strip() else 0  # it makes an emoji of a sign
        elif before == _JOINER or character in _SKIN_TONES or unicodedata.category(character) in _ZERO_WIDTH:
            added = 0
        else:
            added = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        before = character
        yield added


def _cells(column: Sequence[object]) -> Iterator[str]:
    decimals = _common_decimals(column)
    for value in column:
        if value is None:
            yield _NOTHING
        elif decimals is not None and isinstance(value, int | float):
            yield f"{value:,.{decimals}f}"
        elif isinstance(value, Mapping | list | tuple):
            yield _one_line(json.dumps(jsonable(value), ensure_ascii=False))
        else:
            yield _one_line(safe_str(value))


def _common_decimals(column: Sequence[object]) -> int | None:
    """Return how many decimals show all numbers of a column of floats; None for what is better left as it is.

    The largest gets eight digits, as what is behind them is noise of the arithmetic, and the smallest at least three.
    """
    numbers = [value for value in column if isinstance(value, float) or type(value) is int]
    if len(numbers) != sum(value is not None for value in column) or all(type(value) is int for value in numbers):
        return None
    # An integer is finite, and may be too large to be asked.
    sizes = [abs(value) for value in numbers if value and (type(value) is int or math.isfinite(value))]
    if not sizes:
        return 0
    if not _LEAST <= min(sizes) <= max(sizes) < _MOST:
        return None
    wanted = max(_DIGITS - 1 - _magnitude(max(sizes)), 2 - _magnitude(min(sizes)), 2)
    needed = max(len(f"{size:.{wanted}f}".rstrip("0").partition(".")[2]) for size in sizes)
    return 2 if needed == 1 else needed  # 3,450.10 rather than 3,450.1


def _magnitude(size: float) -> int:
    return math.floor(math.log10(size))


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _is_numeric(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell not in ("", _NOTHING)]
    return bool(said) and all(_NUMBER.fullmatch(cell) or _is_special(cell) for cell in said)


def _is_special(cell: str) -> bool:
    try:
        return not Decimal(cell).is_finite()
    except ArithmeticError:
        return False


def _folded(cell: str, limit: int) -> str:
    """Return *cell* in lines of at most *limit* columns, parted between words where there is a place for that."""
    if columns_of(cell) <= limit:
        return cell
    lines: list[str] = []
    start = taken = 0
    for at, advance in enumerate(_advances(cell)):
        if taken + advance > limit and at > start:
            space = cell.rfind(" ", start + (at - start) // 2, at + 1)
            end = space if space > start else at
            lines.append(cell[start:end].strip())
            start = end
            taken = columns_of(cell[start:at].lstrip())
        taken += advance
    return "\n".join([*lines, cell[start:].strip()])


def _width(column: Sequence[str]) -> int:
    return max(columns_of(line) for cell in column for line in cell.split("\n"))


def _groups(widths: Sequence[int], most: int | None) -> list[list[int]]:
    """Return which columns stand side by side, the first of them in each group."""
    groups = [[0]]
    room = 0
    for number, width in enumerate(widths[1:], start=1):
        room -= width + len(_GAP)
        if most is not None and room < 0:
            groups.append([0])
            room = most - widths[0] - width - len(_GAP)
        groups[-1].append(number)
    return [group for group in groups if len(group) > 1] or [[0]]


def _lines(columns: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    widths = [_width(column) for column in columns]
    for row in zip(*columns, strict=True):
        for parts in zip_longest(*(cell.split("\n") for cell in row), fillvalue=""):
            yield _GAP.join(map(_padded, parts, widths, right)).rstrip()


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - columns_of(cell))
    return space + cell if right else cell + space
