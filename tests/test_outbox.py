import logging
import os
import sqlite3
import stat
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from outboxes import ALL

from notify.delivery.outbox import Limits, Outbox, connection, listing
from notify.delivery.outbox import row as outbox_row
from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.file import NAME
from notify.event import Attachment, Event, new_id
from notify.levels import TRADE
from notify.testing import FakeClock

MINUTE = 60.0
DAY = 86_400.0

_numbers = count(1)


def _event(level: int = TRADE, *, time: float = 1_767_225_600.0, message: str = "", size: int = 0) -> Event:
    files = (Attachment("f", os.urandom(size)),) if size else ()
    message = message or f"event {next(_numbers)}"
    return Event(id=new_id(time), time=time, message=message, level=level, attachments=files)


@pytest.fixture
def opened(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Outbox]]:
    """Opens outboxes in one directory, as many as a test asks for, and closes them in the end."""
    outboxes: list[Outbox] = []

    def open_one(**limits: float) -> Outbox:
        outboxes.append(Outbox(tmp_path / "state", clock=clock, limits=Limits(**limits) if limits else None))  # type: ignore[arg-type]  # whole numbers where they must be
        return outboxes[-1]

    yield open_one
    for outbox in outboxes:
        outbox.close()


@pytest.fixture
def outbox(opened: Callable[..., Outbox]) -> Outbox:
    return opened()


def _left_behind(opened: Callable[..., Outbox], before: Outbox) -> list[tuple[str, Event]]:
    """What the next process finds after *before*."""
    before.close()
    return [(each.destination, each.event) for each in opened().adopt(ALL)]


# ---- accepted, delivered, adopted


def test_what_was_accepted_is_found_by_the_next_process_in_order(opened, outbox):
    events = [_event(), _event(logging.ERROR), _event()]

    assert all(outbox.accept(event, ["discord"]) for event in events)

    assert _left_behind(opened, outbox) == [("discord", event) for event in events]


def test_an_event_is_kept_once_for_each_destination(opened, outbox):
    event = _event()

    assert outbox.accept(event, ["discord", "telegram"])
    outbox.delivered("discord", [event.id])

    assert _left_behind(opened, outbox) == [("telegram", event)]


def test_what_was_delivered_is_not_found_again(opened, outbox):
    first, second, third = _event(), _event(), _event()
    for event in (first, second, third):
        outbox.accept(event, ["discord"])

    outbox.delivered("discord", [first.id, third.id])

    assert _left_behind(opened, outbox) == [("discord", second)]


def test_the_same_event_twice_is_kept_once(opened, outbox):
    event = _event()

    assert outbox.accept(event, ["discord"])
    assert outbox.accept(event, ["discord"])

    assert _left_behind(opened, outbox) == [("discord", event)]


def test_an_event_for_nobody_is_not_on_disk(opened, outbox):
    assert not outbox.accept(_event(), [])

    assert _left_behind(opened, outbox) == []


def test_what_was_adopted_belongs_to_the_adopter_and_is_found_after_it_too(opened, outbox):
    event = _event()
    outbox.accept(event, ["discord"])
    outbox.close()
    second = opened()
    second.adopt(ALL)

    assert second.adopt(ALL) == []
    assert _left_behind(opened, second) == [("discord", event)]


def test_the_events_of_one_that_lives_are_not_touched(opened, outbox):
    outbox.accept(_event(), ["discord"])

    assert opened().adopt(ALL) == []
    assert outbox.adopt(ALL) == []


def test_one_that_dies_later_is_noticed_at_the_next_look(opened, outbox):
    event = _event()
    outbox.accept(event, ["discord"])
    second = opened()
    assert second.adopt(ALL) == []

    outbox.close()

    assert [each.event for each in second.adopt(ALL)] == [event]


def test_a_large_estate_is_taken_over_bit_by_bit_in_order(opened, outbox):
    events = [_event() for _ in range(10)]
    for event in events:
        outbox.accept(event, ["discord"])
    outbox.close()
    second = opened()

    parts = [[each.event for each in second.adopt(ALL, limit=4)] for _ in range(4)]

    assert parts == [events[:4], events[4:8], events[8:], []]


