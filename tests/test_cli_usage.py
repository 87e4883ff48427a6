"""A command line that is wrong: one line on stderr that says what is wrong, in the words of the operator."""

import pytest
from children import python
from typer.testing import CliRunner

from notify.cli.app import app

SECRET = "https://discord.com/api/webhooks/123456789012345678/c4nary-token"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("sned hi", "there is no command sned; did you mean send? (see `notify --help`)"),
        ("outbox sohw 1", "there is no command sohw; did you mean show? (see `notify outbox --help`)"),
        ("--quiet", "there is no option --quiet (see `notify --help`)"),
        ("send hi --lvel INFO", "there is no option --lvel; did you mean --level? (see `notify send --help`)"),
        ("relay --any-radis", "there is no option --any-radis; did you mean --any-redis? (see `notify relay --help`)"),
        ("send", "MESSAGE is missing (see `notify send --help`)"),
        ("outbox show", "ID is missing (see `notify outbox show --help`)"),
        (
            "send gas is out",
            "more arguments than it takes: is out; what holds spaces needs quotes (see `notify send --help`)",
        ),
        ("send hi --level", "option '--level' requires an argument (see `notify send --help`)"),
        ("send hi --json=yes", "option '--json' does not take a value (see `notify send --help`)"),
        ("outbox list --state-dir", "option '--state-dir' requires an argument (see `notify outbox list --help`)"),
        (
            "send hi --level loud",
            "--level: not a level; use DEBUG, INFO, TRADE, TRADE_HIGH, WARNING, ERROR, CRITICAL or a number",
        ),
        ("dashboard --port http", "--port: not a whole number from 0 to 65535"),
        ("dashboard --port 65536", "--port: not a whole number from 0 to 65535"),
        ("dashboard --port -1", "--port: not a whole number from 0 to 65535"),
        ("dashboard --port 80.5", "--port: not a whole number from 0 to 65535"),
        ("dashboard --port=", "--port: not a whole number from 0 to 65535"),
        ("watch --interval often", "--interval: not a number of seconds from 1 to 86400"),
        ("watch --interval 0.5", "--interval: not a number of seconds from 1 to 86400"),
        ("watch --interval nan", "--interval: not a number of seconds from 1 to 86400"),
        ("test --timeout inf", "--timeout: not a number of seconds, 0.1 or more"),
        ("demo --days 0", "--days: not a whole number from 1 to 5000"),
        ("demo --speed fast", "--speed: not a number, 0.01 or more"),
        ("outbox list --limit 0", "--limit: not a whole number from 1 to 999999"),
        ("run --after-crash sing -- true", "--after-crash: not one of serve, exit, restart"),
        ("run --hang-after 1 -- true", "--hang-after: not a number of seconds, 2 or more"),
        ("run --kill-hung -- true", "--kill-hung: needs --hang-after"),
        ("run", "no command to run: notify run [OPTIONS] -- CMD …"),
        ("outbox retry", "name the events, or give --all-dead"),
    ],
)
def test_an_error_is_one_line_of_our_own_words(arguments: str, said: str) -> None:
    ended = CliRunner().invoke(app, arguments.split())

    assert (ended.exit_code, ended.stdout, ended.stderr) == (2, "", f"notify: {said}\n")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["env", "--env-file", ""], "--env-file"),
        (["send", "hi", "--attach", ""], "--attach"),
        (["preview", ""], "EVENT.json"),
        (["preview", "event.json", "--output="], "--output"),
        (["outbox", "list", "--state-dir", ""], "--state-dir"),
    ],
)
def test_an_empty_path_is_not_the_working_directory(arguments: list[str], name: str) -> None:
    ended = CliRunner().invoke(app, arguments)

    assert (ended.exit_code, ended.stdout, ended.stderr) == (2, "", f"notify: {name}: is empty\n")


def test_an_empty_command_is_none() -> None:
    ended = CliRunner().invoke(app, ["run", "--", ""])

    assert (ended.exit_code, ended.stderr) == (2, "notify: no command to run: notify run [OPTIONS] -- CMD …\n")


def test_what_was_given_in_the_wrong_place_is_shown_without_its_secrets_and_on_one_line() -> None:
    ended = CliRunner().invoke(app, ["send", "hi", f"one\n\x1b[31m {SECRET}"])

    assert ended.exit_code == 2
    assert ended.stderr.startswith("notify: more arguments than it takes: one")
    assert ended.stderr.count("\n") == 1
    assert "\x1b" not in ended.stderr
    assert "c4nary" not in ended.stderr


def test_without_a_command_the_help_is_shown() -> None:
    for arguments in ([], ["outbox"]):
        assert "Usage: " in CliRunner().invoke(app, arguments).output


@pytest.mark.process
def test_a_process_ends_with_exit_code_2_and_no_traceback() -> None:
    ended = python("-m", "notify", "dashboard", "--port", "http")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "notify: --port: not a whole number from 0 to 65535\n"
