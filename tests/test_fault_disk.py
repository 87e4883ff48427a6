"""The rows of the fault model that belong to the disk, by their numbers, each brought about for real."""

import os
import random
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from machine import missing
from outboxes import ALL, an_event, disk, everything_in, opened, output, running, works_again

from notify.delivery.outbox import Limits, Outbox, connection
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.look import Look, look
from notify.event import Event
from notify.levels import TRADE
from notify.testing import FakeClock


def _remount(at: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(at)], check=True)


# ---- 39: the disk is full


@pytest.mark.process
def test_fault_39_a_full_disk_is_told_once_and_used_again_when_there_is_room(tmp_path):
    with disk(tmp_path / "disk", "size=4m"):
        with opened(tmp_path / "disk" / "state") as outbox:
            accepted: list[Event] = []
            while outbox.accept(event := an_event("x" * 10_000), ["discord"]):
                accepted.append(event)
            assert outbox.broken == "the disk is full"
            assert not outbox.accept(an_event(), ["discord"])
            alerts = outbox.maintain().alerts
            assert len(alerts) == 1
            assert "cannot be used: the disk is full" in alerts[0]
            assert outbox.broken

            outbox.delivered("discord", [event.id for event in accepted[::2]])  # remembered until it can be written
            _remount(tmp_path / "disk", "size=16m")

            assert outbox.maintain().alerts == ("The outbox works again: events are kept on disk.",)
            last = an_event()
            assert outbox.accept(last, ["discord"])
        assert everything_in(tmp_path / "disk" / "state") == [*accepted[1::2], last]


@pytest.mark.process
@pytest.mark.parametrize(
    ("options", "more", "reason"),
    [
        ("size=64k", "size=16m", "the disk is full"),
        # The root, the state directory and two files: the lock, and the database before it has its log.
        ("nr_inodes=4", "nr_inodes=100", "it cannot be opened"),
        ("nr_inodes=2", "nr_inodes=100", "No space left on device"),
    ],
)
def test_fault_39_a_disk_that_is_full_from_the_start_is_used_when_there_is_room(tmp_path, options, more, reason):
    with disk(tmp_path / "disk", options):
        with opened(tmp_path / "disk" / "state") as outbox:
            assert not outbox.accept(an_event(), ["discord"])
            assert reason in (outbox.broken or "")

            _remount(tmp_path / "disk", more)

            assert works_again(outbox)
            assert outbox.accept(event := an_event(), ["discord"])
        assert everything_in(tmp_path / "disk" / "state") == [event]


@pytest.mark.process
def test_fault_39_a_disk_that_counts_no_blocks_is_not_taken_for_a_full_one(tmp_path):
    state = tmp_path / "disk" / "state"
    with disk(tmp_path / "disk", "size=0"):
        assert os.statvfs(tmp_path / "disk").f_blocks == 0
        assert look(state) == Look(made=False)
        assert list((tmp_path / "disk").iterdir()) == []

        with opened(state) as outbox:
            assert outbox.accept(event := an_event(), ["discord"])

        assert everything_in(state) == [event]
        assert look(state).trouble is None


WRITES_UP_TO_A_LIMIT = """
import resource
outbox = Outbox(directory)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
while outbox.accept(made := event("x" * 1000), ["discord"]):
    say(made.id)
say("broken", outbox.broken)
say("works", works_again(outbox))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
say("works", works_again(outbox))
outbox.accept(made := event(), ["discord"])
say(made.id)
os._exit(0)
"""


@pytest.mark.process
def test_fault_39_a_file_that_may_not_grow_does_not_end_the_process(state):
    said = output(WRITES_UP_TO_A_LIMIT, state)

    broken = next(words for words in said if words[0] == "broken")
    assert broken != ["broken", "None"]
    assert said[-2] == ["works", "True"]
    ids = [words[0] for words in said if len(words) == 1]
    assert [event.id for event in everything_in(state)] == ids
    assert len(ids) > 50  # of 1 kB each: SQLite's log takes two or three pages of 4 kB for one


def test_fault_39_the_limit_of_the_file_size_sends_no_signal():
    # Python ignores SIGXFSZ at its start; without that, the first write too many would end the process.
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN


# ---- 40: read-only, or no permission


