"""The facts of a run: their names and defaults, snapshots, progress, failures and who listens."""

import gc
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from notify.exceptions import Raised
from notify.run_state import RunState
from notify.testing import FakeClock

NOW = 1_767_225_600.0  # where a FakeClock begins

# The keys of /status, in the order of trade-executor's.
KEYS = [
    "executor_id",
    "last_refreshed_at",
    "started_at",
    "executor_running",
    "completed_cycle",
    "cycles",
    "position_trigger_checks",
    "position_revaluations",
    "frozen_positions",
    "crashed_at",
    "exception",
    "hot_wallet_address",
    "hot_wallet_gas",
    "hot_wallet_gas_warning_level",
    "hot_wallet_gas_warning_message",
    "source_code",
    "visualisation",
    "summary_statistics",
    "market_data_feed_lag",
    "version",
    "read_only_state_copy",
    "chart_registry",
    "latest_indicators",
]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def state(clock: FakeClock) -> RunState:
    return RunState(clock)


@contextmanager
def switching_threads_all_the_time() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


# ---- facts


def test_the_facts_are_the_keys_of_status_in_their_order(state: RunState) -> None:
    assert list(state.as_dict()) == KEYS


def test_a_run_that_has_just_begun_runs_and_has_done_nothing(state: RunState) -> None:
    facts = state.as_dict()

    assert facts["executor_running"] is True
    assert facts["started_at"] == facts["last_refreshed_at"] == NOW
    assert facts["completed_cycle"] is None  # not 0, which is a cycle
    counts = ["cycles", "position_trigger_checks", "position_revaluations", "frozen_positions"]
    assert [facts[name] for name in counts] == [0, 0, 0, 0]
    assert facts["version"] == {"tag": None, "commit_message": None, "commit_hash": None}
    others = set(KEYS) - {"executor_running", "started_at", "last_refreshed_at", *counts}
    assert {name for name in others if facts[name] is not None} == {"version", "summary_statistics"}


def test_the_statistics_of_a_strategy_without_any_have_what_a_front_end_asks_for(state: RunState) -> None:
    statistics = state.as_dict()["summary_statistics"]

    assert isinstance(statistics, dict)
    assert statistics["calculated_at"] == NOW
    assert statistics["key_metrics"] == {}
    assert len(statistics) == 16  # of which all others are None
    assert [name for name, value in statistics.items() if value is not None] == ["calculated_at", "key_metrics"]


def test_two_run_states_share_nothing(clock: FakeClock) -> None:
    one, other = RunState(clock).as_dict(), RunState(clock).as_dict()

    assert one["version"] is not other["version"]
    assert one["summary_statistics"] is not other["summary_statistics"]


def test_what_is_assigned_and_what_is_updated_are_read_and_served(state: RunState) -> None:
    state.completed_cycle = 7
    state.update(cycles=8, hot_wallet_address="0xabc")

    assert (state.completed_cycle, state.cycles, state.hot_wallet_address) == (7, 8, "0xabc")
    facts = state.as_dict()
    assert (facts["completed_cycle"], facts["cycles"], facts["hot_wallet_address"]) == (7, 8, "0xabc")
    assert list(facts) == KEYS


def test_a_program_may_add_facts_of_its_own(state: RunState) -> None:
    state.update(open_positions=3)
    state.mood = "calm"  # type: ignore[attr-defined]  # the point

    assert list(state.as_dict().items())[len(KEYS) :] == [("open_positions", 3), ("mood", "calm")]


def test_a_snapshot_stays_as_it_is(state: RunState) -> None:
    before = state.as_dict()

    state.cycles = 1
    before["cycles"] = 5

    assert before["cycles"] == 5
    assert state.cycles == 1


