"""`notify caddyfile`: the file on standard output, what is wrong with the list on standard error."""

import json
from pathlib import Path

import pytest
from children import python
from set_up import secrets_file
from typer.testing import CliRunner, Result

from notify.cli.app import app
from notify.errors import ConfigError

VEGA = {"id": "vega", "name": "Vega", "url": "https://vega.example.com", "upstream": "127.0.0.1:19003"}


@pytest.fixture(autouse=True)
def _no_list_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TS_PUBLIC_STRATEGIES", raising=False)


def invoke(*arguments: str, listed: object = None) -> Result:
    env = {} if listed is None else {"TS_PUBLIC_STRATEGIES": json.dumps(listed)}
    return CliRunner().invoke(app, ["caddyfile", *arguments], env=env)


def test_the_file_is_printed_and_nothing_else() -> None:
    ended = invoke(listed=[VEGA])

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("# Made by `notify caddyfile` from TS_PUBLIC_STRATEGIES")
    assert ended.stdout.endswith("\n}\n")
    assert "\nhttps://vega.example.com {\n" in ended.stdout


def test_the_list_may_be_in_a_secrets_file(tmp_path: Path) -> None:
    file = secrets_file(tmp_path, f"TS_PUBLIC_STRATEGIES='{json.dumps([VEGA])}'\n")

    assert invoke("--env-file", str(file)).stdout == invoke(listed=[VEGA]).stdout


def test_a_domain_says_where_the_sites_are() -> None:
    assert "\nhttp://vega.fund.example {\n" in invoke("--domain", "http://fund.example", listed=[VEGA]).stdout


def test_each_problem_is_a_line_on_stderr_and_the_rest_is_printed() -> None:
    broken = {"id": "x\n\x1b[31my", "name": "X", "url": "/x"}
    unknown = {**VEGA, "id": "sirius", "url": "https://sirius.example.com", "upstream": None}

    ended = invoke(listed=[broken, VEGA, unknown])

    assert ended.exit_code == 0
    assert ended.stderr.splitlines() == [
        "notify: TS_PUBLIC_STRATEGIES: entry 1 (x\\n\\x1b[31my): url is not a whole web address (http://… or https://…)",
        "notify: TS_PUBLIC_STRATEGIES: sirius: "
        'no upstream in its entry, such as "127.0.0.1:19003", so its site answers 503',
    ]
    assert "\nhttps://vega.example.com {\n" in ended.stdout


@pytest.mark.parametrize("listed", [None, [], {}, [{"id": "vega"}]])
def test_a_list_that_makes_no_site_is_an_unusable_setting(listed: object) -> None:
    ended = invoke(listed=listed)

    assert ended.stdout == ""
    assert isinstance(ended.exception, ConfigError)
    assert str(ended.exception) == (
        "TS_PUBLIC_STRATEGIES: no strategy in it can have a site; it is a JSON list of {id, name, url, upstream}"
    )


@pytest.mark.process
def test_what_is_unusable_ends_with_exit_code_2_and_lines_that_say_why() -> None:
    no_list = python("-m", "notify", "caddyfile", TS_PUBLIC_STRATEGIES="[{")
    no_domain = python("-m", "notify", "caddyfile", "--domain", "a b", TS_PUBLIC_STRATEGIES=json.dumps([VEGA]))

    assert (no_list.returncode, no_list.stdout, no_list.stderr.splitlines()) == (
        2,
        "",
        [
            "notify: TS_PUBLIC_STRATEGIES: not JSON (line 1, column 3)",
            "notify: TS_PUBLIC_STRATEGIES: no strategy in it can have a site; "
            "it is a JSON list of {id, name, url, upstream}",
        ],
    )
    assert (no_domain.returncode, no_domain.stdout, no_domain.stderr) == (
        2,
        "",
        "notify: --domain: not a domain, such as example.com, or http://example.com where TLS ends before the proxy\n",
    )


@pytest.mark.process
def test_a_reader_that_takes_no_dashes_gets_the_file_all_the_same() -> None:
    named = {**VEGA, "name": "Vega – 織女星"}

    ended = python(
        "-m", "notify", "caddyfile", TS_PUBLIC_STRATEGIES=json.dumps([named]), PYTHONIOENCODING="ascii", LC_ALL="C"
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "# vega: Vega \\u2013 \\u7e54\\u5973\\u661f\n" in ended.stdout


def test_the_command_explains_itself() -> None:
    whole, own = CliRunner().invoke(app, ["--help"]), invoke("--help")

    assert " caddyfile " in whole.stdout
    assert {"--domain", "--env-file", "--insecure"} <= set(own.stdout.replace("│", " ").split())
