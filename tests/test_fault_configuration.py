"""Row 60 of the fault model: a setting that is missing, misspelt, empty or wrong, in programs of their own."""

import subprocess
from pathlib import Path

import pytest
from children import python

pytestmark = pytest.mark.process

CANARY = "c4nary"

# Of the loopback interface: `notify doctor` looks at those that are well.
DESTINATIONS = {"DISCORD_WEBHOOK_URL": "http://127.0.0.1:9/api/webhooks/1/x", "LOGSTASH_SERVER": "127.0.0.1"}

SETS_UP = ("-c", "import notify; notify.setup()")
# Whose logging prints to the console, so that nothing is left to do for us.
HAS_LOGGING = ("-c", "import logging, notify; logging.basicConfig(); notify.setup()")
DOCTOR = ("-m", "notify", "doctor")


def _run(arguments: tuple[str, ...], state: Path, **env: str) -> subprocess.CompletedProcess[str]:
    wide = {"COLUMNS": "200"}  # enough that no cell is folded
    return python(*arguments, NOTIFY_STATE_DIR=str(state), **wide, **env)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DISCORD_WEBHOOK_URL", f"https://discord.com/api/webhook/1/{CANARY}", "not a webhook URL"),  # without its s
        ("DISCORD_WEBHOOK_URL", CANARY, "not a webhook URL"),
        ("DISCORD_MENTION", f"@{CANARY}", "not a mention"),
        ("LOGSTASH_SERVER", f"tcq://{CANARY}", "the transport must be udp, tcp or tls"),
        ("LOGSTASH_PORT", CANARY, "not a port number"),
        ("NOTIFY_DURABLE_LEVEL", CANARY, "not a level"),
        ("NOTIFY_STDOUT", CANARY, "not one of auto, text, json, off"),
    ],
)
def test_fault_60_a_wrong_setting_ends_the_start_by_its_name_and_never_shows_the_value(name, value, why, tmp_path):
    env = {**DESTINATIONS, name: value}

    started = _run(SETS_UP, tmp_path, **env)
    examined = _run(DOCTOR, tmp_path, **env)

    assert (started.returncode, examined.returncode) == (1, 1)
    assert f"notify.errors.ConfigError: {name}: " in started.stderr
    (row,) = [line for line in examined.stdout.splitlines() if name in line.split()]
    assert "wrong" in row
    assert why in started.stderr.splitlines()[-1]
    assert why in row
    assert CANARY not in started.stdout + started.stderr + examined.stdout + examined.stderr


@pytest.mark.parametrize("env", [{}, {"DISCORD_WEBHOOK_URL": "", "LOGSTASH_SERVER": " "}], ids=["missing", "empty"])
def test_fault_60_without_any_destination_the_start_says_that_nobody_hears(env, tmp_path):
    started = _run(HAS_LOGGING, tmp_path, **env)
    examined = _run(DOCTOR, tmp_path, NOTIFY_STDOUT="off", **env)

    assert (started.returncode, started.stderr.count("there is no backend: nothing is configured")) == (0, 1)
    assert "no backend at all: what the program says is heard by nobody" in examined.stdout


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("NOTIFY_STDUOT", "NOTIFY_STDOUT"),
        ("DISCORD_WEBHOOK", "DISCORD_WEBHOOK_URL"),
        ("HTTP_ENABLD", "HTTP_ENABLED"),
        ("EXECUTER_ID", "EXECUTOR_ID"),
    ],
)
def test_fault_60_a_misspelt_name_of_ours_is_told_at_the_start_with_the_right_one(wrong, right, tmp_path):
    for arguments in (SETS_UP, DOCTOR):
        told = _run(arguments, tmp_path, **{wrong: CANARY})

        assert told.returncode == 0
        assert f"no setting of ours; did you mean {right}?" in " ".join((told.stdout + told.stderr).split())
        assert CANARY not in told.stdout + told.stderr


def test_fault_60_a_secrets_file_that_is_not_there_ends_the_start_by_its_name(tmp_path):
    program = ("-c", f"import notify; notify.setup(env_file={str(tmp_path / 'secrets.env')!r})")

    started = _run(program, tmp_path)

    assert started.returncode == 1
    assert started.stderr.splitlines()[-1].startswith("notify.errors.ConfigError: ")
    assert "secrets.env" in started.stderr.splitlines()[-1]
