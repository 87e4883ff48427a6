"""What the outbox makes of files that are not what it left, and of a system that refuses."""

import errno
import os
import random
import resource
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from outboxes import ALL, an_event, everything_in, opened, running, works_again

from notify.delivery.outbox import Outbox, connection, listing
from notify.delivery.outbox.connection import VERSION
from notify.delivery.outbox.file import NAME
from notify.event import Event
from notify.testing import FakeClock

# ---- a system that refuses


def test_without_a_free_descriptor_an_open_outbox_works_and_a_new_one_waits(state, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with opened(state) as outbox:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # all that are open stay open
            accepted = outbox.accept(an_event(), ["discord"])
            late = Outbox(tmp_path / "late", clock=FakeClock())
            refused = late.accept(an_event(), ["discord"])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert accepted
        assert not refused
        assert late.broken.endswith("Too many open files")
        assert works_again(late)
        late.close()


def test_a_flush_that_fails_is_told_but_the_event_is_on_disk(state, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(state) as outbox:
        with monkeypatch.context() as patched:
            patched.setattr(connection.os, "fdatasync", fail)
            assert outbox.accept(event := an_event(level=50), ["discord"])

        assert outbox.broken == "it cannot be flushed: Input/output error"
        assert works_again(outbox)
    assert everything_in(state) == [event]


def test_a_file_in_the_place_of_the_directory_is_told_and_memory_goes_on(state, capsys):
    state.write_text("a file")

    with opened(state) as outbox:
        assert not outbox.accept(an_event(), ["discord"])
        (alert,) = outbox.maintain().alerts

    assert f"{state}: cannot be used as a directory: Not a directory" in alert
    assert "wait in memory" in alert
    assert capsys.readouterr().err.count("\n") == 1
    assert state.read_text() == "a file"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_planted_link_is_not_followed(state, tmp_path, suffix):
    state.mkdir()
    (state / (NAME + suffix)).symlink_to(tmp_path / "precious")

    with opened(state) as outbox:
        assert "is a symbolic link; remove it" in outbox.broken

    assert not (tmp_path / "precious").exists()


# ---- files that were moved, removed or damaged


@pytest.mark.parametrize("what", ["the directory", "the files", "the file", "the log"])
def test_what_was_removed_under_us_is_noticed_and_begun_anew(state, what):
    with opened(state) as outbox:
        outbox.accept(an_event(), ["discord"])
        if what == "the directory":
            shutil.rmtree(state)
        elif what == "the files":
            for path in state.glob(NAME + "*"):
                path.unlink()
        else:
            (state / (NAME + ("-wal" if what == "the log" else ""))).unlink()

        first, *_ = outbox.maintain().alerts

        assert "its file was moved or removed" in first
        assert outbox.broken is None
        assert outbox.accept(event := an_event(), ["discord"])
    assert event in everything_in(state)


def test_where_there_is_no_directory_any_more_nothing_is_said_to_be_on_disk(state, capsys):
    with opened(state) as outbox:
        shutil.rmtree(state)
        state.write_text("a file")

        assert not outbox.accept(an_event(), ["discord"])

        assert outbox.broken == "its file was moved or removed"
    assert "its file was moved or removed" in capsys.readouterr().err


def test_a_directory_that_was_moved_away_keeps_what_is_in_it(state, tmp_path):
    with opened(state) as outbox:
        outbox.accept(before := an_event(), ["discord"])
        state.rename(tmp_path / "moved")
        outbox.maintain()
        outbox.accept(after := an_event(), ["discord"])

    assert everything_in(state) == [after]
    assert everything_in(tmp_path / "moved") == [before]


@pytest.fixture
def filled(state: Path) -> list[Event]:
    """The events of an outbox whose process has ended: 300, in some 60 pages of 4 kB."""
    events = [an_event(f"{number} " + "x" * 500) for number in range(300)]
    with opened(state) as outbox:
        for event in events:
            assert outbox.accept(event, ["discord"])
    return events


def _set_aside(state: Path) -> list[Path]:
    return sorted(path for path in state.glob("outbox-*") if path.suffix == ".sqlite3")


HEADER = ["0 the magic", "16 the page size", "44 the schema's format", "100 the root page", "4000 the schema"]


@pytest.mark.parametrize("place", HEADER)
def test_a_damaged_header_costs_no_more_than_what_is_in_the_file(state, filled, place):
    file = state / NAME
    content = bytearray(file.read_bytes())
    offset = int(place.split()[0])
    content[offset : offset + 8] = b"\xff" * 8
    file.write_bytes(content)

    found = everything_in(state)

    assert all(event in filled for event in found)
    assert all(path.read_bytes() == content for path in _set_aside(state))  # kept as it was found
    with opened(state) as outbox:
        assert outbox.accept(an_event(), ["discord"])


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5, 0.75, 0.95])
def test_a_damaged_page_costs_the_events_on_it(state, filled, part):
    file = state / NAME
    content = bytearray(file.read_bytes())
    page = int(len(content) * part) // 4096 * 4096
    content[page : page + 4096] = random.Random(1).randbytes(4096)
    file.write_bytes(content)

    found = everything_in(state)

    assert all(event in filled for event in found)
    # Six events fit a page. An inner page may have been hit, but the root has no more than this one below it.
    assert len(found) >= 280
    (aside,) = _set_aside(state)
    assert aside.read_bytes() == content


