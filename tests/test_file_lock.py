"""The lock of a file between processes, which two descriptors of one file stand for: the system treats them alike."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from notify.file_lock import lock_within, try_lock, unlock


@pytest.fixture
def one(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def other(one: int, tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_one_has_the_lock_at_a_time(one: int, other: int) -> None:
    assert try_lock(one)
    assert not try_lock(other)
    assert not try_lock(other, shared=True)
    unlock(one)
    assert try_lock(other)


def test_those_that_share_it_have_it_at_the_same_time(one: int, other: int) -> None:
    assert try_lock(one, shared=True)
    assert try_lock(other, shared=True)
    assert not try_lock(one)


def test_who_waits_for_it_gets_it_when_the_other_lets_go(one: int, other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert try_lock(one)
    monkeypatch.setattr("time.sleep", lambda seconds: unlock(one))
    assert lock_within(other, 60.0)


def test_who_waits_for_it_gives_up_in_time(one: int, other: int) -> None:
    assert try_lock(one)
    assert not lock_within(other, 0.0)


def test_it_is_let_go_of_although_a_forked_child_has_a_copy(one: int, other: int) -> None:
    assert try_lock(one)
    copy = os.dup(one)  # as a child has
    unlock(one)
    assert try_lock(other)
    os.close(copy)


def test_what_is_no_open_file_is_an_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        try_lock(descriptor)
