"""A real Chromium for the tests of pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import missing
from playwright.sync_api import Browser, sync_playwright

_PROGRAM = Path("/usr/bin/chromium")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it until the context ends. Skips the test where it is not installed, but fails it on CI."""
    if not _PROGRAM.exists():
        missing(f"{_PROGRAM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_PROGRAM, args=_FLAGS)
        yield browser
        browser.close()
