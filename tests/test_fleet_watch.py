"""From what is seen to what is said through a notifier, and what the watch keeps and tells of itself."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from notify.backends.memory import MemoryBackend
from notify.fleet import watch as watch_module
from notify.fleet.observe import Observation
from notify.fleet.strategies import Strategies, Strategy
from notify.fleet.verdict import State, Verdict
from notify.fleet.watch import Watch
from notify.fleet.watch_file import WatchFile
from notify.notifier import Notifier
from notify.testing import FakeClock

VEGA = Strategy(id="vega", name="Vega", url="https://vega.example.com")
SIRIUS = Strategy(id="sirius", name="Sirius", url="https://sirius.example.com")
RUNNING = Verdict(state=State.RUNNING)
OFFLINE = Verdict(state=State.OFFLINE, reason="connection refused")


class Scripted:
    """Stands in for the poller: what it is to see was given beforehand."""

    script: Sequence[Observation] = ()

    def __init__(self, strategies: Sequence[Strategy], *, on_observation: Callable[[Observation], object], **_: Any):
        self.on_observation = on_observation
        self.closed = False

    def start(self) -> None:
        for each in self.script:
            self.on_observation(each)

    def close(self, timeout: float) -> None:
        self.closed = True


@pytest.fixture
def watched(notifier: Notifier, state: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Watch Vega and Sirius while what is given is seen, one look a second, and close the notifier with the last."""

    def run(*script: tuple[Strategy, Verdict], problems: tuple[str, ...] = ()) -> None:
        Scripted.script = [
            Observation(strategy=strategy, at=clock.time() + number, seconds=0.1, verdict=verdict)
            for number, (strategy, verdict) in enumerate(script)
        ]
        monkeypatch.setattr(watch_module, "Poller", Scripted)
        looks = iter(range(1, len(script) + 1))
        notifier.run_state.listen(refreshed=lambda: next(looks) == len(script) and notifier.close())
        with WatchFile(state, clock) as file:
            Watch(
                Strategies((VEGA, SIRIUS), problems),
                interval=30.0,
                notifier=notifier,
                file=file,
                credentials=None,
                max_age=3600.0,
            ).run()

    return run


def test_what_changes_is_said_with_a_topic_and_the_key_of_its_matter(
    watched: Callable[..., None], backend: MemoryBackend
) -> None:
    watched((VEGA, OFFLINE), (SIRIUS, RUNNING), (VEGA, OFFLINE), (VEGA, RUNNING))

    assert [(each.message, each.topic, each.key) for each in backend.events] == [
        ("Vega is offline: connection refused", "watchdog", "down:vega"),
        ("Vega is up again after 3 s", "watchdog", "down:vega"),
    ]
    assert backend.events[0].level == logging.ERROR
    assert backend.events[0].fields["url"] == VEGA.url


def test_every_look_is_progress_and_every_round_a_cycle(watched: Callable[..., None], notifier: Notifier) -> None:
    refreshed: list[int] = []
    notifier.run_state.listen(refreshed=lambda: refreshed.append(notifier.run_state.cycles))

    watched((VEGA, RUNNING), (SIRIUS, RUNNING), (VEGA, OFFLINE), (SIRIUS, RUNNING))

    assert refreshed == [0, 1, 1, 2]
    assert notifier.run_state.completed_cycle == 1


def test_what_is_said_is_known_to_the_next_run(watched: Callable[..., None], state: Path, clock: FakeClock) -> None:
    watched((VEGA, OFFLINE), (SIRIUS, RUNNING), (VEGA, OFFLINE))

    with WatchFile(state, clock) as file:
        assert file.read().known["vega"].down.told_at is not None


def test_what_is_said_is_kept_before_anything_else_is_seen(
    watched: Callable[..., None], notifier: Notifier, state: Path
) -> None:
    kept: list[bool] = []
    notifier.run_state.listen(refreshed=lambda: kept.append((state / "watch.json").exists()))

    watched((VEGA, OFFLINE), (SIRIUS, RUNNING), (VEGA, OFFLINE), (SIRIUS, RUNNING))  # all of them wait at once

    assert kept == [False, False, True, True]


def test_what_is_wrong_with_the_list_is_said_when_the_watch_begins(
    watched: Callable[..., None], backend: MemoryBackend
) -> None:
    watched((VEGA, RUNNING), problems=("entry 3: url is missing",))

    assert [(each.message, each.body) for each in backend.events] == [
        ("1 thing is wrong with TS_PUBLIC_STRATEGIES", "entry 3: url is missing")
    ]
