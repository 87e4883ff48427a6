import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from children import python

from notify.delivery import state_dir
from notify.delivery.state_dir import StateDirError, check_private, inspect, open_private, prepare


@pytest.fixture(params=[0o000, 0o777], ids=["umask 0", "umask 777"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _pretend_to_be_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(state_dir.os, "geteuid", lambda: other)


@pytest.mark.usefixtures("umask")
def test_the_directory_and_its_missing_parents_are_for_this_user_whatever_the_umask(tmp_path):
    prepare(tmp_path / "state" / "executor-1")

    assert _mode(tmp_path / "state") == 0o700
    assert _mode(tmp_path / "state" / "executor-1") == 0o700


@pytest.mark.usefixtures("umask")
def test_a_new_file_is_for_this_user_whatever_the_umask(tmp_path):
    os.close(open_private(tmp_path / "marker", os.O_RDWR | os.O_CREAT))

    assert _mode(tmp_path / "marker") == 0o600


def test_a_directory_of_ours_that_others_could_enter_is_closed_to_them(tmp_path):
    directory = tmp_path / "state"
    directory.mkdir()
    directory.chmod(0o777)

    prepare(directory)

    assert _mode(directory) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o750], ids=oct)
def test_a_directory_that_others_use_too_stays_open_to_them(tmp_path, mode):
    (tmp_path / "theirs").touch()
    tmp_path.chmod(mode)

    prepare(tmp_path)

    assert _mode(tmp_path) == mode


def test_an_empty_directory_for_everybody_is_refused_and_left_as_it_is(tmp_path):
    tmp_path.chmod(0o1777)

    with pytest.raises(StateDirError, match="others may write to it"):
        prepare(tmp_path)

    assert _mode(tmp_path) == 0o1777


@pytest.mark.parametrize("name", ["outbox-photos", "runs.txt", "owners-old", "outbox.txt"])
def test_what_is_called_nearly_as_ours_is_not_ours(tmp_path, name):
    (tmp_path / name).touch()
    tmp_path.chmod(0o755)

    prepare(tmp_path)

    assert _mode(tmp_path) == 0o755


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775], ids=oct)
def test_a_directory_that_others_use_and_may_write_to_is_refused_and_left_as_it_is(tmp_path, mode):
    (tmp_path / "theirs").touch()
    tmp_path.chmod(mode)

    with pytest.raises(StateDirError, match="others may write to it"):
        prepare(tmp_path)

    assert _mode(tmp_path) == mode


def test_a_file_of_ours_that_others_could_read_is_closed_to_them(tmp_path):
    opened, looked_at = tmp_path / "opened", tmp_path / "looked-at"
    for file in (opened, looked_at):
        file.touch()
        file.chmod(0o644)

    os.close(open_private(opened, os.O_RDONLY))
    check_private(looked_at)

    assert _mode(opened) == _mode(looked_at) == 0o600


def test_an_existing_directory_keeps_its_content(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "file").write_text("kept")

    prepare(tmp_path / "state")

    assert (tmp_path / "state" / "file").read_text() == "kept"


def test_a_planted_link_is_not_taken_for_the_directory(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / "state").symlink_to(elsewhere)

    with pytest.raises(StateDirError, match=r"state: is a symbolic link; name the directory itself$"):
        prepare(tmp_path / "state")

    assert _mode(elsewhere) == 0o755


@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "to nowhere"])
def test_a_planted_link_is_not_taken_for_a_file(tmp_path, exists):
    precious = tmp_path / "precious"
    if exists:
        precious.write_text("precious")
    (tmp_path / "marker").symlink_to(precious)

    with pytest.raises(StateDirError, match=r"marker: is a symbolic link; remove it$"):
        open_private(tmp_path / "marker", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    with pytest.raises(StateDirError, match=r"marker: is a symbolic link; remove it$"):
        check_private(tmp_path / "marker")

    assert precious.exists() is exists
    assert not exists or precious.read_text() == "precious"


def test_a_second_name_of_a_file_elsewhere_is_refused(tmp_path):
    precious = tmp_path / "precious"
    precious.touch(mode=0o644)
    mode = _mode(precious)
    (tmp_path / "marker").hardlink_to(precious)

    with pytest.raises(StateDirError, match="hard link"):
        open_private(tmp_path / "marker", os.O_RDWR)
    with pytest.raises(StateDirError, match="hard link"):
        check_private(tmp_path / "marker")

    assert _mode(precious) == mode


def test_a_pipe_planted_as_a_file_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "marker")

    with pytest.raises(StateDirError, match="not a regular file"):
        open_private(tmp_path / "marker", os.O_RDONLY)


