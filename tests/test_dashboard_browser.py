"""The dashboard in a real Chromium: it updates itself, and is of use by keyboard, on a phone and without JavaScript."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
from chromium import chromium
from fleets import Fleet, dashboard
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from raw_server import raw, silent

from notify.status import StatusServer
from notify.status.auth import Readers

pytestmark = pytest.mark.process

SOON = 10_000.0  # milliseconds until an open page has to show what has happened
GONE = re.compile("net::ERR_")  # what the console says once the dashboard has ended, as it does before the page

Open = Callable[..., Page]

expect.set_options(timeout=SOON)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the module: it takes a second to start."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Open a page. At the end its console must have had no complaint: no error, nothing that the policy refused."""
    contexts = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not GONE.search(message.text):
            complaints.append(message.text)

    def opening(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SOON)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.goto(url)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with closing(Fleet()) as fleet:
        yield fleet


@pytest.fixture
def served(fleet: Fleet) -> Iterator[StatusServer]:
    """A dashboard of three strategies."""
    for name in ("altair", "rigel", "vega"):
        fleet.add(name)
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        yield server


def until_all_are_seen(server: StatusServer) -> None:
    """Wait until every strategy has been looked at."""
    until = time.monotonic() + SOON / 1000
    while "state=waiting" in requests.get(f"{server.url}/strategies", timeout=5).text:
        assert time.monotonic() < until
        time.sleep(0.02)


def impatient(page: Page) -> Page:
    """Have the page ask twice a second, as it does when its tab comes to the front, instead of every five seconds."""
    page.evaluate("setInterval(() => document.dispatchEvent(new Event('visibilitychange')), 500) && null")
    return page


