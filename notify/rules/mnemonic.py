"""The words that a wallet can be restored from: twelve or more of them in a row.

The standard (BIP-39) has 2048 English words, all of three to eight letters. Ordinary sentences do not get far without a
word that is none of them, so what is listed here is a few of those: a run that holds none is taken for a secret.
"""

import re
from collections.abc import Iterator

FEWEST = 12
SHORTEST = FEWEST * 3 + FEWEST - 1
"""Characters of the shortest such run: words of three letters, and one space between each two."""

# As letters and white space only. Values differ in their low bits, by which `in` skips ahead.
_STRETCH = b"\1" * SHORTEST
_LETTERS_AND_SPACE = bytes(97 <= code <= 122 or code in b" \t\r\n" for code in range(256))
_INNER = FEWEST - 2  # words of a run that have white space on both sides; a quote may touch the others

_RUN = re.compile(rf"(?:(?<!\w)|(?<=\\[nrt]))[a-z]{{3,8}}+(?!\w)(?:\s{{1,8}}[a-z]{{3,8}}+(?!\w)){{{FEWEST - 1},}}+")
_WORD = re.compile(r"[a-z]+")

# Checked against the standard's list: none of these is in it, and no word of it has one of these endings.
_ORDINARY_WORDS = """
    the and for with from are was were been being has had having not but your may might would should could than
    which while who whose how why their them these those here its his her our out onto after both each every most
    many some new per via yes too let get gets got set did does done made see seen saw take took taken gave given
    said says data block value chain wallet hash server retry request timeout send sent low count std min max buy
    loss equity status info debug warning line module none null using without within however far last percent ratio
    stop signal daemon week daily default config database thread lending debt mid weight score beta gamma delta
    theta cannot known higher lower cache user running waiting loading checking starting stopping sending reading
    writing kept went came goes told think look show previous following several against least less well back even
    big hot cold free full whole part fact sum median rank date stats node candle
"""
_ORDINARY = frozenset(_ORDINARY_WORDS.split())
_UNUSED_ENDINGS = """
    bs ds fs gs hs ks ls ms ps ts ted led ved ded ked ned ged ced ped ers ons tes ces ges nes les res ses ves ngs
"""
_ENDINGS = frozenset(_UNUSED_ENDINGS.split())


def hint(text: str) -> bool:
    """Say whether *text* may hold such a run. Wrong only in saying yes.

    A stretch without capitals, digits and punctuation is rare enough to look for first: 0.5 us for 330 characters. Then
    each tenth word is looked at, and from one that fits backwards, where a regular expression starts at every word.
    """
    if _STRETCH not in text.encode("utf-8", "replace").translate(_LETTERS_AND_SPACE):
        return False
    words = text.split()
    last = _INNER - 1
    while last < len(words):
        fitting = 0
        while fitting < _INNER and _fits(words[last - fitting]):
            fitting += 1
        if fitting == _INNER:
            return True
        last += _INNER - fitting
    return False


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield where in *text* twelve or more such words stand in a row, in small letters with white space between."""
    for run in _RUN.finditer(text):
        first, last, length = run.start(), run.start(), 0
        for word in _WORD.finditer(text, run.start(), run.end()):
            if is_ordinary(word[0]):
                if length >= FEWEST:
                    yield first, last
                length = 0
                continue
            if not length:
                first = word.start()
            last = word.end()
            length += 1
        if length >= FEWEST:
            yield first, last


def is_ordinary(word: str) -> bool:
    """Say whether *word*, in small letters, is certainly not one of the standard's list."""
    return word in _ORDINARY or word[-2:] in _ENDINGS or word[-3:] in _ENDINGS


def _fits(word: str) -> bool:
    return word.islower() and 3 <= len(word) <= 8 and word.isalpha() and not is_ordinary(word)
