"""The out-of-memory killer: where the kernel counts, what it logs, and real kills in a memory cgroup."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import missing
from supervision import PATIENCE, memory_cgroup

import notify
from notify.supervisor import oom
from notify.supervisor.oom import OomKills, counter

V2 = "36 27 0:33 {root} {point} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "35 31 0:32 {root} {point} rw,relatime - cgroup cgroup rw,memory\n"
OTHERS = "22 27 0:21 / /proc rw - proc proc rw\n30 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"


def found(tmp_path: Path, cgroups: str, mounts: str) -> Path | None:
    (tmp_path / "cgroup").write_text(cgroups)
    (tmp_path / "mountinfo").write_text(OTHERS + mounts)
    return counter(tmp_path / "cgroup", tmp_path / "mountinfo")


def counting(path: Path, kills: int, before: str = "oom 3\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"low 0\n{before}oom_kill {kills}\noom_group_kill 0\n")
    return path


# ---- where it is counted


def test_the_counter_of_cgroup_v2_is_that_of_ones_own_cgroup(tmp_path):
    file = counting(tmp_path / "fs/system.slice/my.service/memory.events", 0)

    assert found(tmp_path, "0::/system.slice/my.service\n", V2.format(root="/", point=tmp_path / "fs")) == file


def test_in_a_container_the_mount_may_show_ones_own_cgroup_alone(tmp_path):
    file = counting(tmp_path / "fs/memory.events", 0)

    assert found(tmp_path, "0::/docker/c0ffee\n", V2.format(root="/docker/c0ffee", point=tmp_path / "fs")) == file
    assert found(tmp_path, "0::/\n", V2.format(root="/", point=tmp_path / "fs")) == file


def test_a_mount_point_may_have_a_space_in_its_name(tmp_path):
    file = counting(tmp_path / "f s/memory.events", 0)

    assert found(tmp_path, "0::/\n", V2.format(root="/", point=f"{tmp_path}/f\\040s")) == file


def test_the_counter_of_cgroup_v1_is_found_beside_a_v2_without_one(tmp_path):
    file = counting(tmp_path / "memory/a:b/memory.oom_control", 0, before="under_oom 0\n")
    (tmp_path / "unified").mkdir()

    mounts = V2.format(root="/", point=tmp_path / "unified") + V1.format(root="/", point=tmp_path / "memory")
    assert found(tmp_path, "5:cpu:/c\n4:memory:/a:b\n0::/\n", mounts) == file


@pytest.mark.parametrize(
    ("cgroups", "mounts"),
    [("", ""), ("0::/\n", ""), ("nonsense\n", "nonsense\n"), ("0::/gone\n", V2.format(root="/", point="/nowhere"))],
)
def test_a_system_without_a_counter_has_none(tmp_path, cgroups, mounts):
    assert found(tmp_path, cgroups, mounts) is None


def test_a_counter_that_cannot_be_read_is_none(tmp_path):
    assert counter(tmp_path / "none", tmp_path / "none") is None


def test_what_was_killed_before_does_not_count(tmp_path, monkeypatch):
    file = counting(tmp_path / "memory.events", 5)
    monkeypatch.setattr(oom, "counter", lambda: file)
    kills = OomKills()

    assert (kills.count(), kills.has_killed(1)) == (0, False)
    counting(file, 7)
    assert (kills.count(), kills.has_killed(1)) == (2, True)
    file.unlink()
    assert (kills.count(), kills.has_killed(1)) == (0, False)


# ---- what is logged


class Log:
    """A pipe in place of the kernel's log, that keeps records apart as that does."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)

    def add(self, text: str) -> None:
        os.write(self.writer, f"3,912,1506560,-;{text}\n".encode())

    def close(self) -> None:
        os.close(self.writer)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    log = Log()
    monkeypatch.setattr(oom, "counter", lambda: None)
    monkeypatch.setattr(oom, "_end_of_log", lambda: log.reader)
    yield log
    log.close()


@pytest.mark.parametrize(
    ("text", "killed"),
    [
        ("Out of memory: Killed process 77 (python3) total-vm:1kB, anon-rss:1kB", True),
        ("Memory cgroup out of memory: Killed process 77 (python3) total-vm:1kB", True),
        ("Memory cgroup out of memory: Killed process 770 (python3) total-vm:1kB", False),
        ("python[77]: segfault at 0", False),
    ],
)
def test_without_a_counter_the_kernels_log_tells_whom_it_killed(log, text, killed):
    kills = OomKills()
    log.add("something else")
    log.add(text)

    assert kills.has_killed(77) is killed
    assert kills.count() == 0
    kills.close()


def test_a_log_that_may_not_be_read_says_nothing(monkeypatch):
    monkeypatch.setattr(oom, "counter", lambda: None)
    monkeypatch.setattr(oom, "_KERNEL_LOG", Path("/nowhere"))

    kills = OomKills()

    assert not kills.has_killed(77)
    kills.close()


def test_the_log_is_closed_once(log):
    kills = OomKills()

    kills.close()
    kills.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(log.reader)


# ---- real kills


@pytest.fixture
def cgroup() -> Iterator[Path]:
    with memory_cgroup() as made:
        yield made


FILL = "import os; os.write(1, b'%d' % os.getpid()); bytearray(2**29)"

WATCH = f"""
import os, signal, subprocess, sys
from notify.supervisor import oom
if sys.argv[1] == "log":
    oom.counter = lambda: None
kills = oom.OomKills()
child = subprocess.Popen([sys.executable, "-c", {FILL!r}], stdout=subprocess.DEVNULL)
child.wait()
print(child.returncode, kills.has_killed(child.pid), kills.count())
other = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
other.wait()
again = oom.OomKills()
print(other.returncode, again.has_killed(other.pid), again.count())
"""


@pytest.mark.process
@pytest.mark.parametrize("source", ["counter", "log"])
def test_a_real_kill_is_recognised_and_a_kill_by_hand_is_not(cgroup, source):
    if source == "log" and oom._end_of_log() is None:
        missing("the kernel's log is closed to this user, as in most containers")

    run = subprocess.run(
        ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', cgroup, sys.executable, "-c", WATCH, source],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(notify.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )  # fmt: skip

    first, second = run.stdout.splitlines()
    assert first == f"{-signal.SIGKILL} True {1 if source == 'counter' else 0}"
    assert second == f"{-signal.SIGKILL} False 0"