def test_what_several_wrote_in_turns_is_found_in_the_order_of_writing_within_one_limit(opened):
    several = [opened() for _ in range(4)]
    events = [_event() for _ in range(12)]
    for number, event in enumerate(events):
        several[number % 4].accept(event, ["discord"])
    for each in several:
        each.close()
    last = opened()

    first, second = last.adopt(ALL, limit=5), last.adopt(ALL, limit=50)

    assert [each.event for each in first] == events[:5]
    assert [each.event for each in second] == events[5:]


def test_nobody_is_left_in_the_directory_of_owners_but_the_living(tmp_path, opened, outbox):
    outbox.accept(_event(), ["discord"])
    outbox.close()
    second = opened()

    while second.adopt(ALL):
        pass

    assert len(list((tmp_path / "state" / "owners").iterdir())) == 1


def test_events_whose_owner_left_no_trace_but_them_are_found_at_the_start(tmp_path, opened, outbox):
    event = _event()
    outbox.accept(event, ["discord"])
    outbox.close()
    for lock in (tmp_path / "state" / "owners").iterdir():
        lock.unlink()

    assert [each.event for each in opened().adopt(ALL)] == [event]


def test_one_whose_mark_was_tidied_away_makes_it_again_before_others_take_its_events(tmp_path, opened, outbox):
    outbox.accept(_event(), ["discord"])
    for lock in (tmp_path / "state" / "owners").iterdir():
        lock.unlink()

    outbox.maintain()

    assert opened().adopt(ALL) == []


@pytest.mark.parametrize(
    "mark", ["", "1", "1-0000000", "1-000000000", "1-0000000g", "a1-00000000", "1-2-00000000", b"1-00000000"]
)
def test_rows_under_no_process_mark_are_found_however_many_they_are(tmp_path, opened, outbox, mark):
    events = [_event() for _ in range(3)]
    for event in events:
        outbox.accept(event, ["discord"])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "state" / NAME)) as file, file:
        file.execute("UPDATE outbox SET owner = ?", (mark,))
    second = opened()

    found = [[each.event for each in second.adopt(ALL, limit=2)] for _ in range(3)]

    assert found == [events[:2], events[2:], []]


def test_an_owner_mark_that_was_forged_leads_nowhere_else(tmp_path, opened, outbox):
    event = _event()
    outbox.accept(event, ["discord"])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "state" / NAME)) as file, file:
        file.execute("UPDATE outbox SET owner = '../../precious'")
    (tmp_path / "precious.lock").touch(mode=0o600)

    adopted = opened().adopt(ALL)

    assert [each.event for each in adopted] == [event]
    assert (tmp_path / "precious.lock").exists()


def test_closing_twice_is_no_harm(outbox):
    outbox.close()
    outbox.close()


def test_everything_in_the_directory_is_for_this_user_only(tmp_path, outbox):
    before = os.umask(0)
    try:
        outbox.accept(_event(logging.CRITICAL), ["discord"])
        outbox.maintain()
    finally:
        os.umask(before)

    found = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}


# ---- dead letters, and what an operator does with them


def test_a_dead_letter_is_listed_with_its_reason_and_not_delivered(tmp_path, opened, outbox, clock):
    event = _event()
    outbox.accept(event, ["discord"])

    outbox.dead("discord", event.id, "embeds[0]: too long")

    (letter,) = listing.dead(tmp_path / "state", 10)
    assert (letter.destination, letter.event, letter.dead_reason) == ("discord", event, "embeds[0]: too long")
    assert letter.dead_at == clock.time()
    assert listing.waiting(tmp_path / "state", 10) == []
    assert _left_behind(opened, outbox) == []


def test_a_dead_letter_that_is_tried_again_goes_to_whoever_looks_next(tmp_path, outbox):
    event = _event()
    outbox.accept(event, ["discord"])
    outbox.dead("discord", event.id, "no")
    assert outbox.adopt(ALL) == []

    assert listing.retry(tmp_path / "state", [event.id]) == {event.id: 1}

    assert [each.event for each in outbox.adopt(ALL)] == [event]
    assert outbox.adopt(ALL) == []


def test_the_lock_of_nobody_stays_because_rows_may_be_given_to_nobody_at_any_moment(tmp_path, outbox):
    outbox.accept(event := _event(), ["discord"])
    outbox.dead("discord", event.id, "no")
    listing.retry(tmp_path / "state", [event.id])

    outbox.adopt(ALL)

    assert (tmp_path / "state" / "owners" / "nobody.lock").exists()


