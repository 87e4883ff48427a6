"""Observations of strategies, as tests make them up."""

from typing import Any

from notify.fleet.observe import Observation
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import State, Verdict

NOW = 1_767_225_600.0  # 2026-01-01, where a FakeClock begins


def strategy(name: str = "vega", url: str = "https://vega.example.com") -> Strategy:
    """Return a strategy whose name is its id."""
    return Strategy(id=name, name=name, url=url)


def seen(
    name: str = "vega", state: State = State.RUNNING, *, at: float = NOW, seconds: float = 0.1, **facts: Any
) -> Observation:
    """Return what was seen of the strategy with that name."""
    verdict = Verdict(state=state, **facts)
    return Observation(strategy=strategy(name), at=at, seconds=seconds, verdict=verdict)
