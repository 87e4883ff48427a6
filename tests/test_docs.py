"""The README and the pages under docs/ say what is so."""

import ast
import logging
import re
import runpy
from functools import cache
from pathlib import Path

import pytest
import structlog
from pages import PAGES, ROOT, blocks
from set_up import bare_root

import notify.status
import notify.testing
from notify.notifier import current_notifier
from notify.settings import TABLE


def _blocks(page: Path, language: str) -> list[str]:
    return [block.code for block in blocks(page) if block.language == language and block.excuse is None]


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "python")], ids=lambda page: page.name)
def test_every_python_block_of_a_page_runs(page, monkeypatch, capsys):
    for name in ("DISCORD_WEBHOOK_URL", "LOGSTASH_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["daemon.py"])
    code = "\n".join(_blocks(page, "python"))
    names = {"__name__": page.stem}
    bare_root()

    exec(compile(code, str(page), "exec"), names)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.setLoggerClass(logging.Logger)  # structlog's factory has put its own there
    if (notifier := current_notifier()) is not None:
        notifier.close()

    for test in (value for name, value in names.items() if name.startswith("test_")):
        from notify.testing.caught import caught

        with caught() as outbox:
            test(outbox)


@pytest.mark.parametrize(("page", "script"), [("settings.md", "settings_page.py"), ("commands.md", "commands_page.py")])
def test_a_page_that_a_script_prints_is_what_it_prints(page, script):
    printed = runpy.run_path(str(ROOT / "docs" / script))["page"]()

    assert (ROOT / "docs" / page).read_text() == printed


def test_every_setting_is_on_the_settings_page():
    page = (ROOT / "docs" / "settings.md").read_text()

    assert [row.name for row in TABLE if f"`{row.name}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def _headings(page: Path) -> set[str]:
    """Return how the headings of a page are linked to, on GitHub and on the site."""
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_finds_it(page):
    links = re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text())

    assert [link for link in links if link[1] not in _headings(page.parent / link[0] if link[0] else page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_prose_is_longer_than_a_screen_is_wide(page):
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    prose = [line for line in outside.splitlines() if not line.startswith("|")]

    assert [line for line in prose if len(line) > 150] == []  # as wide as the pages are written


def test_every_page_is_in_the_contents_of_the_site():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = re.findall(r"^([a-z-]+)$", "".join(re.findall(r"^```\{toctree\}\n(.*?)^```$", index, re.M | re.S)), re.M)

    assert sorted(listed) == sorted(page.stem for page in PAGES if page.parent != ROOT and page.stem != "index")


def test_every_public_name_is_on_the_page_of_the_python_interface():
    page = (ROOT / "docs" / "api.md").read_text()
    shown = {name.rpartition(".")[2] for name in re.findall(r"^\.\. (?:auto\w+|py:data):: (\S+)$", page, re.MULTILINE)}

    assert {*notify.__all__, *notify.testing.__all__, *notify.status.__all__} - shown == {"__version__"}


def test_the_changelog_speaks_of_this_version():
    assert f"## {notify.__version__} " in (ROOT / "CHANGELOG.md").read_text()


# ---- docs/faults.md

FAULTS = (ROOT / "docs" / "faults.md").read_text()
HOW_MANY = 60
_ROW = re.compile(r"^\| (\d+) \| .*$", re.MULTILINE)
_NAMED = re.compile(r"`(test_\w+\.py::test_\w+)`")


@cache
def _tests_there_are() -> set[str]:
    return {
        f"{path.name}::{node.name}"
        for path in (ROOT / "tests").glob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_fault_has_a_row_in_their_order():
    assert [int(row[1]) for row in _ROW.finditer(FAULTS)] == list(range(1, HOW_MANY + 1))


def test_every_row_names_a_test_or_says_that_there_is_none_yet():
    wrong = [row[1] for row in _ROW.finditer(FAULTS) if bool(_NAMED.search(row[0])) is row[0].endswith("| not yet |")]

    assert wrong == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if _NAMED.search(page.read_text())], ids=lambda page: page.name
)
def test_every_test_that_a_page_names_exists(page):
    assert set(_NAMED.findall(page.read_text())) - _tests_there_are() == set()


def test_every_guarantee_stands_in_its_place_and_names_tests():
    _, *guarantees = re.split(r"^## (?=\d+\. )", (ROOT / "docs" / "guarantees.md").read_text(), flags=re.MULTILINE)

    assert [int(each.partition(".")[0]) for each in guarantees] == list(range(1, 13))  # the twelve
    assert [each[:40] for each in guarantees if not _NAMED.search(each)] == []


def test_every_test_of_a_fault_is_named_in_its_row():
    rows = {int(row[1]): _NAMED.findall(row[0]) for row in _ROW.finditer(FAULTS)}
    numbers = {
        name: int(found[1]) for name in _tests_there_are() if (found := re.search(r"::test_fault_(\d\d)_", name))
    }

    assert numbers
    assert [name for name, number in numbers.items() if name not in rows[number]] == []


# ---- docs/trade-executor.md

KNOWN = {
    "D": ROOT / "tests" / "test_trade_executor_known_problems.py",
    "S": ROOT / "tests" / "test_trade_executor_known_problems_status.py",
}


def test_every_known_problem_of_the_executor_names_its_test_and_every_test_its_problem():
    page = (ROOT / "docs" / "trade-executor.md").read_text()
    named = set(re.findall(r"([DS]) `(test_\w+)`", page))
    there_are = {
        (letter, name)
        for letter, path in KNOWN.items()
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    assert named == there_are
