"""What is told of a fleet, look by look."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notify.fleet.fleet_json import decode, encode
from notify.fleet.observe import Observation
from notify.fleet.outages import Fleet, observed, resumed
from notify.fleet.say import Announcement
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import Concern, State, Verdict
from notify.levels import TRADE
from notify.testing import FakeClock

RUNNING = Verdict(state=State.RUNNING)
OFFLINE = Verdict(state=State.OFFLINE, reason="connection refused")
CRASHED = Verdict(state=State.CRASHED, reason="Boom", cycles=7, version="v3")
STALE = Verdict(state=State.STALE, reason="no progress for 2 h")
FROZEN = replace(RUNNING, warnings=("1 frozen position",), concerns=(Concern.FROZEN,))
LOW_GAS = replace(RUNNING, warnings=("low gas: 0.1 ETH",), concerns=(Concern.GAS,))


REMINDER = re.compile(r"Down for |None of \d+ strategies answers for ")


class Watcher:
    """Watches strategies called `a`, `b` …, and remembers what is said."""

    def __init__(self, clock: FakeClock, names: str = "abc", **intervals: float) -> None:
        self.clock = clock
        self.intervals = {name: intervals.get(name, 30.0) for name in names}
        self.fleet = Fleet()
        self.said: list[Announcement] = []

    def look(self, name: str, verdict: Verdict) -> None:
        strategy = Strategy(id=name, name=name.upper(), url=f"http://{name}.example")
        seen = Observation(strategy=strategy, at=self.clock.time(), seconds=0.1, verdict=verdict)
        self.fleet, said = observed(self.fleet, seen, intervals=self.intervals)
        self.said += said

    def round(self, *verdicts: Verdict, after: float = 30.0) -> list[str]:
        """Look at each, *after* seconds after the last round began, and return what is said."""
        before = len(self.said)
        for name, verdict in zip(self.intervals, verdicts, strict=True):
            self.look(name, verdict)
            self.clock.advance(0.5)
        self.clock.advance(after - 0.5 * len(verdicts))
        return [each.message for each in self.said[before:]]

    def restart(self) -> None:
        self.fleet = decode(encode(self.fleet), now=self.clock.time())


@pytest.fixture
def watcher(clock: FakeClock) -> Watcher:
    return Watcher(clock)


def test_a_strategy_that_goes_down_is_told_once_with_the_reason(watcher: Watcher) -> None:
    assert watcher.round(OFFLINE, RUNNING, RUNNING) == []
    assert watcher.round(OFFLINE, RUNNING, RUNNING) == ["A is offline: connection refused"]
    assert watcher.round(OFFLINE, RUNNING, RUNNING) == []

    down = watcher.said[0]
    assert (down.key, down.level) == ("down:a", logging.ERROR)
    assert down.fields == {"url": "http://a.example", "down_for": "30 s"}


def test_when_it_is_up_again_that_is_told_once_with_the_downtime(watcher: Watcher) -> None:
    for _ in range(4):
        watcher.round(OFFLINE, RUNNING, RUNNING)

    assert watcher.round(RUNNING, RUNNING, RUNNING) == ["A is up again after 2 min"]
    assert watcher.round(RUNNING, RUNNING, RUNNING) == []
    assert (watcher.said[-1].key, watcher.said[-1].level) == ("down:a", TRADE)


@pytest.mark.parametrize(
    ("verdict", "message", "level"),
    [
        (CRASHED, "A has crashed: Boom", logging.CRITICAL),
        (STALE, "A is stale: no progress for 2 h", logging.ERROR),
        (replace(OFFLINE, reason="it asks for a password (HTTP 401)", misconfigured=True),
         "A cannot be watched: it asks for a password (HTTP 401)", logging.ERROR),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_its_own_words(watcher: Watcher, verdict: Verdict, message: str, level: int) -> None:
    watcher.round(verdict, RUNNING, RUNNING)

    assert watcher.round(verdict, RUNNING, RUNNING) == [message]
    assert watcher.said[0].level == level


def test_an_outage_that_changes_its_reason_is_one_outage(watcher: Watcher) -> None:
    said = [watcher.round(each, RUNNING, RUNNING) for each in (STALE, OFFLINE, CRASHED, OFFLINE, STALE)]

    assert [len(each) for each in said] == [0, 1, 0, 0, 0]


def test_a_reminder_comes_every_hour_with_the_reason_of_then(watcher: Watcher) -> None:
    watcher.round(OFFLINE, RUNNING, RUNNING)
    watcher.round(OFFLINE, RUNNING, RUNNING, after=3600)

    assert watcher.round(CRASHED, RUNNING, RUNNING) == ["Down for 1 h: A has crashed: Boom"]
    assert watcher.round(CRASHED, RUNNING, RUNNING) == []


def test_one_that_flaps_is_told_rarely_and_says_so(watcher: Watcher) -> None:
    for _ in range(40):
        for verdict in (OFFLINE, OFFLINE, RUNNING, RUNNING):
            watcher.round(verdict, RUNNING, RUNNING)

    assert [each.message for each in watcher.said] == [
        "A is offline: connection refused",
        "A is up again after 1 min",
        "A is offline: connection refused",
        "A is up again after 1 min",
        "A is offline: connection refused",
        "Down for 1 h: A is offline: connection refused",
    ]
    assert watcher.said[4].body == "It is down for the 3rd time in 24 hours, and counts as up after 10 min."
    for _ in range(21):
        watcher.round(RUNNING, RUNNING, RUNNING)
    assert watcher.said[-1].message == "A is up again after 1 h 15 min"  # 38 rounds of two minutes, less the last one's
    assert watcher.said[-1].body == "It has been up for 10 min."


# ---- warnings


def test_a_warning_is_told_once_and_when_it_has_ended(watcher: Watcher) -> None:
    assert watcher.round(FROZEN, RUNNING, RUNNING) == ["A: 1 frozen position"]
    assert watcher.round(FROZEN, RUNNING, RUNNING, after=7200) == []
    assert watcher.round(RUNNING, RUNNING, RUNNING) == ["A: no position is frozen any more, after 2 h"]
    assert [(each.key, each.level) for each in watcher.said] == [("frozen:a", logging.WARNING), ("frozen:a", TRADE)]


def test_a_warning_whose_words_change_is_the_same_warning(watcher: Watcher) -> None:
    watcher.round(LOW_GAS, RUNNING, RUNNING)

    assert watcher.round(replace(LOW_GAS, warnings=("low gas: 0.09 ETH",)), RUNNING, RUNNING) == []


def test_warnings_of_two_kinds_are_two_matters(watcher: Watcher) -> None:
    both = replace(RUNNING, warnings=(*FROZEN.warnings, *LOW_GAS.warnings), concerns=(Concern.FROZEN, Concern.GAS))

    assert watcher.round(both, RUNNING, RUNNING) == ["A: 1 frozen position", "A: low gas: 0.1 ETH"]
    assert watcher.round(FROZEN, RUNNING, RUNNING) == ["A: there is enough gas again, after 30 s"]


def test_who_does_not_answer_does_not_end_a_warning(watcher: Watcher) -> None:
    watcher.round(FROZEN, RUNNING, RUNNING)

    assert watcher.round(OFFLINE, RUNNING, RUNNING) == []
    assert watcher.round(FROZEN, RUNNING, RUNNING) == []


# ---- all at once


def test_when_nobody_answers_any_more_that_is_one_message_and_one_when_somebody_does(watcher: Watcher) -> None:
    watcher.round(RUNNING, RUNNING, RUNNING)
    watcher.round(OFFLINE, OFFLINE, OFFLINE)

    assert watcher.round(OFFLINE, OFFLINE, OFFLINE) == ["None of 3 strategies answers: connection refused"]
    for _ in range(3):
        assert watcher.round(OFFLINE, OFFLINE, OFFLINE) == []
    assert watcher.round(RUNNING, RUNNING, RUNNING) == ["Strategies answer again after 2 min 30 s"]
    assert watcher.round(RUNNING, RUNNING, RUNNING) == []
    assert [(each.key, each.level) for each in watcher.said] == [("down:*", logging.ERROR), ("down:*", TRADE)]


def test_a_watch_that_begins_without_a_network_says_one_thing(watcher: Watcher) -> None:
    watcher.round(OFFLINE, OFFLINE, OFFLINE)
    watcher.round(OFFLINE, OFFLINE, OFFLINE)

    assert len(watcher.said) == 1


def test_a_network_that_stays_away_is_told_every_hour(watcher: Watcher) -> None:
    watcher.round(OFFLINE, OFFLINE, OFFLINE)
    watcher.round(OFFLINE, OFFLINE, OFFLINE, after=3600)

    said = watcher.round(OFFLINE, OFFLINE, OFFLINE)

    assert said == ["None of 3 strategies answers for 1 h: connection refused"]


def test_who_does_not_answer_after_that_is_told_after_two_looks_of_his_own(watcher: Watcher) -> None:
    watcher.round(OFFLINE, OFFLINE, OFFLINE)
    watcher.round(OFFLINE, OFFLINE, OFFLINE)

    assert watcher.round(RUNNING, OFFLINE, RUNNING) == ["Strategies answer again after 1 min"]
    assert watcher.round(RUNNING, OFFLINE, RUNNING) == ["B is offline: connection refused"]


def test_who_was_told_down_before_is_reminded_of_after_it_and_is_up_as_ever(watcher: Watcher) -> None:
    watcher.round(OFFLINE, RUNNING, RUNNING)
    watcher.round(OFFLINE, RUNNING, RUNNING)
    watcher.round(OFFLINE, OFFLINE, OFFLINE)
    assert watcher.round(OFFLINE, OFFLINE, OFFLINE, after=3600) == ["None of 3 strategies answers: connection refused"]

    said = watcher.round(RUNNING, RUNNING, RUNNING)

    assert said == ["Strategies answer again after 1 h", "A is up again after 1 h 1 min"]


def test_the_last_of_several_that_goes_down_is_told_as_itself(watcher: Watcher) -> None:
    watcher.round(OFFLINE, OFFLINE, RUNNING)
    watcher.round(OFFLINE, OFFLINE, RUNNING)
    watcher.round(OFFLINE, OFFLINE, OFFLINE)

    assert watcher.round(OFFLINE, OFFLINE, OFFLINE) == ["C is offline: connection refused"]


def test_two_of_three_that_go_down_together_are_told_as_themselves(watcher: Watcher) -> None:
    watcher.round(OFFLINE, OFFLINE, RUNNING)

    assert watcher.round(OFFLINE, OFFLINE, RUNNING) == [f"{name} is offline: connection refused" for name in "AB"]


def test_a_crash_is_an_answer(watcher: Watcher) -> None:
    watcher.round(OFFLINE, OFFLINE, CRASHED)

    assert len(watcher.round(OFFLINE, OFFLINE, CRASHED)) == 3


def test_the_only_strategy_is_told_as_itself(clock: FakeClock) -> None:
    watcher = Watcher(clock, "a")
    watcher.round(OFFLINE)

    assert watcher.round(OFFLINE) == ["A is offline: connection refused"]


def test_one_that_is_looked_at_rarely_does_not_hide_that_nobody_answers(clock: FakeClock) -> None:
    watcher = Watcher(clock, "abc", c=3600.0)
    watcher.round(RUNNING, RUNNING, RUNNING)
    for _ in range(2):
        for name in "ab":
            watcher.look(name, OFFLINE)
        clock.advance(30)

    assert [each.message for each in watcher.said] == ["None of 3 strategies answers: connection refused"]


def test_500_strategies_without_a_network_are_one_message(clock: FakeClock) -> None:
    watcher = Watcher(clock, "")
    watcher.intervals = {f"strategy-{number}": 30.0 for number in range(500)}
    for _ in range(4):
        for name in watcher.intervals:
            watcher.look(name, OFFLINE)
            clock.advance(0.06)

    assert len(watcher.said) == 1


# ---- from one run to the next


def test_nothing_is_repeated_after_a_restart(watcher: Watcher) -> None:
    watcher.round(OFFLINE, FROZEN, RUNNING)
    watcher.round(OFFLINE, FROZEN, RUNNING)
    watcher.restart()

    assert watcher.round(OFFLINE, FROZEN, RUNNING) == []


def test_what_ended_meanwhile_is_told_with_the_first_look(watcher: Watcher) -> None:
    watcher.round(OFFLINE, RUNNING, RUNNING)
    watcher.round(OFFLINE, RUNNING, RUNNING)
    watcher.clock.advance(3540)
    watcher.restart()

    assert watcher.round(RUNNING, RUNNING, RUNNING) == ["A is up again after 1 h"]


def test_a_failed_look_before_a_long_pause_does_not_count_with_one_after_it(watcher: Watcher) -> None:
    watcher.round(OFFLINE, RUNNING, RUNNING)
    watcher.clock.advance(3600)
    watcher.restart()

    assert watcher.round(OFFLINE, RUNNING, RUNNING) == []
    assert watcher.round(OFFLINE, RUNNING, RUNNING) == ["A is offline: connection refused"]
    assert watcher.said[-1].fields["down_for"] == "30 s"


def test_who_is_not_on_the_list_any_more_is_told_to_be_watched_no_more(watcher: Watcher) -> None:
    watcher.round(OFFLINE, FROZEN, OFFLINE)
    watcher.round(OFFLINE, FROZEN, RUNNING)

    fleet, said = resumed(watcher.fleet, {"c"}, ())

    assert [(each.key, each.message) for each in said] == [
        ("down:a", "A is not watched any more, and was not well when it was last looked at"),
        ("frozen:b", "B is not watched any more, and was not well when it was last looked at"),
    ]
    assert fleet.known.keys() <= {"c"}
    assert resumed(fleet, {"c"}, ()) == (fleet, ())


def test_what_is_wrong_with_the_list_is_told_when_it_changes() -> None:
    fleet, first = resumed(Fleet(), {"a"}, ("entry 2: url is missing",))
    fleet, again = resumed(decode(encode(fleet), now=0.0), {"a"}, ("entry 2: url is missing",))
    fleet, other = resumed(fleet, {"a"}, ("entry 2: url is missing", "entry 3: id is missing"))
    _, mended = resumed(fleet, {"a"}, ())

    assert [each.message for each in first] == ["1 thing is wrong with TS_PUBLIC_STRATEGIES"]
    assert [each.message for each in other] == ["2 things are wrong with TS_PUBLIC_STRATEGIES"]
    assert other[0].body == "entry 2: url is missing\nentry 3: id is missing"
    assert (again, mended) == ((), ())


# ---- whatever happens

rounds = st.lists(
    st.tuples(
        st.tuples(*[st.sampled_from([RUNNING, RUNNING, OFFLINE, OFFLINE, CRASHED, STALE, FROZEN])] * 3),
        st.sampled_from([30.0, 300.0, 590.0]),
        st.booleans(),
    ),
    max_size=40,
)
Rounds = Sequence[tuple[tuple[Verdict, ...], float, bool]]

# After its third outage one counts as up only after ten minutes, and is never up for that long: it is reminded of at a
# look that found it up the time before.
FLAPPING: Rounds = [
    ((RUNNING, verdict, RUNNING), after, False)
    for verdict, after in [(OFFLINE, 30.0), (OFFLINE, 30.0), (RUNNING, 30.0)] * 3
    + [(OFFLINE, 590.0), (RUNNING, 590.0)] * 4
]


def watched(history: Rounds, *, restarts: bool) -> Watcher:
    watcher = Watcher(FakeClock())
    for verdicts, after, restart in history:
        watcher.round(*verdicts, after=after)
        if restarts and restart:
            watcher.restart()
    return watcher


@given(rounds)
def test_every_matter_begins_and_ends_in_turns_and_none_is_left_open(history: Rounds) -> None:
    watcher = watched(history, restarts=True)
    for _ in range(2):  # an hour apart, longer than any end is awaited
        watcher.round(RUNNING, RUNNING, RUNNING, after=3600)

    for key in {each.key for each in watcher.said}:
        told = [each for each in watcher.said if each.key == key]
        turns = [each.level == TRADE for each in told if not REMINDER.match(each.message)]
        assert turns == [False, True] * (len(turns) // 2), [each.message for each in told]
    assert watcher.fleet.network.told_at is None
    assert all(known.down.told_at is None for known in watcher.fleet.known.values())


@given(rounds)
def test_restarts_anywhere_in_between_change_nothing_of_what_is_said(history: Rounds) -> None:
    assert watched(history, restarts=True).said == watched(history, restarts=False).said


@given(rounds)
@example(FLAPPING)
def test_no_strategy_is_told_down_without_two_failed_looks_in_a_row(history: Rounds) -> None:
    watcher = Watcher(FakeClock())
    row = dict.fromkeys("abc", 0)
    for verdicts, after, _ in history:
        for name, verdict in zip("abc", verdicts, strict=True):
            row[name] = 0 if verdict.state is State.RUNNING else row[name] + 1
        before = len(watcher.said)
        watcher.round(*verdicts, after=after)
        for each in watcher.said[before:]:
            # A reminder is of an outage that was told, and which goes on until its end is.
            if each.level >= logging.ERROR and each.key != "down:*" and not REMINDER.match(each.message):
                assert row[each.key.removeprefix("down:")] >= 2
