"""Limits of a value: the level of each value, and what sets of limits make sense."""

import math
from logging import CRITICAL, WARNING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from notify.rules.threshold import WELL, Limits

GAS_PRICE = Limits(warn=80, critical=200, clear=60)
GAS_LEFT = Limits(warn=0.1, critical=0.02, clear=0.2)


def levels(limits: Limits, *values: float) -> list[int]:
    """The level of each value, one after the other."""
    level, found = WELL, []
    for value in values:
        level = limits.level(value, level)
        found.append(level)
    return found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([79.9, 80, 79, 60, 59.9], [WELL, WARNING, WARNING, WARNING, WELL]),
        ([199.9, 200, 100, 60, 59], [WARNING, CRITICAL, CRITICAL, CRITICAL, WELL]),
        ([300, 59, 79], [CRITICAL, WELL, WELL]),
        ([math.inf, -math.inf], [CRITICAL, WELL]),
    ],
)
def test_high_values_are_bad_until_they_are_clear(values: list[float], expected: list[int]) -> None:
    assert levels(GAS_PRICE, *values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.11, 0.1, 0.15, 0.2, 0.21], [WELL, WARNING, WARNING, WARNING, WELL]),
        ([0.05, 0.02, 0.1, 0.3], [WARNING, CRITICAL, CRITICAL, WELL]),
        ([0, 1], [CRITICAL, WELL]),
        ([-math.inf, math.inf], [CRITICAL, WELL]),
    ],
)
def test_low_values_are_bad_when_critical_lies_below_warn(values: list[float], expected: list[int]) -> None:
    assert GAS_LEFT.falls
    assert levels(GAS_LEFT, *values) == expected


@pytest.mark.parametrize(
    ("warn", "critical", "clear", "problem"),
    [
        (80, 80, 60, "critical is the same as warn"),
        (80, 200, 81, "clear is above warn"),
        (200, 80, 60, "clear is below warn"),
        (math.nan, 200, 60, "warn is not a number"),
        (80, math.inf, 60, "critical is not a number"),
        (80, 200, "60", "clear is not a number"),
        (True, 200, 60, "warn is not a number"),
    ],
)
def test_limits_that_do_not_fit_together_are_named(warn: float, critical: float, clear: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Limits(warn, critical, clear)


numbers = st.floats(-1e6, 1e6)


@given(warn=numbers, critical=numbers, margin=st.floats(0, 1e6), values=st.lists(st.floats(allow_nan=False)))
def test_a_calm_range_holds_just_the_values_that_change_nothing(
    warn: float, critical: float, margin: float, values: list[float]
) -> None:
    assume(warn != critical)
    limits = Limits(warn, critical, warn + margin if critical < warn else warn - margin)
    level = WELL
    for value in values:
        low, high = limits.calm(level)
        stays = low <= (-value if limits.falls else value) < high

        after = limits.level(value, level)

        assert stays == (after == level) or (level == CRITICAL and after == CRITICAL)
        level = after
