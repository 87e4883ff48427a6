"""Every strategy is looked at, on time, whatever the others do."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_server import answering, raw, silent

from notify import threads
from notify.fleet import poller as poller_module
from notify.fleet.observe import Observation
from notify.fleet.poller import Poller
from notify.fleet.schedule import Schedule
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import State, Verdict
from notify.testing import FakeClock

PATIENCE = 30.0  # seconds that a thread may take to do what it is about to
INTERVAL = 30.0


class Looks:
    """Stands in for `observe`, and tells who was looked at and when. A look at who is held lasts until it is let go."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.begun: list[tuple[str, float]] = []
        self.seen: list[Observation] = []
        self.held: set[str] = set()
        self.at_once: dict[str, int] = {}
        self.most_at_once = 0
        self.ended = 0
        self.raises: BaseException | None = None

    def observe(self, strategy: Strategy, *, clock: FakeClock, **options: Any) -> Observation:
        with self.changed:
            self.begun.append((strategy.id, clock.monotonic()))
            self.at_once[strategy.id] = self.at_once.get(strategy.id, 0) + 1
            self.most_at_once = max(self.most_at_once, self.at_once[strategy.id])
            self.changed.notify_all()
            self.changed.wait_for(lambda: strategy.id not in self.held)
            self.at_once[strategy.id] -= 1
        return Observation(strategy=strategy, at=clock.time(), seconds=0.0, verdict=Verdict(state=State.RUNNING))

    def end(self) -> None:
        with self.changed:
            self.ended += 1
            self.changed.notify_all()

    def take(self, observation: Observation) -> None:
        with self.changed:
            self.seen.append(observation)
            self.changed.notify_all()
        if self.raises is not None:
            raise self.raises

    def let_go(self) -> None:
        with self.changed:
            self.held.clear()
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"{self.begun[:20]}, {len(self.seen)} seen"

    def of(self, name: str) -> list[float]:
        return [at for each, at in self.begun if each == name]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    looks = Looks()

    class Noting(Schedule):
        def back(self, member: int, now: float) -> None:
            super().back(member, now)
            looks.end()  # the next turn is known from here on

    monkeypatch.setattr(poller_module, "observe", looks.observe)
    monkeypatch.setattr(poller_module, "Schedule", Noting)
    yield looks
    looks.let_go()


def fleet(*names: str, **intervals: float) -> list[Strategy]:
    return [
        Strategy(id=name, name=name, url=f"http://127.0.0.1:9/{name}", interval=intervals.get(name)) for name in names
    ]


def polling(looks: Looks, clock: FakeClock, strategies: list[Strategy]) -> Poller:
    poller = Poller(strategies, interval=INTERVAL, on_observation=looks.take, clock=clock)
    poller.start()
    return poller


def turn(looks: Looks, clock: FakeClock, at: float) -> str:
    """Let time pass until *at*, when one look begins and ends, and return at whom."""
    ended = looks.ended
    clock.advance(at - clock.monotonic())
    looks.wait_for(lambda: looks.ended == ended + 1)
    return looks.begun[-1][0]


def test_every_strategy_is_looked_at_at_its_own_interval(looks: Looks, clock: FakeClock) -> None:
    poller = polling(looks, clock, fleet("vega", "sirius", sirius=10.0))

    seen = [turn(looks, clock, at) for at in (0, 0.05, 10.05, 20.05, 30, 30.05, 40.05)]
    poller.close()

    assert seen == ["vega", "sirius", "sirius", "sirius", "vega", "sirius", "sirius"]


def test_a_look_that_hangs_delays_no_other(looks: Looks, clock: FakeClock) -> None:
    looks.held = {"slow"}
    poller = polling(looks, clock, fleet("slow", "vega"))
    looks.wait_for(lambda: looks.of("slow") == [0])

    seen = [turn(looks, clock, at) for at in (0.05, 30.05, 60.05)]

    assert seen == ["vega", "vega", "vega"]
    looks.let_go()
    poller.close()


