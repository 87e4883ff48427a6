"""Where in a text secrets stand: one cheap look that most texts pass, and the whole search for the rest."""

import re
from collections.abc import Callable, Iterable, Mapping

from notify.rules import assignments, mnemonic, secret_patterns
from notify.rules.secret_patterns import Span

# From the rarest to the most frequent character of log lines and hashes: a value is looked for from its rarest on.
# J and K come first because patterns look for them anyway.
_BY_RARITY = "JKqQZXjYzVGHLIWkxUFOBMRPNDCTSvEAwyb+%fgpmuh_/:-98765c4d31=l20.srinoate "
_LOOKED_FOR = 8  # characters of a value, from its rarest on


class SecretSearch:
    """Finds known texts and what looks like a secret. Immutable, so any thread may use it.

    Args:
        known: texts that are secrets, in every form that they may have.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)
        self._cased = _searches(_sources(self._known))

    def hint(self, text: str) -> bool:
        """Say whether *text* may hold a secret. Wrong only in saying yes."""
        cased = self._cased
        for literal in filter(text.__contains__, cased):
            if cased[literal](text):
                return True
        lower = text.lower()
        for literal in filter(lower.__contains__, _LOWER):
            if _LOWER[literal](lower):
                return True
        return mnemonic.hint(text)

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
        return sorted(spans)


def _lower(text: str) -> str:
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # A few capitals have two characters for a small letter. Positions must stay what they are.
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _sources(known: Iterable[str]) -> Mapping[str, list[str]]:
    """Return the patterns to look for in text as it is, by the character that each begins with."""
    sources = {rule.literal: [rule.pattern.pattern] for rule in secret_patterns.CASED}
    sources.setdefault("-", []).append(assignments.OPTION_HINT)
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
