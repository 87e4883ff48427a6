"""The file of what `notify watch` knows: private, whole, one process's, and never a reason to stop."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from notify.delivery.state_dir import inspect
from notify.fleet.matter import Matter
from notify.fleet.outages import Fleet, Known
from notify.fleet.watch_file import AnotherWatch, WatchFile
from notify.testing import FakeClock


def fleet(clock: FakeClock, name: str = "Vega") -> Fleet:
    return Fleet({"vega": Known(name, True, Matter(2, clock.time(), clock.time()))})


def test_the_next_run_reads_what_this_one_has_saved(state: Path, clock: FakeClock) -> None:
    with WatchFile(state, clock) as file:
        assert file.read() == Fleet()
        file.save(fleet(clock))

    with WatchFile(state, clock) as file:
        assert file.read() == fleet(clock)


def test_it_is_this_users_alone(state: Path, clock: FakeClock) -> None:
    before = os.umask(0)
    try:
        with WatchFile(state, clock) as file:
            file.save(fleet(clock))
    finally:
        os.umask(before)

    assert {each.name for each in state.iterdir()} == {"watch.json", "watch.lock"}
    assert {stat.S_IMODE(each.stat().st_mode) for each in state.iterdir()} == {0o600}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert inspect(state), "all that is in it is ours"


def test_another_watch_does_not_get_it_until_the_first_lets_go(state: Path, clock: FakeClock) -> None:
    with WatchFile(state, clock), pytest.raises(AnotherWatch, match="another `notify watch` has this state directory"):
        WatchFile(state, clock)

    WatchFile(state, clock).close()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "damaged"),
        (b'{"version": 1, "stra', "damaged"),
        (b'{"version": 7}', "of a later version"),
        (b" " * (16 * 2**20 + 1), "damaged"),
    ],
    ids=["empty", "cut", "newer", "huge"],
)
def test_a_file_that_cannot_be_used_is_set_aside_with_one_line(
    state: Path, clock: FakeClock, capfd: pytest.CaptureFixture[str], content: bytes, why: str
) -> None:
    state.mkdir(0o700)
    (state / "watch.json").write_bytes(content)

    with WatchFile(state, clock) as file:
        assert file.read() == Fleet()
        file.save(fleet(clock))

    said = f"notify: {state}/watch.json: {why}, set aside as watch.damaged.json: what was told is not known\n"
    assert capfd.readouterr().err == said
    assert (state / "watch.damaged.json").read_bytes() == content
    with WatchFile(state, clock) as file:
        assert file.read() == fleet(clock)


def fails(number: int) -> Callable[..., int]:
    def write(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    return write


def test_a_full_disk_is_said_once_and_it_goes_on_in_memory(
    state: Path, clock: FakeClock, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with WatchFile(state, clock) as file:
        file.save(fleet(clock))
        with monkeypatch.context() as full:
            full.setattr(Path, "replace", fails(28))  # ENOSPC, as the write itself would say
            for name in ("A", "B"):
                file.save(fleet(clock, name))
        said = capfd.readouterr().err
        file.save(fleet(clock, "C"))

    assert said == f"notify: what was told is only kept in memory: {state}/watch.json: No space left on device\n"
    with WatchFile(state, clock) as file:
        assert file.read() == fleet(clock, "C")


def test_a_directory_that_cannot_be_made_is_said_once_and_it_goes_on_in_memory(
    tmp_path: Path, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    with WatchFile(tmp_path / "file" / "state", clock) as file:
        assert file.read() == Fleet()
        file.save(fleet(clock))

    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "what was told is only kept in memory" in lines[0]


@pytest.mark.parametrize("name", ["watch.json", "watch.new", "watch.lock"])
def test_a_planted_link_is_not_followed(
    state: Path, tmp_path: Path, clock: FakeClock, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    state.mkdir(0o700)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (state / name).symlink_to(precious)

    with WatchFile(state, clock) as file:
        file.read()
        file.save(fleet(clock))

    assert precious.read_text() == "precious"
    assert "is a symbolic link; remove it" in capfd.readouterr().err


def test_a_directory_that_somebody_deletes_is_made_again(state: Path, clock: FakeClock) -> None:
    with WatchFile(state, clock) as file:
        file.save(fleet(clock))
        for each in state.iterdir():
            each.unlink()
        state.rmdir()
        file.save(fleet(clock, "B"))

        assert (state / "watch.json").exists()


def test_what_is_saved_already_is_not_written_again(state: Path, clock: FakeClock) -> None:
    with WatchFile(state, clock) as file:
        file.save(fleet(clock))
        before = (state / "watch.json").stat().st_ino
        file.save(fleet(clock))

        assert (state / "watch.json").stat().st_ino == before


def test_one_that_was_killed_while_it_wrote_has_left_what_was_there_before(state: Path, clock: FakeClock) -> None:
    with WatchFile(state, clock) as file:
        file.save(fleet(clock))
    (state / "watch.new").write_bytes(b'{"version": 1, "str')

    with WatchFile(state, clock) as file:
        assert file.read() == fleet(clock)
        file.save(fleet(clock, "B"))

    assert not (state / "watch.new").exists()


def test_a_number_that_no_time_has_is_damage_and_does_not_end_the_watch(
    state: Path, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    state.mkdir(0o700)
    huge = b"1" + b"0" * 400  # is no float any more
    content = b'{"version": 1, "problems": [], "network": [1, %b, null, null, []], "strategies": {}}' % huge
    (state / "watch.json").write_bytes(content)

    with WatchFile(state, clock) as file:
        assert file.read() == Fleet()

    assert "damaged, set aside as watch.damaged.json" in capfd.readouterr().err
