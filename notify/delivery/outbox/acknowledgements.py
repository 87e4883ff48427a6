"""What lanes say became of events, from when they say so until it is on disk."""

from collections.abc import Iterable
from itertools import count
from typing import NamedTuple

from notify.delivery.outbox.owner import NOBODY
from notify.delivery.outbox.row import AT_ONCE, Name, Row, in_parts
from notify.delivery.outbox.store import Store


class Fate(NamedTuple):
    """What became of an event at one destination.

    Args:
        owner: who has the row from now on; None: nobody needs it any more.
        reason: why the event was given up; None: it was not.
    """

    owner: str | None = None
    reason: str | None = None


DELIVERED = Fate()
PARKED = Fate(owner=NOBODY)


class Acknowledgements:
    """Fates that the disk does not know yet. Not thread-safe."""

    def __init__(self) -> None:
        self._fates: dict[Name, Fate] = {}
        self._moves: dict[int, tuple[Name, Row]] = {}  # in their order
        self._numbers = count()

    def add(self, destination: str, event_ids: Iterable[str], fate: Fate) -> None:
        """Remember *fate*, which replaces what was said of these events before."""
        self._fates.update(((destination, event_id), fate) for event_id in event_ids)

    def move(self, name: Name, row: Row) -> None:
        """Remember that *row* takes the place of the one with this *name*."""
        self._moves[next(self._numbers)] = name, row

    def clear(self) -> None:
        """Forget everything."""
        self._fates.clear()
        self._moves.clear()

    def __len__(self) -> int:
        return len(self._fates) + len(self._moves)

    def parks(self) -> bool:
        """Say whether anything is to be given to nobody."""
        return PARKED in self._fates.values()

    def write(self, store: Store, *, mine: str, now: float) -> bool:
        """Write everything down, and say whether there was anything.

        Args:
            store: the lanes' connection.
            mine: this process's mark: what another has taken over is not parked.
            now: UTC epoch seconds, for dead letters.

        Raises `StoreError`; what was not written until then is still remembered.
        """
        moves = list(self._moves.items())
        for number, (old, row) in moves:  # first: what became of an event is known by the name that it has now
            store.move(old, row, owner=mine)
            self._moves.pop(number, None)
        by_fate: dict[Fate, list[Name]] = {}
        for name, fate in self._fates.items():
            by_fate.setdefault(fate, []).append(name)
        for fate, names in by_fate.items():
            for first in range(0, len(names), AT_ONCE):
                part = names[first : first + AT_ONCE]
                if fate.reason is not None:
                    store.bury(part, at=now, reason=fate.reason)
                elif fate.owner is not None:
                    for rows in in_parts(store.sizes_of(part)):
                        store.give([name for name, _ in rows], old=mine, new=fate.owner)
                else:
                    store.delete(part)
                for name in part:
                    self._fates.pop(name, None)  # gone: a signal handler or a fork was here
        return bool(by_fate or moves)
