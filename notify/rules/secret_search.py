"""Where in a text secrets stand: one cheap look that most texts pass, and the whole search for the rest."""

import re
from collections.abc import Callable, Iterable, Mapping

from notify.clip import MARK_END
from notify.rules import assignments, cuts, mnemonic, secret_patterns
from notify.rules.secret_patterns import Span

# From the rarest to the most frequent character of log lines and hashes: a value is looked for from its rarest on.
# J and K come first because patterns look for them anyway.
_BY_RARITY = "JKqQZXjYzVGHLIWkxUFOBMRPNDCTSvEAwyb+%fgpmuh_/:-98765c4d31=l20.srinoate'\",\n "
_LOOKED_FOR = 8  # characters of a value, from its rarest on

# A word is what stands between two places of white space. All secrets hold a long one, but for those that a sign gives
# away: a URL, an option or a PEM block, `Bearer` and `Basic`, an assignment, or twelve words. The shortest of the
# others is a JWT of `eyJ`, five characters, a dot and five more; a webhook's path has 16, everything else more.
_LONG = 14  # characters
_LONG_WORD = b"\1" * _LONG
_NO_SPACE = bytes(code not in b" \t\n\r\v\f" for code in range(256))


class SecretSearch:
    """Finds known texts and what looks like a secret. Immutable, so any thread may use it.

    Args:
        known: texts that are secrets, in every form that they may have.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)
        self._cased = _searches(_sources(self._known))
        self._brief = _searches(
            _sources_of_known(text for text in self._known if not _has_long_word(text.encode("utf-8", "replace")))
        )

    def hint(self, text: str) -> bool:
        """Say whether *text* may hold a secret. Wrong only in saying yes."""
        if MARK_END in text:
            return True
        data = text.encode("utf-8", "replace")
        if (
            _has_long_word(data)  # first, for events of trades hold a hash
            or ((colon := ":" in text) and "://" in text)  # one character is found ten times quicker than two
            or ("-" in text and "--" in text)
            or ("B" in text and ("earer" in text or "asic" in text))
            or _matches(self._brief, text)
        ):
            return _matches(self._cased, text) or _matches(_LOWER, text.lower()) or mnemonic.hint(data)
        if (
            colon
            or "=" in text
            # A name and its value as a pair.
            or ("," in text and (("'" in text and "'," in text) or ('"' in text and '",' in text)))
        ) and _matches(_LOWER, text.lower()):
            return True
        return len(text) >= mnemonic.SHORTEST and mnemonic.hint(data)

    def find(self, text: str) -> list[Span]:
        """Return where secrets stand in *text*, in order. They may overlap."""
        if not self.hint(text):
            return []
        spans = []
        for known in self._known:
            start = text.find(known)
            while start >= 0:
                spans.append((start, start + len(known)))
                start = text.find(known, start + len(known))
        lower = _lower(text)
        spans += secret_patterns.find(text, lower)
        spans += assignments.find(text, lower)
        spans += mnemonic.find(text)
        if MARK_END in text:
            spans += [span for span in cuts.find(text, self._known) if span[0] < span[1]]
        return sorted(spans)


def _has_long_word(data: bytes) -> bool:
    return _LONG_WORD in data.translate(_NO_SPACE)


def _matches(searches: Mapping[str, Callable[[str], object]], text: str) -> bool:
    for literal in filter(text.__contains__, searches):  # noqa: SIM110 - any() costs as much as the search itself
        if searches[literal](text):
            return True
    return False


def _lower(text: str) -> str:
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # A few capitals have two characters for a small letter. Positions must stay what they are.
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _sources(known: Iterable[str]) -> Mapping[str, list[str]]:
    """Return the patterns to look for in text as it is, by the character that each begins with."""
    sources = _sources_of_known(known)
    for rule in secret_patterns.CASED:
        sources.setdefault(rule.literal, []).append(rule.pattern.pattern)
    sources.setdefault("-", []).append(assignments.OPTION_HINT)
    return sources


def _sources_of_known(known: Iterable[str]) -> dict[str, list[str]]:
    sources: dict[str, list[str]] = {}
    shortest: list[str] = []
    for text in sorted(known, key=len):
        if any(shorter in text for shorter in shortest):
            continue  # where it is, the shorter one is too
        shortest.append(text)
        places = range(max(1, len(text) - _LOOKED_FOR // 2))
        at = min(places, key=lambda place: _BY_RARITY.find(text[place]))
        sources.setdefault(text[at], []).append(re.escape(text[at : at + _LOOKED_FOR]))
    return sources


def _searches(sources: Mapping[str, Iterable[str]]) -> dict[str, Callable[[str], object]]:
    return {literal: re.compile("|".join(patterns)).search for literal, patterns in sources.items()}


def _lower_sources() -> Mapping[str, list[str]]:
    sources = {literal: [start.pattern] for literal, start in assignments.STARTS.items()}
    for rule in secret_patterns.LOWER:
        sources.setdefault(rule.literal, []).append(rule.pattern.pattern)
    return sources


_LOWER = _searches(_lower_sources())
