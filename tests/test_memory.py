"""The backend that keeps events in a list, and fails on demand."""

import threading

import pytest

from notify.backend import max_batch
from notify.backends.memory import MemoryBackend
from notify.errors import Rejected, RetryLater
from notify.event import Event


def event(message: str) -> Event:
    return Event(id=message, time=0.0, message=message, level=20)


def test_it_keeps_what_it_was_sent_in_order() -> None:
    backend = MemoryBackend(max_batch=2)

    assert backend.send([event("a"), event("b")]) == 2
    assert backend.send([event("c")]) == 1

    assert backend.messages == ["a", "b", "c"]
    assert [kept.id for kept in backend.events] == ["a", "b", "c"]


def test_what_it_returns_is_a_copy() -> None:
    backend = MemoryBackend()
    backend.send([event("a")])

    backend.events.clear()

    assert backend.messages == ["a"]


def test_the_first_calls_do_what_they_are_told_and_later_ones_deliver() -> None:
    backend = MemoryBackend([RetryLater(2.0), None, Rejected("no")])

    with pytest.raises(RetryLater):
        backend.send([event("a")])
    backend.send([event("b")])
    with pytest.raises(Rejected):
        backend.send([event("c")])
    backend.send([event("d")])

    assert backend.messages == ["b", "d"]


def test_it_forgets_on_demand() -> None:
    backend = MemoryBackend()
    backend.send([event("a")])

    backend.clear()

    assert backend.events == []


def test_it_notes_that_it_was_closed() -> None:
    backend = MemoryBackend()
    assert not backend.closed

    backend.close()

    assert backend.closed


def test_it_is_what_a_test_asks_it_to_be() -> None:
    plain, special = MemoryBackend(), MemoryBackend(durable=True, max_batch=7)

    assert (plain.durable, max_batch(plain), plain.folds) == (False, 1, False)
    assert (special.durable, max_batch(special)) == (True, 7)


def test_waiting_ends_as_soon_as_enough_events_came() -> None:
    backend = MemoryBackend()
    sender = threading.Thread(target=lambda: backend.send([event("a"), event("b")]))
    sender.start()

    assert len(backend.wait_for(2, timeout=60.0)) == 2  # far longer than a test may take

    sender.join()


def test_waiting_returns_what_there_is_when_the_time_is_over() -> None:
    backend = MemoryBackend()
    backend.send([event("a")])

    assert [kept.message for kept in backend.wait_for(2, timeout=0.01)] == ["a"]