@pytest.mark.process
def test_fault_40_a_disk_that_is_read_only_is_told_and_used_when_it_can_be_written(tmp_path):
    with disk(tmp_path / "disk", "size=8m"):
        state = tmp_path / "disk" / "state"
        first, second, third = an_event(), an_event(), an_event()
        with opened(state) as outbox:
            outbox.accept(first, ["discord"])
        _remount(tmp_path / "disk", "ro")
        with opened(state) as outbox:
            assert not outbox.accept(second, ["discord"])
            assert outbox.broken == "Read-only file system"
            assert not works_again(outbox)

            _remount(tmp_path / "disk", "rw")
            assert works_again(outbox)
            assert outbox.accept(third, ["discord"])
        assert everything_in(state) == [first, third]


# Begins as a user whom permissions bind. The interpreter may lie in a directory of root's, so what is imported later
# than that would not be found.
AS_NOBODY = """
if os.getuid() == 0:
    nobody = 65534
    os.chown(directory, nobody, nobody)
    os.setgroups([])
    os.setgid(nobody)
    os.setuid(nobody)
"""

WRITES_WITHOUT_PERMISSION = """
os.chmod(directory, 0o500)
outbox = Outbox(directory / "state")
say(outbox.broken)
say(outbox.accept(event(), ["discord"]))
os.chmod(directory, 0o700)
say(works_again(outbox), outbox.accept(event(), ["discord"]))
outbox.close()
"""


@pytest.mark.process
def test_fault_40_without_permission_the_outbox_is_broken_until_it_is_given():
    with TemporaryDirectory() as directory:  # pytest's own can be passed by its user only
        said = output(AS_NOBODY + WRITES_WITHOUT_PERMISSION, Path(directory))
        reason, refused, works = [" ".join(words) for words in said]

    user = os.geteuid() or 65534  # nobody
    assert reason == (
        f"{directory}/state: cannot be made: user {user} may not write to {directory}; "
        "allow that, or set NOTIFY_STATE_DIR to another directory"
    )
    assert refused == "False"
    assert works == "True True"


LOSES_ITS_PERMISSION = """
outbox = Outbox(directory / "state")
say(outbox.accept(event("before"), ["discord"]))
os.chmod(directory, 0o000)
say(outbox.accept(event("as long as the file is open"), ["discord"]))
if os.fork() == 0:  # which closes it
    os._exit(0)
os.wait()
say(outbox.accept(event("refused"), ["discord"]), outbox.broken)
os.chmod(directory, 0o700)
outbox.maintain()
say(outbox.accept(event("after"), ["discord"]), outbox.broken)
outbox.close()
say(*[letter.event.message for letter in listing.waiting(directory / "state", 10)])
"""


@pytest.mark.process
def test_fault_40_a_permission_that_is_taken_away_while_it_runs_is_told_and_waited_for():
    with TemporaryDirectory() as directory:
        script = "from notify.delivery.outbox import listing\n" + AS_NOBODY + LOSES_ITS_PERMISSION
        said = [" ".join(words) for words in output(script, Path(directory))]

    assert said == [
        "True",
        "True",
        "False it cannot be opened",
        "True None",
        "before as long as the file is open after",
    ]


# ---- 43: several processes, one directory

SENDS_UNTIL_KILLED = """
outbox = Outbox(directory)
mine = []
while True:
    made = event("x" * 500)
    if outbox.accept(made, ["discord"]):
        say("accepted", made.id)
        mine.append(made.id)
    mine += [each.event.id for each in outbox.adopt(["discord"], limit=5)]
    for each in mine[:-2]:  # two wait, for whoever comes after
        say("sent", each)
        outbox.delivered("discord", [each])
    del mine[:-2]
"""


@pytest.mark.process
@pytest.mark.parametrize("several", [2, 4])
def test_fault_43_processes_that_are_killed_lose_nothing_and_send_little_twice(state, several):
    lines_before_a_kill = random.Random(43)
    kills = 12
    said: list[str] = []
    with ExitStack() as all_of_them:
        processes = [all_of_them.enter_context(running(SENDS_UNTIL_KILLED, state)) for _ in range(several)]
        for place, _ in zip(cycle(range(several)), range(kills), strict=False):
            said += [processes[place].stdout.readline() for _ in range(lines_before_a_kill.randrange(1, 200))]
            processes[place].kill()
            said += processes[place].stdout.read().splitlines()
            processes[place] = all_of_them.enter_context(running(SENDS_UNTIL_KILLED, state))
        for process in processes:
            process.kill()
            said += process.stdout.read().splitlines()

    accepted = {line.split()[1] for line in said if line.startswith("accepted")}
    sent = Counter(line.split()[1] for line in said if line.startswith("sent"))
    left = Counter(event.id for event in everything_in(state))

    assert accepted - sent.keys() - left.keys() == set()
    twice = (sent + left).total() - len(sent + left)
    assert twice <= kills + several  # the one that was sent, and not yet removed, at each kill


