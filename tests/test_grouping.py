"""Matters that go on: announced once, counted, told of again, ended, remembered, forgotten."""

import json
import math
import tracemalloc
from collections import defaultdict
from logging import CRITICAL, ERROR, WARNING

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notify.event import Event, Phase
from notify.rules.fingerprint import Subject
from notify.rules.grouping import EDIT_EVERY, Grouping, Lanes
from notify.rules.matter import is_told_of_a_row
from notify.rules.verdict import Saying, Verdict

HOUR = 3600.0
CHAT, PAGER, MACHINE = "chat", "pager", "machine"  # changes its messages; folds; gets everything
LANES = Lanes(folding=frozenset({CHAT, PAGER}), editing=frozenset({CHAT}))
ALL = frozenset({CHAT, PAGER, MACHINE})
RPC = Subject("rpc", "log")
GAS = Subject("gas", "log", named=True)


def grouping(storm_limit: int = 60) -> Grouping:
    return Grouping(LANES, interval=HOUR, storm_limit=storm_limit)


def due(matters: Grouping, now: float) -> list[tuple[str, int, str]]:
    """Return phase, count and backends of what is said at *now*, and arrives."""
    sayings = matters.due(now)
    for saying in sayings:
        matters.told(saying.going.id, lost=False)
    return said(sayings)


def said(sayings: list[Saying]) -> list[tuple[str, int, str]]:
    """Return phase, count and backends of what is to be said."""
    return [(saying.phase.value, saying.going.count, " ".join(sorted(saying.to))) for saying in sayings]


def happen(matters: Grouping, subject: Subject, *times: float, level: int = ERROR) -> list[Verdict]:
    return [matters.judge(subject, level, ALL, at)[0] for at in times]


def restarted(matters: Grouping, now: float) -> Grouping:
    """Return what the next process knows."""
    plain, held = json.loads(json.dumps(matters.everything())), json.loads(json.dumps(matters.storm.as_plain()))
    again = grouping()
    again.restore(plain, now)
    again.storm.restore(held, now)
    return again


# ---- announced, counted, told


def test_the_first_is_announced_and_repeats_are_counted():
    matters = grouping()

    assert happen(matters, RPC, 0, 1, 2) == [Verdict.ANNOUNCE, Verdict.FOLD, Verdict.FOLD]
    assert happen(matters, GAS, 3) == [Verdict.ANNOUNCE]


def test_a_message_that_can_be_changed_tells_the_count_every_30_seconds_at_most():
    matters = grouping()
    happen(matters, RPC, *range(100))

    assert due(matters, EDIT_EVERY - 0.1) == []
    assert due(matters, 99) == [("counted", 100, CHAT)]
    assert due(matters, 99) == []
    happen(matters, RPC, 100)
    assert due(matters, 128.9) == []
    assert due(matters, 129) == [("counted", 101, CHAT)]  # 30 s after the last one
    assert due(matters, HOUR - 1) == []


def test_others_are_told_the_count_at_the_interval():
    matters = grouping()
    happen(matters, RPC, 0, 1, 2)

    assert due(matters, HOUR - 1) == [("counted", 3, CHAT)]
    assert due(matters, HOUR) == [("reminded", 3, PAGER)]
    assert due(matters, 2 * HOUR) == []


def test_what_goes_on_after_the_interval_is_told_anew_and_what_has_ended_is_not():
    matters = grouping()
    happen(matters, RPC, 0, 10, 20)
    due(matters, HOUR - 10)
    happen(matters, RPC, HOUR - 5)
    due(matters, HOUR)
    assert due(matters, HOUR) == []

    happen(matters, RPC, HOUR + 1)

    assert due(matters, HOUR + 1) == [("reminded", 5, CHAT)]
    assert due(matters, 2 * HOUR) == [("reminded", 5, PAGER)]
    assert due(matters, math.inf) == []
    assert len(matters) == 0


def test_when_the_next_is_due_is_known():
    matters = grouping()
    assert matters.due_at == math.inf
    happen(matters, RPC, 0)
    assert matters.due_at == HOUR  # to be forgotten
    happen(matters, RPC, 1)
    assert matters.due_at == EDIT_EVERY


