"""What the outbox makes of deaths, forks, signals, full disks and damaged files."""

import errno
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from notify.delivery.outbox import Outbox, listing
from notify.delivery.outbox import store as outbox_store
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.store import VERSION
from notify.event import Event, new_id
from notify.testing import FakeClock

GRACE = 60  # seconds a process may take; it needs one or two
KILLS = int(os.environ.get("NOTIFY_TEST_KILLS", "20"))

_numbers = count(1)


def _event(message: str = "", level: int = 21) -> Event:
    return Event(id=new_id(1_767_225_600.0), time=1_767_225_600.0, message=message or f"{next(_numbers)}", level=level)


@contextmanager
def _opened(directory: Path) -> Iterator[Outbox]:
    outbox = Outbox(directory, clock=FakeClock())
    try:
        yield outbox
    finally:
        outbox.close()


def _everything_in(directory: Path) -> list[Event]:
    with _opened(directory) as outbox:
        assert outbox.broken is None
        found: list[Event] = []
        while part := outbox.adopt():
            found += [each.event for each in part]
        return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


# ---- other processes

# Every script begins with this. A line on standard output is written by one call, so that a kill cuts none in two.
PRELUDE = """
import os, signal, sys, threading, time
from pathlib import Path
from notify.delivery.outbox import Outbox
from notify.event import Event, new_id

def event(message="m", level=21):
    now = time.time()
    return Event(id=new_id(now), time=now, message=message, level=level)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def wait_for_line():
    os.read(0, 100)

directory = Path(sys.argv[1])
"""


@contextmanager
def _running(script: str, directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(directory), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the children of a script that did not end well


def _output(script: str, directory: Path, *arguments: str) -> list[list[str]]:
    """The words of every line that a script says, which must end by itself and well."""
    with _running(script, directory, *arguments) as process:
        said, _ = process.communicate(timeout=GRACE)
        assert process.returncode == 0
    return [line.split() for line in said.splitlines()]


ACCEPTS_UNTIL_KILLED = """
from collections import deque
outbox = Outbox(directory)
accepted = deque()

def lane():
    while True:
        outbox.maintain()
        ids = [accepted.popleft() for _ in range(min(len(accepted), 20))]
        for each in ids:
            say("delivered", each)
        outbox.delivered("discord", ids)

threading.Thread(target=lane, daemon=True).start()
while True:
    made = event("x" * 500)
    if outbox.accept(made, ["discord"]):
        say("accepted", made.id)
        if hash(made.id) % 2:
            accepted.append(made.id)
"""


@pytest.mark.process
def test_whatever_was_accepted_before_a_kill_is_found_after_it(state):
    lines_before_the_kill = random.Random()  # a new choice each time; the message of a failure shows it
    for _ in range(KILLS):
        lines = lines_before_the_kill.randrange(1, 3000)
        with _running(ACCEPTS_UNTIL_KILLED, state) as process:
            said = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            said += process.stdout.read().splitlines()
        accepted = [line.split()[1] for line in said if line.startswith("accepted")]
        delivered = {line.split()[1] for line in said if line.startswith("delivered")}

        found = [event.id for event in _everything_in(state)]

        with _opened(state) as outbox:  # the next round begins with an empty one
            outbox.adopt(limit=100_000)
            outbox.delivered("discord", found)
        lost = set(accepted) - delivered - set(found)
        assert not lost, f"{len(lost)} lost after {lines} lines"
        assert found == sorted(set(found))
        unknown = set(found) - set(accepted)
        assert len(unknown) <= 1  # written, and killed before it was said


ACCEPTS_SOME = """
outbox = Outbox(directory)
say("ready")
wait_for_line()
for number in range(int(sys.argv[2])):
    made = event()
    if outbox.accept(made, ["discord"]):
        say(made.id)
    if number % 100 == 0:
        outbox.maintain()
os._exit(0)
"""


@pytest.mark.process
def test_two_processes_write_into_one_directory_at_the_same_time(state):
    each = 1000
    with _running(ACCEPTS_SOME, state, str(each)) as one, _running(ACCEPTS_SOME, state, str(each)) as other:
        for process in (one, other):
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=GRACE)[0].split() for process in (one, other)]

    found = {event.id for event in _everything_in(state)}

    assert found == {*said[0], *said[1]}
    # A few may have gone to memory while the other held the file; most must not.
    assert all(len(ids) > each * 0.9 for ids in said)


ADOPTS = """
outbox = Outbox(directory)
say("ready")
wait_for_line()
while part := outbox.adopt(limit=50):
    for each in part:
        say(each.event.id)
say("done")
wait_for_line()  # what it has would go to the others if it ended
"""


