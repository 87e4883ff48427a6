"""How a strategy is, by what its status says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.fleet.verdict import Concern, State, Verdict, judge
from notify.run_state import RunState
from notify.testing import FakeClock

NOW = 1_700_000_000.0


def status(**said: object) -> dict[str, object]:
    return {"executor_running": True, "last_refreshed_at": NOW - 10, **said}


def verdict(**said: object) -> Verdict:
    return judge(status(**said), now=NOW)


def test_who_makes_progress_runs() -> None:
    found = verdict(started_at=NOW - 99, cycles=7, version={"tag": "v3"})

    assert found == Verdict(
        state=State.RUNNING, started_at=NOW - 99, last_refreshed_at=NOW - 10, cycles=7, version="v3"
    )


def test_the_facts_of_a_run_are_read_as_our_own_run_state_has_them() -> None:
    clock = FakeClock()
    state = RunState(clock)
    state.update(cycles=3, frozen_positions=1)

    found = judge(state.as_dict(), now=clock.time())

    assert (found.state, found.cycles, found.warnings) == (State.RUNNING, 3, ("1 frozen position",))


@pytest.mark.parametrize(("age", "state"), [(3600, State.RUNNING), (3601, State.STALE)])
def test_who_makes_no_progress_for_longer_than_the_limit_is_stale(age: int, state: State) -> None:
    found = verdict(last_refreshed_at=int(NOW) - age)

    assert found.state is state


def test_a_stale_strategy_says_for_how_long() -> None:
    assert verdict(last_refreshed_at=NOW - 7300).reason == "no progress for 2 h 1 min"


def test_a_clock_that_is_ahead_is_no_lack_of_progress() -> None:
    assert verdict(last_refreshed_at=NOW + 86_400).state is State.RUNNING


@pytest.mark.parametrize("value", [None, "yesterday", float("nan"), -1, 0, True, 1e300, [], {}])
def test_who_does_not_say_when_it_made_progress_is_stale(value: object) -> None:
    found = verdict(last_refreshed_at=value)

    assert (found.state, found.reason) == (State.STALE, "it does not say when it made progress last")


def test_a_crash_is_worse_than_no_progress_and_has_its_message() -> None:
    exception = {"tb_frame": {}, "tb_lineno": 3, "tb_next": None, "exception_message": "Boom\nand more"}

    found = verdict(executor_running=False, last_refreshed_at=1.0, crashed_at=NOW - 60, exception=exception)

    assert (found.state, found.reason, found.crashed_at) == (State.CRASHED, "Boom and more", NOW - 60)


@pytest.mark.parametrize("exception", [None, {}, {"exception_message": ""}, {"exception_message": 7}, "Boom", []])
def test_a_crash_without_a_message_says_so(exception: object) -> None:
    found = verdict(executor_running=False, exception=exception)

    assert found.reason == "it does not say why it stopped"


@pytest.mark.parametrize(("said", "name"), [("vega", "vega"), (" a\nb ", "a b"), ("", None), (None, None), (7, None)])
def test_what_a_strategy_calls_itself_is_known_when_it_is_a_name(said: object, name: str | None) -> None:
    assert verdict(executor_id=said).executor_id == name


def test_frozen_positions_and_low_gas_are_warnings_of_a_strategy_that_runs() -> None:
    found = verdict(frozen_positions=2, hot_wallet_gas_warning_message="0.1 ETH left,\nbelow 0.5")

    assert found.state is State.RUNNING
    assert found.warnings == ("2 frozen positions", "low gas: 0.1 ETH left, below 0.5")
    assert found.concerns == (Concern.FROZEN, Concern.GAS)


@pytest.mark.parametrize("said", [None, {}, [], "ok", 1, {"executor_running": "yes"}, {"status": "ok"}])
def test_what_is_no_status_of_an_executor_is_no_answer(said: object) -> None:
    found = judge(said, now=NOW)

    assert (found.state, found.reason) == (State.OFFLINE, "the answer is JSON, but no status of an executor")
    assert found.misconfigured


def test_what_a_strategy_says_is_bounded_and_one_line() -> None:
    found = verdict(executor_running=False, exception={"exception_message": "word\n" * 10_000})

    assert len(found.reason) <= 500
    assert "\n" not in found.reason


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(sorted(RunState().as_dict())), anything))
def test_whatever_is_said_there_is_a_verdict(said: dict[str, object]) -> None:
    found = judge(said, now=NOW)

    assert found.state in State
    assert (found.reason == "") == (found.state is State.RUNNING)
    assert len(found.concerns) == len(found.warnings)


HUGE = 10**400  # is no float any more: whatever makes one of it raises OverflowError


@pytest.mark.parametrize("key", ["last_refreshed_at", "started_at", "crashed_at", "cycles", "frozen_positions"])
@pytest.mark.parametrize(
    "number",
    [HUGE, -HUGE, float("inf"), float("-inf"), float("nan")],
    ids=["huge", "-huge", "inf", "-inf", "nan"],
)
def test_a_number_that_is_no_time_and_no_count_hides_no_crash(key: str, number: float) -> None:
    found = verdict(executor_running=False, exception={"exception_message": "Boom"}, **{key: number})

    assert (found.state, found.reason) == (State.CRASHED, "Boom")
    assert (found.started_at, found.crashed_at, found.cycles, found.warnings) == (None, None, None, ())