# ---- 44: file systems that SQLite's log does not work on


def test_fault_44_a_file_system_without_shared_memory_is_told_and_memory_goes_on(state, monkeypatch):
    connect = sqlite3.connect

    def without_shared_memory(file: str, **options: object) -> sqlite3.Connection:
        return connect(f"{file}&vfs=unix-dotfile", **options)  # type: ignore[call-overload]  # whatever it was given

    with monkeypatch.context() as patched:
        patched.setattr(connection.sqlite3, "connect", without_shared_memory)
        outbox = Outbox(state, clock=FakeClock())
        assert not outbox.accept(an_event(), ["discord"])
        assert outbox.broken == "its file system cannot hold SQLite's write-ahead log"

    assert works_again(outbox)
    outbox.close()


@pytest.mark.process
def test_fault_44_an_overlay_as_in_a_container_is_as_good_as_a_disk(tmp_path):
    with disk(tmp_path / "disk", "size=16m"):
        lower, upper, work, merged = [tmp_path / "disk" / name for name in ("lower", "upper", "work", "merged")]
        for directory in (lower, upper, work, merged):
            directory.mkdir()
        with opened(lower / "state") as outbox:  # as in an image
            outbox.accept(first := an_event(), ["discord"])
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        if subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(merged)], check=False).returncode:
            missing("the system has no overlays")
        try:
            with opened(merged / "state") as outbox, opened(merged / "state") as other:
                assert [each.event for each in outbox.adopt(ALL)] == [first]
                assert outbox.accept(second := an_event(), ["discord"])
                assert other.adopt(ALL) == []  # the locks work, too
            assert everything_in(merged / "state") == [first, second]
        finally:
            subprocess.run(["umount", str(merged)], check=True)


# ---- 45: without bound


def _bytes_on_disk(state: Path) -> int:
    return sum(path.stat().st_size for path in state.glob(NAME + "*"))


def test_fault_45_ten_times_the_limit_leaves_the_limit_and_every_drop_is_told(state):
    limit, size = 2_000_000, 10_000  # bytes of all, of an event
    outbox = Outbox(state, clock=FakeClock(), limits=Limits(max_bytes=limit))
    told: Counter[str] = Counter()
    events = [an_event("x" * size) for _ in range(10 * limit // size)]
    for number, event in enumerate(events, 1):
        assert outbox.accept(event, ["discord"])
        if number % 50 == 0:
            told.update(row.event_id for row in outbox.maintain().dropped)
            # The events since the last look, at 12 kB each in whole pages, are in the file and in its log.
            assert _bytes_on_disk(state) < limit + 2 * 50 * 12_288 + 2**20
    outbox.close()

    left = [event.id for event in everything_in(state)]

    assert told.total() == len(told)
    assert sorted([*told, *left]) == [event.id for event in events]
    assert left == [event.id for event in events][-len(left) :]  # the oldest went first


@pytest.mark.parametrize("order", [sorted, lambda levels: sorted(levels, reverse=True)], ids=["rising", "falling"])
def test_fault_45_what_is_critical_is_never_dropped_before_what_is_less(state, order: Callable[..., list[int]]):
    limit, size = 1_000_000, 10_000  # bytes; the 60 critical ones, at 12 kB each in whole pages, fit by themselves
    events = [an_event("x" * size, level) for level in order([10, 20, TRADE, 30, 40, 50] * 60)]
    outbox = Outbox(state, clock=FakeClock(), limits=Limits(max_bytes=limit))
    for event in events:
        outbox.accept(event, ["discord"])

    dropped = {row.event_id for row in outbox.maintain().dropped}
    outbox.close()

    assert max(event.level for event in events if event.id in dropped) <= min(
        event.level for event in events if event.id not in dropped
    )
    assert dropped
    assert not dropped & {event.id for event in events if event.level == 50}