def test_somebody_elses_directory_is_refused_and_the_message_says_whose_it_is(tmp_path, monkeypatch):
    (tmp_path / "state").mkdir(mode=0o755)
    _pretend_to_be_another_user(monkeypatch)

    with pytest.raises(StateDirError, match=r"belongs to user \d+, and this process is user \d+; .*NOTIFY_STATE_DIR"):
        prepare(tmp_path / "state")

    assert _mode(tmp_path / "state") == 0o755


def test_somebody_elses_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "marker").touch()
    _pretend_to_be_another_user(monkeypatch)

    with pytest.raises(StateDirError, match="belongs to user"):
        open_private(tmp_path / "marker", os.O_RDWR)
    with pytest.raises(StateDirError, match="belongs to user"):
        check_private(tmp_path / "marker")


def test_a_file_in_the_way_of_the_directory_is_named(tmp_path):
    (tmp_path / "state").write_text("a file")

    with pytest.raises(StateDirError, match="state: cannot be used as a directory: Not a directory"):
        prepare(tmp_path / "state")
    with pytest.raises(StateDirError, match="below: cannot be used as a directory: Not a directory"):
        prepare(tmp_path / "state" / "below")


@pytest.mark.process
def test_who_looks_and_who_makes_say_alike_who_may_not_do_what_and_what_to_set():
    code = (
        "import os, sys; from pathlib import Path\n"
        "from notify.delivery.state_dir import StateDirError, inspect, prepare\n"
        "directory = Path(sys.argv[1]); os.chmod(directory, 0o500)\n"
        "if os.geteuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for check in (inspect, prepare):\n"
        "    try: check(directory / 'new' / 'state')\n"
        "    except StateDirError as error: print(error)\n"
    )
    with TemporaryDirectory() as directory:  # pytest's own can be passed by its user only
        said = python("-c", code, directory)

    nobody = os.geteuid() or 65534
    assert said.stderr == ""
    assert said.stdout.splitlines() == 2 * [
        f"{directory}/new/state: cannot be made: user {nobody} may not write to {directory}; "
        "allow that, or set NOTIFY_STATE_DIR to another directory"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_what_can_hold_no_files_is_told_also_to_root():
    said = []
    for check in (inspect, prepare):
        with pytest.raises(StateDirError) as raised:
            check(Path("/proc/notify"))
        said.append(str(raised.value))

    root, others = "/proc keeps no files; set", f"user {os.geteuid()} may not write to /proc; allow that, or set"
    told = root if os.geteuid() == 0 else others
    assert said == 2 * [f"/proc/notify: cannot be made: {told} NOTIFY_STATE_DIR to another directory"]


def test_a_missing_file_passes_the_check(tmp_path):
    check_private(tmp_path / "missing")


def test_children_do_not_inherit_the_descriptor(tmp_path):
    descriptor = open_private(tmp_path / "marker", os.O_RDWR | os.O_CREAT)
    try:
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_a_refused_file_leaves_no_descriptor_behind(tmp_path, monkeypatch):
    (tmp_path / "marker").touch()
    _pretend_to_be_another_user(monkeypatch)
    opened: list[int] = []
    really_open = os.open
    monkeypatch.setattr(state_dir.os, "open", lambda *args: opened.append(really_open(*args)) or opened[-1])

    with pytest.raises(StateDirError):
        open_private(tmp_path / "marker", os.O_RDWR)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
