"""The facts of this run, as they are served to people and monitors."""

import sys
from collections.abc import Callable
from decimal import Decimal

from notify import diagnostics
from notify.clock import Clock, SystemClock
from notify.exceptions import Raised
from notify.interruption import came_from_a_signal
from notify.plain import class_name


class RunState:
    """What is known of this run: attributes, to be read and assigned.

        run_state.completed_cycle = 7
        run_state.update(cycles=8, frozen_positions=0)
        run_state.refresh()

    A program may add attributes of its own. A value that is a list or a dict is handed over: replace it by another
    one instead of changing it, because somebody may be reading it.

    Thread-safe without a lock, and so in signal handlers and forked children, too. `cycles += 1` is two steps, as it is
    everywhere in Python: leave a counter to one thread.

    Names and order of the first attributes, the 23 keys of `/status`, are those of trade-executor. Times are UTC epoch
    seconds.

    Args:
        clock: tells the time.
    """

    __slots__ = ("__dict__", "__weakref__", "_clock", "_crashes", "_on_fail", "_on_refresh", "_progress_at")

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._progress_at: float | None = None  # monotonic seconds
        self._crashes = 0
        # append() and remove() are one step each, and who calls the listeners goes through a copy.
        self._on_refresh: list[Callable[[], object]] = []
        self._on_fail: list[Callable[[BaseException | None], object]] = []

        # What has no slot above is a fact, and all that is in this object's __dict__.
        now = self._clock.time()
        self.executor_id: str | None = None
        self.last_refreshed_at: float = now
        self.started_at: float = now
        self.executor_running: bool = True
        self.completed_cycle: int | None = None
        self.cycles: int = 0
        self.position_trigger_checks: int = 0
        self.position_revaluations: int = 0
        self.frozen_positions: int = 0
        self.crashed_at: float | None = None
        self.exception: Raised | None = None
        self.hot_wallet_address: str | None = None
        self.hot_wallet_gas: Decimal | float | None = None
        self.hot_wallet_gas_warning_level: Decimal | float | None = None
        self.hot_wallet_gas_warning_message: str | None = None
        self.source_code: str | None = None
        self.visualisation: object = None
        self.summary_statistics: object = _no_statistics(now)
        self.market_data_feed_lag: float | None = None  # seconds
        self.version: object = {"tag": None, "commit_message": None, "commit_hash": None}
        self.read_only_state_copy: object = None
        self.chart_registry: object = None
        self.latest_indicators: object = None

    def __repr__(self) -> str:
        return f"RunState({'running' if self.executor_running else 'stopped'}, cycles={self.cycles})"

    def update(self, **fields: object) -> None:
        """Set several attributes at once: who takes a snapshot meanwhile gets all of them or none."""
        facts = vars(self)
        # What is replaced ends after the update. Its finaliser is code of the program, that would find half of it done.
        replaced = facts.copy()
        facts.update(fields)
        del replaced

    def as_dict(self) -> dict[str, object]:
        """Return a snapshot of all attributes, in their order. The values are not copied."""
        return vars(self).copy()

    def refresh(self) -> None:
        """Note that the program makes progress. Cheap (0.2 us), for trading loops."""
        self.last_refreshed_at = self._clock.time()
        self._progress_at = self._clock.monotonic()
        for listener in tuple(self._on_refresh):
            try:
                listener()
            except BaseException as error:  # noqa: BLE001 - the trading loop has nothing to do with it
                _report(error)

    def seconds_without_progress(self) -> float | None:
        """Return the seconds since the last `refresh`, None before the first. A clock that is set changes nothing."""
        progress_at = self._progress_at
        return None if progress_at is None else max(0.0, self._clock.monotonic() - progress_at)

    @property
    def crashes(self) -> int:
        """How often the program has failed since it began: more than once when it was set running again."""
        return self._crashes

    def set_fail(self, exc: BaseException | None = None) -> None:
        """Note that the program has failed and does not run any more, and tell those who listen.

        Args:
            exc: what it failed of; by default the exception that is being handled, if there is one. A failure that is
                noted once more without an exception keeps the one that is known. No frame or local variable is kept.
        """
        if exc is None:
            exc = sys.exception()
        now = self._clock.time()
        known = None if self.executor_running else self.exception
        self._crashes += 1 if self.executor_running else 0
        self.update(
            last_refreshed_at=now,
            executor_running=False,
            crashed_at=now,
            exception=known if exc is None else Raised(exc),
        )
        for listener in tuple(self._on_fail):
            try:
                listener(exc)
            except BaseException as error:  # noqa: BLE001 - who fails has trouble enough
                _report(error)

    def listen(
        self,
        *,
        refreshed: Callable[[], object] | None = None,
        failed: Callable[[BaseException | None], object] | None = None,
    ) -> Callable[[], None]:
        """Have callables called, in the thread of whoever calls `refresh` or `set_fail`.

        Args:
            refreshed: called after each `refresh`. Should be cheap.
            failed: called after each `set_fail` with its exception.

        Returns what ends that. What a listener raises is reported on stderr and goes no further.
        """
        if refreshed is not None:
            self._on_refresh.append(refreshed)
        if failed is not None:
            self._on_fail.append(failed)

        def end() -> None:
            if refreshed in self._on_refresh:
                self._on_refresh.remove(refreshed)
            if failed in self._on_fail:
                self._on_fail.remove(failed)

        return end


def _no_statistics(now: float) -> dict[str, object]:
    """Return the statistics of a strategy that has none yet: a front end needs the time and the metrics to be there."""
    return {
        "calculated_at": now,
        "launched_at": None,
        "first_trade_at": None,
        "last_trade_at": None,
        "enough_data": None,
        "current_value": None,
        "profitability_90_days": None,
        "return_all_time": None,
        "return_annualised": None,
        "compounding_unrealised_trading_profitability": None,
        "performance_chart_90_days": None,
        "share_price_returns_90_days": None,
        "nav_90_days": None,
        "key_metrics": {},
        "backtest_metrics_cut_off_period": None,
        "cycle_duration": None,
    }


def _report(error: BaseException) -> None:
    """Say that a listener raised *error*, unless a signal did: that is for the program."""
    if came_from_a_signal(error):
        raise error
    diagnostics.report("run state", f"a listener of the run state raised {class_name(error)}")