@pytest.mark.process
def test_of_four_adopters_each_event_goes_to_one(state):
    events = [_event() for _ in range(400)]
    for several in range(8):  # processes that died
        with _opened(state) as dead:
            for event in events[several * 50 : several * 50 + 50]:
                assert dead.accept(event, ["discord"])
    adopted: list[str] = []

    with (
        _running(ADOPTS, state) as a,
        _running(ADOPTS, state) as b,
        _running(ADOPTS, state) as c,
        _running(ADOPTS, state) as d,
    ):
        for process in (a, b, c, d):
            assert process.stdout.readline() == "ready\n"
        for process in (a, b, c, d):
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in (a, b, c, d):
            while (line := process.stdout.readline()) != "done\n":
                assert line
                adopted.append(line.strip())
        # Whoever met another at an estate has left it to him; what is there now is nobody's.
        for process in (a, b, c, d):
            process.stdin.close()

    assert sorted(adopted) == [event.id for event in events]


@pytest.mark.process
def test_an_event_of_a_killed_process_is_found_by_one_that_runs(state):
    with _running(
        "outbox = Outbox(directory); outbox.accept(event(), ['d']); say('on disk'); wait_for_line()", state
    ) as it:
        it.stdout.readline()
        with _opened(state) as outbox:
            assert outbox.adopt() == []
            it.kill()
            it.wait()

            assert len(outbox.adopt()) == 1


# ---- forks

FORKS = """
outbox = Outbox(directory)
outbox.accept(event("parent, before"), ["discord"])
child = os.fork()
if child == 0:
    adopted = outbox.adopt()
    accepted = outbox.accept(event("child"), ["discord"])
    say("child adopted", len(adopted), "accepted", accepted, "broken", outbox.broken)
    sys.exit()  # the interpreter ends in the ordinary way, and finalises what it has
os.waitpid(child, 0)
accepted = outbox.accept(event("parent, after"), ["discord"])
say("parent accepted", accepted, "broken", outbox.broken)
say("parent adopted", *[each.event.message for each in outbox.adopt()])
os._exit(0)
"""


@pytest.mark.process
def test_a_forked_child_keeps_events_of_its_own_and_never_its_parents(state):
    said = [" ".join(words) for words in _output(FORKS, state)]

    assert said == [
        "child adopted 0 accepted True broken None",
        "parent accepted True broken None",
        "parent adopted child",
    ]
    assert [event.message for event in _everything_in(state)] == ["parent, before", "child", "parent, after"]


FORKS_AND_LOOKS = """
def ours():
    found = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sorted({Path(os.readlink(link)).name for link in found if os.path.exists(link)
                   and str(directory) in os.readlink(link)})

outbox = Outbox(directory)
outbox.delivered("discord", ["nothing"])  # both connections are open
say(len(ours()))
child = os.fork()
if child == 0:
    say("child", *ours())
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)
"""


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_forked_child_inherits_no_connection_and_no_lock(state):
    # The database, its log and its shared memory, and the owner's lock.
    assert _output(FORKS_AND_LOOKS, state) == [["4"], ["child"]]


OUTLIVED_BY_ITS_CHILD = """
outbox = Outbox(directory)
outbox.accept(event("parent"), ["discord"])
if os.fork():
    os._exit(0)
while not (adopted := outbox.adopt()):  # the parent is dying; its lock goes with it
    time.sleep(0.01)
say(*[each.event.message for each in adopted])
"""


@pytest.mark.process
def test_a_parent_that_dies_is_noticed_although_its_child_lives(state):
    with _running(OUTLIVED_BY_ITS_CHILD, state) as process:
        assert process.communicate(timeout=GRACE)[0] == "parent\n"


FORKS_WHILE_OTHERS_WRITE = """
outbox = Outbox(directory)
go_on = True

def write():
    while go_on:
        made = event()
        if outbox.accept(made, ["discord"]):
            say(made.id)
        outbox.delivered("discord", ["nothing"])

threads = [threading.Thread(target=write) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        made = event()
        if not outbox.accept(made, ["discord"]):
            os._exit(1)
        say(made.id)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        say("failed", status)
go_on = False
for thread in threads:
    thread.join()
os._exit(0)
"""


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forks_in_the_middle_of_writes_lose_nothing_and_hang_nobody(state):
    forks = 40

    said = [words[0] for words in _output(FORKS_WHILE_OTHERS_WRITE, state, str(forks))]

    found = [event.id for event in _everything_in(state)]
    assert "failed" not in said
    assert len(said) > forks
    assert sorted(found) == sorted(said)


