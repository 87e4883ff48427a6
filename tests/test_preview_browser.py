"""The preview in a real Chromium: nothing leaves, nothing overflows a phone, nothing runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import chromium
from playwright.sync_api import Browser, Page
from test_preview_page import HOSTILE, event

from notify.backends.discord.message import Appearance, compose
from notify.cli.test import chart
from notify.event import Attachment, Event, ExceptionInfo
from notify.preview.page import page as html_of
from notify.table import PHONE, table_of

pytestmark = pytest.mark.process

SMALL_PHONE = 360  # pixels
ELSEWHERE = "http://127.0.0.1:9/elsewhere"  # where nobody listens: a request would be seen all the same

POSITIONS = [
    {"pair": "ETH-USDC", "value": 3450.1, "share": "33.1 %", "profit": "+3.50 %", "opened": "3 days ago"},
    {"pair": "WBTC-USDC", "value": 2811.0, "share": "27.0 %", "profit": "-1.20 %", "opened": "12 days ago"},
    {"pair": "損益 🌲", "value": -0.25, "share": "0.0 %", "profit": "0.00 %", "opened": "now"},
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the module: it takes a second to start."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page as wide as a small phone. Asks for nothing but the file itself, and its console stays empty."""
    page = browser.new_page(viewport={"width": SMALL_PHONE, "height": 780})
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url[:40]))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    yield page
    page.close()
    assert [url for url in requests if not url.startswith(("file://", "data:image/"))] == []
    assert complaints == []


def show(page: Page, directory: Path, *events: Event) -> None:
    path = directory / "page.html"
    path.write_text(html_of([compose(events, Appearance("executor", avatar_url=ELSEWHERE))]))
    page.goto(path.as_uri())


def test_nothing_overflows_a_small_phone(page: Page, tmp_path: Path) -> None:
    image = Attachment("equity.png", chart(), "image/png")
    trace = f'Traceback (most recent call last):\n  File "{"directory/" * 20}feed.py", line 88, in candles\n'
    show(
        page,
        tmp_path,
        event(
            "Report", body="x" * 500, fields={"hash": "0x" + "ab" * 32, "n": 1, "open": POSITIONS}, attachments=(image,)
        ),
        event("y" * 70, exception=ExceptionInfo("ValueError", "z" * 200, trace), topic="t" * 80, logger="l" * 80),
        event(f"See {ELSEWHERE}/{'path/' * 30}", fields={f"name {'w' * 200}": "v"}),
        event("File", body="a b " * 2000, attachments=(Attachment("n" * 60 + ".csv", b"1," * 500),)),
    )
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") == SMALL_PHONE
    beyond = (
        "[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > innerWidth + 0.5)"
    )
    assert page.evaluate(f"{beyond}.map(one => one.outerHTML.slice(0, 80))") == []


def test_hostile_text_and_addresses_load_and_run_nothing(page: Page, tmp_path: Path) -> None:
    attack = f'{HOSTILE}<img src="{ELSEWHERE}"><link rel=stylesheet href={ELSEWHERE}><base href={ELSEWHERE}>'

    show(page, tmp_path, event(f"![x]({ELSEWHERE})", body=attack, fields={"a": f"[x]({ELSEWHERE})", "b": attack}))

    assert page.title() == "As Discord shows it"
    assert page.locator("script, link, base, iframe, object, form").count() == 0
    assert attack in page.locator("main").inner_text()


def test_the_rows_of_a_table_stay_rows_on_a_small_phone(page: Page, tmp_path: Path) -> None:
    widest = [{"a": "x" * 15, "b": "y" * (PHONE - 17)}]  # and a gap of two columns
    show(page, tmp_path, event("Report", fields={"positions": POSITIONS, "widest": widest}))

    for number, rows in enumerate((POSITIONS, widest)):
        table = table_of(rows)
        assert table is not None
        block = page.locator("pre code").nth(number)
        lines = len(table.draw().split("\n"))
        box = block.bounding_box()
        assert box is not None
        assert box["height"] < 16 * (lines + 0.5)  # pixels of a line, as the style has it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_day_and_by_night(browser: Browser, tmp_path: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    show(page, tmp_path, event("Report", body="A body with `code`.\n…\nMore", fields={"a": POSITIONS}))

    contrasts = page.evaluate(_CONTRASTS)
    page.close()

    assert len(contrasts) > 5
    assert min(contrasts.values()) >= 4.5, contrasts  # what WCAG 2 asks for, level AA


# For each kind of element with text of its own: the contrast between its colour and the nearest background.
_CONTRASTS = """() => {
  const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
  const light = colour => {
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = numbers(colour).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = one => {
    const colour = getComputedStyle(one).backgroundColor;
    return numbers(colour)[3] === 0 && one.parentElement ? behind(one.parentElement) : colour;
  };
  const found = {};
  for (const one of document.querySelectorAll('main *')) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found[`${one.tagName} ${one.className}`] = Math.min(contrast, found[`${one.tagName} ${one.className}`] ?? 21);
  }
  return found;
}"""
