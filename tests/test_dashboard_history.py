"""The history: what is counted, what is on disk, and what happens when the disk or the file is not well."""

import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from children import running, wait_for
from looks import NOW, seen

from notify import diagnostics
from notify.delivery.outbox.errors import StoreError
from notify.fleet.dashboard import history_file
from notify.fleet.dashboard.history import SLOT, SLOTS, History, slot_of
from notify.fleet.dashboard.history_file import ASIDE, NAME, HistoryFile, Row, Seen
from notify.fleet.verdict import State
from notify.testing import FakeClock

LAST = slot_of(NOW)


@contextmanager
def history(state: Path | None, clock: FakeClock | None = None) -> Iterator[History]:
    with closing(History(state, clock=clock or FakeClock())) as opened:
        yield opened


def rows(state: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(state / NAME)) as connection:
        return connection.execute("SELECT * FROM seen ORDER BY strategy, slot").fetchall()


def in_file(state: Path, *statements: str) -> None:
    with closing(sqlite3.connect(state / NAME)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


# ---- counting


def test_what_is_seen_is_counted_by_state_in_its_slot() -> None:
    with history(None) as kept:
        kept.add(seen(seconds=0.25))
        kept.add(seen(seconds=0.25))
        kept.add(seen(state=State.OFFLINE, seconds=5.0))

        assert kept.last_day("vega", NOW)[-1] == Seen(running=2, offline=1, seconds=0.5)  # of its answers alone


def test_a_day_has_a_slot_for_each_ten_minutes_and_nothing_where_nothing_was_seen() -> None:
    with history(None) as kept:
        kept.add(seen(at=NOW - 3 * SLOT))

        day = kept.last_day("vega", NOW)

    assert len(day) == SLOTS
    assert [number for number, one in enumerate(day) if one is not None] == [SLOTS - 4]


def test_of_who_was_never_seen_there_is_nothing() -> None:
    with history(None) as kept:
        assert kept.last_day("nobody", NOW) == [None] * SLOTS


def test_memory_holds_no_more_than_a_day() -> None:
    with history(None) as kept:
        for slot in range(3 * SLOTS):
            kept.add(seen(at=NOW + slot * SLOT))

        assert len(kept._seen["vega"]) == SLOTS


# ---- on disk


def test_what_was_seen_is_there_after_a_restart(state: Path) -> None:
    with history(state) as kept:
        kept.add(seen())
        kept.add(seen(state=State.CRASHED))

    with history(state) as kept:
        kept.add(seen())

        assert kept.last_day("vega", NOW)[-1] == Seen(running=2, crashed=1, seconds=pytest.approx(0.3))


def test_it_is_written_every_other_second(state: Path) -> None:
    clock = FakeClock()
    with history(state, clock) as kept:
        clock.next_wait()
        kept.add(seen())
        assert rows(state) == []

        clock.advance(2)  # seconds, as the writer waits
        clock.next_wait()

        assert rows(state) == [("vega", LAST, 1, 0, 0, 0, 0.1)]


def test_what_is_older_than_a_day_leaves_the_file(state: Path) -> None:
    with history(state) as kept:
        kept.add(seen())

    with history(state, FakeClock(NOW + 86_400 + SLOT)) as kept:
        kept.add(seen("other", at=NOW + 86_400 + SLOT))

    assert [row[0] for row in rows(state)] == ["other"]


def test_what_a_clock_that_was_ahead_has_written_is_not_shown(state: Path) -> None:
    with history(state, FakeClock(NOW + 86_400)) as kept:
        kept.add(seen(at=NOW + 86_400))

    with history(state) as kept:
        assert kept._seen == {}


def test_nobody_else_can_read_its_files(state: Path) -> None:
    before = os.umask(0)
    try:
        with history(state) as kept:
            kept.add(seen())
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()}
    finally:
        os.umask(before)

    assert set(modes) >= {NAME, f"{NAME}-wal", "dashboard.lock"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.process
def test_what_was_written_survives_a_kill(state: Path) -> None:
    script = f"""
    from looks import NOW, seen
    from notify.fleet.dashboard.history import History
    from notify.testing import FakeClock
    from pathlib import Path

    clock = FakeClock()
    kept = History(Path({str(state)!r}), clock=clock)
    clock.next_wait()
    kept.add(seen())
    clock.advance(2)
    clock.next_wait()
    kept.add(seen())
    say("written")
    idle()
    """
    path = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    with running(path, script) as process:
        wait_for(process, "written")
        process.kill()
        process.wait()

    with history(state) as kept:
        assert kept.last_day("vega", NOW)[-1] == Seen(running=1, seconds=0.1)  # the second was two seconds too young


def test_two_hundred_strategies_take_few_megabytes(state: Path) -> None:
    names = [f"strategy-{number:03}" for number in range(200)]
    day = [Row(name, LAST - back, Seen(20, 0, 0, 0, 1.5)) for name in names for back in range(SLOTS)]

    with closing(HistoryFile(state)) as file:
        file.write(day, since=LAST - SLOTS + 1)
    size = (state / NAME).stat().st_size

    assert size < 4 * 2**20  # bytes: 29,000 rows, some hundred bytes each at most


# ---- what may be wrong


def test_a_damaged_file_is_put_aside_with_a_line(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with history(state) as kept:
        for slot in range(SLOTS):
            kept.add(seen(at=NOW - slot * SLOT))
    content = bytearray((state / NAME).read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)  # all but the first page
    (state / NAME).write_bytes(content)

    with history(state) as kept:
        kept.add(seen())

    assert rows(state) == [("vega", LAST, 1, 0, 0, 0, 0.1)]
    assert (state / ASIDE).read_bytes() == content
    said = capsys.readouterr().err
    assert said == (
        "notify: the dashboard's history begins anew: it is damaged; what was there is kept as "
        "dashboard.damaged.sqlite3\n"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no database, but as long as one" * 200, "it is no database"), (b"\x00" * 5000, "it is no database")],
)
def test_what_is_no_database_is_put_aside(
    state: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    state.mkdir(0o700)
    (state / NAME).write_bytes(content)

    with history(state) as kept:
        kept.add(seen())

    assert (state / ASIDE).read_bytes() == content
    assert f"begins anew: {reason};" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("PRAGMA user_version = 2", "it was written by a newer version"),
        ("ALTER TABLE seen ADD COLUMN more", "it is not ours"),
        ("DROP TABLE seen", "it is not ours"),
    ],
)
def test_a_file_of_another_version_is_put_aside(
    state: Path, capsys: pytest.CaptureFixture[str], statement: str, reason: str
) -> None:
    with history(state):
        pass
    in_file(state, statement)

    with history(state):
        pass

    assert (state / ASIDE).exists()
    assert rows(state) == []
    assert capsys.readouterr().err.count(reason) == 1


def test_a_second_file_that_is_put_aside_takes_the_place_of_the_first(state: Path) -> None:
    for _ in range(2):
        with history(state):
            pass
        in_file(state, "PRAGMA user_version = 2")
    with history(state):
        pass

    assert sorted(file.name for file in state.iterdir()) == [ASIDE, "dashboard.lock", NAME]


def test_rows_that_hold_something_else_are_left_out(state: Path) -> None:
    with history(state) as kept:
        kept.add(seen())
    in_file(state, f"INSERT INTO seen VALUES (x'ff', {LAST}, 'many', 0, 0, 0, 0)")

    with history(state) as kept:
        assert list(kept._seen) == ["vega"]


def test_a_second_dashboard_keeps_its_history_in_memory_and_says_so(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with history(state), history(state) as second:
        second.add(seen())

        assert second.last_day("vega", NOW)[-1] is not None
    assert "in memory alone: another dashboard keeps its history there" in capsys.readouterr().err


def test_a_state_directory_that_cannot_be_made_leaves_the_history_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    with history(tmp_path / "file" / "state") as kept:
        kept.add(seen())

        assert kept.last_day("vega", NOW)[-1] is not None
    assert capsys.readouterr().err.count("the dashboard's history is kept in memory alone: ") == 1


def test_a_full_disk_is_said_once_and_what_was_seen_is_written_when_there_is_room(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_file, "MOST_BYTES", 8192)  # of the file: SQLite says that it is full, as on a disk
    clock = FakeClock()
    with history(state, clock) as kept:
        clock.next_wait()
        for number in range(50):
            kept.add(seen(f"{number:03}" * 60))  # more than a page has room for
        for pause in (2, 60, 60):  # seconds: the next write, and two more tries
            clock.advance(pause)
            clock.next_wait()
            diagnostics.forget()  # or else it would hold back what is said again within ten real seconds
        failed = capsys.readouterr().err
        assert len(kept._seen) == 50
        assert kept._file is not None
        kept._file._connection.execute("PRAGMA max_page_count = 1000")

        clock.advance(60)
        clock.next_wait()

    assert failed == "notify: the dashboard's history goes on in memory: the disk is full\n"
    assert capsys.readouterr().err == "notify: the dashboard's history is on disk again\n"
    assert len(rows(state)) == 50


def test_a_write_that_fails_leaves_what_was_there(state: Path) -> None:
    with closing(HistoryFile(state)) as file:
        file.write([Row("vega", LAST, Seen(1))], since=0)
        with pytest.raises(StoreError):
            file.write([Row("vega", LAST, Seen(2)), Row(None, LAST, Seen(1))], since=0)  # type: ignore[arg-type]

        assert file.rows(0) == [Row("vega", LAST, Seen(1))]


def test_many_threads_may_count_at_the_same_time() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # seconds, so that they interrupt each other
    try:
        with history(None) as kept:
            threads = [threading.Thread(target=lambda: [kept.add(seen()) for _ in range(200)]) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            counted = kept.last_day("vega", NOW)[-1]
    finally:
        sys.setswitchinterval(before)

    assert counted is not None
    assert counted.running == 1600  # 8 threads, 200 each


@pytest.mark.parametrize(
    "counts",
    [f"{2**63 - 1}, 0, 0, 0, 0", "1, 0, 0, 0, 9e999", "-5, 0, 0, 0, 0"],
    ids=["too many", "no end", "below none"],
)
def test_rows_with_numbers_that_nobody_can_have_counted_are_left_out(state: Path, counts: str) -> None:
    with history(state):
        pass
    in_file(state, f"INSERT INTO seen VALUES ('vega', {LAST}, {counts})")

    with history(state) as kept:
        kept.add(seen())

    assert rows(state) == [("vega", LAST, 1, 0, 0, 0, 0.1)]


def refuse(thread: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


def test_a_writer_that_the_system_refused_is_started_by_the_next_look(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FakeClock()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        kept = History(state, clock=clock)
    with closing(kept):
        kept.add(seen())
        clock.next_wait()  # the writer's
        clock.advance(2)  # seconds, as it waits
        clock.next_wait()

        assert rows(state) == [("vega", LAST, 1, 0, 0, 0, 0.1)]
    assert capsys.readouterr().err == "notify: the thread history could not be started: can't start new thread\n"


def test_a_writer_that_the_system_refused_until_the_end_writes_then(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        kept = History(state, clock=FakeClock())
        kept.add(seen())

    kept.close()

    assert rows(state) == [("vega", LAST, 1, 0, 0, 0, 0.1)]
    with history(state) as after:  # and lets go of the file
        assert after._file is not None


def test_memory_holds_no_more_than_a_day_whatever_the_number_of_its_slot() -> None:
    with history(None) as kept:
        for slot in range(-SLOTS, 1):  # up to 1970: what was counted in a slot is 0 at first, as its number is
            kept.add(seen(at=slot * SLOT))

        assert len(kept._seen["vega"]) == SLOTS
