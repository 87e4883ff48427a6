"""A threshold tells once that a value is too high or too low, reminds, and tells that it is well again."""

import gc
import logging
import math
import os
import threading
import weakref
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from folds import People

import notify
from notify.delivery.outbox import Outbox
from notify.errors import ConfigError
from notify.notifier import Notifier, set_notifier
from notify.testing import FakeClock
from notify.threshold import Threshold

HOUR = 3600.0


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
def notifier(people: People, clock: FakeClock) -> Iterator[Notifier]:
    with Notifier({"people": people}, clock=clock) as notifier:
        yield notifier


@pytest.fixture
def gas(notifier: Notifier) -> Threshold:
    return Threshold("gas price", unit="gwei", warn=80, critical=200, clear=60, topic="gas", notifier=notifier)


def told(notifier: Notifier, people: People) -> list[tuple[str, str]]:
    """Level and first line of what people got, in order."""
    assert notifier.flush()
    return [(logging.getLevelName(event.level), event.message.splitlines()[0]) for event in people.events]


def test_a_value_that_passes_a_limit_is_told_once(gas: Threshold, notifier: Notifier, people: People) -> None:
    for value in (20, 85, 90, 70, 100):
        gas.observe(value)

    assert told(notifier, people) == [("WARNING", "gas price is high: 85 gwei")]
    assert (people.events[0].topic, people.events[0].key) == ("gas", "threshold:gas price")
    assert dict(people.events[0].fields) == {"value": 85, "limit": 80}


def test_a_value_is_shown_without_what_a_computer_adds_to_it(notifier: Notifier, people: People) -> None:
    gas_left = Threshold("gas left", unit="ETH", warn=0.1, critical=0.02, notifier=notifier)

    gas_left.observe(0.1 - 0.03 * 3)  # 0.010000000000000009

    assert told(notifier, people) == [("CRITICAL", "gas left is low: 0.01 ETH")]
    assert dict(people.events[0].fields) == {"value": 0.01, "limit": 0.02}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (999_999.4, "999,999 USD"),
        (1_041_250.4, "1,041,250 USD"),  # and not 1.04125e+06
        (123_456_789, "123,456,789 USD"),
        (1e15, "1e+15 USD"),
        (math.inf, "inf USD"),
    ],
)
def test_a_large_value_is_written_out(value: float, shown: str, notifier: Notifier, people: People) -> None:
    Threshold("debt", unit="USD", warn=80, critical=200, notifier=notifier).observe(value)

    assert told(notifier, people) == [("CRITICAL", f"debt is high: {shown}")]


def test_it_gets_worse_aloud_and_better_only_when_it_is_clear(
    gas: Threshold, notifier: Notifier, people: People
) -> None:
    for value in (85, 250, 100, 250, 61):
        gas.observe(value)
        notifier.flush()  # what is critical would overtake the warning

    assert told(notifier, people) == [
        ("WARNING", "gas price is high: 85 gwei"),
        ("CRITICAL", "gas price is high: 250 gwei"),
    ]


def test_that_it_is_well_again_is_told_once_and_then_it_may_begin_anew(
    gas: Threshold, notifier: Notifier, people: People
) -> None:
    for value in (85, 55, 50, 20):
        gas.observe(value)

    assert [message for _, message in told(notifier, people)] == [
        "gas price is high: 85 gwei",
        "gas price is well again: 55 gwei",
    ]

    gas.observe(81)
    assert told(notifier, people)[2:] == [("WARNING", "gas price is high: 81 gwei")]


def test_a_value_that_was_never_too_high_is_not_told_to_be_well(
    gas: Threshold, notifier: Notifier, people: People
) -> None:
    gas.observe(20)

    assert told(notifier, people) == []


def test_it_reminds_at_its_own_pace_while_it_goes_on(
    gas: Threshold, notifier: Notifier, people: People, clock: FakeClock
) -> None:
    gas.observe(85)
    for _ in range(4):
        clock.advance(HOUR / 2)
        gas.observe(90)

    assert [message for _, message in told(notifier, people)] == [
        "gas price is high: 85 gwei",
        "gas price is still high: 90 gwei",
        "gas price is still high: 90 gwei",
    ]
    assert [event.fields.get("for") for event in people.events] == [None, "1:00:00", "2:00:00"]