def names(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all("tbody th a", "links => links.map(a => a.lastChild.data)")
    return found


def width(page: Page) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth")
    return found


def focused(page: Page) -> str:
    found: str = page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id")
    return found


# ---- it updates itself


def test_a_strategy_crashes_and_the_open_page_says_so_within_ten_seconds(
    opened: Open, fleet: Fleet, served: StatusServer
) -> None:
    page = opened(f"{served.url}/")
    expect(page.locator("tr.running")).to_have_count(3)
    page.evaluate("window.theSamePage = true")
    began = time.monotonic()

    fleet.members["vega"].state.set_fail(ValueError("no price for ETH"))

    row = page.locator("tr.crashed")
    expect(row).to_contain_text("no price for ETH", timeout=SOON)
    assert time.monotonic() - began < SOON / 1000
    assert names(page) == ["vega", "altair", "rigel"]
    expect(page).to_have_title("(1) Strategies")
    expect(page.locator("[aria-live=polite]")).to_have_text("vega is crashed now: no price for ETH.")
    assert page.get_attribute("link[rel=icon]", "href", strict=True).startswith("/static/trouble.svg")  # type: ignore[union-attr]
    assert page.evaluate("window.theSamePage") is True


def test_one_that_goes_away_is_offline_and_one_without_progress_stale(
    opened: Open, fleet: Fleet, served: StatusServer
) -> None:
    page = impatient(opened(f"{served.url}/strategies"))

    fleet.members["rigel"].server.close()
    fleet.members["altair"].state.update(last_refreshed_at=time.time() - 7200)

    expect(page.locator("tr.offline")).to_contain_text("connection refused")
    expect(page.locator("tr.stale")).to_contain_text("no progress for 2 h")
    assert names(page) == ["rigel", "altair", "vega"]
    expect(page.locator(".summary")).to_contain_text("2 of 3 need attention")


def test_what_the_reader_does_outlives_an_update(opened: Open, fleet: Fleet) -> None:
    for number in range(40):
        fleet.add(f"strategy-{number:02}")
    with dashboard(fleet, interval=2) as server:
        until_all_are_seen(server)
        page = impatient(opened(f"{server.url}/strategies?q=strategy"))
        page.fill("#q", "strategy-")
        page.locator("a", has_text="strategy-30").focus()
        page.evaluate("scrollTo(0, 700)")
        page.wait_for_timeout(300)  # milliseconds, until the search was made
        before = page.evaluate("scrollY")

        fleet.members["strategy-30"].state.set_fail(ValueError("Boom"))
        expect(page.locator("tr.crashed")).to_be_attached()

        assert focused(page).endswith("strategy-30")
        assert page.input_value("#q") == "strategy-"
        assert page.url.endswith("?q=strategy-")
        assert abs(page.evaluate("scrollY") - before) < 120  # pixels: a row went from here to the top


def test_ages_go_on_by_themselves(opened: Open, served: StatusServer) -> None:
    page = opened(f"{served.url}/strategies")
    time_of = page.locator("tbody time").first
    first = time_of.inner_text()

    expect(time_of).not_to_have_text(first)

    assert re.fullmatch(r"\d+ s ago|just now", time_of.inner_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", time_of.get_attribute("title") or "")


def test_when_the_dashboard_itself_is_gone_the_page_says_so_until_it_is_back(opened: Open, fleet: Fleet) -> None:
    fleet.add("vega")
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        port = server.port
        page = impatient(opened(f"{server.url}/strategies"))
        expect(page.locator("#gone")).to_be_hidden()

    expect(page.locator("#gone")).to_contain_text("the dashboard does not answer")
    expect(page.locator("tr.running")).to_have_count(1)

    with dashboard(fleet, port=port):
        expect(page.locator("#gone")).to_be_hidden()


# ---- filter and search


def test_the_search_works_as_one_types_and_the_address_keeps_it(opened: Open, served: StatusServer) -> None:
    page = opened(f"{served.url}/strategies")

    page.locator("#q").press_sequentially("VEG")

    expect(page.locator("tbody tr")).to_have_count(1)
    assert names(page) == ["vega"]
    assert page.url.endswith("/strategies?q=VEG")
    page.reload()
    assert names(page) == ["vega"]


def test_a_state_is_filtered_without_a_reload_and_the_way_back_works(opened: Open, served: StatusServer) -> None:
    page = opened(f"{served.url}/strategies")
    page.evaluate("window.theSamePage = true")

    page.click("nav.filter a.crashed")
    expect(page.locator(".empty")).to_contain_text("None of them is crashed")
    page.go_back()

    expect(page.locator("tbody tr")).to_have_count(3)
    assert page.evaluate("window.theSamePage") is True


def test_without_javascript_list_filter_search_and_own_page_work(opened: Open, served: StatusServer) -> None:
    page = opened(f"{served.url}/strategies", java_script_enabled=False)
    assert page.locator("tbody tr").count() == 3
    assert 'http-equiv="refresh"' in page.content()

    page.fill("#q", "rig")
    page.click("form button")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.click("nav.filter a.stale")
    expect(page.locator(".empty")).to_contain_text("None of them is called “rig” and is stale")
    page.click("text=Show all 3")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.click("tbody a >> nth=0")

    expect(page.locator("h1")).to_have_text("altair")


# ---- by keyboard


def test_everything_is_reached_by_keyboard_and_what_has_the_focus_shows_it(opened: Open, served: StatusServer) -> None:
    page = opened(f"{served.url}/strategies")

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    assert page.locator(".skip").bounding_box()["y"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.type("vega")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("tbody tr")).to_have_count(3)

    reached = []
    while "rigel" not in " ".join(reached):
        page.keyboard.press("Tab")
        reached.append(focused(page))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        assert len(reached) < 20, reached
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text("rigel")


# ---- who is hostile


def test_hostile_names_are_text_and_nothing_else(opened: Open, fleet: Fleet) -> None:
    for name in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "evil\u202ename\x00", "'\"><b>x"):
        fleet.add(name, version={"tag": "<svg onload=alert(1)>"})
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        page = impatient(opened(f"{server.url}/strategies"))
        expect(page.locator("tr.running")).to_have_count(4)
        assert set(names(page)) == {
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            r"evil\u202ename\x00",
            "'\"><b>x",
        }
        fleet.members["'\"><b>x"].state.set_fail(ValueError("<script>alert(1)</script>"))
        expect(page.locator("tr.crashed")).to_contain_text("<script>alert(1)</script>")
        for link in page.locator("tbody a").all():
            own = opened(server.url + (link.get_attribute("href") or ""))
            expect(own.locator("h1")).to_have_text(link.evaluate("a => a.lastChild.data"))


def test_the_page_asks_nobody_but_the_dashboard(opened: Open, fleet: Fleet) -> None:
    picture = "https://tracker.example.com/icon.png"
    fleet.add("vega", options={"metadata": {"name": "vega", "icon_url": picture}})
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        page = opened("about:blank")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server.url}/strategies")
        page.goto(f"{server.url}/strategies/vega")

    assert len(asked) >= 4  # two pages, and their files
    assert {url.split("/strategies")[0].split("/static")[0] for url in asked} == {server.url}


