"""Takes pictures of what Discord shows: `python docs/preview_picture.py` writes docs/preview-*.png.

The events are said as a program says them, become the messages that would be posted, and Chromium looks at them.
"""

import linecache
import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

import notify
from notify.backends.discord.message import Appearance, compose
from notify.cli.test import chart
from notify.levels import severity
from notify.preview.page import page
from notify.testing.caught import caught

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WIDTH = 620  # pixels: an embed at its widest, and what is beside it
PHONE = 360  # pixels: of the narrowest phones that are sold
AT = 1_796_083_200.0  # 2026-12-01 00:00:00 UTC, so that a picture changes only when the looks do
NAME = "eth-btc-momentum"
# Instead of the facts of the process that takes the pictures.
ELSEWHERE = {"run_time": "4 d 3 h", "host": "executor-1", "process": f"{NAME} (17)", "memory_peak": "412.6 MiB"}

FEED = '''class PriceFeedError(Exception):
    """The price feed cannot be used."""


def latest_candles(pair):
    lag = 41
    raise PriceFeedError(f"{pair} is {lag} minutes late")


def decide(cycle):
    candles = latest_candles("ETH-USDC")
    return candles[-1]
'''


def trade(notifier: notify.Notifier) -> None:
    """Say that something was bought."""
    notifier.trade(
        "Bought 0.2500 ETH at 3,450.10 USDC",
        fields={
            "pair": "ETH-USDC",
            "price": "3,450.10 USDC",
            "value": "862.53 USD",
            "slippage": "0.02 %",
            "fee": "0.43 USD",
            "position": "#39",
        },
    )


def report(notifier: notify.Notifier) -> None:
    """Say what the portfolio has become."""
    notifier.notify(
        "Portfolio after rebalance",
        body="2 trades, 71.7 % is invested.",
        level=notify.TRADE_HIGH,
        topic="position",
        fields={
            "equity": "10,412.50 USD",
            "cash": "2,941.15 USD",
            "today": "+83.13 USD",
            "open positions": [
                {"": "🌲", "pair": "ETH-USDC", "USD": 3450.1, "profit": "+3.50 %"},
                {"": "🔻", "pair": "WBTC-USDC", "USD": 2811.0, "profit": "-1.20 %"},
                {"": "🌲", "pair": "AAVE-USDC", "USD": 1210.25, "profit": "+0.08 %"},
            ],
        },
        attachments=[notify.Attachment("equity.png", chart(), "image/png")],
    )


def crash(notifier: notify.Notifier) -> None:
    """Die of a price feed that lags behind."""
    place = "/usr/src/strategy/feed.py"
    linecache.cache[place] = (len(FEED), None, FEED.splitlines(keepends=True), place)
    strategy: dict[str, Callable[[int], object]] = {}
    exec(compile(FEED, place, "exec"), {"__name__": "feed"}, strategy)  # noqa: S102 - the text above
    strategy["decide"].__globals__.update(strategy)
    notifier.run_state.update(cycles=4812, completed_cycle=4811)
    logger = logging.getLogger("strategy")
    logger.info("cycle 4812: 12 pairs, 3 positions")
    logger.warning("candles of ETH-USDC come late")
    try:
        strategy["decide"](4812)
    except Exception as error:  # noqa: BLE001 - that it raises is the point
        notify.report_crash(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next), where="cycle")


def main() -> None:
    """Say each, and take its picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            for say in (trade, report, crash):
                take(browser, say, f"preview-{say.__name__}", WIDTH)
            take(browser, report, "preview-phone", PHONE)
        finally:
            browser.close()


def take(browser: Browser, say: Callable[[notify.Notifier], None], name: str, width: int) -> None:
    """Write a picture beside this script."""
    with caught() as said:
        say(said.notifier)
        gravest = max(said.events, key=lambda event: severity(event.level))
    event = replace(
        gravest,
        time=AT,
        id="01a1e9d8b800-000017-5ac3f09e",
        fields={field: ELSEWHERE.get(field, value) for field, value in gravest.fields.items()},
        tail=tuple(f"00:00:00{line[8:]}" for line in gravest.tail),
    )
    html = page([compose([event], Appearance(NAME))])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "page.html"
        path.write_text(html, encoding="utf-8")
        view = browser.new_page(
            viewport={"width": width, "height": 100}, color_scheme="dark", device_scale_factor=1.5, locale="en"
        )
        view.goto(path.as_uri())
        view.screenshot(path=Path(__file__).with_name(f"{name}.png"), full_page=True)
        view.close()


if __name__ == "__main__":
    main()
