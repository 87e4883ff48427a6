"""What hurt trade-executor where it is looked at from outside, each by its reference: it does not any more.

The executor fails through `notify.integrations.trade_executor`; its status is served of the notifier's run state.
"""

import datetime as dt
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from executors import Executor
from fleets import Fleet, dashboard
from http_raw import exchange, get, serving
from lanes import LONG
from raw_server import raw, silent
from wsgi import Response, basic, request

from notify.fleet.observe import Observation
from notify.fleet.outages import Fleet as Watched
from notify.fleet.outages import observed
from notify.fleet.poller import Poller
from notify.fleet.strategies import Strategy, parse_strategies
from notify.fleet.verdict import State, judge
from notify.integrations import trade_executor
from notify.status import make_app

AT_ONCE = 1.0  # seconds; to copy what is served here would take many


@pytest.fixture
def app(executor: Executor) -> Any:
    """The status of an executor that is set up, for those with a password."""
    executor.begin()
    ring = trade_executor.get_ring_buffer_handler()
    assert ring is not None
    return make_app(executor.notifier.run_state, logs=ring.export, public_logs=True, stats=executor.notifier.stats)


def fail(executor: Executor, exception: BaseException) -> None:
    try:
        raise exception
    except BaseException:
        trade_executor.set_fail()


def status(app: Any) -> Any:
    answer: Response = request(app, "/status")
    assert answer.status == 200
    return answer.json  # strict: no NaN


# ---- after a crash


def test_issue_87_a_loop_that_fails_leaves_its_status_and_says_why(executor, app):
    with serving(app) as server:
        fail(executor, RuntimeError("Big bada boom"))
        said = get(server.port, "/status")

    assert said.status == 200
    assert said.json["executor_running"] is False
    assert said.json["exception"]["exception_message"] == "Big bada boom"
    assert said.json["exception"]["tb_frame"]["f_code"]["co_filename"] == __file__
    assert said.json["crashed_at"] == said.json["last_refreshed_at"]


def test_found_here_the_status_names_the_root_cause_of_a_wrapped_exception(executor, app):
    wrapped = RuntimeError("one of the scheduled tasks failed")
    wrapped.__cause__ = ZeroDivisionError("no liquidity")

    fail(executor, wrapped)

    assert "no liquidity" in status(app)["exception"]["exception_message"]


def test_commit_ed74c8a7_that_it_has_crashed_is_503_for_monitors_and_no_exception_of_ours(executor, app):
    fail(executor, RuntimeError("Big bada boom"))
    titles = executor.titles

    health = request(app, "/healthz")

    assert (health.status, health.json["status"]) == (503, "crashed")
    assert request(app, "/chart-registry").status == 404  # the executor's own, and not there: not 401
    assert executor.titles == titles  # nobody is told of who asks


# ---- what is served


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "value", [Odd(), object(), {"a": Odd()}, logging.getLogger("odd")], ids=["odd", "object", "inside", "logger"]
)
def test_pr_738_a_state_that_cannot_be_serialised_is_no_error(executor, app, value):
    executor.notifier.run_state.summary_statistics = {"calculated_at": 1.0, "key_metrics": {}, "odd": value}

    assert status(app)["summary_statistics"]["calculated_at"] == 1.0


def test_pr_999_the_status_copies_no_state(executor, app):
    positions = {number: {"trades": list(range(100))} for number in range(50_000)}  # 5 million numbers
    executor.notifier.run_state.read_only_state_copy = positions

    began = time.monotonic()
    served = status(app)

    assert time.monotonic() - began < AT_ONCE
    assert served["read_only_state_copy"] is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), dt.timedelta(seconds=90)], ids=str)
def test_commit_cd877afd_no_number_makes_the_status_unreadable(executor, app, number):
    executor.notifier.run_state.summary_statistics = {"key_metrics": {"sharpe": number}, "curve": (1.0, number)}

    served = status(app)["summary_statistics"]

    expected = 90.0 if isinstance(number, dt.timedelta) else None
    assert (served["key_metrics"]["sharpe"], served["curve"]) == (expected, [1.0, expected])


