"""The words that a wallet can be restored from: twelve or more of the standard's (BIP-39) in a row.

Between them may stand what lists and numbers are written with, and capitals are no matter. Ordinary sentences seldom
get that far. Of those that do, fifteen in sixteen lack the checksum that a mnemonic has in its last word. One word that
is numbered again and again, `pair1, pair2, pair3 …`, is a list of something, and no part of such a row.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from notify.rules.mnemonic_words import PLACES

FEWEST = 12
SHORTEST = FEWEST * 3 + FEWEST - 1
"""Characters of the shortest such row: words of three letters, and one character between each two."""

_SIZES = (12, 15, 18, 21, 24)  # words of a mnemonic
_LONGEST_TRIED = 48  # words: what goes on for longer is no sentence, and every place in it would be tried
_BITS = 11  # of a word

_AS_WORDS = bytes(code | 32 if chr(code).isalpha() else 32 for code in range(128)) + b" " * 128  # in small letters
# Values differ in their low bits, by which `in` skips ahead.
_STRETCH = b"\1" * SHORTEST
_NO_NUMBERS = bytes(chr(code).isalpha() or code in b" \t\r\n,;'\"[](){}\\|/+-_" for code in range(128)) + bytes(128)

_WORD = re.compile(r"[A-Za-z]+")
# A line break that is written out ends in a letter, which would seem part of the next word.
_WRITTEN_OUT = re.compile(r"\\[nrt]")
_WRITTEN_OUT_IN_DATA = re.compile(rb"\\[nrt]")
_LONGEST_GAP = 24  # characters between two words: quotes, a comma, an indented line, a number
_LONGEST = _SIZES[-1] * (_LONGEST_GAP + 8)  # characters of a mnemonic
_SAYS_SO = re.compile(r"mnemonic|seed|phrase|recover", re.IGNORECASE)
_BEFORE, _BEHIND = 48, 24  # characters around a row in which it may be said what it is


class _Word(NamedTuple):
    start: int
    end: int
    place: int


def hint(data: bytes) -> bool:
    """Say whether *data*, a text in UTF-8, may hold such a row. Wrong only in saying yes.

    Twelve words come without a number between them or are numbered, which is rare enough to look for first: 0.5 us for
    330 characters. Then each twelfth word is looked at, and from one of the standard's backwards.
    """
    if _STRETCH not in data.translate(_NO_NUMBERS) and not (b"11" in data and b"10" in data):
        return False
    if b"\\" in data:
        data = _WRITTEN_OUT_IN_DATA.sub(b"  ", data)
    words = data.translate(_AS_WORDS).split()
    last = FEWEST - 1
    while last < len(words):
        fitting = 0
        while fitting < FEWEST and words[last - fitting] in PLACES:
            fitting += 1
        if fitting == FEWEST:
            return True
        last += FEWEST - fitting
    return False


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield where mnemonics stand in *text*. They may overlap.

    Where `mnemonic`, `seed` and the like are said beside them, twelve of the standard's words are one; elsewhere the
    checksum has to be right.
    """
    if not hint(text.encode("utf-8", "replace")):
        return
    for row in (part for whole in _rows(text) for part in _without_lists(text, whole)):
        if len(row) < FEWEST:
            continue
        before = text[max(0, row[0].start - _BEFORE) : row[1].start]  # `seed` is one of the standard's words itself
        behind = text[row[-1].end : row[-1].end + _BEHIND]
        if len(row) > _LONGEST_TRIED or _SAYS_SO.search(before) or _SAYS_SO.search(behind):
            yield row[0].start, row[-1].end
        else:
            yield from _with_checksum(row)


def is_row(text: str) -> bool:
    """Say whether *text* is nothing but twelve or more of the standard's words."""
    words = text.encode("ascii", "replace").lower().split()
    return len(words) >= FEWEST and all(map(PLACES.__contains__, words))


def row_at_end(text: str, fewest: int) -> int:
    """Return where the standard's words begin that *text* ends with; its length when they are less than *fewest*."""
    start = max(0, len(text) - _LONGEST)
    row = deque(_rows(text[start:]), maxlen=1)
    if not row or len(row[0]) < fewest or _is_list(text[start:], row[0]) or not _is_gap(text[start + row[0][-1].end :]):
        return len(text)
    return start + row[0][0].start


def row_at_beginning(text: str, fewest: int) -> int:
    """Return where the standard's words end that *text* begins with; 0 when they are less than *fewest*."""
    row = next(_rows(text[:_LONGEST]), None)
    if not row or len(row) < fewest or _is_list(text, row) or not _is_gap(text[: row[0].start]):
        return 0
    return row[-1].end


def _is_gap(text: str) -> bool:
    return len(text) <= _LONGEST_GAP and not _WORD.search(_WRITTEN_OUT.sub("  ", text))


def _rows(text: str) -> Iterator[list[_Word]]:
    """Yield the standard's words in *text*, as they stand in a row."""
    row: list[_Word] = []
    for match in _WORD.finditer(_WRITTEN_OUT.sub("  ", text)):
        place = PLACES.get(match[0].lower().encode())
        if row and (place is None or match.start() - row[-1].end > _LONGEST_GAP):
            yield row
            row = []
        if place is not None:
            row.append(_Word(match.start(), match.end(), place))
    if row:
        yield row


def _without_lists(text: str, row: list[_Word]) -> Iterator[list[_Word]]:
    """Yield what is left of *row* before and behind one word that is numbered twelve times or more.

    All of it when it is a mnemonic as a whole: those of no entropy, which are given as examples, say one word often.
    """
    if len(row) in _SIZES and _is_right(_places(row), len(row)) and not _is_list(text, row):
        yield row
        return
    begun = first = 0  # where what is left begins, and where the same word does
    for at in range(1, len(row) + 1):
        if at < len(row) and _is_numbered_on(text, row[at - 1], row[at]):
            continue
        if at - first >= FEWEST:
            yield row[begun:first]
            begun = at
        first = at
    yield row[begun:]


def _is_list(text: str, row: Sequence[_Word]) -> bool:
    return all(_is_numbered_on(text, word, following) for word, following in pairwise(row))


def _is_numbered_on(text: str, word: _Word, following: _Word) -> bool:
    """Say whether *following* is *word* again, with a number between the two."""
    return word.place == following.place and any(map(str.isdigit, text[word.end : following.start]))


def _with_checksum(row: Sequence[_Word]) -> Iterator[tuple[int, int]]:
    places = _places(row)
    for first in range(len(row) - FEWEST + 1):
        for size in _SIZES:
            behind = len(row) - first - size
            if behind >= 0 and _is_right(places >> behind * _BITS & (1 << size * _BITS) - 1, size):
                yield row[first].start, row[first + size - 1].end


def _places(row: Sequence[_Word]) -> int:
    places = 0
    for word in row:
        places = places << _BITS | word.place
    return places


def _is_right(places: int, size: int) -> bool:
    """Say whether the last bits are those that the hash of the others begins with: one bit for each three words."""
    bits = size // 3
    entropy = (places >> bits).to_bytes(bits * 4, "big")
    return hashlib.sha256(entropy).digest()[0] >> (8 - bits) == places & ((1 << bits) - 1)
