"""The rows of the fault model that belong to the outbox's file, by their numbers: changed bytes, other versions."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from outboxes import ALL, an_event, everything_in, opened

from notify.delivery.outbox import listing
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.store import VERSION
from notify.event import Attachment, Event, ExceptionInfo, Source
from notify.levels import TRADE

VERSION_1 = Path(__file__).parent / "data" / "outbox_v1.sql"


# ---- 41: torn or changed bytes

WHO_MAY_WRITE = 18  # the offset of the number of the file format that is needed for writing
FLIPS = 150  # of 20,000 bytes; each takes 20 ms to look at


def _three_events(state: Path) -> list[Event]:
    events = [an_event(f"event {number} " + "x" * 200) for number in range(3)]
    with opened(state) as outbox:
        for event in events:
            outbox.accept(event, ["discord"])
    return events


def _flip(file: Path, content: bytes, at: int) -> None:
    file.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])


def test_fault_41_a_changed_byte_costs_no_event_unseen_and_makes_none_up(state, tmp_path):
    events = _three_events(state)
    content = (state / NAME).read_bytes()
    used = [at for at, byte in enumerate(content) if byte and at != WHO_MAY_WRITE]  # most of the file is empty
    for at in random.Random(41).sample(used, FLIPS):
        changed = tmp_path / f"changed at {at}"
        changed.mkdir()
        _flip(changed / NAME, content, at)

        found = everything_in(changed)

        assert [event for event in events if event in found] == found, at
        damaged = [row for row in (*listing.dead(changed, 10), *listing.waiting(changed, 10)) if row.event is None]
        assert len(found) == 3 or damaged or list(changed.glob("outbox-*.damaged.sqlite3")), at
        shutil.rmtree(changed)


def test_fault_41_a_changed_byte_that_forbids_writing_is_told_and_leaves_the_file_as_it_is(state):
    _three_events(state)
    _flip(state / NAME, content := (state / NAME).read_bytes(), WHO_MAY_WRITE)

    with opened(state) as outbox:
        assert not outbox.accept(an_event(), ["discord"])
        assert outbox.broken == "it is read-only"

    assert (state / NAME).read_bytes()[WHO_MAY_WRITE + 1 :] == content[WHO_MAY_WRITE + 1 :]


def test_fault_41_a_changed_byte_in_one_event_leaves_the_others_whole(state, tmp_path):
    events = _three_events(state)
    content = (state / NAME).read_bytes()
    second = content.index(b'{"id":"' + events[1].id.encode())
    for at in range(second, second + 200, 20):
        changed = tmp_path / f"changed at {at}"
        changed.mkdir()
        _flip(changed / NAME, content, at)

        assert everything_in(changed) == [events[0], events[2]], at
        assert [letter.event_id for letter in listing.dead(changed, 10)] == [events[1].id]


def test_fault_41_a_log_torn_anywhere_costs_only_what_was_written_last(state, tmp_path):
    events = [an_event("x" * 200) for _ in range(3)]
    with opened(state) as outbox:
        for event in events:
            outbox.accept(event, ["discord"])
        file, log = [(state / (NAME + suffix)).read_bytes() for suffix in ("", "-wal")]
    found: list[Event] = []
    step = 512  # bytes: a sector, which a disk writes whole
    for size in range(0, len(log) + 1, step):
        torn = tmp_path / f"torn at {size}"
        torn.mkdir()
        (torn / NAME).write_bytes(file)
        (torn / (NAME + "-wal")).write_bytes(log[:size])

        before, found = found, everything_in(torn)

        assert found == events[: len(found)], size
        assert len(found) >= len(before), size
        shutil.rmtree(torn)
    assert len(found) >= 2  # the last step is less than a sector from the end


# ---- 42: another version

OF_VERSION_1 = (
    Event(
        id="019b76daa800-000001-4f9c332c",
        time=1_767_225_600.0,
        message="Bought 0.5 WETH 🚀",
        level=TRADE,
        body="at 3,000 USD\non Uniswap",
        topic="trade",
        key="position-7",
        fields={"pair": "WETH-USDC", "price": 3000.25},
        attachments=(Attachment("chart.png", bytes(range(8)), "image/png"),),
        exception=ExceptionInfo("ValueError", "no", "Traceback …\nValueError: no"),
        tail=("line 1",),
        logger="executor",
        source=Source("/app/strategy.py", 120, "decide", 4711, "MainThread"),
    ),
    Event(id="019b76daa800-000002-4f9c332c", time=1_767_225_600.0, message="Sold", level=40),
)


def _of_version_1(state: Path) -> sqlite3.Connection:
    state.mkdir(mode=0o700)
    file = sqlite3.connect(state / NAME, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.executescript(VERSION_1.read_text())
    return file


def test_fault_42_what_version_1_wrote_is_delivered(state):
    _of_version_1(state).close()

    with opened(state) as outbox:
        assert outbox.adopt(ALL) == [("discord", OF_VERSION_1[0]), ("telegram", OF_VERSION_1[0])]
        assert outbox.maintain().alerts == ()

    (letter,) = listing.dead(state, 10)
    assert (letter.event, letter.dead_reason) == (OF_VERSION_1[1], "embeds[0]: too long")


@pytest.mark.parametrize(
    ("version", "why"), [(VERSION + 1, "newer than this program's"), (0, "it is no outbox")], ids=["newer", "older"]
)
def test_fault_42_another_version_is_set_aside_whole_and_what_can_be_read_is_delivered(state, version, why):
    with closing(_of_version_1(state)) as file:
        file.execute(f"PRAGMA user_version = {version}")
    content = (state / NAME).read_bytes()

    with opened(state) as outbox:
        (alert,) = outbox.maintain().alerts
        found = outbox.adopt(ALL)

    (aside,) = state.glob("outbox-*.damaged.sqlite3")
    assert aside.read_bytes() == content
    assert why in alert
    assert f"kept as {aside.name}; 3 events could be carried over" in alert
    assert found == [("discord", OF_VERSION_1[0]), ("telegram", OF_VERSION_1[0])]
