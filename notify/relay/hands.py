"""What a worker has in hand: the entries whose events are in its lanes' memory, and what became of them."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from notify import diagnostics
from notify.event import Event
from notify.relay.stream import Away, LeaseLost, Settled, Stream

ROOM = 1000  # events that one lane has in memory: more than the fastest destination takes while the next are fetched
ROOM_BYTES = 8 * 2**20  # the same of their texts and files
_AGAIN = 0.2  # seconds between two tries to reach the server
_REMEMBERED = 10_000  # entries that were settled last


@dataclass(slots=True)
class Hand:
    """One entry.

    Args:
        entry: its id.
        executor: of whom it is.
        wanted: the backends that are to have its event.
        has: those of them that have it.
        weights: by backend, of the event that its lane has in memory.
        event: that.
    """

    entry: str
    executor: bytes
    wanted: frozenset[str]
    has: set[str]
    weights: dict[str, int] = field(default_factory=dict)
    event: Event | None = None


class Hands:
    """What the lanes are given, and have to give an account of: their disk is the server. Thread-safe.

    Args:
        stream: where it is noted what became of an entry.
        names: of the lanes.
    """

    def __init__(self, stream: Stream, names: Iterable[str]) -> None:
        self._stream = stream
        self._by_event: dict[str, Hand] = {}
        self._by_entry: dict[str, Hand] = {}
        self._settled: OrderedDict[str, None] = OrderedDict()
        self._counts = dict.fromkeys(names, 0)
        self._weights = dict.fromkeys(self._counts, 0)
        self._lock = threading.Lock()
        self._roomy = threading.Condition(self._lock)
        self._ended = threading.Event()
        self.is_unsure = False
        """Whether the server may know less than it was told, or tell more than was heard."""
        self.is_lost = False
        """Whether others have taken over."""
        self.refused: deque[tuple[Event, str]] = deque(maxlen=_REMEMBERED)
        """Events that were set aside, and the backend of each. For the worker to take out."""

    # ---- the worker's side

    def __len__(self) -> int:
        return len(self._by_entry)

    def of(self, entry: str) -> Hand | None:
        """Return what is known of an entry that is in a lane's memory."""
        return self._by_entry.get(entry)

    def was_settled(self, entry: str) -> bool:
        """Say whether all have that entry, as far as this worker remembers."""
        return entry in self._settled

    def settle(self, entries: Iterable[Settled]) -> None:
        """Settle whole entries that no lane has. Raises `Away` and `LeaseLost`."""
        self._stream.settle(entries)

    def hold(self, event: Event, hand: Hand, weights: Mapping[str, int]) -> None:
        """Note that the lanes named in *weights* are about to be given *event*, the one of *hand*."""
        with self._lock:
            hand = self._by_entry.setdefault(hand.entry, hand)
            hand.event = event
            self._by_event[event.id] = hand
            for name, weight in weights.items():
                hand.weights[name] = weight
                self._counts[name] += 1
                self._weights[name] += weight

    def room(self, name: str, *, part: float = 1.0) -> int:
        """Return how many more events the lane *name* may have in memory, 0 unless *part* of its room is free."""
        free = ROOM - self._counts[name]
        if self._weights[name] >= ROOM_BYTES or free < (1.0 - part) * ROOM:
            return 0
        return max(0, free)

    def wait_for_room(self, seconds: float) -> None:
        """Wait until something was settled, *seconds* at most."""
        with self._roomy:
            self._roomy.wait(seconds)

    def end(self) -> None:
        """Have no lane wait for the server any more."""
        self._ended.set()

    # ---- the lanes' side: notify.delivery.disk.Disk

    def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
        """Note what *destination* has got. Waits for the server: what is sent next must not be forgotten, too."""
        self._note(destination, list(event_ids), "")

    def dead(self, destination: str, event_id: str, reason: str) -> None:
        """Set aside what *destination* refuses, with the *reason*."""
        hand = self._by_event.get(event_id)
        if hand is not None and hand.event is not None:
            self.refused.append((hand.event, destination))
        self._note(destination, [event_id], reason or "it gave no reason")

    def park(self, destination: str, event_ids: Iterable[str]) -> None:
        """Have what a lane gives back handed out once more."""
        self._let_go(destination, [self._by_event[each] for each in event_ids if each in self._by_event], has=False)
        self.is_unsure = True

    # ---- inside

    def _note(self, destination: str, event_ids: Sequence[str], reason: str) -> None:
        with self._lock:
            hands = [self._by_event[each] for each in event_ids if each in self._by_event]
            settled = [
                Settled(
                    hand.entry,
                    hand.executor,
                    destination,
                    frozenset(hand.wanted - hand.has - {destination}),
                    reason,
                )
                for hand in hands
            ]
        self._until_done(lambda: self._stream.settle(settled))
        self._let_go(destination, hands, has=True)

    def _until_done(self, call: Callable[[], None]) -> None:
        while not self.is_lost:
            try:
                call()
                return
            except LeaseLost:
                self.is_lost = True
            except Away as error:
                self.is_unsure = True
                diagnostics.report("relay settle", f"what was delivered cannot be noted: {error}")
                if self._ended.wait(_AGAIN):
                    return

    def _let_go(self, destination: str, hands: Sequence[Hand], *, has: bool) -> None:
        with self._lock:
            for hand in hands:
                weight = hand.weights.pop(destination, None)
                if weight is not None:
                    self._counts[destination] -= 1
                    self._weights[destination] -= weight
                if has:
                    hand.has.add(destination)
                if not hand.weights:
                    self._forget(hand)
            self._roomy.notify_all()

    def _forget(self, hand: Hand) -> None:
        self._by_entry.pop(hand.entry, None)
        if hand.event is not None:
            self._by_event.pop(hand.event.id, None)
        if hand.wanted <= hand.has:
            self._settled[hand.entry] = None
            if len(self._settled) > _REMEMBERED:
                self._settled.popitem(last=False)
