"""What a worker has in hand: the entries whose events are in its lanes' memory, and what became of them."""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from notify import diagnostics
from notify.event import Event
from notify.relay.stream import Away, Found, LeaseLost, Settled, Stream

ROOM = 1000  # events that one lane has in memory: more than the fastest destination takes while the next are fetched
ROOM_BYTES = 8 * 2**20  # the same of their texts and files
_AGAIN = 0.2  # seconds between two tries to reach the server
_REMEMBERED = 10_000  # entries that lanes have had last


@dataclass(slots=True)
class Hand:
    """One entry.

    Args:
        entry: its id.
        executor: of whom it is.
        wanted: the backends that are to have its event.
        has: those of them that have it.
        weights: by backend, of the event that its lane has in memory, or the lane that stands in for it.
        in_place_of: by backend that stands in, those that are gone and in whose place it is to have the event.
        event: that.
        since: when it came into memory, in monotonic seconds; infinite when it is known to kill nobody.
    """

    entry: str
    executor: bytes
    wanted: frozenset[str]
    has: set[str]
    weights: dict[str, int] = field(default_factory=dict)
    in_place_of: dict[str, frozenset[str]] = field(default_factory=dict)
    event: Event | None = None
    since: float = field(default_factory=time.monotonic)


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
        self._let_gone: OrderedDict[str, Hand] = OrderedDict()  # those that were in memory last
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
        hand = self._let_gone.get(entry)
        return hand is not None and hand.wanted <= hand.has

    def look_up(self, found: Found, wanted: frozenset[str]) -> tuple[Hand, frozenset[str]]:
        """Return what is known of an entry, and which backends have it neither behind them nor in memory.

        Args:
            found: as it was when Redis was asked: lanes go on meanwhile.
            wanted: who is to have it, where nothing is known yet.
        """
        with self._lock:
            hand = self._by_entry.get(found.entry) or self._let_gone.get(found.entry)
            if hand is None:
                hand = Hand(found.entry, found.executor, wanted, set(found.has))
            hand.has |= found.has
            return hand, frozenset(hand.wanted - hand.has - hand.weights.keys())

    def settle(self, entries: Iterable[Settled]) -> None:
        """Settle whole entries that no lane has. Raises `Away` and `LeaseLost`."""
        self._stream.settle(entries)

    def hold(self, event: Event, hand: Hand, weights: Mapping[str, int]) -> None:
        """Note that the lanes named in *weights* are about to be given *event*, the one of *hand*."""
        with self._lock:
            self._by_entry[hand.entry] = hand
            hand.event = event
            self._by_event[event.id] = hand
            for name, weight in weights.items():
                hand.weights[name] = weight
                self._count(name, 1, weight)

    def harmless(self, seconds: float) -> list[str]:
        """Return the entries that this worker has survived for so many *seconds*, each once."""
        with self._lock:
            found = [hand for hand in self._by_entry.values() if time.monotonic() - hand.since >= seconds]
            for hand in found:
                hand.since = math.inf
            return [hand.entry for hand in found]

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
        with self._lock:
            hands = [self._by_event[each] for each in event_ids if each in self._by_event]
            given_back = [(hand, _on_behalf(hand, destination)) for hand in hands]
        self._let_go(given_back, has=False)
        self.is_unsure = True

    def move(self, destination: str, events: Iterable[Event], to: str) -> None:
        """Have *to* stand in for *destination*, or give back what it has in its place.

        It goes on to take the room of who is gone: a stand-in that is slow would have all of the stream in memory.
        Redis learns it when *to* has them. Killed before that, who takes over finds the destination gone, and hands
        over once more.
        """
        with self._lock:
            for hand in [self._by_event[event.id] for event in events if event.id in self._by_event]:
                absent = hand.in_place_of.pop(destination, frozenset())
                if to in absent:  # two that are gone may have the same stand-in, and are given back one by one
                    if rest := absent - {to}:
                        hand.in_place_of[destination] = rest
                elif absent or destination in hand.weights:
                    absent = absent or frozenset({destination})
                    hand.in_place_of[to] = hand.in_place_of.get(to, frozenset()) | absent

    # ---- inside

    def _count(self, name: str, events: int, weight: int) -> None:
        self._counts[name] += events
        self._weights[name] += weight

    def _note(self, destination: str, event_ids: Sequence[str], reason: str) -> None:
        with self._lock:
            settled = [
                (hand, names)
                for hand in [self._by_event[each] for each in event_ids if each in self._by_event]
                if (names := _on_behalf(hand, destination))
            ]
            told = [each for hand, names in settled for each in _settled(hand, names, destination, reason)]
        self._until_done(lambda: self._stream.settle(told))
        self._let_go(settled, has=True)

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

    def _let_go(self, settled: Iterable[tuple[Hand, frozenset[str]]], *, has: bool) -> None:
        with self._lock:
            for hand, names in settled:
                for name in names:
                    weight = hand.weights.pop(name, None)
                    if weight is not None:
                        self._count(name, -1, -weight)
                if has:
                    hand.has |= names
                if not hand.weights:
                    self._forget(hand)
            self._roomy.notify_all()

    def _forget(self, hand: Hand) -> None:
        self._by_entry.pop(hand.entry, None)
        if hand.event is not None:
            self._by_event.pop(hand.event.id, None)
            hand.event = None
        self._let_gone[hand.entry] = hand
        if len(self._let_gone) > _REMEMBERED:
            self._let_gone.popitem(last=False)


def _on_behalf(hand: Hand, destination: str) -> frozenset[str]:
    """Return in whose place *destination* has an entry: its own, or that of those who are gone, who are struck out.

    Nobody's, when it had it in the place of two, and this is the second time.
    """
    return hand.in_place_of.pop(destination, frozenset({destination} & hand.wanted))


def _settled(hand: Hand, names: frozenset[str], destination: str, reason: str) -> Iterator[Settled]:
    """Yield what is to be noted when *destination* has taken for *names* an entry, or has refused it for a *reason*."""
    others = hand.wanted - hand.has - names
    yield Settled(hand.entry, hand.executor, destination, others | names - {destination}, reason)
    for each in sorted(names - {destination}):  # so that who takes over hands nothing over that the stand-in has had
        names -= {each}
        yield Settled(hand.entry, hand.executor, each, others | names)
