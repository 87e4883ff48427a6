"""Takes the pictures of the dashboard: `python docs/dashboard_picture.py` writes docs/dashboard-*.png.

Strategies of its own answer on loopback, a day of history is made up, and Chromium looks at the page.
"""

import json
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Page, sync_playwright

from notify.fleet.dashboard.history import SLOT, SLOTS, slot_of
from notify.fleet.dashboard.history_file import HistoryFile, Row, Seen
from notify.fleet.dashboard.serve import serving
from notify.fleet.strategies import parse_strategies
from notify.run_state import RunState
from notify.status import StatusServer, make_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
HOUR = 3600.0
NAMES = (
    "Ether Momentum", "Base Breakout", "Lagoon Stable Yield", "Enzyme Multipair", "Arbitrum Mean Reversion",
    "Polygon Volatility", "BTC Regime Filter", "Hyperliquid Basis", "Vault of Vaults", "Solana Trend",
    "Avalanche Carry",
)  # fmt: skip


class PriceFeedError(Exception):
    """Stands for what goes wrong in a strategy."""


def main() -> None:
    """Serve the page and take its pictures."""
    random.seed(7)
    with ExitStack() as stack:
        state_dir = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "state"
        entries = [strategy(stack, number, name) for number, name in enumerate(NAMES)]
        remember(state_dir, [str(entry["id"]) for entry in entries])
        server = stack.enter_context(
            serving(
                parse_strategies(json.dumps(entries)),
                host="127.0.0.1",
                port=0,
                interval=30.0,
                max_age=HOUR,
                redact=str,
                state_dir=state_dir,
            )
        )
        time.sleep(3)  # seconds: each has been looked at then
        for scheme in ("light", "dark"):
            with page(scheme) as browser:
                browser.goto(f"{server.url}/strategies")
                take(browser, f"dashboard-{scheme}")
                if scheme == "light":
                    continue
                browser.goto(f"{server.url}/strategies/enzyme-multipair?level=info")
                browser.wait_for_selector(".log li")
                take(browser, "dashboard-crashed")