def test_one_changed_byte_inside_an_event_is_noticed_and_that_event_kept_as_a_dead_letter(state, filled):
    file = state / NAME
    content = file.read_bytes()
    wrong = content.replace(b'"message":"150 xxx', b'"message":"950 xxx')
    assert wrong != content
    file.write_bytes(wrong)

    found = everything_in(state)

    assert found == [event for event in filled if event is not filled[150]]
    (letter,) = listing.dead(state, 10)
    assert letter.event_id == filled[150].id
    assert letter.event is None
    assert letter.dead_reason == "it cannot be read any more"


def test_a_changed_id_is_noticed_too_and_does_not_come_up_again_and_again(state, filled):
    with closing(sqlite3.connect(state / NAME)) as file, file:
        file.execute("UPDATE outbox SET event_id = CAST(x'64ff' AS TEXT) WHERE event_id = ?", (filled[7].id,))

    assert len(everything_in(state)) == len(filled) - 1

    assert [letter.event_id for letter in listing.dead(state, 10)] == ["d\ufffd"]
    assert len(everything_in(state)) == len(filled) - 1


def test_a_changed_destination_is_nobodys_here_and_can_be_seen_to_be_damaged(state, filled):
    with closing(sqlite3.connect(state / NAME)) as file, file:
        file.execute("UPDATE outbox SET destination = CAST(x'64ff' AS TEXT) WHERE event_id = ?", (filled[7].id,))

    assert len(everything_in(state)) == len(filled) - 1

    (damaged,) = [each for each in listing.waiting(state, len(filled)) if each.event is None]
    assert damaged.event_id == filled[7].id


