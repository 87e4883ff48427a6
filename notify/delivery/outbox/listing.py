"""Looking into an outbox, and deciding about single events, from any process while another delivers from it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.owner import NOBODY, offer_to_adopters
from notify.delivery.outbox.row import Name, Row
from notify.delivery.outbox.store import Store
from notify.delivery.state_dir import check_private
from notify.event import Event
from notify.event_json import decode

_PATIENCE = 2.0  # seconds to wait for processes that write
_AT_ONCE = 50  # rows changed by one statement: callers wait meanwhile, and a row may be of megabytes
_EVERY = 2**62  # more than there can be


class NoOutbox(StoreError):
    """The directory holds none."""


class Listed(NamedTuple):
    """An event in the outbox, for one destination.

    Args:
        destination: the backend's name.
        event_id: of the event.
        created: when it happened, UTC epoch seconds.
        dead_at: when it was given up, UTC epoch seconds; None while it waits.
        dead_reason: why.
        event: what is kept of it; None when that cannot be read any more.
    """

    destination: str
    event_id: str
    created: float
    dead_at: float | None
    dead_reason: str | None
    event: Event | None


class Names(NamedTuple):
    """What rows are known by. Of a damaged row that may be nothing that has a place here.

    Args:
        waiting: of those that wait, oldest first.
        dead: of dead letters, newest first.
    """

    waiting: list[Name]
    dead: list[Name]

    def of(self, destination: str) -> "Names":
        """Return those for one destination."""
        return Names(*([name for name in part if name[0] == destination] for part in self))

    def of_events(self, event_ids: Collection[str]) -> "Names":
        """Return those of some events."""
        return Names(*([name for name in part if name[1] in event_ids] for part in self))

    def destinations(self) -> list[str]:
        """Return the names of the destinations that there are, sorted."""
        return sorted({destination for part in self for destination, _ in part})

    def event_ids(self) -> set[str]:
        """Return the ids of the events that there are."""
        return {event_id for part in self for _, event_id in part}


def waiting(directory: Path, limit: int) -> list[Listed]:
    """Return the oldest events that wait, oldest first. Raises `StoreError` or `StateDirError`."""
    with _open(directory) as store:
        return [_listed(row) for row in store.waiting(limit)]


def dead(directory: Path, limit: int) -> list[Listed]:
    """Return the newest dead letters, newest first. Raises `StoreError` or `StateDirError`."""
    with _open(directory) as store:
        return [_listed(row) for row in store.dead(limit)]


def show(directory: Path, event_id: str) -> list[Listed]:
    """Return one event, once per destination, waiting or dead. Raises `StoreError` or `StateDirError`."""
    with _open(directory) as store:
        return [_listed(row) for row in store.of_event(event_id)]


def listed(directory: Path, names: Iterable[Name]) -> list[Listed]:
    """Return the rows with these *names* that are there, in this order. Raises as `waiting`."""
    with _open(directory) as store:
        return [
            _listed(row)
            for destination, event_id in names
            for row in store.of_event(event_id)
            if row.destination == destination
        ]


def names(directory: Path) -> Names:
    """Return what all rows are known by. Reads the whole table. Raises as `waiting`."""
    with _open(directory) as store:
        return _names_in(store)


def counts(directory: Path) -> tuple[int, int]:
    """Return how many events wait and how many are dead letters, each once per destination. Raises as `waiting`."""
    with _open(directory) as store:
        return store.counts()


def retry(directory: Path, event_ids: Iterable[str]) -> dict[str, int]:
    """Have dead letters delivered again, by whichever process looks next.

    Returns how many there were of each event, which is once per destination; 0: none.

    Raises `StoreError`, `StateDirError` or `OSError`.
    """
    return _revive(directory, lambda store: [(each, _names(store, each, dead_only=True)) for each in event_ids])


def retry_all(directory: Path) -> dict[str, int]:
    """Have all dead letters delivered again. Returns and raises as `retry`."""
    return _revive(directory, _all_dead)


def drop(directory: Path, event_ids: Iterable[str]) -> dict[str, int]:
    """Remove events undelivered, whether they wait or are dead letters. Returns and raises as `retry`.

    A process that has one of them in memory delivers it all the same.
    """
    return _delete(directory, lambda store: [(each, _names(store, each)) for each in event_ids])


def drop_rows(directory: Path, chosen: Names) -> dict[str, int]:
    """Remove rows that still are what they were when they were chosen: one that is retried meanwhile is left alone.

    Returns and raises as `retry`.
    """

    def remaining(store: Store) -> _Chosen:
        there = _names_in(store)
        return [(name[1], [name]) for part, now in zip(chosen, there, strict=True) for name in _both(part, now)]

    return _delete(directory, remaining)


_Chosen = list[tuple[str, list[Name]]]


def _revive(directory: Path, choose: Callable[[Store], _Chosen]) -> dict[str, int]:
    with _open(directory) as store:
        offer_to_adopters(directory)  # before there is anything to find, so that it is looked for whatever happens
        chosen = choose(store)
        for names in _parts(chosen):
            store.revive(names, owner=NOBODY)
    return _counted(chosen)


def _delete(directory: Path, choose: Callable[[Store], _Chosen]) -> dict[str, int]:
    with _open(directory) as store:
        chosen = choose(store)
        for names in _parts(chosen):
            store.delete(names)
    return _counted(chosen)


def _names(store: Store, event_id: str, *, dead_only: bool = False) -> list[Name]:
    rows = store.of_event(event_id)
    named = [(row.destination, row.event_id) for row in rows if row.dead_at is not None or not dead_only]
    return list(filter(_is_sound, named))


def _all_dead(store: Store) -> _Chosen:
    return [(name[1], [name]) for name, _ in store.dead_beyond(0, _EVERY)]


def _names_in(store: Store) -> Names:
    # Ids sort by time.
    waits = sorted((name for name, _ in store.least_severe(_EVERY) if _is_sound(name)), key=itemgetter(1))
    return Names(waits, [name for name, _ in store.dead_beyond(0, _EVERY) if _is_sound(name)])


def _is_sound(name: Name) -> bool:
    return all(isinstance(part, str) for part in name)


def _both(chosen: Iterable[Name], there: Iterable[Name]) -> list[Name]:
    known = set(there)
    return [name for name in chosen if name in known]


def _parts(chosen: _Chosen) -> Iterator[list[Name]]:
    names = [name for _, several in chosen for name in several]
    for first in range(0, len(names), _AT_ONCE):
        yield names[first : first + _AT_ONCE]


def _counted(chosen: _Chosen) -> dict[str, int]:
    found: Counter[str] = Counter()
    for event_id, names in chosen:
        found[event_id] += len(names)
    return dict(found)


@contextmanager
def _open(directory: Path) -> Iterator[Store]:
    path = directory / NAME
    try:
        check_private(path)
        if not path.exists():
            raise NoOutbox(f"there is no outbox in {directory}")
    except OSError as error:
        raise StoreError(f"{directory} cannot be read: {error.strerror}") from None
    try:
        with closing(Store(path, patience=_PATIENCE)) as store:
            yield store
    except StoreError as error:
        raise type(error)(f"the outbox in {directory} cannot be used: {error}") from None


def _listed(row: Row) -> Listed:
    event: Event | None
    try:
        event = decode(row.checked_payload())
    except ValueError:
        event = None
    return Listed(
        # Of a damaged row nothing need be of the type that its column has.
        str(row.destination),
        str(row.event_id),
        row.created if isinstance(row.created, float) else 0.0,
        row.dead_at,
        row.dead_reason and str(row.dead_reason),
        event,
    )