def strategy(stack: ExitStack, number: int, name: str) -> dict[str, object]:
    """Have a strategy answer, or not, and return its entry of the list."""
    now = time.time()
    state = RunState()
    slug = name.lower().replace(" ", "-")
    state.update(
        executor_id=slug,
        started_at=now - (4 + number) * 21 * HOUR,
        last_refreshed_at=now - random.uniform(5, 170),
        cycles=120 + 977 * (number * 7 % 12),
        completed_cycle=119 + 977 * (number * 7 % 12),
        position_trigger_checks=4821,
        position_revaluations=212,
        hot_wallet_address="0x5C9a…41bE",
        hot_wallet_gas=0.214,
        hot_wallet_gas_warning_level="0.1",
        version={"tag": f"v2.{4 - number % 2}.{5 - number % 3}", "commit_message": None, "commit_hash": "9f31c7e"},
    )
    if number == 1:
        state.update(last_refreshed_at=now - 2.4 * HOUR)
    if number == 3:
        crash(state, now)
    if number == 6:
        state.update(frozen_positions=2)
    if number == 9:
        state.update(hot_wallet_gas_warning_message="0.031 SOL left, 0.1 wanted")
    app = make_app(
        state,
        logs=lambda: records(state, now),
        stats=lambda: deliveries(now),
        metadata={"name": name, "short_description": "Rebalances twelve pairs every hour.", "tags": ["live"]},
        public_logs=True,
    )

    def slowly(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        time.sleep(usual_time(number) * random.uniform(0.9, 1.2))  # the way to a machine far away
        return app(environ, start_response)

    server = StatusServer(slowly, "127.0.0.1", 0)
    stack.callback(server.close)
    if number == 4:
        server.close()  # offline: nobody listens there
    return {"id": slug, "name": name, "url": server.url}


def crash(state: RunState, now: float) -> None:
    """Have it fail as a strategy does."""
    try:
        try:
            raise TimeoutError("no candle of ETH-USDC for 00:15 within 30 s")
        except TimeoutError as error:
            raise PriceFeedError("the price feed lags behind by 41 minutes") from error
    except PriceFeedError as error:
        state.set_fail(error)
    state.update(crashed_at=now - 1500, last_refreshed_at=now - 1500)


def records(state: RunState, now: float) -> list[dict[str, object]]:
    """Return what it has logged."""
    told = [
        (-3400, 20, "info", "Cycle 5980 begins, 12 pairs, 3 open positions"),
        (-3396, 21, "trade", "Bought 0.25 ETH at 3,450.10 USDC, value 862.53 USD"),
        (-3391, 21, "trade", "Sold 1,204 ARB at 0.7312 USDC, profit 3.1 %"),
        (-3380, 20, "info", "Cycle 5980 completed in 20.3 s"),
        (-1800, 30, "warning", "Candles of ETH-USDC come late: 11 minutes"),
        (-1530, 30, "warning", "Candles of ETH-USDC come late: 38 minutes"),
        (-1500, 40, "error", "The execution loop crashed: the price feed lags behind by 41 minutes"),
    ]
    return [
        {
            "timestamp": now + at,
            "level": level,
            "level_number": number,
            "message": message,
            "exception_type": None,
            "traceback_data": None,
            "formatted_data": TRACEBACK if number == 40 else None,
        }
        for at, number, level, message in told
    ]


TRACEBACK = [
    "Traceback (most recent call last):\n",
    '  File "/usr/src/strategy/feed.py", line 88, in latest_candles\n',
    "    candles = self.client.fetch(pairs, until=self.clock.now())\n",
    "TimeoutError: no candle of ETH-USDC for 00:15 within 30 s\n",
    "\nThe above exception was the direct cause of the following exception:\n\n",
    "Traceback (most recent call last):\n",
    '  File "/usr/src/strategy/loop.py", line 412, in run_forever\n',
    "    self.tick(cycle)\n",
    '  File "/usr/src/strategy/feed.py", line 93, in latest_candles\n',
    '    raise PriceFeedError(f"the price feed lags behind by {lag} minutes") from error\n',
    "PriceFeedError: the price feed lags behind by 41 minutes\n",
]


def deliveries(now: float) -> dict[str, dict[str, object]]:
    """Return what its notifier has sent."""
    common = {"retried": 0, "pending": 0, "dropped": {}, "last_error": None}
    return {
        "discord": {**common, "delivered": 1204, "retried": 3, "last_success_at": now - 1499},
        "logstash": {**common, "delivered": 58_113, "last_success_at": now - 61},
        "telegram": {
            **common,
            "delivered": 96,
            "pending": 1,
            "dropped": {"rejected": 1},
            "last_success_at": now - 5 * HOUR,
            "last_error": "no answer within 15 s",
        },
    }


def remember(state_dir: Path, names: list[str]) -> None:
    """Make up a day: outages, a night in which the dashboard itself was off, and times that vary."""
    last = slot_of(time.time())
    rows = []
    for number, name in enumerate(names):
        usual = usual_time(number)
        for slot in range(last - SLOTS + 1, last):
            back = last - slot
            if 66 <= back < 75:  # for everybody: the dashboard was off
                continue
            down = (
                (number == 4 and (back < 3 or 96 <= back < 99))
                or (number == 7 and 24 <= back < 27)
                or (number == 10 and 105 <= back < 117)
            )
            stale = number == 1 and back < 8
            crashed = (number == 3 and back < 3) or (number == 8 and 54 <= back < 60)
            looks = int(SLOT // 30)
            seconds = 0.0 if down else looks * usual * random.uniform(0.8, 1.35)
            rows.append(Row(name, slot, seen(looks, down=down, stale=stale, crashed=crashed)._replace(seconds=seconds)))
    file = HistoryFile(state_dir)
    file.write(rows, since=last - SLOTS + 1)
    file.close()


def usual_time(number: int) -> float:
    """Return the seconds that a strategy takes to answer."""
    return (0.031, 0.048, 0.112, 0.067, 0.09, 0.024, 0.143, 0.055, 0.038, 0.171, 0.082)[number]


def seen(looks: int, *, down: bool, stale: bool, crashed: bool) -> Seen:
    """Return a slot in one state."""
    if down:
        return Seen(offline=looks)
    if crashed:
        return Seen(crashed=looks)
    return Seen(stale=looks) if stale else Seen(running=looks)


@contextmanager
def page(scheme: str) -> Iterator[Page]:
    """Yield a page of Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser.new_page(
                color_scheme="dark" if scheme == "dark" else "light", viewport={"width": 1160, "height": 850}
            )
        finally:
            browser.close()


def take(browser: Page, name: str) -> None:
    """Write a picture beside this script."""
    browser.screenshot(path=Path(__file__).with_name(f"{name}.png"))


if __name__ == "__main__":
    main()