def test_what_is_on_its_way_is_not_told_again_before_it_has_arrived():
    matters = grouping()
    happen(matters, RPC, 0, 1)
    assert said(matters.due(EDIT_EVERY)) == [("counted", 2, CHAT)]
    happen(matters, RPC, 31)

    assert matters.due(2 * EDIT_EVERY) == []  # it is looked at again 30 s later
    matters.told("rpc", lost=False)
    assert said(matters.due(3 * EDIT_EVERY)) == [("counted", 3, CHAT)]


def test_what_is_silent_for_the_interval_is_announced_when_it_comes_again():
    matters = grouping()
    happen(matters, RPC, 0)
    happen(matters, GAS, 0)

    verdict, rpc = matters.judge(RPC, ERROR, ALL, HOUR)
    assert (verdict, rpc and rpc.count) == (Verdict.ANNOUNCE, 1)  # another matter
    verdict, gas = matters.judge(GAS, ERROR, ALL, HOUR)
    assert (verdict, gas and gas.count) == (Verdict.ANNOUNCE, 2)  # nobody has said that it ended


def test_what_gets_worse_is_announced_and_what_gets_better_is_counted():
    matters = grouping()

    assert happen(matters, GAS, 0, level=WARNING) == [Verdict.ANNOUNCE]
    assert happen(matters, GAS, 1, level=ERROR) == [Verdict.ANNOUNCE]
    assert happen(matters, GAS, 2, level=WARNING) == [Verdict.FOLD]
    assert happen(matters, GAS, 3, level=CRITICAL) == [Verdict.ANNOUNCE]


def test_a_backend_that_was_not_told_yet_is_told():
    matters = grouping()
    assert matters.judge(GAS, ERROR, frozenset({CHAT}), 0)[0] is Verdict.ANNOUNCE
    assert matters.judge(GAS, ERROR, frozenset({CHAT, PAGER}), 1)[0] is Verdict.ANNOUNCE
    assert matters.judge(GAS, ERROR, frozenset({PAGER}), 2)[0] is Verdict.FOLD


def test_who_does_not_get_an_announcement_is_told_the_count_before_it():
    matters = grouping()
    matters.judge(GAS, ERROR, frozenset({CHAT}), 0)
    matters.judge(GAS, ERROR, frozenset({CHAT}), 1)
    matters.judge(GAS, CRITICAL, frozenset({PAGER}), 2)

    assert ("counted", 3, CHAT) in due(matters, 2 + EDIT_EVERY)


def test_a_living_message_is_sent_each_time_and_can_be_ended():
    matters = grouping()
    living = GAS._replace(living=True)

    assert happen(matters, living, 0, 1, 2) == [Verdict.ANNOUNCE] * 3
    assert due(matters, HOUR * 3) == []
    assert matters.resolve("gas") is not None


def test_what_ends_processes_is_told_ever_more_rarely():
    matters = grouping()
    verdicts = happen(matters, RPC._replace(rarely=True), *range(1000), level=CRITICAL)

    told = [number for number, verdict in enumerate(verdicts, 1) if verdict is Verdict.ANNOUNCE]
    assert told == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


@pytest.mark.parametrize(("count", "told"), [(1, True), (2, True), (3, False), (10, True), (15, False), (5000, True)])
def test_a_row_is_told_at_round_numbers(count, told):
    assert is_told_of_a_row(count) is told


# ---- the end


def test_what_is_resolved_is_told_with_its_count_and_begins_anew():
    matters = grouping()
    happen(matters, GAS, 10, 20, 30)

    ended = matters.resolve("gas")

    assert ended is not None
    assert (ended.count, ended.since, ended.last, ended.told) == (3, 10, 30, ALL)
    assert matters.resolve("gas") is None
    assert due(matters, 10 * HOUR) == []
    assert happen(matters, GAS, 40) == [Verdict.ANNOUNCE]


def test_what_was_never_announced_is_not_ended_aloud():
    matters = grouping(storm_limit=1)
    happen(matters, RPC, 0)
    assert happen(matters, GAS, 1) == [Verdict.HOLD]

    assert matters.resolve("gas") is None
    assert matters.resolve("nothing") is None


def test_a_named_matter_can_be_ended_however_long_it_was_silent():
    matters = grouping()
    happen(matters, GAS, 0)
    due(matters, 30 * 24 * HOUR)

    assert matters.resolve("gas") is not None


# ---- storms


