"""What a lane tells the outbox."""

from collections.abc import Iterable
from typing import Protocol

from notify.event import Event


class Disk(Protocol):
    """Where a lane's stored entries are, too. Thread-safe; no method raises for what is wrong with the disk."""

    def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
        """Remove what *destination* has got."""
        ...

    def dead(self, destination: str, event_id: str, reason: str) -> None:
        """Give up one event, but keep it listed with the *reason*."""
        ...

    def park(self, destination: str, event_ids: Iterable[str]) -> None:
        """Leave events on disk to whoever adopts them."""
        ...

    def move(self, destination: str, events: Iterable[Event], to: str) -> None:
        """Make *events* for *destination* events for *to*, as they are now, each of them wholly or not at all."""
        ...


class NoDisk:
    """What a lane without a disk has in its place. Nothing is stored there, and so nothing is ever said."""

    def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
        """Do nothing."""

    def dead(self, destination: str, event_id: str, reason: str) -> None:
        """Do nothing."""

    def park(self, destination: str, event_ids: Iterable[str]) -> None:
        """Do nothing."""

    def move(self, destination: str, events: Iterable[Event], to: str) -> None:
        """Do nothing."""
