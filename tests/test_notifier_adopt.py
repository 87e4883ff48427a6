"""`Notifier.adopt()`: what a process that has just died left in the outbox is delivered now, not within a minute."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from lanes import LONG
from outboxes import an_event

from notify.backends.memory import MemoryBackend
from notify.delivery.outbox import Outbox
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.row import rows_of
from notify.delivery.outbox.store import Store
from notify.event import Event
from notify.notifier import Notifier

DEAD = "7-00000000"  # the mark of a process that is long gone


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def die_leaving(state: Path) -> Event:
    """Do what a process has done that has died now, and return what it has left."""
    event = replace(an_event(), time=time.time())  # what is too old would be given up
    with closing(Store(state / NAME)) as store:
        store.insert([row._replace(owner=DEAD) for row in rows_of(event, ["memory"])])
    (state / "owners" / f"{DEAD}.lock").touch(mode=0o600)
    return event


def test_what_a_process_has_left_since_the_start_is_in_the_lanes_when_adopt_returns(state):
    backend = MemoryBackend(durable=True)
    with Notifier({"memory": backend}, outbox=Outbox(state)) as notifier:
        notifier.trade("first")  # which makes the file
        assert notifier.flush(LONG)
        left = die_leaving(state)

        notifier.adopt()
        notifier.close(LONG)  # waits for what is in the lanes, and for nothing else

    assert [event.id for event in backend.events][1:] == [left.id]


def test_a_notifier_that_is_closed_takes_over_nothing(state):
    backend = MemoryBackend(durable=True)
    with Notifier({"memory": backend}, outbox=Outbox(state)) as notifier:
        notifier.trade("first")
        assert notifier.flush(LONG)
    left = die_leaving(state)

    notifier.adopt()

    with Notifier({"memory": backend}, outbox=Outbox(state)) as another:
        another.adopt()
        another.close(LONG)
    assert [event.id for event in backend.events][1:] == [left.id]


def test_without_an_outbox_there_is_nothing_to_take_over():
    with Notifier({"memory": MemoryBackend()}) as notifier:
        notifier.adopt()

        assert notifier.flush(LONG)