def test_beyond_the_limit_matters_are_held_back_and_told_as_a_digest():
    matters = grouping(storm_limit=60)
    verdicts = [happen(matters, Subject(str(number), "log"), number / 100)[0] for number in range(1000)]

    assert verdicts == [Verdict.ANNOUNCE] * 60 + [Verdict.HOLD] * 940
    assert matters.digest(60.0) == {}
    digest = matters.digest(60.7)
    assert {name: held.events for name, held in digest.items()} == {CHAT: 940, PAGER: 940}  # the machine got them all
    assert matters.digest(1000.0) == {}


def test_in_a_storm_what_is_known_is_counted_and_what_is_critical_is_announced():
    matters = grouping(storm_limit=1)
    happen(matters, RPC, 0)

    assert happen(matters, RPC, 1) == [Verdict.FOLD]
    assert happen(matters, Subject("other", "log"), 2) == [Verdict.HOLD]
    assert happen(matters, Subject("fire", "log"), 3, level=CRITICAL) == [Verdict.ANNOUNCE]


def test_a_living_message_that_changes_all_the_time_is_no_storm():
    matters = grouping(storm_limit=3)
    happen(matters, GAS._replace(living=True), *range(50))

    assert happen(matters, RPC, 50) == [Verdict.ANNOUNCE]


def test_what_no_backend_folds_is_not_held_back():
    matters = grouping(storm_limit=1)
    happen(matters, RPC, 0)

    verdict, _ = matters.judge(GAS, ERROR, frozenset({MACHINE}), 1)
    assert verdict is Verdict.ANNOUNCE


# ---- what outlives the process


def test_the_next_process_goes_on_counting():
    matters = grouping()
    happen(matters, RPC, 0, 1, 2)
    again = restarted(matters, 100)

    assert happen(again, RPC, 101) == [Verdict.FOLD]
    assert due(again, 101) == [("counted", 4, CHAT)]


def test_a_crash_loop_is_one_announcement():
    matters = grouping()
    verdicts: list[Verdict] = []
    for start in range(50):
        verdicts += happen(matters, RPC, start * 10)
        matters = restarted(matters, start * 10 + 5)

    assert verdicts == [Verdict.ANNOUNCE] + [Verdict.FOLD] * 49


def test_what_ended_while_we_were_down_is_still_told():
    matters = grouping()
    happen(matters, GAS, 0)

    ended = restarted(matters, 10 * HOUR).resolve("gas")

    assert ended is not None
    assert ended.told == ALL


def test_a_digest_that_was_not_told_is_told_by_the_next_process():
    matters = grouping(storm_limit=1)
    happen(matters, RPC, 0)
    happen(matters, GAS, 1)

    assert restarted(matters, 5).digest(5)[CHAT].events == 1


def test_changes_are_told_once_and_an_end_is_one():
    matters = grouping()
    happen(matters, RPC, 0)
    happen(matters, GAS, 0)
    assert matters.pressing
    assert set(matters.changes()) == {"rpc", "gas"}
    assert (matters.pressing, matters.changes()) == (False, {})

    happen(matters, RPC, 1)
    matters.resolve("gas")

    changes = matters.changes()
    assert changes["gas"] is None
    assert changes["rpc"] is not None


def test_an_announcement_that_another_process_has_left_counts_as_ones_own():
    matters = grouping()
    event = Event(id="1", time=5.0, message="down", level=ERROR)

    matters.learn("rpc", event, CHAT, 10)
    matters.learn("rpc", event, PAGER, 10)

    assert matters.judge(RPC, ERROR, frozenset({CHAT, PAGER}), 11)[0] is Verdict.FOLD
    assert due(matters, 100) == [("counted", 2, CHAT)]


def test_what_another_process_has_announced_long_ago_and_left_is_counted_no_sooner_than_what_is_announced_now():
    matters = grouping()
    matters.learn("rpc", Event(id="1", time=5.0, message="down", level=ERROR), CHAT, 1000)
    assert matters.judge(RPC, ERROR, frozenset({CHAT}), 1001)[0] is Verdict.FOLD

    assert due(matters, 1000 + EDIT_EVERY - 1) == []  # its message has perhaps not been sent yet
    assert due(matters, 1000 + EDIT_EVERY) == [("counted", 2, CHAT)]


