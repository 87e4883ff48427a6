"""What is known of every strategy at this moment, by what was seen of it last."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notify.clock import Clock
from notify.fleet.dashboard.drawing import Bar, bar, response_line
from notify.fleet.dashboard.history import History, slot_of
from notify.fleet.dashboard.text import redacted
from notify.fleet.observe import Observation
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import State, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a strategy.

    Args:
        strategy: which.
        last: what was seen last; None: nothing yet.
        facts: the last verdict for which it answered, also when it is offline since.
        since: UTC epoch seconds from which on it is in this state; None: it was before this program looked.
        bar: the last 24 hours.
        response_line: path of its response times.
    """

    strategy: Strategy
    last: Observation | None
    facts: Verdict | None
    since: float | None
    bar: Bar
    response_line: str


_NO_BAR = Bar((), None, ())


@dataclass(slots=True)
class _Place:
    last: Observation | None = None
    facts: Verdict | None = None
    since: float | None = None
    drawn_for: tuple[float, int] | None = None
    bar: Bar = _NO_BAR
    response_line: str = ""


class Board:
    """Keeps what was seen last of each strategy, and passes it on to the history. Thread-safe.

    Args:
        strategies: those that are shown.
        history: counts what was seen.
        clock: tells the time.
        redact: takes secrets out of a text: trade-executor's own server does not.
    """

    def __init__(
        self, strategies: Sequence[Strategy], history: History, *, clock: Clock, redact: Callable[[str], str]
    ) -> None:
        self._strategies = tuple(strategies)
        self._history = history
        self._clock = clock
        self._redact = redact
        self._lock = threading.Lock()
        self._places = {strategy.id: _Place() for strategy in strategies}
        self._changes = 0

    def add(self, observation: Observation) -> None:
        """Take what was seen. Never waits for a disk or a network."""
        self._history.add(observation)
        observation = redacted(observation, self._redact)
        with self._lock:
            place = self._places[observation.strategy.id]
            before = place.last
            if before is not None and before.verdict.state is not observation.verdict.state:
                place.since = observation.at
            place.last = observation
            if observation.verdict.state is not State.OFFLINE:
                place.facts = observation.verdict
            self._changes += 1

    def mark(self) -> str:
        """Return a text that is another one as soon as there is anything new to see."""
        return f"{self._changes}-{slot_of(self._clock.time())}"

    def strategy(self, name: str) -> Strategy | None:
        """Return the strategy with the id *name*, None when it is not in the list."""
        return next((strategy for strategy in self._strategies if strategy.id == name), None)

    def answers(self, strategy: Strategy) -> bool:
        """Say whether *strategy* has answered when it was looked at last."""
        last = self._places[strategy.id].last
        return last is not None and last.verdict.state is not State.OFFLINE

    def known(self, strategy: Strategy) -> Known:
        """Return what is known of *strategy*."""
        now = self._clock.time()
        with self._lock:
            place = self._places[strategy.id]
            drawn_for = (place.last.at if place.last is not None else 0.0, slot_of(now))
            if place.drawn_for != drawn_for:
                seen = self._history.last_day(strategy.id, now)
                place.bar, place.response_line, place.drawn_for = bar(seen, now), response_line(seen), drawn_for
            return Known(
                strategy=strategy,
                last=place.last,
                facts=place.facts,
                since=place.since,
                bar=place.bar,
                response_line=place.response_line,
            )

    def all(self) -> list[Known]:
        """Return what is known of every strategy, in the order of the list."""
        return list(map(self.known, self._strategies))