def test_trying_again_leaves_alone_what_waits_anyway(tmp_path, outbox):
    event = _event()
    outbox.accept(event, ["discord"])

    assert listing.retry(tmp_path / "state", [event.id]) == {event.id: 0}

    assert outbox.adopt(ALL) == []


def test_an_event_is_shown_for_each_destination(tmp_path, outbox):
    event = _event()
    outbox.accept(event, ["discord", "telegram"])
    outbox.accept(_event(), ["discord"])
    outbox.dead("telegram", event.id, "no")

    shown = {each.destination: each.dead_reason for each in listing.show(tmp_path / "state", event.id)}

    assert shown == {"discord": None, "telegram": "no"}


def test_what_waits_is_listed_oldest_first(tmp_path, outbox):
    events = [_event() for _ in range(3)]
    for event in events:
        outbox.accept(event, ["discord"])

    assert [each.event for each in listing.waiting(tmp_path / "state", 2)] == events[:2]


def test_what_is_dropped_is_gone_and_does_not_disturb_its_delivery(tmp_path, opened, outbox):
    gone, kept = _event(), _event()
    for event in (gone, kept):
        outbox.accept(event, ["discord", "telegram"])

    assert listing.drop(tmp_path / "state", [gone.id]) == {gone.id: 2}
    outbox.delivered("discord", [gone.id, kept.id])

    assert _left_behind(opened, outbox) == [("telegram", kept)]


def test_looking_where_there_is_no_outbox_says_so_and_makes_none(tmp_path):
    with pytest.raises(StoreError, match="there is no outbox in"):
        listing.waiting(tmp_path / "state", 10)

    assert not (tmp_path / "state").exists()


# ---- limits


def test_what_is_too_old_is_dropped_and_told(opened, clock):
    outbox = opened(max_age=DAY)
    old, young = _event(time=clock.time()), _event(time=clock.time() + DAY)
    for event in (old, young):
        outbox.accept(event, ["discord"])
    clock.advance(DAY)
    assert outbox.maintain().dropped == ()

    clock.advance(1)

    assert outbox.maintain().dropped == (("discord", old.id, "too old"),)
    assert _left_behind(opened, outbox) == [("discord", young)]


def test_a_full_outbox_drops_the_oldest_of_the_least_severe(opened):
    size = 2**20  # bytes, of 3,000,000 in all: three events are too much, as base64 makes 1.4 MB of each
    outbox = opened(max_bytes=3_000_000)
    critical, info, trade = _event(logging.CRITICAL, size=size), _event(logging.INFO, size=size), _event(size=size)
    for event in (critical, info, trade):
        outbox.accept(event, ["discord"])

    dropped = outbox.maintain().dropped

    # One is not enough: 2.8 MB are more than the nine tenths that a full outbox is emptied to.
    assert sorted(row.event_id for row in dropped) == sorted([info.id, trade.id])
    assert {row.reason for row in dropped} == {"outbox full"}
    assert _left_behind(opened, outbox) == [("discord", critical)]


def test_dead_letters_make_room_before_anything_that_may_still_be_delivered(tmp_path, opened):
    outbox = opened(max_bytes=3_000_000)
    dead, waiting = _event(logging.CRITICAL, size=2**20), _event(logging.INFO, size=2**20)
    for event in (dead, waiting, _event(logging.INFO)):
        outbox.accept(event, ["discord"])
    outbox.dead("discord", dead.id, "no")
    assert outbox.maintain().dropped == ()

    outbox.accept(_event(logging.INFO, size=2**18), ["discord"])

    assert outbox.maintain().dropped == ()  # that it was dropped was said when it died
    assert listing.dead(tmp_path / "state", 10) == []


def test_only_so_many_dead_letters_are_kept_the_newest(tmp_path, opened, clock):
    outbox = opened(max_dead=2)
    events = [_event() for _ in range(4)]
    for event in events:
        outbox.accept(event, ["discord"])
        outbox.dead("discord", event.id, "no")
        clock.advance(1)

    assert outbox.maintain().dropped == ()  # that they were dropped was said when they died
    assert [each.event for each in listing.dead(tmp_path / "state", 10)] == [events[3], events[2]]