def test_a_strategy_that_hangs_delays_no_page(opened: Open, fleet: Fleet) -> None:
    fleet.add("vega")
    with raw(silent) as hanging:
        fleet.entries.append({"id": "hangs", "name": "hangs", "url": f"http://{hanging.authority}"})
        with dashboard(fleet) as server:
            page = opened(f"{server.url}/strategies")
            expect(page.locator("tr.running")).to_contain_text("vega")
            began = time.monotonic()
            page.goto(f"{server.url}/strategies")
            took = time.monotonic() - began
            began = time.monotonic()
            page.goto(f"{server.url}/strategies/hangs")
            took_own = time.monotonic() - began

            expect(page.locator("h1")).to_have_text("hangs")
            expect(page.locator(".facts")).to_contain_text("no answer within 5 s", timeout=2 * SOON)

    assert took < 2.0  # seconds, on a busy machine; the strategy takes five
    assert took_own < 3.0  # of which it waits for one


def test_a_bad_list_is_told_and_the_rest_works(opened: Open, fleet: Fleet) -> None:
    fleet.add("vega")
    fleet.entries += [{"id": "x", "name": "x", "url": "/relative"}, {"name": "<b>"}, 7]
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        page = opened(f"{server.url}/strategies")

        expect(page.locator(".problems h2")).to_have_text("3 things wrong with TS_PUBLIC_STRATEGIES")
        expect(page.locator(".problems li")).to_have_text(
            [
                "entry 2 (x): url is not a whole web address (http://… or https://…)",
                "entry 3: id is missing; url is missing",
                "entry 4: not an object with id, name and url",
            ]
        )
        assert names(page) == ["vega"]


def test_an_empty_list_says_what_to_set(opened: Open, fleet: Fleet) -> None:
    with dashboard(fleet) as server:
        page = opened(f"{server.url}/strategies")

        expect(page.locator(".empty")).to_contain_text("TS_PUBLIC_STRATEGIES='[")


# ---- the page of one


def records(count: int) -> list[dict[str, object]]:
    traceback = ["Traceback (most recent call last):\n", "ValueError: Boom\n"]
    return [
        {
            "timestamp": time.time() - count + number,
            "level": "error" if number % 10 == 0 else "info",
            "level_number": 40 if number % 10 == 0 else 20,
            "message": f"record {number}",
            "formatted_data": traceback if number % 10 == 0 else None,
        }
        for number in range(count)
    ]


def test_the_page_of_a_strategy_shows_its_crash_as_it_happens_and_filters_its_log(opened: Open, fleet: Fleet) -> None:
    member = fleet.add("vega", logs=records(30), options={"stats": lambda: {"discord": {"delivered": 12}}})
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        page = impatient(opened(f"{server.url}/strategies/vega"))
        expect(page.locator("ol.log > li")).to_have_count(30)
        expect(page.locator("table.deliveries tbody")).to_contain_text("discord")
        page.click("nav[aria-label='Least level'] >> text=Error")
        expect(page.locator("ol.log > li")).to_have_count(3)
        page.locator("ol.log summary").first.click()
        expect(page.locator("ol.log pre").first).to_be_visible()

        member.state.set_fail(ValueError("Boom"))

        expect(page.locator(".exception pre")).to_contain_text("ValueError: Boom")
        expect(page).to_have_title("vega: crashed")
        expect(page.locator("ol.log pre").first).to_be_visible()  # what was unfolded stays so


# ---- how it looks


LONG = "a-name-without-any-break-" + "x" * 150