def test_what_the_process_has_not_told_at_its_end_is_told_by_it_or_by_the_next():
    matters = grouping()
    happen(matters, RPC, 0, 1)
    again = restarted(matters, 2)

    assert said(matters.last(2, everything=True)) == [("counted", 2, CHAT), ("reminded", 2, PAGER)]
    assert said(again.last(2, everything=False)) == [("counted", 2, CHAT)]
    again.told("rpc", lost=False)
    assert due(again, HOUR) == [("reminded", 2, PAGER)]


def test_a_forked_child_announces_nothing_again_and_tells_only_what_it_has_counted():
    matters = grouping()
    happen(matters, RPC, *range(10))
    matters.begin_in_child()

    assert due(matters, 2 * EDIT_EVERY) == []
    assert happen(matters, RPC, 100, 101) == [Verdict.FOLD] * 2
    assert due(matters, HOUR - 1) == []  # the message is the parent's
    assert due(matters, HOUR + 9) == [("reminded", 2, "chat pager")]


# ---- bounds


def flood(matters: Grouping, numbers: range) -> int:
    """Have as many different matters happen, a hundred a second and one of five critical; return how many are told."""
    announced = 0
    for number in numbers:
        subject = Subject(f"{number:032x}", "log", named=number % 10 == 0)
        level = CRITICAL if number % 5 == 0 else ERROR  # what is critical is never held back
        verdict, going = matters.judge(subject, level, ALL, number / 100)
        announced += verdict is Verdict.ANNOUNCE
        if going is not None:
            matters.describe(going.id, Event(id="1", time=0.0, message="x" * 1000, level=level))
        if number % 1000 == 0:
            due(matters, number / 100)
            matters.changes()
    return announced


def test_ten_million_matters_stay_within_20_megabytes_and_none_of_their_events_is_lost():
    # Fifty thousand fill every bound there is: what those after them add, ten million do not add more of.
    matters = grouping()
    tracemalloc.start()
    try:
        announced = flood(matters, range(50_000))
        full = tracemalloc.get_traced_memory()[0]
        announced += flood(matters, range(50_000, 100_000))
        grown = tracemalloc.get_traced_memory()[0] - full
    finally:
        tracemalloc.stop()

    assert len(matters) <= 4096  # 1024 with a name and 3072 others
    assert full < 20 * 2**20
    assert grown < 50_000 * 20  # bytes: a matter takes some 1,500, and what else the process does is counted here, too
    assert announced + matters.storm.held[CHAT].events == 100_000


def test_what_is_forgotten_before_its_count_was_told_is_in_the_digest():
    matters = grouping()
    happen(matters, RPC, 0, 1, 2)
    for number in range(4000):
        happen(matters, Subject(str(number), "log"), 3, level=CRITICAL)

    assert matters.find("rpc") is None
    assert matters.digest(1000.0)[CHAT].events == 2  # of three the first was announced


def test_a_flood_of_others_forgets_no_matter_that_has_a_name():
    matters = grouping()
    happen(matters, GAS, 0)
    for number in range(5000):
        happen(matters, Subject(str(number), "log"), 1, level=CRITICAL)

    assert matters.resolve("gas") is not None


def test_timers_of_what_ends_again_and_again_do_not_pile_up():
    matters = grouping()
    most = 0
    for second in range(1000):
        happen(matters, RPC, float(second), float(second))
        matters.resolve("rpc")
        most = max(most, len(matters._timers))

    assert most < 100  # there is one matter at most; 64 out of date are borne, and 1,000 would be there


# ---- in any order


KEYS = [Subject(f"key {number}", "log", named=number < 2) for number in range(5)]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(KEYS), st.sampled_from([WARNING, ERROR, CRITICAL])),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 31.0, 61.0, HOUR / 2, HOUR, 3 * HOUR])),
        st.tuples(st.just("resolve"), st.sampled_from(KEYS)),
        st.tuples(st.sampled_from(["restart", "deliver", "lose"])),
    ),
    max_size=60,
)


