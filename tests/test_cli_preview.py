"""`notify preview`: one page, where it is, and what is no event."""

import json
import stat
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import pytest
from children import python
from test_cli import invoke
from typer.testing import Result

from notify.errors import ConfigError

EVENT = {"message": "Bought 1 ETH", "level": "TRADE", "fields": {"pair": "ETH-USDC"}}


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(EVENT))
    return path


def preview(*arguments: object, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Result:
    return invoke("preview", *map(str, arguments), env=env, stdin=stdin)


def refused(*arguments: object, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Return what `notify preview` says in its one line."""
    result = preview(*arguments, stdin=stdin, env=env)
    assert isinstance(result.exception, ConfigError)
    return str(result.exception)


def test_a_page_of_the_event_is_written_and_its_place_is_printed(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "page.html"

    result = preview(source, "--output", output)

    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{output}\n", "")
    page = output.read_text()
    assert page.startswith("<!doctype html>")
    assert "Bought 1 ETH" in page
    assert "ETH-USDC" in page


def test_without_a_place_it_is_a_file_that_nobody_else_can_read(source: Path, tmp_path: Path) -> None:
    written = Path(preview(source).stdout.strip())

    assert written.parent == tmp_path
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "Bought 1 ETH" in written.read_text()


def test_standard_input_is_read_on_demand() -> None:
    written = Path(preview("-", stdin=json.dumps(EVENT)).stdout.strip())

    assert "Bought 1 ETH" in written.read_text()


def test_who_speaks_and_who_is_called_are_those_of_the_settings(source: Path) -> None:
    source.write_text(json.dumps({**EVENT, "level": "ERROR"}))

    written = Path(preview(source, env={"NAME": "eth-momentum", "DISCORD_MENTION": "&42"}).stdout.strip())

    page = written.read_text()
    assert "eth-momentum" in page
    assert "@role 42" in page


def test_eleven_events_are_two_messages(source: Path) -> None:
    source.write_text("\n".join(json.dumps({"message": f"event {number}"}) for number in range(11)))

    page = Path(preview(source).stdout.strip()).read_text()

    assert page.count("<article>") == 2  # ten embeds in a message, as Discord documents


def test_what_is_secret_is_taken_out(source: Path) -> None:
    source.write_text(json.dumps({"message": "Connected with canary-in-a-setting", "body": "password=hunter2222"}))

    page = Path(preview(source, env={"MY_API_KEY": "canary-in-a-setting"}).stdout.strip()).read_text()

    assert "Connected with" in page
    assert "canary-in-a-setting" not in page
    assert "hunter2222" not in page


def test_a_misspelt_part_is_named(source: Path) -> None:
    source.write_text('{"message": "a", "feilds": {}}')

    result = preview(source)

    assert result.exit_code == 0
    assert result.stderr == f"notify: {source}: no part of an event, left out: 'feilds'\n"


# ---- the browser


@pytest.mark.parametrize(
    ("env", "options", "opened"),
    [
        ({}, (), False),
        ({"DISPLAY": ":0"}, (), True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, (), True),
        ({"DISPLAY": ":0"}, ("--no-browser",), False),
    ],
)
def test_the_page_is_opened_where_there_is_a_screen_unless_nobody_wants_it(
    source: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], options: tuple[str, ...], opened: bool
) -> None:
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)

    result = preview(source, *options, env=env)

    assert addresses == ([Path(result.stdout.strip()).as_uri()] if opened else [])


@pytest.mark.process
def test_the_browser_of_the_environment_gets_the_page(source: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o700)
    output = tmp_path / "page.html"

    ended = python("-m", "notify", "preview", str(source), "-o", str(output), BROWSER=f"{browser} %s")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{output}\n", "")
    assert seen.read_text() == f"{output.as_uri()}\n"


# ---- what cannot be shown


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "it is empty"),
        ("{", "not JSON: "),
        ("{}", "it has no message"),
        ('{"message": "a", "level": "LOUD"}', "level: not a level; use DEBUG"),
    ],
)
def test_what_is_no_event_is_refused_with_its_reason(source: Path, data: str, said: str) -> None:
    source.write_text(data)

    assert refused(source).startswith(f"{source}: {said}")
    assert refused("-", stdin=data).startswith(f"standard input: {said}")


def test_what_cannot_be_read_or_written_is_refused(source: Path, tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"{tmp_path}/none: No such file or directory"
    assert refused(tmp_path) == f"{tmp_path}: Is a directory"
    assert refused(source, "-o", tmp_path) == f"--output: {tmp_path}: Is a directory"


def test_more_events_than_a_page_holds_are_refused(source: Path) -> None:
    source.write_text('{"message": "a"}\n' * 101)

    assert refused(source) == f"{source}: 101 events, more than the 100 that one page shows"


def test_an_unusable_setting_is_named(source: Path) -> None:
    assert refused(source, env={"DISCORD_MENTION": "me"}).startswith("DISCORD_MENTION: not a mention")


@pytest.mark.process
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(tmp_path: Path) -> None:
    ended = python("-m", "notify", "preview", str(tmp_path / "none.json"))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"notify: {tmp_path}/none.json: No such file or directory\n"
