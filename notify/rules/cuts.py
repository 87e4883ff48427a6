"""What is left of a secret that `clip` has cut through: there is too little of it to be found by what it looks like."""

import re
from collections.abc import Iterable, Iterator

from notify.clip import MARK, MARK_END
from notify.rules import mnemonic
from notify.rules.secret_values import SHORTEST

_MANY = 16  # marks, of which our own texts have one or two
_FEWEST_WORDS = 3  # of a mnemonic: sentences have two in a row all the time, and two are no help with the other ten
_PEM = re.compile(rf"(?P<mark>{MARK.pattern})|-----(?:BEGIN |(?P<end>END [A-Z ]{{0,32}}PRIVATE KEY))")


def find(text: str, known: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield where in *text* the beginnings and ends of secrets stand beside the marks of `clip`. Some places are empty.

    Args:
        text: what is searched.
        known: texts that are secrets.
    """
    begun = ended = tuple(known)
    if text.count(MARK_END) > _MANY:  # to look for each secret at each mark would take seconds
        begun = tuple(secret for secret in begun if secret[:SHORTEST] in text)
        ended = tuple(secret for secret in ended if secret[-SHORTEST:] in text)
    done = 0
    for mark in MARK.finditer(text):
        if done:
            yield done, done + _ended(text[done : mark.start()], ended)
        yield done + _begun(text[done : mark.start()], begun), mark.start()
        done = mark.end()
    if done:
        yield done, done + _ended(text[done:], ended)
        yield from _ends_of_pem(text)


def _begun(text: str, known: Iterable[str]) -> int:
    """Return where in *text* a secret begins that goes on behind it; its length if none does."""
    first = mnemonic.row_at_end(text, _FEWEST_WORDS)
    for secret in known:
        at = text.find(secret[:SHORTEST], max(0, len(text) - len(secret) + 1))
        while at >= 0 and not secret.startswith(text[at:]):
            at = text.find(secret[:SHORTEST], at + 1)
        if at >= 0:
            first = min(first, at)
    return first


def _ended(text: str, known: Iterable[str]) -> int:
    """Return where in *text* a secret ends that begins before it; 0 if none does."""
    last = mnemonic.row_at_beginning(text, _FEWEST_WORDS)
    for secret in known:
        window = text[: len(secret) - 1]
        at = window.rfind(secret[-SHORTEST:])
        while at >= 0 and not secret.endswith(window[: at + SHORTEST]):
            at = window.rfind(secret[-SHORTEST:], 0, at + SHORTEST - 1)
        last = max(last, at + SHORTEST if at >= 0 else 0)
    return last


def _ends_of_pem(text: str) -> Iterator[tuple[int, int]]:
    """Yield what stands between a mark and the last line of a private key whose first line is missing."""
    cut = None
    for found in _PEM.finditer(text):
        if found["end"] and cut is not None:
            yield cut, found.start()
        cut = found.end() if found["mark"] else None
