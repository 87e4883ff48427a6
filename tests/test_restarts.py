"""How often the program was started lately, and which of its unclean ends are told."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import notify
from notify.crash import restarts
from notify.crash.restarts import Start, note_start
from notify.testing import FakeClock

WINDOW = 600.0  # seconds: the ten minutes
ENDING = 60.0  # seconds after which a process counts as hanging


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def file_in(directory: Path) -> Path:
    return directory / "starts.json"


def started(directory: Path, clock: FakeClock, times: int, *, apart: float, unclean: bool = True) -> list[Start]:
    """Start so many times, so many seconds after one another."""
    starts = []
    for _ in range(times):
        starts.append(note_start(directory, clock, unclean=unclean))
        clock.advance(apart)
    return starts


# ---- what is told


def test_the_first_start_counts_itself_and_has_nothing_to_tell(tmp_path: Path, clock: FakeClock) -> None:
    start = note_start(tmp_path / "state", clock, unclean=False)

    assert start == Start(1, tells=False)
    assert start.phrase == ""


def test_of_unclean_ends_in_a_row_fewer_and_fewer_are_told(tmp_path: Path, clock: FakeClock) -> None:
    starts = started(tmp_path, clock, 250, apart=1)

    told = [number for number, start in enumerate(starts, 1) if start.tells]
    assert told == [1, 2, 5, 10, 20, 50, 100, 200]


def test_a_row_goes_on_when_ten_minutes_hold_only_a_few_starts(tmp_path: Path, clock: FakeClock) -> None:
    starts = started(tmp_path, clock, 12, apart=WINDOW / 2)

    assert [start.count for start in starts] == [1, 2] + [3] * 10  # now, five and ten minutes ago
    assert [number for number, start in enumerate(starts, 1) if start.tells] == [1, 2, 5, 10]


def test_unclean_ends_more_than_ten_minutes_apart_are_all_told(tmp_path: Path, clock: FakeClock) -> None:
    starts = started(tmp_path, clock, 4, apart=WINDOW + 1)

    assert starts == [Start(1, tells=True)] * 4


def test_clean_starts_tell_nothing_and_are_no_part_of_the_row(tmp_path: Path, clock: FakeClock) -> None:
    clean = started(tmp_path, clock, 7, apart=1, unclean=False)
    unclean = started(tmp_path, clock, 3, apart=1)

    assert [start.tells for start in clean] == [False] * 7
    assert [(start.count, start.tells) for start in unclean] == [(8, True), (9, True), (10, False)]


def test_a_clean_start_in_between_does_not_make_a_row_begin_anew(tmp_path: Path, clock: FakeClock) -> None:
    started(tmp_path, clock, 2, apart=1)
    started(tmp_path, clock, 1, apart=1, unclean=False)  # such as the command line's, in the same directory

    assert [start.tells for start in started(tmp_path, clock, 3, apart=1)] == [False, False, True]  # 3rd, 4th, 5th


def test_each_state_directory_has_a_count_of_its_own(tmp_path: Path, clock: FakeClock) -> None:
    started(tmp_path / "one", clock, 3, apart=1)

    assert note_start(tmp_path / "other", clock, unclean=True) == Start(1, tells=True)


@pytest.mark.parametrize(
    ("count", "phrase"),
    [
        (None, ""),
        (1, ""),
        (2, "2nd start in 10 minutes"),
        (3, "3rd start in 10 minutes"),
        (5, "5th start in 10 minutes"),
        (11, "11th start in 10 minutes"),
        (12, "12th start in 10 minutes"),
        (13, "13th start in 10 minutes"),
        (21, "21st start in 10 minutes"),
        (99, "99th start in 10 minutes"),
        (100, "100 or more starts in 10 minutes"),
    ],
)
def test_people_read_which_start_it_is(count: int | None, phrase: str) -> None:
    assert Start(count, tells=True).phrase == phrase


# ---- the file


def test_the_file_is_for_this_user_alone(tmp_path: Path, clock: FakeClock) -> None:
    note_start(tmp_path / "state", clock, unclean=False)

    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE(file_in(tmp_path / "state").stat().st_mode) == 0o600


def test_the_file_stays_small_however_often_the_program_starts(tmp_path: Path, clock: FakeClock) -> None:
    starts = started(tmp_path, clock, 150, apart=0.123456789)

    assert starts[-1].count == 100
    assert file_in(tmp_path).stat().st_size < 4000  # 100 times of some 20 bytes, and two numbers more


def test_the_file_shrinks_when_starts_are_forgotten(tmp_path: Path, clock: FakeClock) -> None:
    started(tmp_path, clock, 50, apart=1)
    clock.advance(WINDOW)

    assert started(tmp_path, clock, 2, apart=1) == [Start(1, tells=True), Start(2, tells=True)]
    assert len(json.loads(file_in(tmp_path).read_bytes())["starts"]) == 2


def noted(**changes: Any) -> bytes:
    return json.dumps({"starts": [1_767_225_600.0], "unclean_at": 1_767_225_600.0, "row": 7, **changes}).encode()


DAMAGED = {
    "empty": b"",
    "half written": noted()[:-9],
    "the rest of a longer one behind it": noted() + b"4.5], 7}",
    "no text": b"\xff\xfe\x00",
    "zeros": bytes(64),
    "another shape": b"[1, 2, 3]",
    "a number": b"7",
    "null": b"null",
    "a newer format": b'{"version": 2, "runs": [{"at": 1767225600}]}',
    "no list": noted(starts="1767225600"),
    "a dict": noted(starts={"1767225600": 1}),
    "texts": noted(starts=["1767225600"]),
    "truths": noted(starts=[True]),
    "no number": noted(starts=[float("nan")]),
    "endless": noted(unclean_at=float("-inf")),
    "beyond any float": noted(starts=[10**400]),
    "more digits than Python reads": b'{"starts": [], "unclean_at": null, "row": ' + b"9" * 5000 + b"}",
    "a row below nothing": noted(row=-(10**6)),
    "a row beyond reason": noted(row=10**18),
    "a row of a half": noted(row=0.5),
    "deep": b"[" * 16_000,
    "huge": b" " * 1_000_000 + noted(),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_as_good_as_none_and_is_mended(tmp_path: Path, clock: FakeClock, damage: bytes) -> None:
    file_in(tmp_path).write_bytes(damage)

    assert started(tmp_path, clock, 3, apart=1) == [Start(1, tells=True), Start(2, tells=True), Start(3, tells=False)]
    assert file_in(tmp_path).stat().st_size < 200  # what was behind it is gone


def test_what_is_sound_is_read(tmp_path: Path, clock: FakeClock) -> None:
    file_in(tmp_path).write_bytes(noted())  # what the damaged ones above are made of

    assert note_start(tmp_path, clock, unclean=True) == Start(2, tells=False)  # the eighth of a row


# ---- clocks


class Settable(FakeClock):
    """A clock that somebody sets."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@pytest.mark.parametrize("set_by", [-86_400.0, 86_400.0], ids=["back", "forward"])