class Reader:
    """Somebody who reads everything that one backend is told, and knows how often each matter has happened."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: dict[int, int] = {}  # by the number of the matter, which begins anew when it has ended
        self.in_digests = 0

    def read(self, matter: int, count: int) -> None:
        self.known[matter] = max(count, self.known.get(matter, 0))  # a message that comes late tells nothing new


@hypothesis_settings(max_examples=400)
@given(STEPS, st.integers(1, 4))
def test_every_event_is_sent_or_counted_in_what_is_told_whatever_happens_in_whatever_order(steps, storm_limit):
    matters = grouping(storm_limit)
    readers = [Reader(CHAT), Reader(PAGER)]
    numbers: dict[str, int] = defaultdict(int)  # of the matter that a key stands for now
    on_the_way: dict[str, list[Saying]] = defaultdict(list)
    now, events = 0.0, 0

    def tell(sayings: list[Saying]) -> None:
        for saying in sayings:
            for reader in readers:
                if reader.name in saying.to:
                    reader.read(numbers[saying.going.id], saying.going.count)

    def deliver() -> None:
        for subject_id, sayings in on_the_way.items():
            tell(sayings)
            matters.told(subject_id, lost=False)
        on_the_way.clear()

    def say_due() -> None:
        while matters.due_at <= now:
            for saying in matters.due(now):
                on_the_way[saying.going.id].append(saying)
            for name, held in matters.digest(now).items():
                next(reader for reader in readers if reader.name == name).in_digests += held.events

    for step in [*steps, ("deliver",), ("wait", 3 * HOUR), ("deliver",)]:
        if step[0] == "event":
            events += 1
            verdict, going = matters.judge(step[1], step[2], ALL, now)
            if going is not None and verdict is Verdict.ANNOUNCE:
                if going.count == 1:
                    numbers[going.id] = max([0, *numbers.values()]) + 1
                for reader in readers:
                    reader.read(numbers[going.id], going.count)
        elif step[0] == "wait":
            now += step[1]
            say_due()
        elif step[0] == "resolve":
            on_the_way.pop(step[1].id, None)  # what its end tells is newer
            ended = matters.resolve(step[1].id)
            if ended is not None:
                tell([Saying(ended, Phase.RESOLVED, ended.told)])
        elif step[0] == "deliver":
            deliver()
        elif step[0] == "lose":
            for subject_id in on_the_way:
                matters.told(subject_id, lost=True)
            on_the_way.clear()
        else:  # killed: what is on its way never arrives
            again = Grouping(LANES, interval=HOUR, storm_limit=storm_limit)
            again.restore(json.loads(json.dumps(matters.everything())), now)
            again.storm.restore(json.loads(json.dumps(matters.storm.as_plain())), now)
            on_the_way.clear()
            matters = again
    tell(matters.last(now, everything=True))
    say_due()

    for reader in readers:
        assert sum(reader.known.values()) + reader.in_digests == events


def test_the_oracle_sees_a_count_that_is_not_told(monkeypatch):
    monkeypatch.setattr(Grouping, "last", lambda *_, **__: [])
    monkeypatch.setattr(Grouping, "due", lambda self, now: self._timers.clear() or [])

    with pytest.raises(AssertionError):
        test_every_event_is_sent_or_counted_in_what_is_told_whatever_happens_in_whatever_order()


def test_what_was_said_and_got_lost_is_said_again():
    matters = grouping()
    happen(matters, RPC, 0, 1, 2)
    assert said(matters.due(EDIT_EVERY)) == [("counted", 3, CHAT)]
    matters.told("rpc", lost=True)
    matters.told("unknown", lost=True)

    assert said(matters.due(2 * EDIT_EVERY)) == [("counted", 3, CHAT)]
    matters.told("rpc", lost=False)
    assert matters.due(3 * EDIT_EVERY) == []


def test_what_is_on_its_way_when_the_process_dies_is_said_by_the_next():
    matters = grouping()
    happen(matters, RPC, 0, 1, 2)
    matters.due(EDIT_EVERY)
    assert due(restarted(matters, 40), 2 * EDIT_EVERY) == [("counted", 3, CHAT)]

    matters.told("rpc", lost=False)
    assert due(restarted(matters, 40), 2 * EDIT_EVERY) == []


def test_all_there_is_says_also_what_has_ended_since_the_last_changes():
    matters = grouping()
    happen(matters, RPC, 0)
    happen(matters, GAS, 0)
    matters.changes()
    matters.resolve("gas")

    everything = matters.everything()

    assert everything.keys() == {"rpc", "gas"}
    assert everything["gas"] is None
    assert matters.changes() == {}
