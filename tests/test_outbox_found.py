"""A look at which file a name stands for, which costs its caller no turn of the interpreter."""

import ctypes
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from notify.delivery.outbox import found
from notify.delivery.outbox.found import find

LOOKS = 2_000  # 20 times as many as other threads need to get the interpreter when it is given up each time
PATIENCE = 10.0  # seconds for one that asks for the interpreter, on a busy machine


def test_it_says_what_stat_says(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    path.write_bytes(b"123")

    here = find(os.fsencode(path))

    about = path.stat()
    assert here == ((about.st_dev, about.st_ino), 3)


def test_a_file_that_took_the_place_of_another_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "outbox.sqlite3", tmp_path / "other"
    path.touch()
    other.touch()
    before = find(os.fsencode(path)).identity

    other.replace(path)

    assert find(os.fsencode(path)).identity != before


def test_what_is_not_there_or_may_not_be_seen_raises_what_stat_raises(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, error in ((tmp_path / "none", FileNotFoundError), (tmp_path / "file" / "below", NotADirectoryError)):
        with pytest.raises(error):
            find(os.fsencode(path))


@pytest.mark.skipif(sys.platform != "linux", reason="statx is Linux's")
def test_no_other_thread_gets_the_interpreter_while_it_looks(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path)
    go = threading.Lock()
    go.acquire()
    ran = threading.Event()
    thread = threading.Thread(target=lambda: (go.acquire(), ran.set()))
    thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # seconds: who has the interpreter keeps it until he gives it up
    try:
        time.sleep(0.05)  # who asked for it before that has it by now, and waits for the lock
        go.release()
        for _ in range(LOOKS):
            find(name)
        ran_beside_looks = ran.is_set()
        deadline = time.monotonic() + PATIENCE
        while not ran.is_set() and time.monotonic() < deadline:
            found._ask(name)
        ran_beside_stat = ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        thread.join()

    assert (ran_beside_looks, ran_beside_stat) == (False, True)


def test_without_statx_it_looks_as_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: object())
    assert found._best() is found._ask

    monkeypatch.setitem(sys.modules, "ctypes", None)  # whoever imports it gets an ImportError
    assert found._best() is found._ask
