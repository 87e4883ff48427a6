"""`notify check`: one line and an exit code, whatever answers, for Nagios and Docker."""

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from children import environment
from raw_server import answering, dripping, raw, silent
from set_up import secrets_file
from typer.testing import CliRunner, Result

from notify.cli import check as check_module
from notify.cli.app import app

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
DATA = re.compile(r"(\w+=-?[0-9.]+[a-z]*(;[0-9.]+)*)( \w+=-?[0-9.]+[a-z]*(;[0-9.]+)*)*")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - {"XDG_STATE_HOME"}:
        monkeypatch.delenv(name)


def status(**said: object) -> dict[str, object]:
    return {"executor_id": "vega", "executor_running": True, "last_refreshed_at": time.time() - 12, "cycles": 7, **said}


def serving(said: object, head: str = "200 OK") -> Any:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return answering(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def run(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    result = CliRunner().invoke(app, ["check", *arguments], env=dict(env or {}))
    assert result.stderr == ""
    return result


def checked(behaviour: Any, *options: str, path: str = "", env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Return the exit code, and the text between the status word and the performance data."""
    with raw(behaviour) as server:
        at = server.authority
        result = run(f"http://{at}{path}", *options, env=env)
    text, data = said(result)
    assert DATA.fullmatch(data), data
    return result.exit_code, text.replace(at, "AT")


def said(result: Result) -> tuple[str, str]:
    """Return the text and the performance data of the one line."""
    word = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][result.exit_code]
    lines = result.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"NOTIFY {word} - ")
    text, _, data = lines[0].removeprefix(f"NOTIFY {word} - ").partition(" | ")
    return text, data


# ---- how it is


def test_a_strategy_that_runs_is_ok_with_performance_data() -> None:
    with raw(serving(status(version={"tag": "v3"}))) as server:
        result = run(f"http://{server.authority}")

    text, data = said(result)
    assert result.exit_code == OK
    assert re.fullmatch(r"vega runs, 1\d s after its last progress; version v3", text)
    assert re.fullmatch(r"age=1\ds;3600 cycles=7 time=\d+\.\d{3}s", data)
    assert server.read.startswith(b"GET /status ")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"last_refreshed_at": 1_000_000}, r"vega is stale: no progress for \d+ d.*"),
        ({"frozen_positions": 2}, r"vega runs, .*; 2 frozen positions"),
        ({"hot_wallet_gas_warning_message": "0.1 ETH left"}, r"vega runs, .*; low gas: 0\.1 ETH left"),
    ],
)
def test_what_a_person_should_look_at_is_a_warning(more: dict[str, object], text: str) -> None:
    code, shown = checked(serving(status(**more)))

    assert code == WARNING
    assert re.fullmatch(text, shown)


def test_a_crash_is_critical_and_has_its_reason() -> None:
    exception = {"exception_message": "Boom"}
    crash = status(executor_running=False, crashed_at=time.time() - 190, exception=exception, frozen_positions=1)

    code, text = checked(serving(crash))

    assert code == CRITICAL
    assert re.fullmatch(r"vega crashed 3 min 1\d s ago: Boom; 1 frozen position", text)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (serving(b"", "502 Bad Gateway"), "the proxy does not reach the program (HTTP 502)"),
        (serving(b"", "500 Internal Server Error"), "it answers with HTTP 500"),
        (serving(b"", "429 Too Many Requests"), "it answers with HTTP 429"),
        (serving(b""), "the answer is empty or not complete"),
        (serving(b'{"executor_running": NaN}'), "the answer holds NaN, which JSON does not have"),
        (serving(b'"' + b"x" * 10 * 2**20 + b'"'), "the answer is larger than 1024 kB"),
    ],
)
def test_what_gives_no_usable_answer_is_critical(behaviour: Any, reason: str) -> None:
    assert checked(behaviour) == (CRITICAL, f"http://AT is offline: {reason}")


def test_nobody_there_is_critical() -> None:
    with raw(silent, accepting=False) as server:
        url = f"http://{server.authority}"

    result = run(url)

    assert result.exit_code == CRITICAL
    assert said(result)[0] == f"{url} is offline: connection refused"


@pytest.mark.parametrize("behaviour", [silent, dripping(b"HTTP/1.1 200 OK\r\nX: ")], ids=["silent", "drips"])
def test_the_deadline_is_total(behaviour: Any) -> None:
    began = time.monotonic()

    assert checked(behaviour, "--timeout", "0.3") == (CRITICAL, "http://AT is offline: no answer within 0.3 s")

    assert time.monotonic() - began < 4.5  # seconds: ten times the deadline and more; the server hangs up after five


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (serving(b"", "401 Unauthorized"), "it asks for a password (HTTP 401); --auth sends one"),
        (serving(b"", "404 Not Found"), "there is no status server behind this address (HTTP 404)"),
        (serving(b"", "302 Found"), "it answers with a redirect (HTTP 302), which is not followed"),
        (serving(b"", "418 I'm a teapot"), "it answers with HTTP 418"),
        (serving(b"<html>"), "the answer is a web page, not JSON"),
        (serving({"ping": "pong"}), "the answer is JSON, but no status of an executor"),
    ],
)
def test_where_no_strategy_answers_or_not_to_us_its_state_is_unknown(behaviour: Any, reason: str) -> None:
    assert checked(behaviour) == (UNKNOWN, f"http://AT cannot be checked: {reason}")


@pytest.mark.parametrize("path", ["/", "/status", "/status/", "/ping", "//"])
def test_the_url_of_an_endpoint_is_understood(path: str) -> None:
    with raw(serving(status())) as server:
        result = run(f"http://{server.authority}/vega{path}")

    assert result.exit_code == OK
    assert server.read.startswith(b"GET /vega/status ")


# ---- options


def test_the_age_is_the_settings_unless_it_is_said() -> None:
    old = status(last_refreshed_at=time.time() - 100)

    assert checked(serving(old), env={"NOTIFY_STALE_AFTER": "60"})[0] == WARNING
    assert checked(serving(old), "--max-age", "200", env={"NOTIFY_STALE_AFTER": "60"})[0] == OK
    assert checked(serving(old), "--max-age", "99")[0] == WARNING


def test_credentials_come_from_the_environment_or_the_secrets_file_and_only_when_asked_for(tmp_path: Path) -> None:
    path = secrets_file(tmp_path, "HTTP_USERNAME=operator\nHTTP_PASSWORD=c4nary-password\n")
    sent = base64.b64encode(b"operator:c4nary-password")

    with raw(serving(status())) as server:
        url = f"http://{server.authority}"
        run(url, "--env-file", str(path))
        assert b"Authorization" not in server.read
        assert run(url, "--env-file", str(path), "--auth").exit_code == OK
        assert b"Authorization: Basic " + sent in server.read


def test_credentials_that_are_refused_are_named_and_not_shown() -> None:
    env = {"HTTP_USERNAME": "operator", "HTTP_PASSWORD": "c4nary-password"}

    code, text = checked(serving(b"", "403 Forbidden"), "--auth", env=env)

    assert code == UNKNOWN
    assert text.endswith("it asks for a password (HTTP 403); HTTP_USERNAME or HTTP_PASSWORD is wrong")


def test_programs_get_json_and_the_same_exit_code() -> None:
    with raw(serving(status(executor_running=False, exception={"exception_message": "Boom\n| x=1"}))) as server:
        result = run(f"http://{server.authority}", "--json")

    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["code"], answer["status"], answer["state"]) == (2, 2, "CRITICAL", "crashed")
    assert answer["text"] == "vega crashed: Boom | x=1"
    assert answer["cycles"] == 7


# ---- hostile


def test_what_a_stranger_says_is_one_line_without_control_characters_or_data_of_its_own() -> None:
    hostile = "a\nb\r\u2028c | time=0s;; \x1b[31m \x9b2J \u202e \x00 `$(reboot)`"

    code, text = checked(serving(status(executor_id=hostile, executor_running=False)))

    assert code == CRITICAL
    assert text.startswith(r"a b c ¦ time=0s;; \x1b[31m \x9b2J \u202e \x00")


def test_what_a_stranger_says_is_redacted() -> None:
    exception = {"exception_message": "cannot reach https://operator:c4nary@rpc.example.com"}

    _, text = checked(serving(status(executor_running=False, exception=exception)))

    assert "c4nary" not in text


def test_secrets_of_the_process_are_redacted_whatever_the_settings_come_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RPC_PASSWORD", "c4nary-of-the-process")
    exception = {"exception_message": "refused: c4nary-of-the-process"}

    with raw(serving(status(executor_running=False, exception=exception))) as server:
        url = f"http://{server.authority}"
        code = check_module.check({}, url, max_age=None, timeout=5.0, auth=False, as_json=False)

    printed = capsys.readouterr().out
    assert code == CRITICAL
    assert "crashed: refused: " in printed
    assert "c4nary" not in printed


def test_a_server_that_says_back_what_it_was_sent_does_not_have_the_password_printed_as_json() -> None:
    env = {"HTTP_USERNAME": "operator", "HTTP_PASSWORD": "c4nary-password"}
    said_back = status(executor_id="me operator:c4nary-password", version={"tag": "c4nary-password"})

    with raw(serving(said_back)) as server:
        result = run(f"http://{server.authority}", "--auth", "--json", env=env)

    assert json.loads(result.stdout)["executor_id"].startswith("me operator:")
    assert "c4nary" not in result.stdout


@pytest.mark.parametrize("value", [-5, "7", True, 2**70, None, [], {}])
def test_performance_data_stay_valid_whatever_the_numbers_are(value: object) -> None:
    code, _ = checked(serving(status(cycles=value, last_refreshed_at=value, crashed_at=value)))  # looks at the data

    assert code == WARNING  # as it does not say when it made progress last


def test_progress_in_the_future_is_no_negative_age() -> None:
    with raw(serving(status(last_refreshed_at=time.time() + 500))) as server:
        result = run(f"http://{server.authority}")

    assert said(result)[1].startswith("age=0s;3600 ")


# ---- wrong arguments


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "URL is missing"),
        (["--nonsense", "http://127.0.0.1"], "there is no option --nonsense"),
        (["http://127.0.0.1", "http://127.0.0.2"], "more arguments than it takes: http://127.0.0.2"),
        (["http://127.0.0.1", "--max-age", "soon"], "--max-age: not a number of seconds, 1 or more"),
        (["http://127.0.0.1", "--timeout", "nan"], "--timeout: not a number of seconds from 0.1 to 3600"),
        (["vega"], "url is not a whole web address (http://… or https://…)"),
        (["ftp://127.0.0.1"], "url is not a whole web address (http://… or https://…)"),
        (["/status"], "url is not a whole web address (http://… or https://…)"),
        (["http://127.0.0.1?x=1"], "url has a query or a fragment"),
        (
            ["http://127.0.0.1", "--auth"],
            "--auth: set HTTP_USERNAME and HTTP_PASSWORD, in the environment or with --env-file",
        ),
        (["http://127.0.0.1", "--env-file", "/nowhere/secrets.env"], "/nowhere/secrets.env: cannot be read"),
    ],
)
def test_wrong_arguments_are_unknown_on_standard_output(arguments: list[str], text: str) -> None:
    result = run(*arguments)

    assert result.exit_code == UNKNOWN
    assert text in said(result)[0]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--json"], "URL is missing"),
        (["vega", "--json"], "url is not a whole web address (http://… or https://…)"),
        (["--json", "http://127.0.0.1", "--env-file", "/none"], "/none: cannot be read: No such file or directory"),
    ],
)
def test_programs_are_told_as_json_what_is_wrong_with_the_arguments(arguments: list[str], text: str) -> None:
    result = run(*arguments)

    assert result.exit_code == UNKNOWN
    assert json.loads(result.stdout) == {"code": UNKNOWN, "status": "UNKNOWN", "text": text}


def test_an_unusable_setting_is_unknown_and_named() -> None:
    result = run("http://127.0.0.1", env={"NOTIFY_STALE_AFTER": "soon"})

    assert result.exit_code == UNKNOWN
    assert said(result)[0] == "NOTIFY_STALE_AFTER: not a number of seconds"


def test_a_secret_in_the_wrong_place_is_not_shown() -> None:
    webhook = "https://discord.com/api/webhooks/123456789012345678/c4nary-token"
    result = run("http://127.0.0.1", webhook)

    assert said(result)[0].startswith("more arguments than it takes: https://discord.com")
    assert "c4nary" not in result.stdout


@pytest.mark.parametrize("url", ["http://operator:c4nary@127.0.0.1", "http://c4nary@127.0.0.1/status"])
def test_the_password_of_an_url_is_not_shown(url: str) -> None:
    result = run(url)

    assert result.exit_code == UNKNOWN
    assert "holds a user or a password" in result.stdout
    assert "c4nary" not in result.stdout


def test_a_defect_of_ours_is_unknown_and_not_the_1_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(check_module, "observe", defective)

    result = run("http://127.0.0.1")

    assert result.exit_code == UNKNOWN
    assert said(result)[0] == "notify itself failed: ZeroDivisionError"


def test_it_explains_itself() -> None:
    result = CliRunner().invoke(app, ["check", "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == OK
    for option in ("--max-age", "--timeout", "--auth", "--json", "--env-file"):
        assert option in result.stdout


# ---- as a process


@pytest.fixture
def health() -> Iterator[str]:
    with raw(serving(status(frozen_positions=1))) as server:
        yield f"http://{server.authority}"


@pytest.mark.process
@pytest.mark.parametrize(("command", "code"), [("|| exit 1", 1), ("|| test $? -eq 1", 0)])
def test_the_health_checks_of_the_docs_end_with_the_codes_that_docker_knows(
    health: str, command: str, code: int
) -> None:
    shell = f'"{sys.executable}" -m notify check {health} {command}'

    warned = subprocess.run(["sh", "-c", shell], env=environment(), capture_output=True, text=True, check=False)

    assert (warned.returncode, warned.stderr) == (code, "")
    assert warned.stdout.startswith("NOTIFY WARNING - vega ")
    gone = shell.replace(health, "http://127.0.0.1:1")
    assert subprocess.run(["sh", "-c", gone], env=environment(), capture_output=True, check=False).returncode == 1


@pytest.mark.process
def test_an_old_encoding_of_standard_output_costs_letters_and_not_the_exit_code(health: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "notify", "check", health.replace("http", "hттp")],
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == UNKNOWN
    assert run.stdout == "NOTIFY UNKNOWN - url is not a whole web address (http://\\u2026 or https://\\u2026)\n"