def test_no_strategy_is_looked_at_twice_at_the_same_time(looks: Looks, clock: FakeClock) -> None:
    looks.held = {"slow"}
    poller = polling(looks, clock, fleet("slow", "vega", slow=1.0, vega=1.0))
    looks.wait_for(lambda: looks.of("slow") == [0])
    for at in (0.05, 1.05, 2.05):
        turn(looks, clock, at)

    looks.let_go()
    looks.wait_for(lambda: looks.ended == 4)

    assert turn(looks, clock, 3) == "slow"
    assert looks.of("slow") == [0, 3]  # and the turns that came meanwhile are not made up for
    assert looks.most_at_once == 1
    poller.close()


def test_workers_are_started_as_they_are_needed(looks: Looks, clock: FakeClock) -> None:
    names = [f"strategy-{number}" for number in range(10)]
    before = set(threading.enumerate())
    poller = polling(looks, clock, fleet(*names))
    for round_ in (0, 1):
        for number in range(10):
            turn(looks, clock, round_ * INTERVAL + number * 0.05)

    assert len(set(threading.enumerate()) - before) == 2  # one that hands out, and one that looks

    looks.held = set(names)
    clock.advance(INTERVAL)
    looks.wait_for(lambda: sum(looks.at_once.values()) == 10)
    assert len(set(threading.enumerate()) - before) == 11
    looks.let_go()
    poller.close()


def test_when_all_workers_hang_the_others_wait_for_the_first_that_is_free(
    looks: Looks, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "MAX_WORKERS", 2)
    looks.held = {"a", "b"}
    poller = polling(looks, clock, fleet("a", "b", "c", "d"))
    clock.advance(1.0)
    looks.wait_for(lambda: len(looks.begun) == 2)

    looks.let_go()
    looks.wait_for(lambda: len(looks.seen) == 4)
    poller.close()

    assert [name for name, _ in looks.begun[2:]] == ["c", "d"]


