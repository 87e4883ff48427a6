"""The command line: what it prints, where, and its exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import notify
from notify import bootstrap, settings
from notify.backends.memory import MemoryBackend
from notify.cli.app import app
from notify.cli.output import print_table
from notify.cli.test import chart
from notify.errors import ConfigError, Gone, Rejected
from notify.event import Event

CANARY = "c4nary-token"
WEBHOOK = f"https://discord.com/api/webhooks/123456789012345678/{CANARY}"
ENDING = 60.0  # seconds after which a process counts as hanging

PAGER = {"NOTIFY_STDOUT": "off", "NOTIFY_BACKENDS": "pager"}


class Pager(MemoryBackend):
    """A third party's backend, in place of one that is installed."""


class CheckedPager(Pager):
    """A backend that `notify doctor` can look at."""

    def __init__(self, found: str | Exception) -> None:
        super().__init__()
        self.found = found

    def check(self) -> str:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def pager(monkeypatch: pytest.MonkeyPatch) -> Pager:
    backend = Pager(max_batch=10)
    monkeypatch.setattr(bootstrap, "load", lambda name, env: backend)
    return backend


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that a command would read."""
    for name in set(os.environ) - {"XDG_STATE_HOME"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")  # wide enough that no cell is folded


def invoke(*arguments: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env=dict(env or {}), input=stdin)


def command(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m notify` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "notify", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=ENDING,
        check=False,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(notify.__file__).parents[1]),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
            "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
            **(env or {}),
        },
    )


def cells(table: str) -> list[list[str]]:
    """Return the cells of a table, without its head."""
    rows = [[cell.strip() for cell in line.split("│")] for line in table.splitlines() if "│" in line]
    assert rows
    return rows


# ---- all commands


@pytest.mark.process
def test_the_version_is_printed() -> None:
    ended = command("--version")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"notify {notify.__version__}\n", "")


@pytest.mark.parametrize("name", ["demo", "send", "test", "doctor", "env"])
def test_every_command_explains_itself(name: str) -> None:
    whole, own = invoke("--help"), invoke(name, "--help")

    assert (whole.exit_code, own.exit_code) == (0, 0)
    assert f" {name} " in whole.stdout
    assert "--env-file" in own.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (("send", "hi"), {"LOG_LEVEL": CANARY}, "notify: LOG_LEVEL: not a level"),
        (("send", "hi", "--json"), {"DISCORD_WEBHOOK_URL": CANARY}, "notify: DISCORD_WEBHOOK_URL: "),
        (("test",), {"LOGSTASH_SERVER": f"smtp://{CANARY}"}, "notify: LOGSTASH_SERVER: "),
        (("demo",), {"NOTIFY_STDOUT": CANARY}, "notify: NOTIFY_STDOUT: not one of"),
        (("env", "--env-file", "/none.env"), {}, "notify: /none.env: cannot be read: No such file or directory"),
        (("doctor", "--env-file", "/"), {}, "notify: /: not a regular file"),
        (("send", "hi", "--field", CANARY), {}, "notify: --field: not of the form NAME=VALUE"),
        (("send", "hi", "--attach", "/none.png"), {}, "notify: --attach: /none.png: No such file or directory"),
    ],
)
def test_what_is_unusable_is_one_line_on_stderr_and_exit_code_2(
    arguments: Sequence[str], env: dict[str, str], said: str
) -> None:
    ended = command(*arguments, env=env)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == 1
    assert CANARY not in ended.stderr


@pytest.mark.process
@pytest.mark.parametrize("arguments", [("env",), ("--help",), ("doctor",)])
def test_a_terminal_that_knows_ascii_only_gets_the_tables_all_the_same(arguments: Sequence[str]) -> None:
    ended = command(*arguments, env={"PYTHONIOENCODING": "ascii"})

    assert ended.returncode == 0
    assert ended.stderr == ""
    assert ended.stdout.isascii()


SECRET = {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_OPS_WEBHOOK_URL": WEBHOOK}


def test_the_test_below_sets_every_secret() -> None:
    assert {row.name for row in settings.Settings(SECRET).rows() if row.secret} == SECRET.keys()


@pytest.mark.parametrize(
    "arguments",
    [
        ("env",), ("env", "--json"), ("doctor",), ("doctor", "--json"), ("send", "hi"), ("send", "hi", "--json"),
        ("test",), ("test", "--json"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("switch", ["NOTIFY_DRY_RUN", "UNIT_TESTING"])
def test_no_command_shows_a_secret(arguments: Sequence[str], switch: str) -> None:
    result = invoke(*arguments, env={**SECRET, switch: "true"})

    assert result.stdout + result.stderr
    assert CANARY not in result.stdout + result.stderr


# ---- notify env


def test_env_shows_every_setting_with_what_is_set() -> None:
    result = invoke("env", env={"LOG_LEVEL": "debug", "DISCORD_WEBHOOK_URL": WEBHOOK})

    rows = {row[0]: row for row in cells(result.stdout) if row[0]}
    assert result.exit_code == 0
    assert set(rows) == {setting.name for setting in settings.TABLE}
    assert rows["LOG_LEVEL"][1:] == ["debug", "INFO", "least level of stdout"]
    assert rows["DISCORD_WEBHOOK_URL"][1] == "•••••• (set)"
    assert rows["DISCORD_LEVEL"][1] == ""


def test_env_as_json_is_for_programs() -> None:
    result = invoke("env", "--json", env={"LOG_LEVEL": "debug", "DISCORD_OPS_WEBHOOK_URL": WEBHOOK})

    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["LOG_LEVEL"] == {
        "name": "LOG_LEVEL",
        "value": "debug",
        "default": "INFO",
        "meaning": "least level of stdout",
        "secret": False,
    }
    assert rows["DISCORD_OPS_WEBHOOK_URL"]["secret"]
    assert rows["DISCORD_LEVEL"]["value"] is None


def test_env_does_not_show_a_secret_that_strayed_to_another_variable() -> None:
    result = invoke("env", env={"DISCORD_THREAD_ID": WEBHOOK, "NOTIFY_BACKENDS": WEBHOOK, "LOGSTASH_PORT": WEBHOOK})

    assert result.exit_code == 0
    assert result.stdout.count("unusable: see `notify doctor`") == 3
    assert CANARY not in result.stdout


def test_env_reads_the_secrets_file_below_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text("LOG_LEVEL=error\nLOGSTASH_SERVER=logs\n")
    path.chmod(0o644)

    refused = invoke("env", "--env-file", str(path))
    result = invoke("env", "--json", "--insecure", "--env-file", str(path), env={"LOG_LEVEL": "debug"})

    assert isinstance(refused.exception, ConfigError)
    values = {row["name"]: row["value"] for row in json.loads(result.stdout)}
    assert (values["LOG_LEVEL"], values["LOGSTASH_SERVER"]) == ("debug", "logs")


def test_nothing_in_a_table_is_markup_or_a_command_for_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", ("[bold]a", "b"), [("[red]x[/red] :smile: \\[", "\x1b[31m\nforged"), ("", "")])

    shown = capsys.readouterr().out
    assert "[red]x[/red] :smile: \\[" in shown
    assert "\\x1b[31m\\nforged" in shown


# ---- notify doctor


def found(result: Result) -> dict[str, tuple[str, str]]:
    return {row["subject"]: (row["verdict"], row["text"]) for row in json.loads(result.stdout)}


def test_doctor_finds_nothing_wrong_with_nothing_set() -> None:
    result = invoke("doctor")

    assert result.exit_code == 0
    assert cells(result.stdout) == [["stdout", "ok", "gets INFO and above, topics: all"]]


def test_doctor_looks_at_settings_the_disk_and_destinations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend = CheckedPager("pages somebody")
    monkeypatch.setattr(bootstrap, "load", lambda name, env: backend)
    env = {
        **PAGER,
        "PAGER_LEVEL": "trade",
        "PAGER_TOPICS": "trade, crash",
        "DISCORD_WEBHOOK_URL": WEBHOOK,
        "DISCORD_LEVEL": "off",
        "UNIT_TESTING": "false",
        "NOTIFY_STATE_DIR": str(tmp_path / "state"),
    }
    # Discord's own check would ask Discord.
    monkeypatch.setattr("notify.backends.discord.DiscordBackend.check", lambda self: "a channel", raising=False)

    result = invoke("doctor", "--json", env=env)

    assert result.exit_code == 0
    assert found(result) == {
        "DISCORD_WEBHOOK_URL": ("ok", "set"),
        "DISCORD_LEVEL": ("ok", "off"),
        "NOTIFY_STDOUT": ("ok", "off"),
        "NOTIFY_BACKENDS": ("ok", "pager"),
        "UNIT_TESTING": ("ok", "false"),
        "PAGER_LEVEL": ("ok", "trade"),
        "PAGER_TOPICS": ("ok", "trade, crash"),
        "NOTIFY_STATE_DIR": ("ok", str(tmp_path / "state")),
        "outbox": ("ok", f"{tmp_path / 'state'}: durable events are kept there until they are delivered"),
        "discord": ("ok", "a channel; gets nothing: its level is off"),
        "pager": ("ok", "pages somebody; gets TRADE and above, topics: crash,trade"),
    }
    assert backend.closed
    assert backend.events == []  # it sends nothing


def test_doctor_says_what_is_wrong_with_the_disk(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    env = {"UNIT_TESTING": "false", "DISCORD_WEBHOOK_URL": WEBHOOK, "NOTIFY_STATE_DIR": str(tmp_path / "state")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("notify.backends.discord.DiscordBackend.check", lambda self: "a channel", raising=False)
        result = invoke("doctor", "--json", env=env)

    assert result.exit_code == 1
    assert found(result)["outbox"] == (
        "wrong",
        f"events are not kept on disk: {tmp_path / 'state'}: cannot be used as a directory: Not a directory",
    )


def test_doctor_takes_a_backend_without_a_check_at_its_word(pager: Pager) -> None:
    result = invoke("doctor", "--json", env=PAGER)

    assert found(result)["pager"] == ("ok", "gets INFO and above, topics: all")
    assert pager.closed


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Gone("Discord answered 404"), "Discord answered 404"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
        (OSError(WEBHOOK), "OSError"),
        (KeyError(WEBHOOK), "KeyError"),
    ],
)
def test_doctor_says_what_is_wrong_with_a_destination(
    monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    backend = CheckedPager(error)
    monkeypatch.setattr(bootstrap, "load", lambda name, env: backend)

    result = invoke("doctor", "--json", env=PAGER)

    assert result.exit_code == 1
    assert found(result)["pager"] == ("wrong", f"{text}; gets INFO and above, topics: all")
    assert CANARY not in result.stdout
    assert backend.closed


@pytest.mark.parametrize(
    ("env", "subject", "text"),
    [
        ({"LOG_LEVEL": CANARY}, "LOG_LEVEL", "not a level"),
        # Its form is right; only the closer look finds that it is nobody's webhook.
        ({"DISCORD_WEBHOOK_URL": f"https://example.com/{CANARY}"}, "DISCORD_WEBHOOK_URL", "not "),
        ({"DISCORD_OPS_WEBHOOK_URL": WEBHOOK, "DISCORD_OPS_LEVEL": CANARY}, "DISCORD_OPS_LEVEL", "not a level"),
        ({"NOTIFY_BACKENDS": f"{CANARY}!"}, "NOTIFY_BACKENDS", "not a comma list of backend names"),
        ({"NOTIFY_BACKENDS": "no-such"}, "NOTIFY_BACKENDS", "no backend 'no-such' is installed"),
    ],
)
def test_doctor_says_once_what_is_wrong_with_a_setting(env: dict[str, str], subject: str, text: str) -> None:
    result = invoke("doctor", "--json", env=env)

    rows = [row for row in json.loads(result.stdout) if row["subject"] == subject]
    assert result.exit_code == 1
    assert len(rows) == 1
    assert rows[0]["verdict"] == "wrong"
    assert text in rows[0]["text"]
    assert CANARY not in result.stdout


def test_doctor_warns_of_unknown_settings_and_of_silence() -> None:
    result = invoke("doctor", "--json", env={"NOTIFY_STDUOT": CANARY, "NOTIFY_STDOUT": "off"})

    assert result.exit_code == 0
    assert found(result)["NOTIFY_STDUOT"] == ("warning", "no setting of ours; did you mean NOTIFY_STDOUT?")
    assert found(result)["setup()"][0] == "warning"
    assert CANARY not in result.stdout


# ---- notify send


def only(pager: Pager) -> Event:
    (event,) = pager.events
    return event


def test_send_shows_a_receipt_of_each_backend(pager: Pager) -> None:
    env = {**PAGER, "LOGSTASH_SERVER": "logs", "NOTIFY_DRY_RUN": "1", "PAGER_LEVEL": "ERROR"}

    result = invoke("send", "hi", env=env)

    assert result.exit_code == 0
    assert cells(result.stdout) == [
        ["logstash", "delivered"],
        ["pager", "not wanted: its route leaves this level or topic out"],
    ]


def test_send_sends_all_that_it_is_given(pager: Pager, tmp_path: Path) -> None:
    image = tmp_path / "equity.png"
    image.write_bytes(chart())

    result = invoke(
        "send", "Bought 0.25 ETH", "--body", "more", "--level", "error", "--topic", "trade", "--field", "pair=ETH-USDC",
        "--field", "note=a=b", "--attach", str(image),
        env=PAGER,
    )  # fmt: skip

    event = only(pager)
    assert result.exit_code == 0
    assert (event.message, event.body, event.level, event.topic) == ("Bought 0.25 ETH", "more", 40, "trade")
    assert event.fields == {"pair": "ETH-USDC", "note": "a=b"}
    (file,) = event.attachments
    assert (file.filename, file.data, file.content_type) == ("equity.png", chart(), "image/png")


def test_send_is_a_trade_unless_told_otherwise(pager: Pager) -> None:
    invoke("send", "hi", env=PAGER)

    assert (only(pager).level, only(pager).topic) == (notify.TRADE, "log")


def test_send_reads_the_body_from_standard_input_on_demand(pager: Pager) -> None:
    invoke("send", "backup failed", "--body", "-", env=PAGER, stdin="line 1\nline 2\n")

    assert only(pager).body == "line 1\nline 2\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_send_fails_when_a_backend_does_not_take_it(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    monkeypatch.setattr(bootstrap, "load", lambda name, env: Pager([Rejected("too rude")]))

    result = invoke("send", "hi", *(["--json"] if as_json else []), env=PAGER)

    assert result.exit_code == 1
    assert "rejected: too rude" in result.stdout


def test_send_fails_when_nobody_wants_it(pager: Pager) -> None:
    assert invoke("send", "hi", env={**PAGER, "PAGER_LEVEL": "CRITICAL"}).exit_code == 1


def test_send_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "load", lambda name, env: Pager([Gone("nobody there")] * 9))

    result = invoke("send", "hi", "--timeout", "0.1", "--json", env=PAGER)

    assert result.exit_code == 1
    assert json.loads(result.stdout)["outcomes"] == {"pager": "not delivered: nobody there"}


def test_send_refuses_a_level_that_is_none() -> None:
    result = invoke("send", "hi", "--level", "loud")

    assert result.exit_code == 2
    assert "not a level" in result.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    "env",
    [
        {"NOTIFY_DRY_RUN": "1", "DISCORD_WEBHOOK_URL": WEBHOOK},
        {"NOTIFY_DRY_RUN": "1", "LOGSTASH_SERVER": "logs", "NOTIFY_STDOUT": "json", "NOTIFY_STDUOT": "x"},
    ],
)
@pytest.mark.parametrize("name", ["send", "test"])
def test_json_is_the_only_thing_on_standard_output(name: str, env: dict[str, str]) -> None:
    ended = command(name, *(["hi"] if name == "send" else []), "--json", env=env)

    document: Any = json.loads(ended.stdout)
    outcomes = [document["outcomes"]] if name == "send" else list(document.values())
    assert ended.returncode == 0
    assert [set(outcome.values()) for outcome in outcomes] == [{"delivered"}] * len(outcomes)
    assert "dry run" in ended.stderr or "dry_run" in ended.stderr


@pytest.mark.process
def test_send_works_as_a_process_with_nothing_set() -> None:
    ended = command("send", "hi", "--field", "pair=ETH-USDC")

    assert ended.returncode == 0
    assert "trade      hi " in ended.stdout
    assert "pair=ETH-USDC" in ended.stdout
    assert cells(ended.stdout) == [["stdout", "delivered"]]
    assert ended.stderr == ""


# ---- notify test


def test_test_sends_three_messages_to_every_backend_whatever_its_route(pager: Pager) -> None:
    result = invoke("test", env={**PAGER, "PAGER_LEVEL": "CRITICAL", "PAGER_TOPICS": "gas"})

    trade, report, image = pager.events
    assert result.exit_code == 0
    assert trade.topic == "trade"
    assert trade.fields["pair"] == "ETH-USDC"
    assert len(report.body) > 4096  # what Discord's embed holds
    assert image.attachments[0].data.startswith(b"\x89PNG")
    assert cells(result.stdout) == [
        ["pager", "a long report", "delivered"],
        ["pager", "a trade", "delivered"],
        ["pager", "an image", "delivered"],
    ]
    assert pager.closed


def test_test_fails_when_one_message_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "load", lambda name, env: Pager([None, Rejected("too long")]))

    result = invoke("test", "--json", env=PAGER)

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "a trade": {"pager": "delivered"},
        "a long report": {"pager": "rejected: too long"},
        "an image": {"pager": "delivered"},
    }


@pytest.mark.parametrize("arguments", [("test",), ("send", "hi"), ("test", "--json"), ("send", "hi", "--json")])
def test_without_any_backend_nothing_was_sent_and_it_is_said(arguments: Sequence[str]) -> None:
    result = invoke(*arguments, env={"NOTIFY_STDOUT": "off"})

    assert result.exit_code == 1
    assert result.stderr == "notify: nothing was sent: no backend is set up\n"


# ---- notify demo


@pytest.mark.process
def test_the_demo_ends_with_its_crash_and_a_table_of_what_was_received() -> None:
    ended = command(
        "demo", "--days", "30", "--speed", "1000", env={"DISCORD_WEBHOOK_URL": WEBHOOK, "NOTIFY_DRY_RUN": "1"}
    )

    assert ended.returncode == 1
    head, _, table = ended.stdout.partition("What every backend received")
    assert "trade      Bought" in head
    assert "critical   Crashed in the main thread: ZeroDivisionError" in head
    # Everything was delivered before the table was printed.
    rows = {name: (events, delivered, lost) for name, events, delivered, _, lost, _ in cells(table)}
    assert rows["stdout"][0] == rows["stdout"][1] != "0"
    assert rows["discord"][0] == rows["discord"][1] != "0"
    assert rows["stdout"][2] == rows["discord"][2] == ""
    # As any program that dies of a bug, and only the program's own frames.
    assert ended.stderr.startswith("Traceback (most recent call last):\n")
    assert ended.stderr.endswith("ZeroDivisionError: float division by zero\n")
    assert "typer" not in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


@pytest.mark.process
def test_the_demo_can_end_well() -> None:
    ended = command("demo", "--days", "30", "--speed", "1000", "--no-crash")

    assert ended.returncode == 0
    assert ended.stderr == ""
    assert "trade      Execution finished" in ended.stdout
    assert "critical" not in ended.stdout
    assert "What every backend received" in ended.stdout


@pytest.mark.process
def test_the_demo_can_be_looked_at_with_head() -> None:
    ended = subprocess.run(
        f"{sys.executable} -m notify demo --days 30 --speed 1000 --no-crash | head -n 2",
        shell=True,
        capture_output=True,
        text=True,
        timeout=ENDING,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(Path(notify.__file__).parents[1]),
            "XDG_STATE_HOME": os.environ["XDG_STATE_HOME"],
        },
    )

    assert len(ended.stdout.splitlines()) == 2
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["env", "doctor"])
@pytest.mark.parametrize("name", ["LOGSTASH_SERVER", "EXECUTOR_ID", "NAME", "ICON_URL", "DISCORD_USERNAME"])
def test_a_webhook_url_that_strayed_into_another_setting_is_not_shown(command: str, name: str) -> None:
    token = "canary-" + "a1B2" * 15  # as long as Discord's are

    result = invoke(command, env={name: f"https://discord.com/api/webhooks/110000000000000001/{token}"})

    assert token not in result.output