@pytest.mark.parametrize("size", [320, 400, 921])
def test_a_narrow_screen_needs_no_horizontal_scroll(opened: Open, fleet: Fleet, size: int) -> None:
    fleet.add(LONG, version={"tag": "v" * 60}, frozen_positions=2, hot_wallet_gas_warning_message="low " * 40)
    fleet.add("vega").state.set_fail(ValueError("Boom " * 50 + "x" * 200))
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        page = opened(f"{server.url}/strategies", viewport={"width": size, "height": 640})
        expect(page.locator("tr.crashed")).to_be_visible()
        assert width(page) <= size
        for path in [link.get_attribute("href") for link in page.locator("tbody a").all()]:
            page.goto(f"{server.url}{path}")
            expect(page.locator("h1")).to_be_visible()
            assert width(page) <= size


# Finds text whose contrast to what is behind it is below that of WCAG 2.1, level AA.
FAINT = """() => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const rgba = colour => { context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].map(each => each / 255); };
  const over = (top, below) => top.slice(0, 3).map((each, n) => each * top[3] + below[n] * (1 - top[3]));
  const background = element => { const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [1, 1, 1]); };
  const light = colour => { const [r, g, b] = colour.map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const behind = background(element);
    const text = over(rgba(getComputedStyle(element).color), behind);
    const [one, two] = [light(text), light(behind)].sort((a, b) => b - a);
    if ((one + 0.05) / (two + 0.05) < 4.5) faint.push(walker.currentNode.data.trim());
  }
  return faint;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(opened: Open, fleet: Fleet, scheme: str) -> None:
    fleet.add("running", frozen_positions=1)
    fleet.add("stale", last_refreshed_at=time.time() - 7200)
    fleet.add("crashed").state.set_fail(ValueError("Boom"))
    fleet.entries += [{"id": "offline", "name": "offline", "url": "http://127.0.0.1:9"}, {}]
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        page = opened(f"{server.url}/strategies", color_scheme=scheme, viewport={"width": 1200, "height": 900})
        red, green, blue = page.evaluate(
            "getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/g).map(Number)"
        )
        assert (red + green + blue < 128 * 3) == (scheme == "dark")
        assert page.evaluate(FAINT) == []
        for name in ("running", "stale", "crashed", "offline"):
            page.goto(f"{server.url}/strategies/{name}")
            assert page.evaluate(FAINT) == []


def test_who_wants_less_motion_gets_none(opened: Open, fleet: Fleet, served: StatusServer) -> None:
    page = impatient(opened(f"{served.url}/strategies", reduced_motion="reduce"))

    fleet.members["vega"].state.set_fail(ValueError("Boom"))
    expect(page.locator("tr.crashed")).to_have_class(re.compile("fresh"))

    assert page.evaluate("document.getAnimations().length") == 0


def test_a_state_is_told_by_a_word_and_a_shape_and_not_by_colour_alone(opened: Open, fleet: Fleet) -> None:
    fleet.add("running")
    fleet.add("stale", last_refreshed_at=time.time() - 7200)
    fleet.add("crashed").state.set_fail(ValueError("Boom"))
    fleet.entries.append({"id": "offline", "name": "offline", "url": "http://127.0.0.1:9"})
    with dashboard(fleet) as server:
        until_all_are_seen(server)
        page = opened(f"{server.url}/strategies")

        shapes = set()
        for state in ("running", "stale", "crashed", "offline"):
            assert page.inner_text(f"tr.{state} td b") == state
            shapes.add(
                page.eval_on_selector(
                    f"tr.{state} td b",
                    "b => { const s = getComputedStyle(b, '::before'); "
                    "return [s.borderWidth, s.clipPath, s.backgroundImage.split('(')[0]].join() }",
                )
            )
        assert len(shapes) == 4


# ---- with a password


def test_the_page_asks_for_the_password_and_goes_on_updating_with_it(opened: Open, fleet: Fleet) -> None:
    fleet.add("vega")
    with dashboard(fleet, readers=Readers("operator", "pässword")) as server:
        page = impatient(
            opened(f"{server.url}/strategies", http_credentials={"username": "operator", "password": "pässword"})
        )
        expect(page.locator("tr.running")).to_have_count(1)

        fleet.members["vega"].state.set_fail(ValueError("Boom"))

        expect(page.locator("tr.crashed")).to_have_count(1)


def test_a_port_is_free_again_after_the_dashboard(fleet: Fleet) -> None:
    with dashboard(fleet) as server:
        port = server.port

    with socket.create_server(("127.0.0.1", port)):
        pass
