"""Which events make no sound."""

import logging
from dataclasses import dataclass

from notify.event import Event
from notify.levels import level_name, parse_level, severity
from notify.rules.routing import Topics, parse_topics


@dataclass(frozen=True, slots=True)
class Silence:
    """Silences events up to a level, or of a choice of topics. CRITICAL always sounds.

    Args:
        level: the highest level that is silent.
        topics: the silent topics, instead of a level.
    """

    level: int = logging.NOTSET
    topics: Topics | None = None

    def __call__(self, event: Event) -> bool:
        """Say whether *event* makes no sound."""
        level = severity(event.level)
        if level >= logging.CRITICAL:
            return False
        return event.topic in self.topics if self.topics is not None else level <= severity(self.level)

    def __str__(self) -> str:
        return str(self.topics) if self.topics is not None else level_name(self.level)


def parse_silence(text: str) -> Silence:
    """Return the silence that a level or a comma list of topics asks for.

    Raises `ValueError`, without the text, when it is neither.
    """
    try:
        return Silence(level=parse_level(text))
    except ValueError:
        return Silence(topics=parse_topics(text))