def test_the_log_of_the_database_does_not_grow_for_good(tmp_path, outbox):
    log = tmp_path / "state" / (NAME + "-wal")
    most = 6 * 2**20  # bytes: a lane moves it on at 4 MiB, and one round here writes less than two more

    for _ in range(20):  # 13 MiB in all
        events = [_event(size=2**15) for _ in range(20)]
        for event in events:
            outbox.accept(event, ["discord"])
        outbox.delivered("discord", [event.id for event in events])
        assert log.stat().st_size < most


# ---- who waits for whom


def test_a_caller_gives_up_soon_when_another_thread_holds_the_lock(outbox):
    answers: list[bool] = []
    caller = threading.Thread(target=lambda: answers.append(outbox.accept(_event(), ["discord"])))

    with outbox.locks.callers:
        caller.start()
        caller.join()  # that it ends at all is the point

    assert answers == [False]
    assert outbox.broken is None
    assert outbox.accept(_event(), ["discord"])


def test_a_caller_gives_up_soon_when_another_process_holds_the_file(tmp_path, outbox):
    with closing(sqlite3.connect(tmp_path / "state" / NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        assert not outbox.accept(_event(), ["discord"])

        other.execute("COMMIT")
    assert outbox.broken is None
    assert outbox.accept(_event(), ["discord"])


def test_what_cannot_be_removed_now_is_removed_later(tmp_path, opened, outbox, monkeypatch):
    delivered, dead, waiting = _event(), _event(), _event()
    for event in (delivered, dead, waiting):
        outbox.accept(event, ["discord"])
    with closing(sqlite3.connect(tmp_path / "state" / NAME, isolation_level=None)) as other:
        monkeypatch.setattr("notify.delivery.outbox.front._PATIENCE", 0.0)
        outbox.let_go()  # the lanes' connection is opened again, without patience
        other.execute("BEGIN IMMEDIATE")
        outbox.delivered("discord", [delivered.id])
        outbox.dead("discord", dead.id, "no")
        other.execute("COMMIT")
    assert len(listing.waiting(tmp_path / "state", 10)) == 3

    outbox.maintain()

    assert [each.event for each in listing.dead(tmp_path / "state", 10)] == [dead]
    assert _left_behind(opened, outbox) == [("discord", waiting)]


def test_nobody_waits_for_a_lane_that_flushes(outbox):
    answers: list[bool] = []
    caller = threading.Thread(target=lambda: answers.append(outbox.accept(_event(), ["discord"])))

    with outbox.locks.lanes:  # as during a checkpoint
        caller.start()
        caller.join()

    assert answers == [True]


def test_only_what_is_critical_is_flushed_and_that_without_the_lock(outbox, monkeypatch):
    flushed: list[bool] = []

    def note(descriptor: int) -> None:
        other = threading.Thread(target=lambda: flushed.append(outbox.accept(_event(), ["discord"])))
        other.start()
        other.join()

    monkeypatch.setattr(connection.os, "fdatasync", note)

    outbox.accept(_event(logging.ERROR), ["discord"])
    assert flushed == []
    outbox.accept(_event(logging.CRITICAL), ["discord"])
    assert flushed == [True]


_CYCLIC: dict[str, object] = {}
_CYCLIC["self"] = _CYCLIC


@pytest.mark.parametrize(
    "part", [{"fields": _CYCLIC}, {"level": 10**30}, {"time": float("nan")}, {"id": "\ud800"}], ids=str
)
def test_an_event_that_cannot_be_written_down_is_left_to_memory(outbox, capsys, part):
    event = Event(**{"id": "i", "time": 0.0, "message": "m", "level": TRADE, **part})

    assert not outbox.accept(event, ["discord"])

    assert outbox.broken is None
    assert "cannot be kept on disk" in capsys.readouterr().err
    assert outbox.accept(_event(), ["discord"])


def test_a_row_from_a_newer_version_with_unknown_parts_is_delivered(tmp_path, opened, outbox):
    event = _event()
    outbox.accept(event, ["discord"])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "state" / NAME)) as file, file:
        ((payload,),) = file.execute("SELECT payload FROM outbox").fetchall()
        newer = payload[:-1] + b',"priority":"high"}'
        checksum = outbox_row.checksum_of("discord", event.id, zlib.crc32(newer))
        file.execute("UPDATE outbox SET payload = ?, checksum = ?", (newer, checksum))

    assert [each.event for each in opened().adopt(ALL)] == [event]
