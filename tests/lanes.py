"""Lanes to test with: their backends, what stands in for the outbox, and how a thread of ours dies."""

import ctypes
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from notify.clock import Clock
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry
from notify.delivery.ticket import PENDING, Ticket
from notify.event import Event
from notify.notifier import Notifier
from notify.rules.routing import Route
from notify.testing import FakeClock

LONG = 60.0  # seconds; who waits this long has failed


class Bench:
    """Makes lanes, puts events on them and ends them."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.settled = threading.Condition(self.lock)
        self.lanes: list[Lane] = []

    def lane(self, backend: object, *, route: Route | None = None, clock: Clock | None = None, **more: Any) -> Lane:
        lane = Lane(
            f"lane{len(self.lanes)}",
            backend,  # type: ignore[arg-type]  # has send and close
            route or Route(),
            clock=clock or self.clock,
            lock=self.lock,
            settled=self.settled,
            **{"outbox": None, "on_gone": lambda name, text: None, "redact": str, **more},
        )
        self.lanes.append(lane)
        return lane

    def entry(self, message: str, level: int = logging.INFO, *, stored: bool = False) -> Entry:
        event = Event(id=message, time=0.0, message=message, level=level)
        ticket = Ticket(message, changed=self.settled)
        ticket.routed({"lane0": PENDING})
        return Entry.of(event, ticket, stored=stored)

    def put(self, lane: Lane, *messages: str, level: int = logging.INFO, stored: bool = False) -> list[Entry]:
        entries = [self.entry(message, level, stored=stored) for message in messages]
        lane.put(entries)
        return entries

    def end(self) -> None:
        for lane in self.lanes:
            lane.stop()
        for lane in self.lanes:
            lane.join(5)


@contextmanager
def benches(clock: FakeClock) -> Iterator[Bench]:
    """Make a bench, whose lanes end with the context."""
    bench = Bench(clock)
    try:
        yield bench
    finally:
        bench.end()


class Gate:
    """A backend whose `send` says that it was called and returns when it is let."""

    def __init__(self, max_batch: int = 1, *, durable: bool = False) -> None:
        self.max_batch = max_batch
        self.durable = durable
        self.called = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def send(self, events: Sequence[Event], /) -> int:
        self.batches.append([event.message for event in events])
        self.called.release()
        assert self.let.acquire(timeout=LONG)
        return len(events)

    def close(self) -> None:
        pass


class Scripted:
    """A backend that does what a list says, and delivers when the list has ended."""

    def __init__(self, *steps: object, max_batch: int = 1, durable: bool = False) -> None:
        self.max_batch = max_batch
        self.durable = durable
        self.steps = list(steps)
        self.batches: list[str] = []

    def send(self, events: Sequence[Event], /) -> object:
        self.batches.append(" ".join(event.message for event in events))
        step = self.steps.pop(0) if self.steps else len(events)
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self) -> None:
        pass


class Hanging:
    """A backend whose `send` returns when it is let, as one does whose destination never answers."""

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self.called = threading.Event()
        self.let = threading.Event()
        self.events: list[Event] = []

    def send(self, events: Sequence[Event], /) -> int:
        self.called.set()
        assert self.let.wait(LONG)
        self.events.extend(events)
        return len(events)

    def close(self) -> None:
        pass


class Ledger:
    """The outbox as a lane sees it: notes what it is told, such as `delivered lane0 a b`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def delivered(self, destination: str, event_ids: Iterable[str]) -> None:
        self.lines.append(" ".join(["delivered", destination, *event_ids]))

    def dead(self, destination: str, event_id: str, reason: str) -> None:
        self.lines.append(f"dead {destination} {event_id}: {reason}")

    def park(self, destination: str, event_ids: Iterable[str]) -> None:
        self.lines.append(" ".join(["park", destination, *event_ids]))

    def move(self, destination: str, events: Iterable[Event], to: str) -> None:
        self.lines.append(" ".join(["move", destination, to, *(event.id for event in events)]))


def outcome(entry: Entry) -> str:
    """Return what became of *entry* in the first lane of a bench."""
    assert entry.ticket is not None
    return dict(entry.ticket.wait(LONG))["lane0"]


def all_settled(entries: Sequence[Entry]) -> set[str]:
    """Return what became of *entries* in the first lane of a bench."""
    return {outcome(entry) for entry in entries}


def until(true: Callable[[], object]) -> None:
    """Wait until *true* is; the test's own timeout ends one that never is."""
    pause = threading.Event()
    while not true():
        pause.wait(0.001)


def ours(name: str) -> list[threading.Thread]:
    """Return the living threads called `notify-` and *name*."""
    return [thread for thread in threading.enumerate() if thread.name == f"notify-{name}"]


def waits(name: str, function: str) -> bool:
    """Say whether the thread called `notify-` and *name* is in *function*, in which it waits."""
    frames = sys._current_frames()
    return any(frames[thread.ident].f_code.co_name == function for thread in ours(name) if thread.ident in frames)


def die(name: str, *, waiting_in: str, wake: Callable[[], object]) -> None:
    """Have the thread called `notify-` and *name* die of an exception that comes from nowhere.

    Args:
        name: of the thread.
        waiting_in: the function in which it waits when it is to happen: elsewhere it might hold a lock.
        wake: makes it run on, since only then does Python look for such exceptions.
    """
    (thread,) = ours(name)
    assert thread.ident is not None
    until(lambda: waits(name, waiting_in))
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemError))
    wake()
    thread.join(LONG)
    assert not thread.is_alive()


def pass_time(notifier: Notifier, clock: FakeClock) -> list[float]:
    """Let the clock go on until everything is delivered, and return the waits that this took, in its seconds."""
    waits: list[float] = []
    while not notifier.flush(0.05):
        with suppress(TimeoutError):  # nobody waits: a request is under way, or everything has arrived meanwhile
            waits.append(clock.next_wait(timeout=0.05))
            clock.advance(waits[-1])
    return waits