def test_a_falling_one_is_low(notifier: Notifier, people: People) -> None:
    left = Threshold("gas left", unit="ETH", warn=0.1, critical=0.02, clear=0.2, notifier=notifier)

    for value in (Decimal("0.5"), Decimal("0.05"), Decimal("0.01"), Decimal("0.3")):
        left.observe(value)
        notifier.flush()

    assert told(notifier, people) == [
        ("WARNING", "gas left is low: 0.05 ETH"),
        ("CRITICAL", "gas left is low: 0.01 ETH"),
        ("INFO", "gas left is well again: 0.3 ETH"),
    ]


@pytest.mark.parametrize("value", [math.nan, None, "85", object(), Decimal("NaN"), [85]])
def test_what_is_no_number_raises_nothing_and_changes_nothing(
    value: float, gas: Threshold, notifier: Notifier, people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    gas.observe(value)
    gas.observe(85)
    gas.observe(value)

    assert told(notifier, people) == [("WARNING", "gas price is high: 85 gwei")]
    assert capsys.readouterr().err.startswith("notify: Threshold('gas price') was given ")


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"warn": 200, "critical": 80, "clear": 60}, r"Threshold\('gas price'\): clear is below warn"),
        ({"warn": 80, "critical": 80}, r"Threshold\('gas price'\): critical is the same as warn"),
        ({"warn": 80, "critical": 200, "remind_every": 0}, r"Threshold\('gas price'\): remind_every is not a number"),
    ],
)
def test_bad_limits_are_an_error_that_names_the_threshold(limits: dict[str, float], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        notify.Threshold("gas price", **limits)


def test_without_a_clear_level_it_is_well_on_the_other_side_of_warn(notifier: Notifier, people: People) -> None:
    lag = Threshold("data lag", unit="s", warn=60, critical=600, notifier=notifier)

    for value in (60, 59):
        lag.observe(value)

    assert [message for _, message in told(notifier, people)] == [
        "data lag is high: 60 s",
        "data lag is well again: 59 s",
    ]


def test_it_speaks_through_the_notifier_of_setup_as_soon_as_there_is_one(
    notifier: Notifier, people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    gas = Threshold("gas price", warn=80, critical=200)
    gas.observe(85)
    assert "Threshold('gas price') tells nobody: notify.setup() was not called yet" in capsys.readouterr().err

    set_notifier(notifier)
    gas.observe(85)

    assert told(notifier, people) == [("WARNING", "gas price is high: 85")]


def test_a_hundred_threads_tell_a_change_once(gas: Threshold, notifier: Notifier, people: People) -> None:
    together = threading.Barrier(100)  # threads, many more than cores

    def observe() -> None:
        together.wait()
        gas.observe(85)

    threads = [threading.Thread(target=observe) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told(notifier, people) == [("WARNING", "gas price is high: 85 gwei")]


def test_its_event_is_said_to_come_from_who_observes(gas: Threshold, notifier: Notifier, people: People) -> None:
    gas.observe(85)

    told(notifier, people)
    assert people.events[0].source.function == "test_its_event_is_said_to_come_from_who_observes"


def test_a_restart_tells_nothing_again_and_tells_the_end_of_what_was_told_before(state: Path, clock: FakeClock) -> None:
    told_of_each_run = []
    for value in (85, 90, 20):
        people = People(durable=True)
        with Notifier({"people": people}, outbox=Outbox(state, clock=clock), clock=clock) as notifier:
            Threshold("gas price", warn=80, critical=200, clear=60, notifier=notifier).observe(value)
            told_of_each_run.append([message for _, message in told(notifier, people)])
        clock.advance(60)

    assert told_of_each_run == [["gas price is high: 85"], [], ["gas price is well again: 20"]]


def test_one_that_is_made_for_each_value_leaves_nothing_behind(
    notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered, made = [], []
    monkeypatch.setattr(os, "register_at_fork", lambda **callbacks: registered.append(callbacks))

    for value in range(100):
        threshold = Threshold("gas price", warn=80, critical=200, notifier=notifier)
        threshold.observe(value / 10)
        made.append(weakref.ref(threshold))
    del threshold
    gc.collect()

    assert registered == []  # what is, is never undone, and called at every fork
    assert [each for each in made if each() is not None] == []


def test_a_forked_child_waits_for_none_that_a_thread_holds_which_it_does_not_have() -> None:
    thresholds = [Threshold(f"gas {number}", warn=80, critical=200) for number in range(3)]
    holds, let = threading.Event(), threading.Event()

    def hold() -> None:
        with thresholds[0]._lock, thresholds[2]._lock:
            holds.set()
            let.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait()
    child = os.fork()
    if not child:
        os._exit(0 if all(each._lock.acquire(timeout=1) for each in thresholds) else 1)
    let.set()
    holder.join()

    assert os.waitpid(child, 0)[1] == 0
