"""What a worker asks of what knows the repeats of the whole fleet."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from notify.event import Event


class Given(NamedTuple):
    """An event of which it is to be decided who gets it.

    Args:
        entry: the id of its entry.
        executor: of whom that is, as scripts know it.
        event: redacted.
        wanted: the backends that get it unless it is a repeat.
    """

    entry: str
    executor: bytes
    event: Event
    wanted: frozenset[str]


class Judged(NamedTuple):
    """What was decided.

    Args:
        said: the event, and the backends that get it; more than once, when they are told different matters of it.
            Empty: nobody gets it, and the entry is acknowledged.
        folded: the backends that get a count of it in its place.
    """

    said: tuple[tuple[Event, frozenset[str]], ...]
    folded: frozenset[str] = frozenset()

    @property
    def lanes(self) -> frozenset[str]:
        """The backends that get it."""
        return frozenset().union(*(names for _, names in self.said))


class Judging(Protocol):
    """Decides for all workers together. Used by one thread. Raises `Away` and `LeaseLost` as the stream does."""

    def judge_batch(self, given: Sequence[Given]) -> Sequence[Judged]:
        """Return what becomes of each, once and for all: it is noted before this returns."""
        ...

    def judged_before(self, given: Given, noted: bytes) -> Judged:
        """Return what was decided of an entry, from what was *noted*: for backends that this worker has."""
        ...

    def due(self) -> None:
        """Publish what is to be said of matters that go on."""
        ...

    def lost(self, event: Event, backends: frozenset[str]) -> None:
        """Note that *backends* have refused *event*, which tells how a matter goes on."""
        ...
