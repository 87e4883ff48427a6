"""The README and the pages under docs/ say what is so."""

import re
import runpy
from pathlib import Path

import pytest

import notify
from notify.notifier import current_notifier
from notify.settings import TABLE

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")])
_FENCE = re.compile(r"^```(\w*)( no-run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: Path, language: str) -> list[str]:
    return [code for kind, skipped, code in _FENCE.findall(page.read_text()) if kind == language and not skipped]


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "python")], ids=lambda page: page.name)
def test_every_python_block_of_a_page_runs(page, monkeypatch, capsys):
    for name in ("DISCORD_WEBHOOK_URL", "LOGSTASH_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["daemon.py"])
    code = "\n".join(_blocks(page, "python"))
    names = {"__name__": page.stem}

    exec(compile(code, str(page), "exec"), names)
    if (notifier := current_notifier()) is not None:
        notifier.close()

    for test in (value for name, value in names.items() if name.startswith("test_")):
        from notify.testing.caught import caught

        with caught() as outbox:
            test(outbox)


def test_the_settings_page_is_what_the_table_says():
    page = runpy.run_path(str(ROOT / "docs" / "settings_page.py"))["page"]()

    assert (ROOT / "docs" / "settings.md").read_text() == page


def test_every_setting_is_on_the_settings_page():
    page = (ROOT / "docs" / "settings.md").read_text()

    assert [row.name for row in TABLE if f"`{row.name}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_changelog_speaks_of_this_version():
    assert f"## {notify.__version__} " in (ROOT / "CHANGELOG.md").read_text()
