"""The command line: what it prints, where, and its exit codes."""

import fcntl
import json
import logging
import os
import pty
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from children import ENDING, environment, python
from machine import missing
from outboxes import an_event, opened
from redis_server import running_redis
from set_up import secrets_file
from typer.testing import CliRunner, Result

import notify
from notify import destinations, settings
from notify.backends.memory import MemoryBackend
from notify.cli.app import app
from notify.cli.output import print_table
from notify.cli.test import chart
from notify.delivery.outbox.file import NAME
from notify.errors import ConfigError, Gone, Rejected, Unfit
from notify.event import Event
from notify.levels import severity
from notify.table import PHONE, columns_of, table_of
from notify.testing.fake_telegram import CHAT_ID, TOKEN, FakeTelegram

CANARY = "c4nary-token"
WEBHOOK = f"https://discord.com/api/webhooks/123456789012345678/{CANARY}"
BOT = f"4711000001:AA{CANARY}-of-a-bot-not-there"

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
    monkeypatch.setattr(destinations, "load", lambda name, env: backend)
    return backend


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that a command would read."""
    for name in set(os.environ) - {"XDG_STATE_HOME"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")  # wide enough that no cell is folded


def invoke(*arguments: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env=dict(env or {}), input=stdin)


def command(*arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run `python -m notify` as a process of its own."""
    return python("-m", "notify", *arguments, **{"COLUMNS": "200", **(env or {})})


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


@pytest.mark.parametrize("name", ["demo", "send", "test", "doctor", "env", "dashboard"])
def test_every_command_explains_itself(name: str) -> None:
    whole, own = invoke("--help"), invoke(name, "--help")

    assert (whole.exit_code, own.exit_code) == (0, 0)
    assert f" {name} " in whole.stdout
    assert "--env-file" in own.stdout
    (flag,) = [line for line in own.stdout.splitlines() if "--insecure" in line]
    assert "bool" not in flag.lower()  # it takes no value


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


SECRET = {
    "DISCORD_WEBHOOK_URL": WEBHOOK,
    "DISCORD_OPS_WEBHOOK_URL": WEBHOOK,
    "TELEGRAM_API_KEY": BOT,
    "APPRISE_URLS": f"json://user:{CANARY}@localhost/{CANARY}",
    "HTTP_PASSWORD": CANARY,
    "HEARTBEAT_URL": f"https://hc.example.com/{CANARY}",
}
RELAY_SECRET = {"NOTIFY_RELAY_URL": f"redis://name:{CANARY}@localhost/0"}


def test_the_test_below_sets_every_secret() -> None:
    rows = settings.Settings(SECRET).rows()

    assert {row.name for row in rows if row.secret} == SECRET.keys() | RELAY_SECRET.keys()