@pytest.mark.parametrize("error", [ValueError("Boom"), SystemExit(3)])
def test_what_a_listener_raises_is_reported_and_changes_nothing(
    looks: Looks, clock: FakeClock, error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    looks.raises = error
    poller = polling(looks, clock, fleet("vega"))
    turn(looks, clock, 0)
    turn(looks, clock, INTERVAL)
    poller.close()

    assert len(looks.seen) == 2

    said = f"notify: a look at a strategy came to nothing: {type(error).__name__}\n"
    assert capfd.readouterr().err == said  # within ten seconds of real time once


def test_nothing_is_observed_after_the_end(looks: Looks, clock: FakeClock) -> None:
    poller = polling(looks, clock, fleet("vega"))
    looks.wait_for(lambda: len(looks.seen) == 1)

    poller.close()
    clock.advance(10 * INTERVAL)

    assert len(looks.seen) == 1


def test_the_end_does_not_wait_for_a_look_that_hangs_and_its_outcome_is_told_to_nobody(
    looks: Looks, clock: FakeClock
) -> None:
    looks.held = {"slow"}
    poller = polling(looks, clock, fleet("slow"))
    looks.wait_for(lambda: len(looks.begun) == 1)

    poller.close(timeout=0.05)
    looks.let_go()
    poller.close()

    assert looks.seen == []


def test_it_may_be_closed_by_who_listens(looks: Looks, clock: FakeClock) -> None:
    closed = threading.Event()

    def close(_: Observation) -> None:
        poller.close()
        closed.set()

    poller = Poller(fleet("vega"), interval=INTERVAL, on_observation=close, clock=clock)
    poller.start()

    assert closed.wait(PATIENCE)


def test_starting_and_closing_twice_and_in_any_order_is_fine(looks: Looks, clock: FakeClock) -> None:
    poller = polling(looks, clock, fleet("vega"))
    poller.start()
    looks.wait_for(lambda: len(looks.seen) == 1)
    poller.close()
    poller.close()
    poller.start()

    never_started = Poller(fleet("vega"), interval=INTERVAL, on_observation=looks.take, clock=clock)
    never_started.close()
    never_started.start()

    assert len(looks.begun) == 1


def test_no_strategies_at_all_are_fine(looks: Looks, clock: FakeClock) -> None:
    poller = polling(looks, clock, [])

    poller.close()

    assert looks.begun == []


def test_a_thread_that_the_system_refuses_is_tried_again(
    looks: Looks, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start = threads.start
    refused = threading.Event()

    def refusing(name: str, target: Callable[[], None]) -> threading.Thread:
        if name == "look" and not refused.is_set():
            refused.set()
            raise RuntimeError("can't start new thread")
        return start(name, target)

    monkeypatch.setattr(poller_module.threads, "start", refusing)
    poller = polling(looks, clock, fleet("vega", "sirius"))
    assert refused.wait(PATIENCE)
    clock.advance(1.0)  # and both are due

    looks.wait_for(lambda: len(looks.seen) == 2)
    poller.close()

    assert capfd.readouterr().err == (
        "notify: a thread to look at strategies could not be started: can't start new thread\n"
    )


# ---- with real servers


def looked_at(strategies: list[Strategy], **options: Any) -> dict[str, Observation]:
    """Look at each strategy once."""
    seen: dict[str, Observation] = {}
    changed = threading.Condition()

    def take(observation: Observation) -> None:
        with changed:
            seen[observation.strategy.id] = observation
            changed.notify_all()

    poller = Poller(strategies, interval=60.0, on_observation=take, **options)
    poller.start()
    with changed:
        assert changed.wait_for(lambda: len(seen) == len(strategies), PATIENCE), seen
    poller.close()
    return seen


def test_strategies_that_answer_and_that_do_not_are_told_apart() -> None:
    body = json.dumps({"executor_running": False}).encode()
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    with raw(answer) as crashed, raw(silent) as hanging:
        strategies = [
            Strategy(id="hanging", name="Hanging", url=f"http://{hanging.authority}"),
            Strategy(id="crashed", name="Crashed", url=f"http://{crashed.authority}"),
        ]
        seen = looked_at(strategies, deadline_seconds=1.0)

    assert seen["crashed"].verdict.state is State.CRASHED
    assert (seen["hanging"].verdict.state, seen["hanging"].verdict.reason) == (State.OFFLINE, "no answer within 1 s")


def test_name_lookups_that_hang_are_held_against_no_other_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup, let = socket.getaddrinfo, threading.Event()

    def hanging(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "hangs.example":
            let.wait()
        return lookup(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    monkeypatch.setattr(poller_module, "MAX_WORKERS", 1)  # all of them one after the other, by the same worker
    body = json.dumps({"executor_running": False}).encode()
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    # A client gives up when four of its lookups hang.
    strategies = [Strategy(id=str(number), name="", url="http://hangs.example") for number in range(5)]
    with raw(answer) as server:
        vega = Strategy(id="vega", name="Vega", url=f"http://{server.authority}")
        seen = looked_at([*strategies, vega], deadline_seconds=1.0)
        let.set()

    assert seen["vega"].verdict.state is State.CRASHED
    assert seen["0"].verdict.reason == "no answer within 1 s"


def test_a_strategy_that_answers_a_huge_number_is_judged_all_the_same() -> None:
    body = b'{"executor_running": false, "last_refreshed_at": 1' + b"0" * 400 + b"}"  # is no float any more
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    with raw(answer) as server:
        seen = looked_at([Strategy(id="vega", name="Vega", url=f"http://{server.authority}")])

    assert seen["vega"].verdict.state is State.CRASHED


def test_a_defect_in_a_look_leaves_nobody_unwatched(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def defective(*_: Any, **__: Any) -> Observation:
        raise ZeroDivisionError("hunter22")

    monkeypatch.setattr(poller_module, "observe", defective)
    seen = looked_at(fleet("vega"))

    assert (seen["vega"].verdict.state, seen["vega"].verdict.reason) == (
        State.OFFLINE,
        "its answer could not be judged",
    )
    assert capfd.readouterr().err == "notify: what a strategy answered could not be judged: ZeroDivisionError\n"
