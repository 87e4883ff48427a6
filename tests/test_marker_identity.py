import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from notify.crash import identity
from notify.crash.descriptors import close_own, out_of_the_way
from notify.crash.identity import Process, boot_id, booted_at, lives, process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_process_is_known_by_its_number_and_its_start():
    here = process(os.getpid())

    assert here.started is not None
    assert lives(here)
    assert not lives(Process(here.pid, here.started + 1))
    assert not lives(Process(here.pid, None))


@pytest.mark.process
def test_a_process_that_has_ended_lives_no_more_also_before_its_parent_looks():
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    known = process(ended.pid)
    while_it_ran = lives(known)

    ended.stdin.close()
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie from here on
    as_a_zombie = lives(known)
    ended.wait()

    assert (while_it_ran, as_a_zombie, lives(known)) == (True, False, False)


@pytest.mark.process
def test_a_process_may_be_called_what_it_likes(tmp_path):
    program = tmp_path / ") Z 1 (x"  # as it would stand in front of what is read
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as running:
        known = process(running.pid)
        alive = lives(known)
        running.kill()

    assert alive


@pytest.mark.parametrize("pid", [0, -1, 10**30])
def test_a_number_that_is_no_processs_is_nobody(pid):
    assert process(pid) == Process(pid, None)


def test_the_machines_start_has_a_name_and_a_time():
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    since = booted_at()
    assert since is not None
    # Seconds since the start, sleep included; the kernel gives them to a hundredth.
    assert time.time() - since == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=1)


@pytest.mark.parametrize("said", [b"", b"nonsense\n", b"\xff\xff", b"x" * 36])
def test_what_is_no_name_of_a_start_is_none(tmp_path, monkeypatch, said):
    (tmp_path / "boot_id").write_bytes(said)
    monkeypatch.setattr(identity, "Path", lambda path: tmp_path / "boot_id")

    assert boot_id() is None


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("echo 6F2BB2E6-7E4F-4F2B-9C58-2A2A4B6F6B0A", "6F2BB2E6-7E4F-4F2B-9C58-2A2A4B6F6B0A"),
        ("echo nonsense", None),
        ("exit 1", None),
    ],
)
@pytest.mark.process
def test_macos_is_asked_for_its_session(monkeypatch, answer, found):
    run = subprocess.run
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: run(["/bin/sh", "-c", answer], **options))

    assert boot_id() == found


def test_a_descriptor_of_ours_has_a_number_that_is_not_soon_given_again(tmp_path):
    high = out_of_the_way(os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT))

    assert high >= 200
    assert not os.get_inheritable(high)
    os.close(high)


def test_a_descriptor_is_closed_as_long_as_it_is_ours(tmp_path):
    descriptor = os.open(tmp_path / "ours", os.O_WRONLY | os.O_CREAT)
    ours = os.fstat(descriptor)
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)

    close_own(other, ours)
    close_own(descriptor, ours)
    close_own(descriptor, ours)

    assert os.write(other, b"x") == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    os.close(other)