def test_a_snapshot_has_all_of_an_update_or_none(state: RunState) -> None:
    names = [f"fact{number}" for number in range(200)]  # so many that another thread would find half of them
    state.update(**dict.fromkeys(names, 0))
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            state.update(**dict.fromkeys(names, number))

    writer = threading.Thread(target=write)
    with switching_threads_all_the_time():
        writer.start()
        snapshots = [{state_of[name] for name in names} for state_of in (state.as_dict() for _ in range(2000))]
        done.set()
        writer.join()

    assert [numbers for numbers in snapshots if len(numbers) > 1] == []
    assert len(set.union(*snapshots)) > 1, "nothing was written meanwhile"


def test_code_that_runs_when_an_old_value_ends_finds_the_whole_update(state: RunState) -> None:
    seen: list[tuple[object, object]] = []

    class Old:
        def __del__(self) -> None:
            facts = state.as_dict()
            seen.append((facts["one"], facts["other"]))

    state.update(one=Old(), other=Old())

    state.update(one=1, other=1)

    assert seen == [(1, 1), (1, 1)]


def test_signal_handlers_may_do_all_that_the_program_does(state: RunState) -> None:
    handled = 0

    def handle(signum: int, frame: object) -> None:
        nonlocal handled
        handled += 1
        state.refresh()
        number = handled  # another signal may come meanwhile
        state.update(one=number, other=number)

    state.listen(refreshed=lambda: None)
    state.update(one=0, other=0)
    before = signal.signal(signal.SIGALRM, handle)
    give_up = time.monotonic() + 30
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        while handled < 200 and time.monotonic() < give_up:
            state.refresh()
            state.update(cycles=handled)
            state.listen(refreshed=lambda: None)()
            facts = state.as_dict()
            assert facts["one"] == facts["other"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert handled >= 200


def test_its_repr_tells_no_more_than_that_it_runs_and_how_far_it_is(state: RunState) -> None:
    state.update(cycles=3, password="secret-of-the-host")

    assert repr(state) == "RunState(running, cycles=3)"


# ---- progress


def test_before_the_first_refresh_there_is_no_progress_to_be_without(state: RunState, clock: FakeClock) -> None:
    clock.advance(1000)

    assert state.seconds_without_progress() is None


def test_a_refresh_is_progress(state: RunState, clock: FakeClock) -> None:
    clock.advance(10)
    state.refresh()
    assert state.last_refreshed_at == NOW + 10

    clock.advance(5)

    assert state.seconds_without_progress() == 5
    assert state.started_at == NOW


def test_a_clock_that_is_set_changes_nothing_about_progress() -> None:
    class Set(FakeClock):
        ahead = 0.0

        def time(self) -> float:
            return super().time() + self.ahead

    clock = Set()
    state = RunState(clock)
    state.refresh()
    clock.ahead = -86_400.0  # a day back
    clock.advance(3)

    assert state.seconds_without_progress() == 3


def test_without_a_clock_the_real_time_counts() -> None:
    before = time.time()

    state = RunState()
    state.refresh()

    assert before <= state.started_at <= state.last_refreshed_at <= time.time()
    without_progress = state.seconds_without_progress()
    assert without_progress is not None
    assert 0 <= without_progress < 60  # far more than two lines take


# ---- failures


def test_a_failure_in_an_except_block_is_that_of_the_exception_being_handled(state: RunState, clock: FakeClock) -> None:
    clock.advance(10)
    try:
        raise ValueError("no price")
    except ValueError:
        state.set_fail()

    assert (state.executor_running, state.crashed_at, state.last_refreshed_at) == (False, NOW + 10, NOW + 10)
    assert state.exception is not None
    outline = state.exception.outline()
    assert (outline.type, outline.message) == ("ValueError", "no price")
    assert [frame[2] for frame in outline.frames] == [
        "test_a_failure_in_an_except_block_is_that_of_the_exception_being_handled"
    ]


def test_a_failure_outside_an_except_block_needs_neither_an_exception_nor_a_traceback(state: RunState) -> None:
    state.set_fail()

    assert state.executor_running is False
    assert state.crashed_at == NOW
    assert state.exception is None

    state.set_fail(ValueError("never raised"))

    assert state.exception is not None
    assert state.exception.outline().message == "never raised"
    assert state.exception.outline().frames == ()


def test_a_failure_that_is_noted_twice_keeps_the_exception_that_is_known(state: RunState) -> None:
    state.set_fail(ValueError("no price"))
    state.set_fail()

    assert state.exception is not None
    assert state.exception.outline().message == "no price"


def test_a_new_failure_after_the_program_ran_again_has_nothing_of_the_one_before(state: RunState) -> None:
    state.set_fail(ValueError("no price"))
    state.executor_running = True
    state.set_fail()

    assert state.exception is None


def test_a_failure_counts_as_no_progress(state: RunState, clock: FakeClock) -> None:
    state.refresh()
    clock.advance(5)
    state.set_fail()

    assert state.seconds_without_progress() == 5


def test_a_failure_keeps_no_local_variable_alive(state: RunState) -> None:
    class Portfolio:
        pass

    kept: list[weakref.ref[Portfolio]] = []

    def trade() -> None:
        portfolio = Portfolio()
        kept.append(weakref.ref(portfolio))
        raise ValueError("no price")

    try:
        trade()
    except ValueError as error:
        state.set_fail(error)
    gc.collect()

    assert isinstance(state.exception, Raised)
    assert kept[0]() is None


def test_an_exception_that_cannot_be_shown_is_no_obstacle(state: RunState) -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise SystemExit(3)

    state.set_fail(Hostile())

    assert state.exception is not None
    assert state.exception.outline().message == "<unprintable Hostile: SystemExit>"


def test_crashes_are_counted_and_what_is_said_of_one_twice_is_one(state: RunState) -> None:
    assert state.crashes == 0
    state.set_fail(ValueError())
    state.set_fail()
    assert state.crashes == 1

    state.executor_running = True
    state.set_fail(ValueError())

    assert state.crashes == 2
    assert "crashes" not in state.as_dict()


# ---- listeners


def test_listeners_hear_of_each_refresh_and_each_failure_until_they_end(state: RunState) -> None:
    heard: list[object] = []
    error = ValueError("no price")
    end = state.listen(refreshed=lambda: heard.append("refreshed"), failed=heard.append)

    state.refresh()
    state.set_fail(error)
    state.set_fail()
    assert heard == ["refreshed", error, None]

    end()
    end()  # once more does nothing
    state.refresh()
    state.set_fail()
    assert len(heard) == 3


def test_a_listener_finds_what_it_is_told_of(state: RunState, clock: FakeClock) -> None:
    seen: list[object] = []
    state.listen(
        refreshed=lambda: seen.append((state.last_refreshed_at, state.seconds_without_progress())),
        failed=lambda _: seen.append((state.executor_running, state.crashed_at)),
    )
    clock.advance(1)

    state.refresh()
    state.set_fail()

    assert seen == [(NOW + 1, 0), (False, NOW + 1)]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, GeneratorExit])
def test_what_a_listener_raises_is_reported_and_reaches_neither_the_program_nor_the_next_listener(
    state: RunState, kind: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []

    def fails(*_: object) -> None:
        raise kind("of-the-listener")

    state.listen(refreshed=fails, failed=fails)
    state.listen(refreshed=lambda: heard.append("refreshed"), failed=lambda _: heard.append("failed"))

    state.refresh()
    state.set_fail()

    assert heard == ["refreshed", "failed"]
    # One line per kind and ten seconds, without the text, which may have anything in it.
    assert capfd.readouterr().err == f"notify: a listener of the run state raised {kind.__name__}\n"


def test_what_a_signal_raises_in_a_listener_reaches_the_program(state: RunState) -> None:
    state.listen(refreshed=lambda: signal.raise_signal(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        state.refresh()


def test_a_listener_may_end_itself_without_making_another_one_miss_its_turn(state: RunState) -> None:
    heard: list[str] = []
    ends = []

    def once() -> None:
        ends[0]()

    ends.append(state.listen(refreshed=once))
    state.listen(refreshed=lambda: heard.append("refreshed"))

    state.refresh()

    assert heard == ["refreshed"]