FORKS_INSIDE_SQLITE = """
outbox = Outbox(directory)
held = threading.Event()

def compute():
    with outbox.locks.lanes:
        held.set()
        # No lane asks this. It stands for a disk that does not answer: the thread is inside SQLite, with its locks.
        outbox._store()._execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")

def next_descriptor():
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor

threading.Thread(target=compute, daemon=True).start()
held.wait()
child = os.fork()  # waits for the lane, but not for good
if child == 0:
    before = next_descriptor()
    say("child", outbox.accept(event(), ["discord"]), outbox.retry(), outbox.broken)
    say("opened", next_descriptor() - before)
    outbox.close()
    sys.exit()
_, status = os.waitpid(child, 0)
say("parent", status, outbox.accept(event(), ["discord"]), outbox.broken)
os._exit(0)
"""


@pytest.mark.process
def test_a_child_forked_while_the_disk_hangs_does_without_it_and_ends(state):
    said = [" ".join(words) for words in _output(FORKS_INSIDE_SQLITE, state)]

    assert said == [
        "child False False the process was forked in the middle of a write",
        "opened 0",
        "parent 0 True None",
    ]


# ---- signals

SIGNALS = """
outbox = Outbox(directory)
handled = []

def handler(number, frame):
    made = event("from the handler")
    handled.append((made.id, outbox.accept(made, ["discord"])))

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
accepted = []
while len(handled) < int(sys.argv[2]):
    made = event("interrupted")
    accepted.append((made.id, outbox.accept(made, ["discord"])))
    if len(accepted) % 500 == 0:
        outbox.maintain()
signal.setitimer(signal.ITIMER_REAL, 0)
say("broken", outbox.broken)
for made, on_disk in accepted + handled:
    if on_disk:
        say(made)
say("refused", sum(not on_disk for _, on_disk in accepted + handled))
os._exit(0)
"""


@pytest.mark.process
def test_a_signal_handler_may_interrupt_a_write_and_write_itself(state):
    signals = 10_000

    (broken, *said, refused) = _output(SIGNALS, state, str(signals))

    assert broken == ["broken", "None"]
    assert refused == ["refused", "0"]
    assert len(said) > signals
    assert sorted(event.id for event in _everything_in(state)) == sorted(words[0] for words in said)


# ---- disks


