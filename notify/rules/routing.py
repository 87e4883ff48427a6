"""Which events a backend gets."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notify.event import Event
from notify.levels import severity

URGENT = logging.ERROR
"""Events at or above this level overtake the rest of their lane."""


TOPICS = (
    "log", "startup", "shutdown", "cycle", "trade", "decision", "position", "gas", "data", "account", "watchdog",
    "crash", "alert",
)  # fmt: skip
"""Those in use. Programs may have more: topics are free text."""


@dataclass(frozen=True, slots=True)
class Topics:
    """A choice of topics: only the wanted ones, or all when none is named, and never the unwanted."""

    wanted: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()

    def __contains__(self, topic: str) -> bool:
        name = topic.lower()  # parse_topics() has lowered the others
        return name not in self.unwanted and (not self.wanted or name in self.wanted)

    def __str__(self) -> str:
        return ",".join([*sorted(self.wanted), *(f"!{name}" for name in sorted(self.unwanted))]) or "all"


def parse_topics(text: str) -> Topics:
    """Return the choice that a comma list makes: `trade,gas` is these two, `!log` is all but that one.

    Raises `ValueError`, without the text, for an empty name or one with spaces in it.
    """
    wanted: set[str] = set()
    unwanted: set[str] = set()
    for part in text.split(","):
        name = part.strip()
        chosen = unwanted if name.startswith("!") else wanted
        name = name.removeprefix("!").strip().lower()
        if not name or len(name.split()) != 1 or "!" in name:
            raise ValueError("not a comma list of topics, such as trade,crash or !log")
        chosen.add(name)
    return Topics(frozenset(wanted), frozenset(unwanted))


def parse_executors(text: str) -> frozenset[str]:
    """Return the ids of executors in a comma list.

    Raises `ValueError`, without the text, for an empty one, or one that is no word.
    """
    ids = [part.strip() for part in text.split(",")]
    if not all(one.isprintable() and len(one.split()) == 1 and not one.startswith("!") for one in ids):
        raise ValueError("not a comma list of executor ids, such as eth-momentum,btc-range")
    return frozenset(ids)


@dataclass(frozen=True, slots=True)
class Route:
    """What one backend gets.

    Args:
        level: the least.
        topics: of what it gets.
        executors: in a relay, whose events these are; those of all where none is named.
        fallback: the backend that gets them while this one is gone.
    """

    level: int = logging.INFO
    topics: Topics = Topics()
    executors: frozenset[str] = frozenset()
    fallback: str | None = None

    def wants(self, event: Event) -> bool:
        """Say whether *event* goes to the backend of this route."""
        if self.executors and (event.origin is None or event.origin.executor not in self.executors):
            return False
        return severity(event.level) >= severity(self.level) and event.topic in self.topics


def wrong_fallback(name: str, routes: Mapping[str, Route]) -> str | None:
    """Return what is wrong with the fallback of the backend *name* of *routes*, None when nothing is."""
    passed = [name]
    while (following := routes[passed[-1]].fallback) is not None:
        if following not in routes:
            others = ", ".join(other for other in routes if other != name) or "no other"
            return None if len(passed) > 1 else f"not the name of a backend; here there is {others}"
        if following == passed[-1]:
            return None if len(passed) > 1 else "a backend cannot stand in for itself"
        if following in passed:
            return f"goes round in a circle: {' → '.join([*passed, following])}"
        passed.append(following)
    return None


def least_level(routes: Sequence[Route]) -> int:
    """Return the lowest level that any of *routes* wants, one above CRITICAL when there is none."""
    return min((severity(route.level) for route in routes), default=logging.CRITICAL + 1)


def is_urgent(event: Event) -> bool:
    """Say whether *event* overtakes others on its lane."""
    return severity(event.level) >= URGENT
