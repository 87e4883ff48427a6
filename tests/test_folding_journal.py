"""What was announced, on disk: read again, damaged, from another version, on a disk that fails."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notify.delivery.folding import journal as module
from notify.delivery.folding.journal import NAME, Found, Journal
from notify.delivery.state_dir import prepare
from notify.rules.grouping import MOST_MATTERS

NOW = 1_767_225_600.0  # 2026-01-01


@pytest.fixture
def directory(state: Path) -> Path:
    prepare(state)
    return state


def opened(directory: Path) -> tuple[Journal, Found]:
    journal = Journal(directory, NOW, is_told=lambda: False)
    return journal, journal.read()


def test_what_is_written_is_read_by_the_next_and_the_newest_counts(directory):
    journal, found = opened(directory)
    assert found == Found()
    journal.write({"a": {"count": 1}, "b": {"count": 1}}, {}, 0.0)
    journal.write({"a": {"count": 2}, "b": None}, {"chat": [1]}, 5.0)
    journal.posted("discord")["a"] = "17 0"

    _, found = opened(directory)

    assert found == Found({"a": {"count": 2}}, {"chat": [1]}, {"discord": {"a": "17 0"}})


def test_what_a_backend_has_noted_is_there_for_the_next(directory):
    opened(directory)[0].posted("discord").update({"a": "1", "b": "2"})
    journal, _ = opened(directory)
    del journal.posted("discord")["a"]

    assert dict(opened(directory)[0].posted("discord")) == {"b": "2"}
    assert dict(journal.posted("telegram")) == {}


def test_a_digest_that_was_told_is_not_told_by_the_next(directory):
    journal, _ = opened(directory)
    journal.write({}, {"chat": [1]}, 0.0)
    journal.write({}, {}, 5.0)

    assert opened(directory)[1].held == {}


def test_the_file_is_this_users_alone(directory):
    opened(directory)[0].write({"a": {}}, {}, 0.0)

    assert stat.S_IMODE((directory / NAME).stat().st_mode) == 0o600


def test_a_line_that_a_killed_process_has_left_unfinished_costs_no_other(directory):
    opened(directory)[0].write({"a": {"count": 1}}, {}, 0.0)
    with (directory / NAME).open("ab") as file:
        file.write(b'\n{"matter": "b", "is": {"cou')
    journal, found = opened(directory)
    assert found.matters == {"a": {"count": 1}}
    journal.write({"c": {"count": 3}}, {}, 0.0)

    assert opened(directory)[1].matters == {"a": {"count": 1}, "c": {"count": 3}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x00\x01 nonsense\n", "it is damaged"),
        (b'{"notify": "matters", "version": 2}\n', "it is from another version"),
        (b'{"notify": "outbox"}\n', "it is damaged"),
        (b'{"notify": "matters", "version": 1}\n' + b"odd\n" * 5, "it is damaged"),
    ],
    ids=["nonsense", "newer", "another file", "odd lines"],
)
def test_a_file_that_cannot_be_used_is_put_aside_with_one_line(directory, capsys, content, why):
    (directory / NAME).write_bytes(content)
    journal, found = opened(directory)

    assert found.matters == {}
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert why in said
    assert (directory / "matters-2026-01-01T000000.damaged.jsonl").read_bytes() == content
    journal.write({"a": {"count": 1}}, {}, 0.0)
    assert opened(directory)[1].matters == {"a": {"count": 1}}


def test_of_a_damaged_file_what_can_be_read_is_carried_over(directory):
    lines = [{"notify": "matters", "version": 1}, {"matter": "a", "is": {"count": 1}}]
    (directory / NAME).write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "odd\n" * 5)
    opened(directory)

    assert opened(directory)[1].matters == {"a": {"count": 1}}


def test_what_is_out_of_date_goes_when_the_file_is_large(directory, monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 10_000)  # bytes
    journal, _ = opened(directory)
    for count in range(1000):
        journal.write({"a": {"count": count}}, {}, float(count))

    assert (directory / NAME).stat().st_size < 11_000
    assert opened(directory)[1].matters == {"a": {"count": 999}}
    assert [path.name for path in directory.iterdir()] == [NAME]


def test_what_another_process_has_written_stays_when_the_file_is_made_smaller(directory, monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 10_000)  # bytes
    journal, _ = opened(directory)
    opened(directory)[0].write({"theirs": {"count": 1}}, {}, 0.0)
    for count in range(1000):
        journal.write({"a": {"count": count}}, {}, float(count))

    assert opened(directory)[1].matters.keys() == {"theirs", "a"}


def test_a_disk_that_fails_is_told_and_tried_again_a_minute_later_with_all_there_is(directory, capsys, monkeypatch):
    journal, _ = opened(directory)
    (directory / NAME).mkdir()
    journal.write({"a": {}}, {}, 100.0)
    assert "what was announced cannot be noted on disk" in capsys.readouterr().err
    assert (journal.lacks_all, journal.is_ready(159.0), journal.is_ready(160.0)) == (True, False, True)
    journal.posted("discord")["a"] = "1"  # in memory

    (directory / NAME).rmdir()
    journal.write({"a": {}}, {}, 160.0)

    assert (journal.lacks_all, journal.is_ready(161.0)) == (False, True)
    assert opened(directory)[1].matters == {"a": {}}


def test_without_a_directory_nothing_is_remembered_and_nothing_raises(state, capsys):
    journal, found = opened(state)
    journal.write({"a": {}}, {}, 0.0)

    assert found == Found()
    assert journal.lacks_all


def test_a_planted_link_is_not_followed(directory, tmp_path, capsys):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (directory / NAME).symlink_to(victim)
    journal, _ = opened(directory)
    journal.write({"a": {}}, {}, 0.0)

    assert victim.read_text() == "precious"
    assert "symbolic link" in capsys.readouterr().err


def test_what_somebody_else_tells_of_the_directory_is_not_told_again(state, capsys):
    journal = Journal(state, NOW, is_told=lambda: True)
    journal.read()
    journal.write({"a": {}}, {}, 0.0)

    assert journal.lacks_all
    assert capsys.readouterr().err == ""


# ---- what ends while the disk fails


@contextmanager
def failing(directory: Path) -> Iterator[None]:
    """Have the file fail, and be as it was afterwards."""
    (directory / NAME).rename(directory / "meanwhile")
    (directory / NAME).mkdir()
    yield
    (directory / NAME).rmdir()
    (directory / "meanwhile").rename(directory / NAME)


def test_what_ends_while_the_disk_fails_is_not_alive_for_the_next(directory):
    journal, _ = opened(directory)
    journal.write({"a": {"count": 1}, "b": {"count": 1}, "c": {"count": 1}}, {}, 0.0)
    with failing(directory):
        journal.write({"a": None}, {}, 100.0)
        journal.write({"b": {"count": 2}, "c": {"count": 1}}, {}, 160.0)

    journal.write({"b": {"count": 2}}, {}, 220.0)  # all there is: c has ended, and nobody has said so here

    assert opened(directory)[1].matters == {"b": {"count": 2}}


def test_what_an_earlier_process_has_left_and_ends_while_the_disk_fails_is_not_alive_for_the_next(directory):
    opened(directory)[0].write({"a": {}}, {}, 0.0)
    journal, _ = opened(directory)
    with failing(directory):
        journal.write({"a": None}, {}, 100.0)

    journal.write({}, {}, 160.0)

    assert opened(directory)[1].matters == {}


def test_what_was_written_in_part_and_has_ended_since_is_not_alive_for_the_next(directory, monkeypatch, capsys):
    journal, _ = opened(directory)
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:-5]))
        journal.write({"a": {}, "b": {}}, {"chat": [1]}, 0.0)
    assert opened(directory)[1].matters == {"a": {}, "b": {}}

    journal.write({}, {}, 60.0)

    assert opened(directory)[1] == Found()
    assert "what was announced cannot be noted on disk: the disk is full" in capsys.readouterr().err


def test_what_ends_again_and_again_on_a_disk_that_fails_for_long_is_not_remembered_for_ever(directory):
    journal, _ = opened(directory)
    (directory / NAME).mkdir()

    for number in range(20):
        journal.write({f"{number} {each}": {} for each in range(1000)}, {}, 60.0 * number)

    assert len(journal._there) <= 2 * MOST_MATTERS


def test_a_digest_that_was_told_while_the_disk_failed_is_not_told_by_the_next(directory):
    journal, _ = opened(directory)
    journal.write({}, {"chat": [1]}, 0.0)
    with failing(directory):
        journal.write({}, {}, 100.0)

    journal.write({}, {}, 160.0)

    assert opened(directory)[1].held == {}


def test_a_file_that_was_made_unusable_meanwhile_is_put_aside_when_it_would_be_made_smaller(
    directory, monkeypatch, capsys
):
    journal, _ = opened(directory)
    (directory / NAME).write_text('{"notify": "matters", "version": 2}\n')  # by a later version that has begun
    monkeypatch.setattr(module, "_LARGE", 10)

    journal.write({"a": {}}, {}, 0.0)

    (aside,) = directory.glob("matters-*.damaged.jsonl")
    assert aside.read_text().startswith('{"notify": "matters", "version": 2}\n')
    assert "it is from another version" in capsys.readouterr().err
    assert journal.lacks_all  # what was in it is written again
    assert journal.is_ready(5.0)