@pytest.mark.parametrize("part", [0.0, 0.0005, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_begun_anew_with_what_is_left(state, filled, part):
    file = state / NAME
    size = file.stat().st_size
    os.truncate(file, int(size * part))

    found = everything_in(state)

    assert all(event in filled for event in found)
    assert part < 0.5 or len(found) >= 300 * part * 0.8  # indexes take some of the file
    # SQLite takes a short last page for a whole one; the checksums of its rows do not.
    assert len(_set_aside(state)) == (0 if part == 0.999 else 1)


@pytest.mark.parametrize("part", [0.001, 0.2, 0.5, 0.8, 0.999])
def test_a_torn_log_costs_its_end_only(state, tmp_path, part):
    events = [an_event("x" * 500) for _ in range(100)]
    with opened(state) as outbox:
        for event in events:
            outbox.accept(event, ["discord"])
        for path in (state / NAME, state / (NAME + "-wal")):  # as a loss of power leaves them
            (tmp_path / "torn").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "torn")
    log = tmp_path / "torn" / (NAME + "-wal")
    os.truncate(log, int(log.stat().st_size * part))

    found = everything_in(tmp_path / "torn")

    assert found == events[: len(found)]
    assert len(found) >= 100 * part * 0.9 - 5  # the log's first pages hold no event


def _make_newer(file: sqlite3.Connection) -> None:
    file.execute(f"PRAGMA user_version = {VERSION + 1}")
    file.execute("ALTER TABLE outbox ADD COLUMN priority INTEGER")


def _make_foreign(file: sqlite3.Connection) -> None:
    file.execute("ALTER TABLE outbox RENAME TO another_program")


@pytest.mark.parametrize(
    ("change", "why", "carried"), [(_make_newer, "newer than this program's", 300), (_make_foreign, "no outbox", 0)]
)
def test_a_file_that_is_not_for_this_version_is_kept_and_told(
    state: Path, filled: list[Event], change: Callable[[sqlite3.Connection], None], why: str, carried: int
):
    with closing(sqlite3.connect(state / NAME, isolation_level=None)) as file:
        change(file)
    content = (state / NAME).read_bytes()

    with opened(state) as outbox:
        (alert,) = outbox.maintain().alerts
        found = [each.event for each in outbox.adopt(ALL)]

    (aside,) = _set_aside(state)
    assert aside.name == "outbox-2026-01-01T000000.damaged.sqlite3"  # when the clock stands
    assert aside.read_bytes() == content
    assert why in alert
    assert aside.name in alert
    assert f"{carried} events could be carried over" in alert
    assert found == filled[:carried]


def test_what_is_put_aside_is_not_changed_by_the_look_at_it(state, tmp_path):
    copied = tmp_path / "copied"
    copied.mkdir()
    with opened(state) as outbox:
        outbox.accept(an_event(), ["discord"])
        with closing(sqlite3.connect(state / NAME, isolation_level=None)) as file:
            _make_newer(file)
            for path in (state / NAME, state / (NAME + "-wal")):  # as after a kill: much is in the log only
                shutil.copy(path, copied)
    before = {path.suffix: path.read_bytes() for path in copied.iterdir()}

    assert len(everything_in(copied)) == 1

    kept = [path for path in copied.glob("outbox-*") if not path.name.endswith("-shm")]
    assert {path.suffix: path.read_bytes() for path in kept} == before


def test_a_file_that_is_no_database_is_kept_under_a_name_that_is_free(state):
    state.mkdir()
    for number in range(2):
        (state / NAME).write_text(f"no database {number}")
        with opened(state) as outbox:
            assert outbox.accept(an_event(), ["discord"])

    assert [path.read_text() for path in _set_aside(state)] == ["no database 1", "no database 0"]


def test_a_log_without_its_file_is_kept(state):
    state.mkdir()
    (state / (NAME + "-wal")).write_bytes(b"what is left")

    with opened(state) as outbox:
        assert outbox.accept(an_event(), ["discord"])

    (kept,) = state.glob("outbox-*-wal")
    assert kept.read_bytes() == b"what is left"


def test_damage_while_it_runs_is_told_and_repaired(state, filled):
    with opened(state) as outbox:
        with (state / NAME).open("r+b") as file:
            file.write(random.Random(1).randbytes(3 * 4096))
        outbox.let_go()  # so that it reads the file again, and not its own memory

        assert not outbox.accept(an_event(), ["discord"])
        assert "damaged" in outbox.broken
        outbox.maintain()

        assert outbox.broken is None
        assert outbox.accept(an_event(), ["discord"])
    assert len(_set_aside(state)) == 1


@pytest.mark.process
def test_two_processes_that_find_the_same_damage_put_one_file_aside(state, filled):
    (state / NAME).write_text("no database")
    script = """
wait_for_line()
outbox = Outbox(directory)
say(outbox.broken, outbox.accept(event(), ["discord"]))
wait_for_line()
"""

    with running(script, state) as one, running(script, state) as other:
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.stdout.readline() for process in (one, other)]
        for process in (one, other):
            process.stdin.close()

    assert said == ["None True\n", "None True\n"]
    assert len(_set_aside(state)) == 1