def test_a_clock_that_was_set_by_a_day_makes_the_count_begin_anew(tmp_path: Path, set_by: float) -> None:
    clock = Settable()
    started(tmp_path, clock, 3, apart=1)

    clock.ahead = set_by

    assert started(tmp_path, clock, 2, apart=1) == [Start(1, tells=True), Start(2, tells=True)]


def test_a_clock_that_was_set_back_a_little_changes_nothing(tmp_path: Path) -> None:
    clock = Settable()
    started(tmp_path, clock, 3, apart=1)

    clock.ahead = -60.0

    assert note_start(tmp_path, clock, unclean=True) == Start(4, tells=False)


# ---- when it cannot be noted

UNKNOWN_STARTS = [Start(None, tells=True), Start(None, tells=True), Start(None, tells=True)]  # the third, too


def test_without_a_state_directory_every_unclean_end_is_told_and_none_has_a_number(
    tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "state").write_text("a file is in the way")

    assert started(tmp_path / "state", clock, 3, apart=1) == UNKNOWN_STARTS
    assert note_start(tmp_path / "state", clock, unclean=False) == Start(None, tells=False)


def test_a_planted_link_is_not_followed(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "precious").write_text("precious")
    file_in(tmp_path).symlink_to(tmp_path / "precious")

    assert started(tmp_path, clock, 3, apart=1) == UNKNOWN_STARTS
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_on_a_full_disk_every_unclean_end_is_told(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, data: bytes, offset: int) -> int:
        full = os.open("/dev/full", os.O_WRONLY)
        try:
            return os.write(full, data)
        finally:
            os.close(full)

    monkeypatch.setattr(restarts.os, "pwrite", fail)

    assert started(tmp_path, clock, 3, apart=1) == UNKNOWN_STARTS


def test_a_disk_that_takes_a_part_only_is_a_full_one(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.pwrite
    monkeypatch.setattr(restarts.os, "pwrite", lambda descriptor, data, offset: really(descriptor, data[:5], offset))

    assert started(tmp_path, clock, 3, apart=1) == UNKNOWN_STARTS


@pytest.fixture
def held(tmp_path: Path) -> Iterator[None]:
    """The lock of the file is held by somebody who was stopped."""
    descriptor = os.open(file_in(tmp_path), os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


@pytest.mark.usefixtures("held")
def test_who_keeps_the_lock_keeps_nobody_waiting(tmp_path: Path, clock: FakeClock) -> None:
    before = time.monotonic()

    assert note_start(tmp_path, clock, unclean=True) == Start(None, tells=True)

    assert time.monotonic() - before < 5  # ten times the patience, on a busy machine


def test_it_leaves_no_descriptor_and_no_lock_behind(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError

    before = len(list(Path("/dev/fd").iterdir()))
    started(tmp_path, clock, 3, apart=1)
    monkeypatch.setattr(restarts.os, "pwrite", fail)
    started(tmp_path, clock, 3, apart=1)

    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.process
def test_starts_at_the_same_time_are_all_counted(tmp_path: Path) -> None:
    processes, times = 4, 10
    script = """if True:
        import sys
        from pathlib import Path
        from notify.clock import SystemClock
        from notify.crash.restarts import note_start
        sys.stdin.readline()
        for _ in range(int(sys.argv[2])):
            start = note_start(Path(sys.argv[1]), SystemClock(), unclean=True)
            print(start.count, start.tells)
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "state"), str(times)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "PYTHONPATH": str(Path(notify.__file__).parents[1])},
        )
        for _ in range(processes)
    ]
    lines: list[str] = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        with process:
            stdout, _ = process.communicate(timeout=ENDING)
            lines += stdout.splitlines()

    counts = sorted(int(line.split()[0]) for line in lines)
    assert counts == list(range(1, processes * times + 1))
    assert sorted(int(line.split()[0]) for line in lines if line.endswith("True")) == [1, 2, 5, 10, 20]
