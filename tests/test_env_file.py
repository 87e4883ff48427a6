"""The secrets file: who may read it, what may be in it, and that no error shows its content."""

import os
import shlex
from pathlib import Path

import pytest
from set_up import secrets_file

from notify.env_file import above_file, read_env_file
from notify.errors import ConfigError

CANARY = "c4nary-in-the-file"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return secrets_file(tmp_path, f"DISCORD_WEBHOOK_URL={CANARY}\n")


def refusal(path: Path | str, **options: bool) -> str:
    """Return the text that the file is refused with, which shows nothing of it."""
    with pytest.raises(ConfigError) as caught:
        read_env_file(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert CANARY not in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_read(secrets: Path, mode: int) -> None:
    secrets.chmod(mode)

    assert read_env_file(secrets) == {"DISCORD_WEBHOOK_URL": CANARY}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666, 0o777])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_helps(secrets: Path, mode: int) -> None:
    secrets.chmod(mode)

    assert f"run `chmod 600 {secrets}`" in refusal(secrets)


def test_the_command_that_helps_can_be_pasted_when_the_path_has_spaces(tmp_path: Path) -> None:
    path = tmp_path / "my secrets.env"
    path.write_text("A=b")
    path.chmod(0o644)

    text = refusal(path)

    command = text.partition("`")[2].removesuffix("`")
    assert shlex.split(command) == ["chmod", "600", str(path)]


def test_a_file_that_others_can_read_is_read_on_demand(secrets: Path) -> None:
    secrets.chmod(0o644)

    assert read_env_file(secrets, insecure=True) == {"DISCORD_WEBHOOK_URL": CANARY}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.env").endswith("cannot be read: No such file or directory")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).endswith("not a regular file")


@pytest.mark.timeout(10)  # opening a FIFO the plain way waits for a writer for ever
def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path, 0o600)

    assert refusal(path).endswith("not a regular file")


def test_a_device_is_refused() -> None:
    assert refusal("/dev/null", insecure=True).endswith("not a regular file")


def test_a_refused_file_is_closed_again(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    before = open_files()
    refusal(tmp_path)
    refusal("/dev/null")

    assert open_files() == before


def test_a_file_over_a_megabyte_is_refused(secrets: Path) -> None:
    secrets.write_bytes(b"A=" + b"x" * 1_000_000)

    assert refusal(secrets).endswith("larger than 1 MB, not a secrets file")


def test_a_file_of_a_megabyte_is_read(secrets: Path) -> None:
    secrets.write_bytes(b"A=" + b"x" * 999_998)

    assert len(read_env_file(secrets)["A"]) == 999_998


def test_a_file_that_is_not_utf8_is_refused(secrets: Path) -> None:
    secrets.write_bytes(f"A={CANARY}\xff".encode("latin-1"))

    assert refusal(secrets).endswith("not UTF-8 text")


def test_a_file_with_a_nul_is_refused(secrets: Path) -> None:
    secrets.write_text(f"A={CANARY}\0")

    assert refusal(secrets).endswith("not a text file: it has a NUL character in it")


def test_a_link_to_a_good_file_is_followed(secrets: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.env"
    link.symlink_to(secrets)

    assert read_env_file(link) == {"DISCORD_WEBHOOK_URL": CANARY}


def test_a_link_to_a_file_that_others_can_read_is_refused(secrets: Path, tmp_path: Path) -> None:
    secrets.chmod(0o644)
    link = tmp_path / "link.env"
    link.symlink_to(secrets)

    refusal(link)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("A = spaced ", "spaced"),
        ("export A=exported", "exported"),
        ("A='single $HOME'", "single $HOME"),
        ('A="double # no comment"', "double # no comment"),
        ("A=value # comment", "value"),
        ("A=http://host/#anchor", "http://host/#anchor"),
        ("A=pa$$word${B}$(id)`id`", "pa$$word${B}$(id)`id`"),
        ('A="$B"', "$B"),
        ("A=a=b=c", "a=b=c"),
        ("A=", ""),
        ("A=ünï", "ünï"),
        ("\ufeffA=after a byte order mark", "after a byte order mark"),
        ("A=windows\r", "windows"),
        ("# a comment\n\nA=x", "x"),
        ("A=first\nA=last", "last"),
    ],
)
def test_lines_are_read_as_people_write_them(secrets: Path, line: str, value: str) -> None:
    secrets.write_text(f"{line}\n", newline="")

    assert read_env_file(secrets) == {"A": value}


def test_a_name_without_a_value_is_left_out(secrets: Path) -> None:
    secrets.write_text("A\nB=x\n")

    assert read_env_file(secrets) == {"B": "x"}


def test_nothing_of_the_file_goes_to_the_process_environment(secrets: Path) -> None:
    read_env_file(secrets)

    assert CANARY not in os.environ.values()


@pytest.mark.parametrize("line", ["DISCORD_WEBHOOK_URL https://canary", "NAME='canary", "=canary"])
def test_a_line_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    path = secrets_file(tmp_path, f"GOOD=1\n{line}\n")

    with pytest.raises(ConfigError, match="line 2") as raised:
        read_env_file(path)

    assert "canary" not in str(raised.value)


# ---- which values came from the file


def test_an_environment_above_a_file_knows_what_is_there(secrets: Path) -> None:
    merged = above_file({"HOME": "/root"}, secrets)

    assert merged == {"HOME": "/root", "DISCORD_WEBHOOK_URL": CANARY}
    assert merged.file == {"DISCORD_WEBHOOK_URL": CANARY}


def test_the_environment_wins_over_the_file_unless_it_is_empty(secrets: Path) -> None:
    secrets.write_text("A=file\nB=file\nC=file\n")

    merged = above_file({"A": "env", "B": " ", "D": ""}, secrets)

    assert merged == {"A": "env", "B": "file", "C": "file", "D": ""}
    assert merged.file == {"A": "file", "B": "file", "C": "file"}  # also what the environment replaces


def test_without_a_file_there_is_nothing_in_it() -> None:
    merged = above_file({"A": "env"}, None)

    assert (merged, merged.file) == ({"A": "env"}, {})


def test_an_environment_above_another_keeps_what_its_file_has(secrets: Path) -> None:
    merged = above_file(above_file({"A": "env"}, secrets), None)

    assert merged.file == {"DISCORD_WEBHOOK_URL": CANARY}


def test_a_file_that_cannot_be_used_is_refused_for_an_environment_too(secrets: Path) -> None:
    secrets.chmod(0o644)

    with pytest.raises(ConfigError, match="others can read"):
        above_file({}, secrets)
    assert above_file({}, secrets, insecure=True) == {"DISCORD_WEBHOOK_URL": CANARY}


def test_an_environment_with_other_values_is_another_and_keeps_what_its_file_has(secrets: Path) -> None:
    secrets.write_text("A=file\nB=file\n")
    merged = above_file({}, secrets)

    changed = merged.but(A="demo", C="demo")

    assert (changed, changed.file) == ({"A": "demo", "B": "file", "C": "demo"}, {"A": "file", "B": "file"})
    assert (merged, merged.file) == ({"A": "file", "B": "file"}, {"A": "file", "B": "file"})
