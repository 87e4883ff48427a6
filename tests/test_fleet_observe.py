"""One look at one strategy: a verdict in every case."""

import json

from raw_server import answering, raw, silent

from notify.backends.http import HttpClient
from notify.fleet.observe import Observation, observe
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import State
from notify.run_state import RunState
from notify.testing import FakeClock


def look(server, clock, **options) -> Observation:
    client = HttpClient()
    try:
        strategy = Strategy(id="vega", name="Vega", url=f"http://{server.authority}/vega")
        return observe(strategy, client=client, clock=clock, **options)
    finally:
        client.close()


def test_a_strategy_is_asked_for_its_status_and_judged_by_it():
    clock = FakeClock()
    body = json.dumps(RunState(clock).as_dict(), default=str).encode()
    behaviour = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with raw(behaviour) as server:
        found = look(server, clock)

    assert server.read.startswith(b"GET /vega/status HTTP/1.1")
    assert found.verdict.state is State.RUNNING
    assert found.at == clock.time()


def test_a_strategy_that_does_not_answer_is_offline_with_the_reason():
    deadline = 0.3  # seconds

    with raw(silent) as server:
        found = look(server, FakeClock(), deadline_seconds=deadline)

    assert (found.verdict.state, found.verdict.reason) == (State.OFFLINE, "no answer within 0.3 s")


def test_a_strategy_is_stale_after_the_age_that_was_asked_for():
    clock = FakeClock()
    body = json.dumps({"executor_running": True, "last_refreshed_at": clock.time() - 11}).encode()
    behaviour = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with raw(behaviour) as server:
        found = look(server, clock, max_age=10)

    assert found.verdict.state is State.STALE