@pytest.mark.parametrize(
    "moment", [dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], ids=["naive", "UTC"]
)
def test_commit_2d27e5be_a_time_is_utc_epoch_seconds_wherever_the_machine_stands(executor, app, moment, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        executor.notifier.run_state.summary_statistics = {"first_trade_at": moment}
        served = status(app)["summary_statistics"]["first_trade_at"]
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()

    assert served == 1_767_225_600.0  # 2026-01-01T00:00Z; upstream's /metadata said 1767243600


def test_commit_739bea21_a_path_that_is_no_utf_8_is_answered(executor, app):
    with serving(app) as server:
        said = exchange(server.port, b"GET /\xff\xfe%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert said.split(b" ", 2)[1] in (b"404", b"400")
    assert executor.titles == []


def test_commit_16db9e82_requests_are_not_logged_where_the_public_reads(executor, app):
    before = len(trade_executor.get_ring_buffer_handler().export())

    with serving(app) as server:
        get(server.port, "/nothing", "CF-Connecting-IP: 192.0.2.7")
        get(server.port, "/status")

    assert len(trade_executor.get_ring_buffer_handler().export()) == before


def test_pr_555_the_log_that_is_served_is_that_of_the_ring_buffer_with_its_seven_keys(executor, app):
    executor.loop.trade("Bought ETH")

    record = request(app, "/logs").json[-1]

    assert (record["message"], record["level"], record["level_number"]) == ("Bought ETH", "trade", 21)
    assert len(record) == 7


# ---- who may see it


def test_found_here_a_password_is_asked_for_and_ping_is_open(executor):
    executor.begin()
    app = make_app(executor.notifier.run_state, username="operator", password="c4nary-password")

    refused = request(app, "/status")

    assert refused.status == 401  # upstream: 403, and no challenge
    assert "Basic" in refused.headers["WWW-Authenticate"]
    assert request(app, "/ping").json == {"ping": "pong"}
    assert request(app, "/status", HTTP_AUTHORIZATION=basic("operator", "c4nary-password")).status == 200


def test_found_here_a_defect_is_500_and_tells_nobody_what_it_was(executor, app, monkeypatch, capfd):
    monkeypatch.setattr(type(executor.notifier.run_state), "as_dict", lambda self: 1 / 0)

    answer = request(app, "/status")

    assert answer.status == 500  # upstream: 401, with the text of the exception
    assert b"ZeroDivisionError" not in answer.body


# ---- many strategies


@contextmanager
def polled(entries: list[object]) -> Iterator[dict[str, Any]]:
    """Look once at each strategy of a list, and yield what was seen, by id."""
    found = parse_strategies(json.dumps(entries)).strategies
    seen: dict[str, Any] = {}
    poller = Poller(
        found, interval=60.0, on_observation=lambda each: seen.update({each.strategy.id: each}), deadline_seconds=2.0
    )
    poller.start()
    until = time.monotonic() + LONG
    while len(seen) < len(found) and time.monotonic() < until:
        time.sleep(0.01)
    poller.close()
    yield seen


def test_frontend_393_one_strategy_with_incomplete_data_costs_no_other(executor, app):
    with serving(app) as server, serving(lambda environ, start: start("200 OK", []) or [b'{"odd": [']) as odd:
        entries = [{"id": "odd", "name": "Odd", "url": odd.url}, {"id": "gold", "name": "Gold", "url": server.url}, 7]
        with polled(entries) as seen:
            pass

    assert seen["gold"].verdict.state is State.RUNNING
    assert seen["odd"].verdict.state is not State.RUNNING


def test_frontend_602_a_strategy_that_hangs_delays_no_other(executor, app):
    with serving(app) as server, raw(silent) as hanging:
        entries = [{"id": f"hanging{n}", "name": "H", "url": f"http://{hanging.authority}/{n}"} for n in range(5)]
        began = time.monotonic()
        with polled([*entries, {"id": "gold", "name": "Gold", "url": server.url}]) as seen:
            took = time.monotonic() - began

    assert seen["gold"].verdict.state is State.RUNNING
    assert seen["gold"].seconds < AT_ONCE
    assert took < 5 * 2.0  # one after the other they would take their deadline of 2 s each


def test_frontend_557_the_time_of_a_crash_is_shown_as_it_is_and_how_long_ago(executor, app):
    fleet = Fleet()
    member = fleet.add("gold")
    try:
        raise RuntimeError("Big bada boom")
    except RuntimeError as error:
        member.state.set_fail(error)
    crashed = time.strftime("%Y-%m-%d %H:%M", time.gmtime(member.state.crashed_at))
    try:
        with dashboard(fleet) as server:
            until = time.monotonic() + LONG
            while b"Big bada boom" not in (page := get(server.port, "/strategies/gold").body):
                assert time.monotonic() < until, page
                time.sleep(0.05)
    finally:
        fleet.close()

    text = page.decode()
    assert crashed in text
    assert " ago" in text


def test_issue_995_a_crash_is_told_again_until_somebody_has_seen_to_it(executor, app, clock):
    fail(executor, RuntimeError("Big bada boom"))
    crashed = judge(status(app), now=time.time(), max_age=3600.0)
    gold = Strategy(id="gold", name="Gold", url="http://gold.example")
    watched, told = Watched(), []

    for _ in range(3 * 60):  # looks, one a minute
        seen = Observation(strategy=gold, at=clock.time(), seconds=0.1, verdict=crashed)
        watched, said = observed(watched, seen, intervals={"gold": 60.0})
        told += [each.message for each in said]
        clock.advance(60.0)

    assert told[0] == "Gold has crashed: Big bada boom"
    assert len(told) == 3  # at once, and after one hour and two, though three are not over
    assert all("Down for" in each for each in told[1:])
