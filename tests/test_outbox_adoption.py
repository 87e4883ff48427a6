"""Who gets which rows: those of dead processes, parked ones, and those for destinations that nobody has."""

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from outboxes import ALL, an_event, everything_in, opened

from notify.delivery.outbox import Adopted, listing, owner
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.row import rows_of
from notify.delivery.outbox.store import Store
from notify.event import Event


def a_mark(number: int) -> str:
    """Return the mark of a process that is long gone."""
    return f"{number}-00000000"


def left_behind(state: Path, marks: Sequence[str]) -> list[Event]:
    """Write one event for each of *marks*, one after the other, and return them."""
    with opened(state):  # which makes the file, if there is none
        events = [an_event() for _ in marks][::-1]  # a later event may be written before an earlier one
        with closing(Store(state / NAME)) as store:
            for event, mark in zip(events, marks, strict=True):
                store.insert([row._replace(owner=mark) for row in rows_of(event, ["discord"])])
    for mark in marks:
        lock_of(state, mark).touch(mode=0o600)
    return events


def lock_of(state: Path, mark: str) -> Path:
    """Return where the lock's file of *mark* is."""
    return state / "owners" / f"{mark}.lock"


def owner_of(state: Path, event: Event) -> str:
    """Return whose row *event* is."""
    with closing(sqlite3.connect(state / NAME)) as file:
        ((mark,),) = file.execute("SELECT owner FROM outbox WHERE event_id = ?", (event.id,))
    return str(mark)


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
        assert second == []
        assert living.stats()["waiting"] == unknown + 1


def test_the_locks_file_of_an_owner_goes_with_its_last_row(state):
    with opened(state) as dead:
        dead.accept(an_event(), ["telegram"])
    owners = state / "owners"

    with opened(state) as living:
        assert living.adopt(["discord"]) == []
        kept = len(list(owners.iterdir()))
        while living.adopt(["telegram"]):
            pass
        left = len(list(owners.iterdir()))

    assert (kept, left) == (2, 1)  # the living one's, and the dead one's as long as there is something of it


def test_one_without_the_destination_makes_an_owner_known_again_to_one_that_has_it(state):
    with opened(state) as has_it:
        assert has_it.adopt(ALL) == []
        with opened(state) as dead:
            dead.accept(event := an_event(), ["telegram"])
            mark = owner_of(state, event)
        lock_of(state, mark).unlink()
        with opened(state) as without:
            assert without.adopt(["discord"]) == []

        assert has_it.adopt(ALL) == [("telegram", event)]


# ---- the order of writing


def test_what_hundreds_of_dead_owners_wrote_in_turns_is_adopted_in_turns(state):
    marks = [a_mark(number) for number in range(300)]
    events = left_behind(state, marks * 3)

    with opened(state) as living:
        found = []
        while part := living.adopt(ALL, limit=250):  # fewer than there are owners
            assert len(part) == 250 or len(found) + len(part) == len(events)
            found += [each.event for each in part]

    assert found == events


def test_the_living_keep_their_rows_and_are_in_nobodys_way(state):
    with opened(state) as alive, opened(state) as adopter:
        events, kept = [], []
        for number in range(3):
            events += left_behind(state, [a_mark(number), a_mark(1)])
            for _ in range(10):  # more than are adopted at once
                alive.accept(event := an_event(), ["discord"])
                kept.append(event)
        mark = owner_of(state, kept[0])

        found = [[each.event for each in adopter.adopt(ALL, limit=4)] for _ in range(3)]

        assert found == [events[:4], events[4:], []]
        assert {owner_of(state, event) for event in kept} == {mark}


def test_one_that_dies_while_somebody_looks_keeps_the_order_of_its_rows(state, monkeypatch):
    dead, dying = a_mark(1), a_mark(2)
    one, two, three = left_behind(state, [dying, dead, dying])
    lives = owner.lives
    answers = iter([True])  # alive when asked for the first time, dead ever after
    monkeypatch.setattr(
        owner, "lives", lambda directory, mark: next(answers, False) if mark == dying else lives(directory, mark)
    )

    with opened(state) as living:
        found = [[each.event for each in living.adopt(ALL)] for _ in range(3)]

    assert found == [[two], [one, three], []]


