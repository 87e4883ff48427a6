"""Who cannot be sure of his lease sends nothing."""

from collections.abc import Sequence

import pytest

from notify.backends.memory import MemoryBackend
from notify.delivery.attempt import welcome_in
from notify.errors import RetryLater
from notify.event import Event
from notify.relay.fence import SLOWEST, Fence, Fenced
from notify.testing import FakeClock

LEASE = 30.0
EVENT = Event(id="1", time=0.0, message="hello", level=20)


def renewed(clock: FakeClock) -> Fence:
    fence = Fence(clock, LEASE)
    fence.renewed(fence.now())
    return fence


def test_nothing_passes_before_there_is_a_lease() -> None:
    assert not Fence(FakeClock(), LEASE).is_open


def test_what_passes_ends_before_the_lease_does() -> None:
    clock = FakeClock()
    fence = renewed(clock)

    clock.advance(LEASE - SLOWEST - 0.1)
    assert fence.is_open
    clock.advance(0.2)
    assert not fence.is_open


def test_a_renewal_counts_from_when_it_was_asked_for() -> None:
    clock = FakeClock()
    fence = Fence(clock, LEASE)
    asked_at = fence.now()
    clock.advance(10)  # so long the answer took

    fence.renewed(asked_at)
    clock.advance(LEASE - SLOWEST - 10)

    assert not fence.is_open


def test_a_fence_that_is_shut_stays_shut() -> None:
    fence = renewed(FakeClock())

    fence.shut()
    fence.renewed(fence.now())

    assert not fence.is_open


def test_who_was_away_is_steady_again_when_others_could_have_come_back_too() -> None:
    clock = FakeClock()
    fence = renewed(clock)
    for _ in range(11):  # seconds, of which a third of a lease has ten
        clock.advance(1)
        fence.renewed(fence.now())
    assert fence.is_steady

    clock.advance(11)
    fence.renewed(fence.now())
    assert not fence.is_steady


def test_at_another_server_nobody_is_steady_before_others_could_have_told_it_of_their_leases() -> None:
    clock = FakeClock()
    fence = renewed(clock)
    clock.advance(11)  # seconds, of which a third of a lease has ten
    fence.renewed(fence.now())
    clock.advance(9)
    fence.renewed(fence.now())

    fence.moved()
    clock.advance(9)
    fence.renewed(fence.now())
    assert not fence.is_steady

    clock.advance(2)
    assert fence.is_steady


def test_a_process_that_stood_still_sends_nothing_though_it_was_asked_before() -> None:
    clock, backend = FakeClock(), MemoryBackend()
    fenced = Fenced(backend, renewed(clock))
    assert welcome_in(fenced) == 0

    clock.advance(LEASE)

    with pytest.raises(RetryLater) as refused:
        fenced.send([EVENT])
    assert refused.value.after == welcome_in(fenced) > 0
    assert backend.events == []


class Slow:
    """A backend with all that a backend may have."""

    folds = False
    max_batch = 7
    in_order = True

    def ready_in(self) -> float:
        return 3.0

    def send(self, events: Sequence[Event], /) -> int:
        return len(events)

    def close(self) -> None:
        self.closed = True


def test_behind_a_fence_a_backend_is_what_it_was_and_durable() -> None:
    backend = Slow()
    fenced = Fenced(backend, renewed(FakeClock()))

    assert (fenced.folds, fenced.max_batch, fenced.in_order, fenced.durable) == (False, 7, True, True)
    assert fenced.ready_in() == 3.0
    assert fenced.send([EVENT, EVENT]) == 2
    fenced.close()
    assert backend.closed