@pytest.mark.parametrize(
    "arguments",
    [
        ("env",), ("env", "--json"), ("doctor",), ("doctor", "--json"), ("send", "hi"), ("send", "hi", "--json"),
        ("test",), ("test", "--json"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("switch", ["NOTIFY_DRY_RUN", "UNIT_TESTING"])
@pytest.mark.parametrize("more", [{}, RELAY_SECRET], ids=["direct", "relayed"])
def test_no_command_shows_a_secret(arguments: Sequence[str], more: dict[str, str], switch: str) -> None:
    result = invoke(*arguments, env={**SECRET, **more, "TELEGRAM_CHAT_ID": "-5", switch: "true"})

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


def test_env_can_be_kept_to_what_is_set() -> None:
    result = invoke("env", "--set", env={"LOG_LEVEL": "debug", "DISCORD_WEBHOOK_URL": WEBHOOK, "NAME": ""})

    assert [row[:2] for row in cells(result.stdout)] == [
        ["DISCORD_WEBHOOK_URL", "•••••• (set)"],
        ["LOG_LEVEL", "debug"],
    ]


def test_env_says_in_words_that_nothing_is_set() -> None:
    assert invoke("env", "--set", env={}).stdout == "no setting is set\n"
    assert invoke("env", "--set", "--json", env={}).stdout == "[]\n"


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


LONG_ROW = ("discord", "rejected: " + "a reason of many words " * 20)


def test_a_pipe_gets_each_row_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")

    print_table("", ("backend", "outcome"), [LONG_ROW, ("stdout", "delivered")])

    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [f"discord │ {LONG_ROW[1].rstrip()}", "stdout  │ delivered"]


def test_a_width_that_is_asked_for_folds_the_cells_also_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    print_table("", ("backend", "outcome"), [LONG_ROW])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 10
    assert max(map(len, lines)) <= 40


@pytest.mark.process
def test_a_terminal_gets_a_table_that_fits_it() -> None:
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 72, 0, 0))
        with subprocess.Popen(
            [sys.executable, "-m", "notify", "env"],
            stdout=slave,
            env=environment(TERM="xterm"),
        ) as process:
            os.close(slave)
            shown = re.sub(r"\x1b\[[0-9;]*m", "", read_all(master).decode())
    finally:
        os.close(master)

    assert process.returncode == 0
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 72 < sum(map(len, lines))


def read_all(descriptor: int) -> bytes:
    """Return all that a terminal shows, until its last writer has gone."""
    shown = b""
    with suppress(OSError):  # EIO is the end
        while part := os.read(descriptor, 65536):
            shown += part
    return shown


@pytest.mark.process
@pytest.mark.parametrize("arguments", [("env",), ("env", "--json"), ("env", "--set"), ("--version",)], ids=" ".join)
def test_nothing_is_complained_of_when_nobody_reads(arguments: Sequence[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "notify", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    finally:
        os.close(writer)

    assert ended.stderr == b""


# ---- notify doctor


def found(result: Result) -> dict[str, tuple[str, str]]:
    return {row["subject"]: (row["verdict"], row["text"]) for row in json.loads(result.stdout)}


def test_doctor_finds_nothing_wrong_with_nothing_set() -> None:
    result = invoke("doctor")

    assert result.exit_code == 0
    assert cells(result.stdout) == [["stdout", "ok", "gets INFO and above, topics: all"]]


def test_doctor_looks_at_settings_the_disk_and_destinations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend = CheckedPager("pages somebody")
    monkeypatch.setattr(destinations, "load", lambda name, env: backend)
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
        "outbox": ("ok", f"{tmp_path / 'state'}: will be made; durable events are kept there until they are delivered"),
        "discord": ("ok", "a channel; gets nothing: its level is off"),
        "pager": ("ok", "pages somebody; gets TRADE and above, topics: crash,trade"),
    }
    assert backend.closed
    assert backend.events == []  # it sends nothing


@pytest.mark.parametrize(
    ("listed", "found", "code"),
    [
        ('[{"id": "a", "name": "A", "url": "http://127.0.0.1:1"}]', [("ok", "1 strategy can be watched and shown")], 0),
        ("[]", [("ok", "no strategies can be watched and shown")], 0),
        ("[{", [("wrong", "no strategies can be watched and shown"), ("warning", "not JSON (line 1, column 3)")], 1),
        (
            '[{"id": "a", "name": "A", "url": "http://127.0.0.1:1"}, {"id": "b", "url": "http://u:c4nary@b.example"}]',
            [
                ("ok", "1 strategy can be watched and shown"),
                (
                    "warning",
                    "entry 2 (b): name is missing; url holds a user or a password, which everybody would see; "
                    "--auth sends HTTP_USERNAME and HTTP_PASSWORD",
                ),
            ],
            0,
        ),
    ],
)
def test_doctor_reads_the_list_of_strategies_and_asks_none(
    listed: str, found: list[tuple[str, str]], code: int
) -> None:
    result = invoke("doctor", "--json", env={"TS_PUBLIC_STRATEGIES": listed})

    rows = [each for each in json.loads(result.stdout) if each["subject"] == "TS_PUBLIC_STRATEGIES"]
    assert [(each["verdict"], each["text"]) for each in rows] == found
    assert result.exit_code == code


def test_doctor_says_what_is_wrong_with_the_disk(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    env = {"UNIT_TESTING": "false", "DISCORD_WEBHOOK_URL": WEBHOOK, "NOTIFY_STATE_DIR": str(tmp_path / "state")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("notify.backends.discord.DiscordBackend.check", lambda self: "a channel", raising=False)
        result = invoke("doctor", "--json", env=env)

    assert result.exit_code == 1
    assert found(result)["outbox"] == (
        "wrong",
        f"cannot be used, events would wait in memory: {tmp_path / 'state'}: "
        "cannot be used as a directory: Not a directory; set NOTIFY_STATE_DIR to another directory",
    )


@pytest.fixture
def durable_pager(pager: Pager) -> dict[str, str]:
    """The settings of a pager whose events are kept on disk."""
    pager.durable = True
    return PAGER


def everything_below(directory: Path) -> dict[str, tuple[object, ...]]:
    """Return what nobody can change unseen: names, modes, owners, times of change and contents."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (directory, *directory.rglob("*")):
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = about.st_mode, about.st_uid, about.st_nlink, about.st_ctime_ns, content
    return found


def of_a_newer_version(state: Path) -> None:
    with closing(sqlite3.connect(state / NAME)) as file:
        file.execute("PRAGMA user_version = 9")


def of_garbage(state: Path) -> None:
    (state / NAME).write_text("no database, but long enough to be taken for one" * 100)


def readable_by_others(state: Path) -> None:
    for path in (state, state / NAME):
        path.chmod(0o755)


def linked(state: Path) -> None:
    (state / "second name").hardlink_to(state / NAME)


def a_pipe(state: Path) -> None:
    (state / NAME).unlink()
    os.mkfifo(state / NAME)


@pytest.mark.parametrize(
    ("spoil", "verdict", "said"),
    [
        (lambda state: None, "ok", "durable events are kept there"),
        (readable_by_others, "ok", "durable events are kept there"),
        (of_a_newer_version, "wrong", "newer than this program's 1; it would be set aside at the next start; 2 events "
         "in it can be read"),
        (of_garbage, "wrong", "it is no database; it would be set aside at the next start; no event in it can be read"),
        (linked, "wrong", "has a second name elsewhere (a hard link); remove it"),
        (a_pipe, "wrong", "is not a regular file; remove it"),
    ],
)  # fmt: skip
def test_doctor_looks_at_an_outbox_and_leaves_it_as_it_is(
    state: Path, durable_pager: dict[str, str], spoil: Callable[[Path], None], verdict: str, said: str
) -> None:
    with opened(state) as outbox:
        for _ in range(2):
            outbox.accept(an_event(), ["pager"])
    spoil(state)
    before = everything_below(state)

    result = invoke("doctor", "--json", env={**durable_pager, "NOTIFY_STATE_DIR": str(state)})

    assert found(result)["outbox"][0] == verdict
    assert said in found(result)["outbox"][1]
    assert everything_below(state) == before


def test_doctor_looks_at_an_outbox_that_a_program_uses(state: Path, durable_pager: dict[str, str]) -> None:
    with opened(state) as outbox:
        outbox.accept(an_event(), ["pager"])
        names = set(everything_below(state))

        result = invoke("doctor", "--json", env={**durable_pager, "NOTIFY_STATE_DIR": str(state)})

        assert set(everything_below(state)) == names
        assert outbox.accept(an_event(), ["pager"])
    assert found(result)["backlog"][1].startswith("1 waits")


def test_doctor_makes_no_state_directory(tmp_path: Path, durable_pager: dict[str, str]) -> None:
    where = tmp_path / "not" / "there"

    result = invoke("doctor", "--json", env={**durable_pager, "NOTIFY_STATE_DIR": str(where)})

    assert found(result)["outbox"] == (
        "ok",
        f"{where}: will be made; durable events are kept there until they are delivered",
    )
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_that_it_cannot_know_the_state_directory_of_a_program_without_a_name(
    tmp_path: Path, durable_pager: dict[str, str]
) -> None:
    home = {"XDG_STATE_HOME": str(tmp_path)}

    nameless = invoke("doctor", "--json", env={**durable_pager, **home})
    named = invoke("doctor", "--json", env={**durable_pager, **home, "EXECUTOR_ID": "gold-digger"})

    assert nameless.exit_code == 0
    assert found(nameless)["outbox"] == (
        "warning",
        f"{tmp_path}/notify/PROGRAM: without EXECUTOR_ID it is named after the program, which nobody knows here; "
        "set EXECUTOR_ID or NOTIFY_STATE_DIR to have it looked at",
    )
    assert found(named)["outbox"] == (
        "ok",
        f"{tmp_path}/notify/gold-digger: will be made; durable events are kept there until they are delivered",
    )


def nobody_may_write(path: object, mode: int, **_: object) -> bool:
    return not mode & os.W_OK


def test_doctor_says_when_the_state_directory_cannot_be_made(
    tmp_path: Path, durable_pager: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    below_file, below_other = tmp_path / "file" / "state", tmp_path / "new" / "state"

    no_directory = invoke("doctor", "--json", env={**durable_pager, "NOTIFY_STATE_DIR": str(below_file)})
    monkeypatch.setattr("notify.delivery.outbox.look.os.access", nobody_may_write)
    not_allowed = invoke("doctor", "--json", env={**durable_pager, "NOTIFY_STATE_DIR": str(below_other)})

    begin = "cannot be used, events would wait in memory: "
    assert (no_directory.exit_code, not_allowed.exit_code) == (1, 1)
    assert found(no_directory)["outbox"] == (
        "wrong",
        f"{begin}{below_file}: cannot be made: {tmp_path / 'file'} is no directory; "
        "set NOTIFY_STATE_DIR to another directory",
    )
    assert found(not_allowed)["outbox"] == (
        "wrong",
        f"{begin}{below_other}: cannot be made: user {os.geteuid()} may not write to {tmp_path}; "
        "allow that, or set NOTIFY_STATE_DIR to another directory",
    )


@pytest.mark.parametrize("what", ["directory", "file"])
def test_doctor_says_whose_the_outbox_is(state: Path, durable_pager: dict[str, str], what: str) -> None:
    if os.geteuid() != 0:
        missing("only root can give a file away")
    with opened(state):
        pass
    path = state if what == "directory" else state / NAME
    os.chown(path, 65534, -1)

    result = invoke("doctor", "--json", env={**durable_pager, "NOTIFY_STATE_DIR": str(state)})

    assert found(result)["outbox"] == (
        "wrong",
        f"cannot be used, events would wait in memory: {path}: belongs to user 65534, and this process is "
        "user 0; run as that user, or set NOTIFY_STATE_DIR",
    )


HAPPENED = an_event().time  # as all events of these tests


@pytest.mark.parametrize(
    ("waiting", "dead", "age", "verdict", "text"),
    [
        (1, 0, 60, "ok", "1 waits (oldest 1 min), 0 dead letters"),
        (5, 0, 3600, "ok", "5 wait (oldest 1 h), 0 dead letters"),
        (5, 0, 3601, "warning", "5 wait (oldest 1 h), 0 dead letters: see `notify outbox list`"),
        (5, 1, 60, "warning", "5 wait (oldest 1 min), 1 dead letter: see `notify outbox list`"),
        (0, 2, 60, "warning", "0 wait, 2 dead letters: see `notify outbox list`"),
    ],
)
def test_doctor_tells_the_backlog_and_warns_of_what_is_old_or_dead(
    state: Path, durable_pager: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    waiting: int, dead: int, age: int, verdict: str, text: str,
) -> None:  # fmt: skip
    with opened(state) as outbox:
        for number in range(waiting + dead):
            outbox.accept(event := an_event(), ["pager"])
            if number < dead:
                outbox.dead("pager", event.id, "no")
    monkeypatch.setattr("notify.cli.doctor.time.time", lambda: HAPPENED + age)

    result = invoke("doctor", "--json", env={**durable_pager, "NOTIFY_STATE_DIR": str(state)})

    assert result.exit_code == 0
    assert found(result)["backlog"] == (verdict, text)


@pytest.mark.parametrize("settings_in", ["environment", "file"])
def test_doctor_warns_of_events_for_a_destination_that_is_not_set_up(
    state: Path, tmp_path: Path, settings_in: str
) -> None:
    with opened(state) as outbox:
        outbox.accept(an_event(), ["discord", "stdout"])
        outbox.accept(an_event(), ["discord"])
    if settings_in == "file":
        secrets = secrets_file(tmp_path, f"NOTIFY_STATE_DIR={state}")
        result, option = invoke("doctor", "--json", "--env-file", str(secrets)), f" --state-dir {state}"
    else:
        result, option = invoke("doctor", "--json", env={"NOTIFY_STATE_DIR": str(state)}), ""

    assert found(result)["discord"] == (
        "warning",
        f"2 events wait for 'discord', which is not set up: `notify outbox drop --destination discord{option}` removes "
        "them",
    )
    assert [row["verdict"] for row in json.loads(result.stdout) if row["subject"] == "stdout"] == ["ok"]


def test_doctor_asks_telegram_for_the_bot_and_the_chat_and_sends_nothing() -> None:
    with FakeTelegram() as telegram:
        env = {"TELEGRAM_API_KEY": TOKEN, "TELEGRAM_CHAT_ID": str(CHAT_ID), "TELEGRAM_API_BASE": telegram.base}
        well = invoke("doctor", "--json", env=env)
        ill = invoke("doctor", "--json", env={**env, "TELEGRAM_CHAT_ID": "7"})

    assert found(well)["telegram"] == (
        "ok",
        "the bot is @stand_in_bot, the chat 'Alerts' (supergroup); gets INFO and above, topics: decision",
    )
    assert found(ill)["telegram"] == (
        "wrong",
        "Telegram answered 400: Bad Request: chat not found; gets INFO and above, topics: decision",
    )
    assert telegram.requests == []


@pytest.mark.parametrize("switch", ["UNIT_TESTING", "SIMULATE", "NOTIFY_DRY_RUN"])
def test_doctor_warns_when_nothing_leaves_the_machine_and_says_what_would(pager: Pager, switch: str) -> None:
    env = {"DISCORD_OPS_WEBHOOK_URL": WEBHOOK, "LOGSTASH_SERVER": "logs", "NOTIFY_BACKENDS": "pager", switch: "true"}
    env |= {"TELEGRAM_API_KEY": BOT, "TELEGRAM_CHAT_ID": "-5", "APPRISE_URLS": "json://localhost"}

    result = invoke("doctor", "--json", env=env)

    assert result.exit_code == 0
    assert found(result)["network"] == (
        "warning",
        f"nothing leaves this machine: {switch} is true; otherwise events would go to discord_ops, logstash, "
        "telegram, apprise, pager",
    )


@pytest.mark.process
def test_doctor_says_what_is_behind_the_relay_and_what_it_leaves_without_effect(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--requirepass", CANARY) as server:
        url = server.url.replace("://", f"://:{CANARY}@")
        env = {"NOTIFY_RELAY_URL": url, "DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_EXECUTORS": "eth-1"}
        env["EXECUTOR_ID"] = "eth-1"
        well = invoke("doctor", "--json", env=env)
        ill = invoke("doctor", "--json", env={**env, "NOTIFY_RELAY_URL": server.url})

    assert well.exit_code == 0
    verdict, text = found(well)["relay"]
    assert verdict == "ok"
    assert text.startswith("Redis ")
    assert text.endswith(
        "append-only file, noeviction; 0 entries in the stream; without TLS; gets INFO and above, topics: all"
    )
    told = [(row["subject"], row["text"]) for row in json.loads(well.stdout) if row["verdict"] == "warning"]
    assert told == [
        ("DISCORD_EXECUTORS", "has no effect here: it is for `notify relay`, where many executors speak"),
        ("DISCORD_WEBHOOK_URL", "has no effect with NOTIFY_RELAY_URL: `notify relay` reaches people from there"),
    ]
    assert ill.exit_code == 1
    assert found(ill)["relay"] == ("wrong", "Redis asks for a password; gets INFO and above, topics: all")
    assert CANARY not in well.stdout + well.stderr + ill.stdout + ill.stderr


@pytest.mark.process
def test_doctor_warns_of_a_redis_that_the_workers_refuse(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--appendonly", "no") as server:
        result = invoke("doctor", "--json", env={"NOTIFY_RELAY_URL": server.url})

    verdict, text = found(result)["relay"]
    assert result.exit_code == 0  # it takes events
    assert verdict == "warning"
    assert text.startswith("Redis forgets events when it is killed: appendonly is off, and has to be yes; Redis ")
    assert text.endswith("; gets INFO and above, topics: all")


def test_doctor_warns_of_what_a_third_partys_backend_finds_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = CheckedPager(Unfit("the pager is muted"))
    monkeypatch.setattr(destinations, "load", lambda name, env: backend)

    result = invoke("doctor", "--json", env=PAGER)

    assert result.exit_code == 0
    assert found(result)["pager"] == ("warning", "the pager is muted; gets INFO and above, topics: all")
    assert backend.closed


def test_doctor_warns_of_a_third_partys_backend_whose_settings_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "load", lambda name, env: None)

    result = invoke("doctor", "--json", env=PAGER)
    offline = invoke("doctor", "--json", env={**PAGER, "UNIT_TESTING": "true"})

    assert found(result)["NOTIFY_BACKENDS"] == ("warning", "pager is installed, and not set up")
    assert found(offline)["NOTIFY_BACKENDS"] == ("ok", "pager")


def test_doctor_says_offline_that_events_would_go_to_the_relay() -> None:
    env = {"NOTIFY_RELAY_URL": "redis://queue", "DISCORD_WEBHOOK_URL": WEBHOOK, "LOGSTASH_SERVER": "logs"}

    result = invoke("doctor", "--json", env={**env, "UNIT_TESTING": "true"})

    assert found(result)["network"][1].endswith("; otherwise events would go to relay, logstash")


def test_doctor_names_secrets_that_are_too_short_to_be_recognised(tmp_path: Path) -> None:
    secrets = secrets_file(tmp_path, "PIN=12345\nPASSWORD=123456\nNOTIFY_STDOUT=text\nEMPTY=\n")

    result = invoke("doctor", "--json", "--env-file", str(secrets))

    assert result.exit_code == 0
    assert [row for row in json.loads(result.stdout) if row["verdict"] == "warning"] == [
        {
            "subject": "PIN",
            "verdict": "warning",
            "text": "of the secrets file: shorter than 6 characters, so not recognised and not hidden in events",
        }
    ]
    assert "12345" not in result.output


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
    monkeypatch.setattr(destinations, "load", lambda name, env: backend)

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
        ({"HTTP_ENABLED": "true", "HTTP_PORT": CANARY}, "HTTP_PORT", "not a port number"),
        ({"HTTP_ENABLED": "true", "HTTP_USERNAME": "ops"}, "HTTP_PASSWORD", "not set, while HTTP_USERNAME is"),
        ({"HTTP_ENABLED": "true", "HTTP_PASSWORD": CANARY}, "HTTP_USERNAME", "not set, while HTTP_PASSWORD is"),
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


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("DISCORD_TOPICS", "trdae, crash", [("trdae", "trade")]),
        ("DISCORD_TOPICS", "!gass", [("gass", "gas")]),
        ("PAGER_TOPICS", "Trade,vault", [("vault", None)]),
        ("DISCORD_SILENT", "TRAED", [("traed", "trade")]),
        ("DISCORD_SILENT", "TRADE", []),
        ("DISCORD_TOPICS", "trade,gas,!log", []),
    ],
)
def test_doctor_warns_of_topics_that_are_none_of_those_in_use(
    pager: Pager, setting: str, value: str, told: list[tuple[str, str | None]]
) -> None:
    result = invoke("doctor", "--json", env={**PAGER, setting: value})

    rows = [row for row in json.loads(result.stdout) if row["subject"] == setting]
    assert result.exit_code == 0
    assert rows[0]["verdict"] == "ok"
    assert [(row["verdict"], row["text"]) for row in rows[1:]] == [
        (
            "warning",
            f"'{topic}' is no topic of ours, and right only if the program has one of that name"
            + (f"; did you mean {near}?" if near else ""),
        )
        for topic, near in told
    ]


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
    monkeypatch.setattr(destinations, "load", lambda name, env: Pager([Rejected("too rude")]))

    result = invoke("send", "hi", *(["--json"] if as_json else []), env=PAGER)

    assert result.exit_code == 1
    assert "rejected: too rude" in result.stdout


def test_send_fails_when_nobody_wants_it(pager: Pager) -> None:
    result = invoke("send", "hi", env={**PAGER, "PAGER_LEVEL": "CRITICAL"})

    assert result.exit_code == 1
    assert cells(result.stdout) == [["pager", "not wanted: its route leaves this level or topic out"]]


def test_send_succeeds_when_the_fallback_of_a_backend_that_is_gone_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    backends = {"pager": Pager([Gone("no such pager")]), "other": Pager()}
    monkeypatch.setattr(destinations, "load", lambda name, env: backends[name])
    env = {**PAGER, "NOTIFY_BACKENDS": "pager,other", "OTHER_TOPICS": "nothing", "PAGER_FALLBACK": "other"}

    result = invoke("send", "hi", env=env)

    assert result.exit_code == 0
    assert cells(result.stdout) == [["pager", "handed over to other"], ["other", "delivered"]]


def test_doctor_names_the_fallback_and_one_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "load", lambda name, env: Pager())
    env = {**PAGER, "NOTIFY_BACKENDS": "pager,other", "UNIT_TESTING": "false"}

    good = found(invoke("doctor", "--json", env={**env, "PAGER_FALLBACK": "Other"}))
    wrong = invoke("doctor", "--json", env={**env, "PAGER_FALLBACK": "pager"})
    unknown = invoke("doctor", "--json", env={**env, "PAGER_FALLBACK": "sink"})

    assert good["pager"] == ("ok", "gets INFO and above, topics: all; while it is gone, other gets that")
    assert wrong.exit_code == 1
    assert found(wrong)["PAGER_FALLBACK"] == ("wrong", "a backend cannot stand in for itself")
    text = "no backend of these settings has this name: setup() refuses it, unless the program passes one that has"
    assert [each["text"] for each in json.loads(unknown.stdout) if each["verdict"] == "warning"] == [text]


def test_send_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "load", lambda name, env: Pager([Gone("nobody there")] * 9))

    result = invoke("send", "hi", "--timeout", "0.1", "--json", env=PAGER)

    assert result.exit_code == 1
    assert json.loads(result.stdout)["outcomes"] == {"pager": "not delivered: nobody there"}


def test_send_leaves_the_port_and_the_heartbeat_to_the_program_whose_settings_it_reads(pager: Pager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {**PAGER, "HTTP_ENABLED": "true", "HTTP_PORT": str(port), "HEARTBEAT_URL": f"http://127.0.0.1:{port}/"}

        result = invoke("send", "Bought 1 ETH", env=env)

        taken.settimeout(0)
        with pytest.raises(BlockingIOError):
            taken.accept()
    assert result.exit_code == 0


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


def test_test_sends_five_messages_to_every_backend_whatever_its_route(pager: Pager) -> None:
    result = invoke("test", env={**PAGER, "PAGER_LEVEL": "CRITICAL", "PAGER_TOPICS": "gas"})

    trade, positions, report, image, warning = pager.events
    assert result.exit_code == 0
    assert trade.topic == "trade"
    assert trade.fields["pair"] == "ETH-USDC"
    table = table_of(positions.fields["open positions"])
    assert table is not None
    assert max(map(columns_of, table.draw(None).split("\n"))) <= PHONE
    assert len(report.body) > 4096  # what Discord's embed holds
    assert image.attachments[0].data.startswith(b"\x89PNG")
    assert warning.level == logging.WARNING
    assert max(severity(event.level) for event in pager.events) < logging.ERROR  # from there on people are called
    assert cells(result.stdout) == [
        ["pager", "a long report", "delivered"],
        ["pager", "a position report", "delivered"],
        ["pager", "a trade", "delivered"],
        ["pager", "a warning", "delivered"],
        ["pager", "an image", "delivered"],
    ]
    assert pager.closed


def test_test_sends_telegram_trade_reports_image_and_warning() -> None:
    with FakeTelegram() as telegram:
        env = {"TELEGRAM_API_KEY": TOKEN, "TELEGRAM_CHAT_ID": str(CHAT_ID), "TELEGRAM_API_BASE": telegram.base}
        result = invoke("test", "--json", env={**env, "NOTIFY_STDOUT": "off"})

    assert result.exit_code == 0
    assert json.loads(result.stdout)["a long report"] == {"telegram": "delivered"}
    assert [message.method for message in telegram.messages] == ["sendMessage"] * 4 + ["sendPhoto", "sendMessage"]
    assert (telegram.refusals, telegram.limited) == ([], 0)


def test_test_prints_one_line_of_each_message_so_that_the_receipts_stay_in_sight() -> None:
    result = invoke("test", env={"DISCORD_WEBHOOK_URL": WEBHOOK, "NOTIFY_DRY_RUN": "true"})

    printed, _, receipts = result.stdout.partition("Receipts")
    lines = printed.splitlines()
    assert len(lines) == 10  # five messages each to stdout and, as this is a dry run, to Discord
    assert len([line for line in lines if "Portfolio of 150 positions" in line and "lines_left_out=150" in line]) == 2
    assert len([line for line in lines if 'open positions="3 rows"' in line]) == 2
    assert len(cells(receipts)) == 10


def test_test_fails_when_one_message_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "load", lambda name, env: Pager([None, Rejected("too long")]))

    result = invoke("test", "--json", env=PAGER)

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "a trade": {"pager": "delivered"},
        "a position report": {"pager": "rejected: too long"},
        "a long report": {"pager": "delivered"},
        "an image": {"pager": "delivered"},
        "a warning": {"pager": "delivered"},
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
        env=environment(),
    )

    assert len(ended.stdout.splitlines()) == 2
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["env", "doctor"])
@pytest.mark.parametrize("name", ["LOGSTASH_SERVER", "EXECUTOR_ID", "NAME", "ICON_URL", "DISCORD_USERNAME"])
def test_a_webhook_url_that_strayed_into_another_setting_is_not_shown(command: str, name: str) -> None:
    token = "canary-" + "a1B2" * 15  # as long as Discord's are

    result = invoke(command, env={name: f"https://discord.com/api/webhooks/110000000000000001/{token}"})

    assert token not in result.output