def test_the_table_is_not_read_while_everybody_lives(state, monkeypatch):
    with opened(state) as one, opened(state) as other:
        other.accept(an_event(), ["discord"])
        assert one.adopt(ALL) == []
        for name in ("oldest", "owners"):
            monkeypatch.setattr(Store, name, lambda *_, **__: pytest.fail("the table was read"))

        assert one.adopt(ALL) == []


def test_damaged_rows_do_not_end_the_adoption(state):
    events = left_behind(state, [a_mark(1)] * 8)
    with closing(sqlite3.connect(state / NAME)) as file, file:
        for event in (*events[:4], events[5]):
            file.execute("UPDATE outbox SET checksum = checksum + 1 WHERE event_id = ?", (event.id,))

    with opened(state) as living:  # by twos: two answers would be nothing but damaged, one would be half
        found = [[each.event for each in living.adopt(ALL, limit=2)] for _ in range(3)]

    assert found == [[events[4]], events[6:], []]
    assert len(listing.dead(state, 10)) == 5


# ---- two at the same time


@pytest.mark.parametrize("taken", [2, 3])  # of the three that the slower one is about to take
def test_each_row_goes_to_one_of_two_that_adopt_at_the_same_time(state, monkeypatch, taken):
    events = left_behind(state, [a_mark(1)] * 5)
    with opened(state) as slow, opened(state) as quick:
        hand_over = Store.hand_over
        to_quick: list[Adopted] = []

        def overtaken(*arguments):
            monkeypatch.setattr(Store, "hand_over", hand_over)
            to_quick.extend(quick.adopt(ALL, limit=taken))
            return hand_over(*arguments)

        monkeypatch.setattr(Store, "hand_over", overtaken)
        to_slow = slow.adopt(ALL, limit=3)

        assert [each.event for each in to_quick] == events[:taken]
        # Never nothing, which would say that there is no more.
        assert [each.event for each in to_slow] == (events[2:3] if taken == 2 else events[3:])


def test_rows_that_a_damaged_table_does_not_let_go_of_are_left_alone(state, monkeypatch):
    left_behind(state, [a_mark(1)])
    with opened(state) as living, monkeypatch.context() as patched:
        patched.setattr(Store, "hand_over", lambda *_: False)

        assert living.adopt(ALL) == []


def test_those_who_ask_at_the_same_time_do_not_take_each_other_for_the_living(state):
    left_behind(state, [a_mark(1)])
    with lock_of(state, a_mark(1)).open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)

        assert not owner.lives(state, a_mark(1))


def test_rows_given_to_nobody_while_locks_files_are_removed_are_found_all_the_same(state, monkeypatch):
    with opened(state) as one, opened(state) as other:
        one.accept(event := an_event(), ["discord"])
        other.adopt(["telegram"])
        owners = Store.owners

        def too_early(store):
            found = owners(store)
            one.park("discord", [event.id])
            return found

        left_behind(state, [a_mark(1)])
        owner.offer_to_adopters(state)
        with monkeypatch.context() as patched:
            patched.setattr(Store, "owners", too_early)
            other.adopt(["telegram"])

        assert event in [each.event for each in other.adopt(ALL)]


def test_the_locks_file_of_one_that_has_made_it_again_stays(state):
    with opened(state) as alive:
        alive.accept(event := an_event(), ["discord"])
        mark = owner_of(state, event)

        owner.forget(state, mark)

        assert owner.lives(state, mark)


def test_looking_at_the_locks_leaves_no_descriptor_open(state):
    left_behind(state, [a_mark(1)])
    with opened(state) as living:
        before = set(Path("/dev/fd").iterdir())
        while living.adopt(ALL):
            pass

        assert set(Path("/dev/fd").iterdir()) == before


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
        patched.setattr(Store, "_execute", fail)
        patched.setattr(os, "stat", fail)
        numbers = outbox.stats()

    assert set(numbers) == {"broken", "waiting", "dead", "bytes", "counted_at"}


def test_the_reason_why_nothing_is_kept_is_among_the_numbers(state):
    state.write_text("a file")

    with opened(state) as outbox:
        assert outbox.stats()["broken"] == outbox.broken is not None