@contextmanager
def _disk(at: Path, size: str) -> Iterator[None]:
    """A small disk of its own."""
    at.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)], capture_output=True)
    if mounted.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("only root can mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


@pytest.mark.process
def test_a_full_disk_is_told_once_and_used_again_when_there_is_room(tmp_path):
    with _disk(tmp_path / "disk", "4m"):
        with _opened(tmp_path / "disk" / "state") as outbox:
            accepted: list[Event] = []
            while outbox.accept(event := _event("x" * 10_000), ["discord"]):
                accepted.append(event)
            assert outbox.broken == "the disk is full"
            assert not outbox.accept(_event(), ["discord"])
            alerts = outbox.maintain().alerts
            assert len(alerts) == 1
            assert "not kept on disk: the disk is full" in alerts[0]
            assert outbox.broken

            outbox.delivered("discord", [event.id for event in accepted[::2]])  # remembered until it can be written
            subprocess.run(["mount", "-o", "remount,size=16m", str(tmp_path / "disk")], check=True)

            assert outbox.maintain().alerts == ("Events are kept on disk again.",)
            last = _event()
            assert outbox.accept(last, ["discord"])
        assert _everything_in(tmp_path / "disk" / "state") == [*accepted[1::2], last]


@pytest.mark.process
def test_a_disk_that_is_read_only_is_told_and_used_when_it_can_be_written(tmp_path):
    with _disk(tmp_path / "disk", "8m"):
        state = tmp_path / "disk" / "state"
        first, second, third = _event(), _event(), _event()
        with _opened(state) as outbox:
            outbox.accept(first, ["discord"])
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        with _opened(state) as outbox:
            assert not outbox.accept(second, ["discord"])
            assert outbox.broken == "Read-only file system"
            assert not outbox.retry()

            subprocess.run(["mount", "-o", "remount,rw", str(tmp_path / "disk")], check=True)
            assert outbox.retry()
            assert outbox.accept(third, ["discord"])
        assert _everything_in(state) == [first, third]


WRITES_UP_TO_A_LIMIT = """
import resource
outbox = Outbox(directory)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
while outbox.accept(made := event("x" * 1000), ["discord"]):
    say(made.id)
say("broken", outbox.broken)
say("works", outbox.retry())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
say("works", outbox.retry())
outbox.accept(made := event(), ["discord"])
say(made.id)
os._exit(0)
"""


@pytest.mark.process
def test_a_file_that_may_not_grow_does_not_end_the_process(state):
    said = _output(WRITES_UP_TO_A_LIMIT, state)

    broken = next(words for words in said if words[0] == "broken")
    assert broken != ["broken", "None"]
    assert said[-2] == ["works", "True"]
    ids = [words[0] for words in said if len(words) == 1]
    assert [event.id for event in _everything_in(state)] == ids
    assert len(ids) > 50  # of 1 kB each: SQLite's log takes two or three pages of 4 kB for one


WRITES_WITHOUT_PERMISSION = """
import orjson  # while its files can be read: the interpreter may lie in a directory of root's
if os.getuid() == 0:
    nobody = 65534
    os.chown(directory, nobody, nobody)
    os.setgroups([])
    os.setgid(nobody)
    os.setuid(nobody)
os.chmod(directory, 0o500)
outbox = Outbox(directory / "state")
say(outbox.broken)
say(outbox.accept(event(), ["discord"]))
os.chmod(directory, 0o700)
say(outbox.retry(), outbox.accept(event(), ["discord"]))
outbox.close()
"""


@pytest.mark.process
def test_without_permission_the_outbox_is_broken_until_it_is_given():
    with TemporaryDirectory() as directory:  # pytest's own can be passed by its user only
        reason, refused, works = [" ".join(words) for words in _output(WRITES_WITHOUT_PERMISSION, Path(directory))]

    assert reason == f"{directory}/state: cannot be used as a directory: Permission denied"
    assert refused == "False"
    assert works == "True True"


def test_without_a_free_descriptor_an_open_outbox_works_and_a_new_one_waits(state, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with _opened(state) as outbox:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # all that are open stay open
            accepted = outbox.accept(_event(), ["discord"])
            late = Outbox(tmp_path / "late", clock=FakeClock())
            refused = late.accept(_event(), ["discord"])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert accepted
        assert not refused
        assert late.broken.endswith("Too many open files")
        assert late.retry()
        late.close()


def test_a_flush_that_fails_is_told_but_the_event_is_on_disk(state, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with _opened(state) as outbox:
        with monkeypatch.context() as patched:
            patched.setattr(outbox_store.os, "fdatasync", fail)
            assert outbox.accept(event := _event(level=50), ["discord"])

        assert outbox.broken == "it cannot be flushed: Input/output error"
        assert outbox.retry()
    assert _everything_in(state) == [event]


def test_a_file_in_the_place_of_the_directory_is_told_and_memory_goes_on(state, capsys):
    state.write_text("a file")

    with _opened(state) as outbox:
        assert not outbox.accept(_event(), ["discord"])
        (alert,) = outbox.maintain().alerts

    assert f"{state}: cannot be used as a directory: Not a directory" in alert
    assert "wait in memory" in alert
    assert capsys.readouterr().err.count("\n") == 1
    assert state.read_text() == "a file"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_planted_link_is_not_followed(state, tmp_path, suffix):
    state.mkdir()
    (state / (NAME + suffix)).symlink_to(tmp_path / "precious")

    with _opened(state) as outbox:
        assert "is a symbolic link" in outbox.broken

    assert not (tmp_path / "precious").exists()


# ---- files that were moved, removed or damaged


@pytest.mark.parametrize("what", ["the directory", "the files", "the file", "the log"])
def test_what_was_removed_under_us_is_noticed_and_begun_anew(state, what):
    with _opened(state) as outbox:
        outbox.accept(_event(), ["discord"])
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
        assert outbox.accept(event := _event(), ["discord"])
    assert event in _everything_in(state)


def test_a_directory_that_was_moved_away_keeps_what_is_in_it(state, tmp_path):
    with _opened(state) as outbox:
        outbox.accept(before := _event(), ["discord"])
        state.rename(tmp_path / "moved")
        outbox.maintain()
        outbox.accept(after := _event(), ["discord"])

    assert _everything_in(state) == [after]
    assert _everything_in(tmp_path / "moved") == [before]


@pytest.fixture
def filled(state: Path) -> list[Event]:
    """The events of an outbox whose process has ended: 300, in some 60 pages of 4 kB."""
    events = [_event(f"{number} " + "x" * 500) for number in range(300)]
    with _opened(state) as outbox:
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

    found = _everything_in(state)

    assert all(event in filled for event in found)
    assert all(path.read_bytes() == content for path in _set_aside(state))  # kept as it was found
    with _opened(state) as outbox:
        assert outbox.accept(_event(), ["discord"])


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5, 0.75, 0.95])
def test_a_damaged_page_costs_the_events_on_it(state, filled, part):
    file = state / NAME
    content = bytearray(file.read_bytes())
    page = int(len(content) * part) // 4096 * 4096
    content[page : page + 4096] = random.Random(1).randbytes(4096)
    file.write_bytes(content)

    found = _everything_in(state)

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

    found = _everything_in(state)

    assert found == [event for event in filled if event is not filled[150]]
    (letter,) = listing.dead(state, 10)
    assert letter.event_id == filled[150].id
    assert letter.event is None
    assert letter.dead_reason == "it cannot be read any more"


def test_a_changed_name_is_noticed_too_and_does_not_come_up_again_and_again(state, filled):
    with closing(sqlite3.connect(state / NAME)) as file, file:
        file.execute("UPDATE outbox SET destination = CAST(x'64ff' AS TEXT) WHERE event_id = ?", (filled[7].id,))

    assert len(_everything_in(state)) == len(filled) - 1

    assert [letter.event_id for letter in listing.dead(state, 10)] == [filled[7].id]
    assert len(_everything_in(state)) == len(filled) - 1


@pytest.mark.parametrize("part", [0.0, 0.0005, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_begun_anew_with_what_is_left(state, filled, part):
    file = state / NAME
    size = file.stat().st_size
    os.truncate(file, int(size * part))

    found = _everything_in(state)

    assert all(event in filled for event in found)
    assert part < 0.5 or len(found) >= 300 * part * 0.8  # indexes take some of the file
    # SQLite takes a short last page for a whole one; the checksums of its rows do not.
    assert len(_set_aside(state)) == (0 if part == 0.999 else 1)


@pytest.mark.parametrize("part", [0.001, 0.2, 0.5, 0.8, 0.999])
def test_a_torn_log_costs_its_end_only(state, tmp_path, part):
    events = [_event("x" * 500) for _ in range(100)]
    with _opened(state) as outbox:
        for event in events:
            outbox.accept(event, ["discord"])
        for path in (state / NAME, state / (NAME + "-wal")):  # as a loss of power leaves them
            (tmp_path / "torn").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "torn")
    log = tmp_path / "torn" / (NAME + "-wal")
    os.truncate(log, int(log.stat().st_size * part))

    found = _everything_in(tmp_path / "torn")

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

    with _opened(state) as outbox:
        (alert,) = outbox.maintain().alerts
        found = [each.event for each in outbox.adopt()]

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
    with _opened(state) as outbox:
        outbox.accept(_event(), ["discord"])
        with closing(sqlite3.connect(state / NAME, isolation_level=None)) as file:
            _make_newer(file)
            for path in (state / NAME, state / (NAME + "-wal")):  # as after a kill: much is in the log only
                shutil.copy(path, copied)
    before = {path.suffix: path.read_bytes() for path in copied.iterdir()}

    assert len(_everything_in(copied)) == 1

    kept = [path for path in copied.glob("outbox-*") if not path.name.endswith("-shm")]
    assert {path.suffix: path.read_bytes() for path in kept} == before


def test_a_file_that_is_no_database_is_kept_under_a_name_that_is_free(state):
    state.mkdir()
    for number in range(2):
        (state / NAME).write_text(f"no database {number}")
        with _opened(state) as outbox:
            assert outbox.accept(_event(), ["discord"])

    assert [path.read_text() for path in _set_aside(state)] == ["no database 1", "no database 0"]


def test_a_log_without_its_file_is_kept(state):
    state.mkdir()
    (state / (NAME + "-wal")).write_bytes(b"what is left")

    with _opened(state) as outbox:
        assert outbox.accept(_event(), ["discord"])

    (kept,) = state.glob("outbox-*-wal")
    assert kept.read_bytes() == b"what is left"


def test_damage_while_it_runs_is_told_and_repaired(state, filled):
    with _opened(state) as outbox:
        with (state / NAME).open("r+b") as file:
            file.write(random.Random(1).randbytes(3 * 4096))
        outbox.let_go()  # so that it reads the file again, and not its own memory

        assert not outbox.accept(_event(), ["discord"])
        assert "damaged" in outbox.broken
        outbox.maintain()

        assert outbox.broken is None
        assert outbox.accept(_event(), ["discord"])
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

    with _running(script, state) as one, _running(script, state) as other:
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.stdout.readline() for process in (one, other)]
        for process in (one, other):
            process.stdin.close()

    assert said == ["None True\n", "None True\n"]
    assert len(_set_aside(state)) == 1


def test_the_limit_of_the_file_size_sends_no_signal():
    # Python ignores SIGXFSZ at its start; without that, the first write too many would end the process.
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
