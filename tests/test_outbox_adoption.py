"""Who gets which rows: those of dead processes, parked ones, and those for destinations that nobody has."""

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from outboxes import ALL, an_event, everything_in, opened

from notify.delivery.outbox import listing
from notify.delivery.outbox import store as outbox_store
from notify.delivery.outbox.file import NAME


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


# ---- destinations


def test_only_rows_for_known_destinations_are_taken_over(state):
    with opened(state) as dead:
        dead.accept(event := an_event(), ["discord", "telegram"])

    with opened(state) as living:
        assert living.adopt(["discord"]) == [("discord", event)]

    assert [(each.destination, each.dead_at) for each in listing.waiting(state, 10)] == [
        ("discord", None),
        ("telegram", None),
    ]


def test_rows_for_a_destination_that_nobody_has_wait_for_a_process_that_has_it(state):
    with opened(state) as dead:
        dead.accept(event := an_event(), ["telegram"])
    for _ in range(3):
        with opened(state) as without:
            assert without.adopt(["discord"]) == []

    with opened(state) as one_that_has_it:
        assert one_that_has_it.adopt(["discord", "telegram"]) == [("telegram", event)]


def test_one_that_runs_finds_them_although_another_without_the_destination_looked_first(state):
    with opened(state) as has_it, opened(state) as without:
        assert has_it.adopt(["telegram"]) == []
        with opened(state) as dead:
            dead.accept(event := an_event(), ["telegram"])
        assert without.adopt(["discord"]) == []

        assert has_it.adopt(["telegram"]) == [("telegram", event)]


def test_known_destinations_are_found_behind_thousands_of_rows_for_unknown_ones(state):
    unknown = 3000  # three times what is taken at once
    with opened(state) as dead:
        with closing(sqlite3.connect(state / NAME)) as file, file:  # quicker than 3000 events
            dead.accept(an_event(), ["telegram"])
            (row,) = file.execute("SELECT * FROM outbox").fetchall()
            _, destination, _, *rest = row
            file.executemany(
                f"INSERT INTO outbox VALUES ({', '.join('?' * len(row))})",
                [(None, destination, str(number), *rest) for number in range(unknown - 1)],
            )
        dead.accept(known := an_event(), ["discord"])

    with opened(state) as living:
        first, second = living.adopt(["discord"]), living.adopt(["discord"])

        assert first == [("discord", known)]
        assert second == []  # fewer than asked for: the caller need not ask again at once
        assert living.stats()["waiting"] == unknown + 1


def test_more_dead_owners_than_locks_can_be_held_hide_nobody_for_good(state, monkeypatch):
    monkeypatch.setattr("notify.delivery.outbox.adoption.LOCKS", 2)
    with ExitStack() as all_alive:
        several = [all_alive.enter_context(opened(state)) for _ in range(6)]
        for outbox in several:
            outbox.accept(an_event(), ["telegram"])
        several[-1].accept(known := an_event(), ["discord"])

    with opened(state) as living:
        looks = 200  # of 6 owners 2 are looked at: a chance of (2/3) ** 200 to miss one
        assert any(living.adopt(["discord"]) == [("discord", known)] for _ in range(looks))


def test_the_locks_file_of_an_owner_goes_with_its_last_row(state):
    with opened(state) as dead:
        dead.accept(an_event(), ["telegram"])
    owners = state / "owners"

    with opened(state) as living:
        living.adopt(["discord"])
        kept = len(list(owners.iterdir()))
        living.adopt(["telegram"])
        left = len(list(owners.iterdir()))

    assert (kept, left) == (2, 1)  # the living one's, and the dead one's as long as there is something of it


# ---- parking


def test_what_is_parked_is_adopted_again_by_the_same_process(state):
    events = [an_event() for _ in range(3)]
    with opened(state) as outbox:
        for event in events:
            outbox.accept(event, ["discord"])

        outbox.park("discord", [events[0].id, events[2].id])

        assert [each.event for each in outbox.adopt(ALL)] == [events[0], events[2]]
        assert outbox.adopt(ALL) == []


def test_what_is_parked_may_be_adopted_by_another_process(state):
    with opened(state) as one, opened(state) as other:
        assert other.adopt(ALL) == []
        one.accept(event := an_event(), ["discord"])

        one.park("discord", [event.id])

        assert [each.event for each in other.adopt(ALL)] == [event]
        assert one.adopt(ALL) == []


def test_what_is_parked_survives_the_process(state):
    with opened(state) as outbox:
        outbox.accept(event := an_event(), ["discord"])
        outbox.park("discord", [event.id])

    assert everything_in(state) == [event]


def test_parking_leaves_alone_what_is_delivered_dead_or_anothers(state):
    delivered, dead, anothers = [an_event() for _ in range(3)]
    with opened(state) as outbox, opened(state) as other:
        outbox.accept(delivered, ["discord"])
        outbox.accept(dead, ["discord"])
        other.accept(anothers, ["discord"])
        outbox.delivered("discord", [delivered.id])
        outbox.dead("discord", dead.id, "no")

        outbox.park("discord", [delivered.id, dead.id, anothers.id, "unheard of"])

        assert outbox.adopt(ALL) == []
        assert [letter.event for letter in listing.dead(state, 10)] == [dead]


def test_what_cannot_be_parked_now_is_parked_when_the_disk_works_again(state, monkeypatch):
    monkeypatch.setattr("notify.delivery.outbox.front._PATIENCE", 0.0)
    with opened(state) as outbox:
        outbox.accept(event := an_event(), ["discord"])
        with closing(sqlite3.connect(state / NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outbox.park("discord", [event.id])
            other.execute("COMMIT")

        assert [each.event for each in outbox.adopt(ALL)] == [event]


def test_parking_fails_silently_when_there_is_no_disk(state):
    state.write_text("a file")

    with opened(state) as outbox:
        outbox.park("discord", ["some event"])

        assert outbox.broken


# ---- stats


def test_the_numbers_are_those_of_the_last_look(state):
    with opened(state) as outbox:
        empty = outbox.stats()
        dead, waiting = an_event(), an_event()
        for event in (dead, waiting):
            outbox.accept(event, ["discord", "telegram"])
        outbox.dead("discord", dead.id, "no")
        before = outbox.stats()
        outbox.maintain()
        after = outbox.stats()

    assert (empty["waiting"], empty["dead"]) == (0, 0)
    assert before == empty
    assert (after["broken"], after["waiting"], after["dead"]) == (None, 3, 1)
    assert isinstance(after["bytes"], int)
    assert 0 < after["bytes"] < 100_000  # a page of 4 kB for the table and each index, and a few more


def test_the_next_process_knows_the_numbers_at_once(state):
    with opened(state) as outbox:
        outbox.accept(an_event(), ["discord"])

    with opened(state) as outbox:
        assert outbox.stats()["waiting"] == 1


def test_the_numbers_do_not_touch_the_disk(state, monkeypatch):
    def fail(*_: object) -> None:
        pytest.fail("the disk was asked")

    with opened(state) as outbox, monkeypatch.context() as patched:
        patched.setattr(outbox_store.Store, "_execute", fail)
        patched.setattr(os, "stat", fail)
        numbers = outbox.stats()

    assert set(numbers) == {"broken", "waiting", "dead", "bytes"}


def test_the_reason_why_nothing_is_kept_is_among_the_numbers(state):
    state.write_text("a file")

    with opened(state) as outbox:
        assert outbox.stats()["broken"] == outbox.broken is not None
