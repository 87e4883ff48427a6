"""Matters of the whole fleet: announced by one worker, counted by all."""

import math
import os
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from logging import CRITICAL, ERROR, INFO, WARNING
from pathlib import Path

import pytest
from children import running, wait_for
from folds import Chat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay_matters import BACKENDS, Judge, Told, happened, publish
from relays import client, server  # noqa: F401 - fixtures

import notify
from notify.backends.relay.wire import EVENTS, GROUP, Entry, fields_of
from notify.event import Phase
from notify.relay import noted
from notify.relay.judging import Judged
from notify.relay.stream import Away, LeaseLost, Settled
from notify.rules.fingerprint import Subject, id_in_fleet, id_of_key
from notify.rules.grouping import Grouping, Lanes
from notify.rules.routing import Route
from notify.rules.verdict import Verdict
from notify.testing.clock import FakeClock

MINUTE, HOUR = 60.0, 3600.0


@pytest.fixture
def one(client, clock):  # noqa: F811
    """A worker."""
    return Judge(client, "one", clock=clock)


@pytest.fixture
def other(server, one, clock):  # noqa: F811
    """Another."""
    return Judge(server.client(), "other", clock=clock)


def pending(client):  # noqa: F811
    return client.xpending(EVENTS, GROUP)["pending"]


def names(told, phase):
    return [each.backend for each in told if each.phase == phase]


# ---- one matter of many executors


def test_what_happens_on_many_executors_is_announced_once_and_counted_by_all_workers(client, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    assert one.work() == [Told(name, "no RPC", "announced", 1, 1, "alpha") for name in ("chat", "machine", "pager")]
    publish(client, *[happened(who, "no RPC") for who in ("alpha", "beta", "gamma", "beta")])
    assert other.work() == [Told("machine", "no RPC", who=who) for who in ("alpha", "beta", "gamma", "beta")]

    clock.advance(30)

    assert other.due() == [Told("chat", "no RPC × 5 on 3 executors", "counted", 5, 3)]
    assert one.due() == []
    assert pending(client) == 0


def test_what_nobody_gets_is_acknowledged_by_the_judging_itself(client, clock):  # noqa: F811
    people = Judge(client, "one", backends={"chat": Chat()}, routes={"chat": Route()}, clock=clock)
    publish(client, happened("alpha", "no RPC"), happened("beta", "no RPC"))

    found = people.take()
    judged = people.judge(found)

    assert [each.folded for each in judged] == [frozenset(), {"chat"}]
    assert judged[1].said == ()
    assert pending(client) == 1  # the one that is announced
    assert client.hgetall("notify:inhand") == {b"alpha": b"1"}
    assert client.hgetall("notify:hands") == {b"alpha": b"one"}


def test_the_pager_is_reminded_at_the_interval_by_whoever_looks_first(client, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    one.work()
    publish(client, happened("beta", "no RPC"))
    other.work()

    clock.advance(HOUR)

    assert Told("pager", "no RPC × 2 on 2 executors", "reminded", 2, 2) in one.due() + other.due()
    assert one.due() + other.due() == []


def test_after_an_hour_of_silence_the_same_is_announced_anew_and_executors_are_counted_anew(client, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"), happened("beta", "no RPC"))
    one.work()
    for _ in range(2):  # the count is told, and then forgotten
        clock.advance(HOUR)
        one.due()

    publish(client, happened("beta", "no RPC"))

    assert Told("chat", "no RPC", "announced", 1, 1, "beta") in other.work()
    assert client.smembers(client.keys("notify:matter:*")[0]) == {b"beta"}


def test_executors_are_counted_anew_when_the_first_batch_after_the_silence_has_several(client, clock):  # noqa: F811
    people = Judge(client, "one", backends={"chat": Chat()}, routes={"chat": Route()}, clock=clock)
    publish(client, *[happened(who, "no RPC") for who in ("alpha", "beta")])
    people.work()
    clock.advance(30)
    people.due()  # what was counted is told
    clock.advance(HOUR)  # and nobody has looked since that is over

    publish(client, *[happened(who, "no RPC") for who in ("alpha", "beta")])
    people.work()

    clock.advance(30)
    assert [(each.count, each.executors) for each in people.due()] == [(2, 2)]


def test_what_is_of_no_matter_goes_to_everybody_who_wants_it(client, one):  # noqa: F811
    event = happened("alpha", "Bought ETH")
    publish(client, event.__class__(**{**_parts(event), "matter": None}))

    assert one.work() == [Told(name, "Bought ETH", who="alpha") for name in ("chat", "machine", "pager")]


def _parts(event):
    return {name: getattr(event, name) for name in event.__slots__}


def test_a_living_message_that_is_no_warning_is_not_counted_and_not_taken_for_another_executors(client, one):  # noqa: F811
    publish(client, *[happened(who, "status", key="s", level=INFO, phase=Phase.LIVING) for who in ("alpha", "beta")])

    (alpha, beta) = [judged.said[0][0].matter for judged in one.judge(one.take())]

    assert (alpha.phase, alpha.count) == (beta.phase, beta.count) == (Phase.LIVING, 1)
    assert alpha.id != beta.id
    assert client.exists("notify:matters") == 0


# ---- keys


def test_a_named_matter_is_each_executors_own(client, one, other):  # noqa: F811
    publish(client, happened("alpha", "gas is low", key="gas"), happened("beta", "gas is low", key="gas"))
    one.work()

    publish(client, happened("alpha", "", key="gas", level=INFO, phase=Phase.RESOLVED))

    assert names(one.told, "announced") == ["chat", "machine", "pager"] * 2
    (told, *_) = other.work()
    assert (told.message, told.phase, told.who) == ("Resolved: gas is low", "resolved", "alpha")
    publish(client, happened("beta", "gas is low", key="gas"))
    assert names(other.work(), "announced") == []  # that of beta goes on


def test_the_end_of_what_nobody_was_told_of_is_told_to_nobody(client, one):  # noqa: F811
    publish(client, happened("alpha", "", key="gas", phase=Phase.RESOLVED))

    assert one.work() == []
    assert pending(client) == 0


def test_how_long_it_lasted_is_told_by_the_clock_that_began_it(client, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "gas is low", key="gas"))
    one.work()
    clock.advance(90)
    publish(client, happened("alpha", "", key="gas", phase=Phase.RESOLVED))  # by its own clock that is in 1970

    ((event, _),) = other.judge(other.take())[0].said

    assert event.body == "It happened once, and was over after 1 min 30 s."


def test_a_living_message_is_each_executors_own_and_always_passed_on(client, one, other):  # noqa: F811
    publish(client, *[happened(who, "status", key="s", phase=Phase.LIVING) for who in ("alpha", "beta", "alpha")])

    assert [(each.who, each.count) for each in one.work() + other.work() if each.backend == "chat"] == [
        ("alpha", 1), ("beta", 1), ("alpha", 2)
    ]  # fmt: skip


# ---- channels of some executors


def test_a_channel_of_one_strategy_counts_only_what_that_did(client, clock):  # noqa: F811
    backends = {name: Chat() for name in ("alpha_chat", "beta_chat", "common")}
    routes = {
        "alpha_chat": Route(executors=frozenset({"alpha"})),
        "beta_chat": Route(executors=frozenset({"beta"})),
        "common": Route(),
    }
    worker = Judge(client, "one", backends=backends, routes=routes, clock=clock)
    publish(client, *[happened(who, "no RPC") for who in ("alpha", "beta", "alpha", "beta", "beta")])

    assert names(worker.work(), "announced") == ["alpha_chat", "common", "beta_chat"]
    clock.advance(30)
    assert sorted((each.backend, each.count, each.executors) for each in worker.due()) == [
        ("alpha_chat", 2, 1), ("beta_chat", 3, 1), ("common", 5, 2)
    ]  # fmt: skip


# ---- what was said of a matter is on its way


def test_nothing_is_said_while_the_last_of_its_kind_is_on_its_way(client, one, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    found = one.take()
    one.judge(found)  # and nobody has it yet
    publish(client, happened("beta", "no RPC"))
    one.work()

    clock.advance(30)
    assert one.due() == []
    one._deliver(found[0][0], one.judge(found)[0])
    clock.advance(30)
    assert [each.count for each in one.due()] == [2]


def test_a_saying_that_was_published_and_not_taken_yet_is_on_its_way(client, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"), happened("alpha", "no RPC"))
    one.work()
    clock.advance(30)
    one.folding.due()
    publish(client, happened("alpha", "no RPC"))

    clock.advance(30)
    other.folding.due()

    assert [each.count for each in one.work() if each.phase == "counted"] == [2]
    clock.advance(30)
    assert [each.count for each in other.due()] == [3]


def test_what_was_set_aside_is_said_again(client, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"), happened("alpha", "no RPC"))
    one.work()
    clock.advance(30)
    one.folding.due()
    ((saying, _, _),) = one.take()

    one.folding.lost(saying.event, saying.wanted)
    one.stream.settle([Settled(saying.entry, saying.executor, "chat", reason="gone")])
    clock.advance(30)

    assert [each.count for each in other.due()] == [2]


# ---- storms


def test_all_workers_together_announce_no_more_than_the_limit(client, server, clock):  # noqa: F811
    workers = [Judge(server.client(), name, clock=clock, storm_limit=5) for name in ("one", "other")]
    for number in range(20):
        publish(client, happened(f"e{number}", f"fault {number}"))
        workers[number % 2].work()

    told = [each for worker in workers for each in worker.told]
    assert len(names(told, "announced")) == 15  # five, to three backends each
    clock.advance(MINUTE)
    (chat, pager) = sorted((each for worker in workers for each in worker.due()), key=lambda each: each.backend)
    assert (chat.backend, pager.backend) == ("chat", "pager")
    assert chat.message == pager.message == "Held back: 15 events of 15 matters"
    assert client.xlen(EVENTS) == 22  # the digests are in the stream: a kill loses none


def test_a_clock_of_the_server_that_is_set_back_prolongs_no_storm_and_puts_off_no_digest(client, clock):  # noqa: F811
    one = Judge(client, "one", clock=clock, storm_limit=5)
    begin = one.folding._ledger.begin
    for number in range(10):
        publish(client, happened(f"e{number}", f"fault {number}"))
        one.work()

    def an_hour_earlier(asked):
        known = begin(asked)
        return known._replace(now=known.now - 60 * MINUTE)

    one.folding._ledger.begin = an_hour_earlier
    one.due()
    clock.advance(MINUTE)

    assert [each.message for each in one.due()] == ["Held back: 5 events of 5 matters"] * 2  # for two that fold
    publish(client, happened("e11", "fault 11"))
    assert len(names(one.work(), "announced")) == 3  # to three backends


# ---- twice, and not at all


def test_an_entry_that_comes_again_is_not_counted_again(client, one, other):  # noqa: F811
    publish(client, happened("alpha", "no RPC"), happened("beta", "no RPC"))
    found = one.take()
    first = one.judge(found)

    again = one.judge(found)

    assert again == first
    entry, noted = found[0][0], client.hget(f"notify:entry:{found[0][0].entry}", "judged")
    assert other.folding.judged_before(entry, noted) == first[0]
    assert client.hlen("notify:matters") == 2  # the matter, and when something was announced
    assert all(b'"counts": [3' not in value for value in client.hvals("notify:matters"))  # two have happened


@pytest.mark.parametrize("odd", [b"nonsense", b'{"v": 2}', b'[[[{"message": 5}, ["chat"]]], []]'])
def test_a_verdict_that_cannot_be_read_ends_no_worker_and_everybody_gets_the_event(client, one, odd):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    ((given, _, _),) = one.take()

    client.hset(f"notify:entry:{given.entry}", "judged", odd)  # by a worker of another version
    (judged,) = one.folding.judge_batch([given])

    assert judged.lanes == given.wanted == set(one.routes)
    assert one.folding.judged_before(given, odd) == judged


def test_an_answer_that_was_lost_on_its_way_counts_nothing_twice(client, one, clock, monkeypatch):  # noqa: F811
    commit = one.folding._ledger._commit

    def lose(*args, **kwargs):
        commit(*args, **kwargs)
        raise ConnectionError("the cable is out")

    publish(client, happened("alpha", "no RPC"), happened("beta", "no RPC"))
    found = one.take()
    monkeypatch.setattr(one.folding._ledger, "_commit", lose)
    with pytest.raises(Away):
        one.judge(found)
    monkeypatch.undo()

    for (entry, _, _), judged in zip(found, one.judge(found), strict=True):
        one._deliver(entry, judged)

    assert names(one.told, "announced") == ["chat", "machine", "pager"]
    clock.advance(30)
    assert [(each.count, each.executors) for each in one.due()] == [(2, 2)]


def test_a_repeat_that_was_acknowledged_when_the_answer_was_lost_is_not_counted_again(client, clock, monkeypatch):  # noqa: F811
    people = Judge(client, "one", backends={"chat": Chat()}, routes={"chat": Route()}, clock=clock)
    commit = people.folding._ledger._commit

    def lose(*args, **kwargs):
        commit(*args, **kwargs)
        raise ConnectionError("the cable is out")

    publish(client, happened("alpha", "no RPC"), happened("beta", "no RPC"))
    found = people.take()
    with monkeypatch.context() as broken:
        broken.setattr(people.folding._ledger, "_commit", lose)
        with pytest.raises(Away):
            people.judge(found)

    first, second = people.judge(found)

    assert first.lanes == {"chat"}
    assert second.lanes == frozenset()
    people._deliver(found[0][0], first)
    clock.advance(30)
    assert [(each.count, each.executors) for each in people.due()] == [(2, 2)]


def test_who_was_too_slow_for_the_lock_judges_again_with_what_others_did_meanwhile(client, one, other, monkeypatch):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    found = one.take()
    publish(client, happened("beta", "no RPC"))
    begin, slow = one.folding._ledger.begin, iter([True, False])

    def and_sleep(asked):
        known = begin(asked)
        if next(slow):
            client.delete("notify:lock:matters")  # as it is after five seconds
            other.work()
        return known

    monkeypatch.setattr(one.folding._ledger, "begin", and_sleep)
    judged = one.judge(found)

    assert names(other.told, "announced") == ["chat", "machine", "pager"]
    assert judged[0].folded == {"chat", "pager"}


def test_who_needs_longer_than_the_lock_lasts_to_learn_all_comes_to_an_end(client, one, other, monkeypatch):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    one.work()
    client.hset("notify:matters", mapping={f"all/{number}": "{}" for number in range(2000)})
    monkeypatch.setattr("notify.relay.ledger._LOCK_SECONDS", 0.05)
    follow, slow = Grouping.follow, []

    def slowly(self, changed, now):
        if len(changed) > 1000:
            slow.append(len(changed))
            assert len(slow) < 3, "it begins again and again"
            time.sleep(0.1)
        follow(self, changed, now)

    monkeypatch.setattr(Grouping, "follow", slowly)
    publish(client, happened("beta", "no RPC"))

    assert [each.backend for each in other.work()] == ["machine"]  # who does not fold; the others were told
    assert len(slow) == 1


def test_who_has_lost_the_lease_notes_nothing(client, one, other):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    found = one.take()
    client.hset("notify:heirs", "one", "other")

    with pytest.raises(LeaseLost):
        one.judge(found)

    assert client.exists("notify:matters", "notify:lock:matters") == 0


def test_a_worker_that_dies_with_the_lock_stops_the_others_for_five_seconds_at_most(client, one, other):  # noqa: F811
    from notify.relay.ledger import Asked

    one.folding._ledger.begin(Asked())

    assert 4900 < client.pttl("notify:lock:matters") <= 5000
    client.pexpire("notify:lock:matters", 20)  # instead of waiting for it
    publish(client, happened("alpha", "no RPC"))
    assert names(other.work(), "announced") == ["chat", "machine", "pager"]


def test_a_redis_that_was_killed_goes_on_where_it_was(client, server, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"), happened("beta", "no RPC"))
    one.work()

    server.kill()
    server.start()
    publish(client, happened("gamma", "no RPC"))

    assert names(other.work(), "announced") == []
    clock.advance(30)
    assert [(each.count, each.executors) for each in one.due()] == [(3, 3)]


def test_a_worker_that_has_missed_too_much_is_told_everything(client, one, other, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    one.work()
    publish(client, happened("beta", "no RPC"), happened("alpha", "gas is low", key="gas"))
    other.work()
    client.xtrim("notify:matters:changes", maxlen=1, approximate=False)
    publish(client, happened("alpha", "", key="gas", phase=Phase.RESOLVED))
    other.work()
    client.xtrim("notify:matters:changes", maxlen=1, approximate=False)

    publish(client, happened("gamma", "no RPC"), happened("alpha", "gas is low", key="gas"))

    assert names(one.work(), "announced") == ["chat", "machine", "pager"]  # that of the gas, which had ended
    clock.advance(30)
    assert [(each.count, each.executors) for each in one.due()] == [(3, 3)]


def test_what_somebody_else_has_written_there_is_left_out(client, one, other):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    one.work()
    client.hset("notify:matters", mapping={"all/x": "[1]", "all/y": "{", "nobody/z": "{}", "all/": "7"})

    publish(client, happened("beta", "no RPC"))

    assert names(other.work(), "announced") == []


def test_what_was_decided_for_a_backend_that_was_taken_out_of_the_settings_holds_for_the_others(client, one):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    ((this, _, _),) = one.take()
    event = this.event
    judged = Judged(((event, frozenset({"chat", "removed"})), (event, frozenset({"removed"}))), frozenset({"removed"}))

    assert one.folding.judged_before(this, noted.encode(event, judged).encode()).lanes == {"chat"}
    assert one.folding.judged_before(this, noted.encode(event, judged).encode()).folded == frozenset()


def test_what_a_newer_worker_has_decided_and_this_one_cannot_read_goes_to_all_who_want_it(client, one):  # noqa: F811
    publish(client, happened("alpha", "no RPC"))
    ((this, _, _),) = one.take()

    for newer in (b'{"version": 2}', b'[[[{"matter": ["id", "a new phase", 1, 0, 0, 1]}, ["chat"]]], []]'):
        assert one.folding.judged_before(this, newer).lanes == this.wanted


def test_nothing_of_it_stays_for_ever(client, one, clock):  # noqa: F811
    publish(client, happened("alpha", "no RPC"), happened("beta", "no RPC"), happened("alpha", "low", key="gas"))
    one.work()
    (heard,) = client.keys("notify:matter:*")
    assert 86000 < client.ttl(heard) <= 86400

    publish(client, happened("alpha", "", key="gas", phase=Phase.RESOLVED))
    one.work()
    for _ in range(3):
        clock.advance(HOUR)
        one.due()

    assert client.hkeys("notify:matters") == [b"all/"]
    assert client.exists("notify:matters:said", heard, "notify:lock:matters") == 0
    assert client.keys("notify:entry:*") == []


# ---- as one process does it

PAGED = Lanes(frozenset({"chat", "pager"}), frozenset({"chat"}))
KEYS, TEXTS, EXECUTORS = ["gas", "rpc"], ["no RPC", "no gas", "no luck"], ["alpha", "beta", "gamma"]
WORKER = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.just("happen"), WORKER, st.sampled_from(EXECUTORS), st.sampled_from(TEXTS), st.just(None),
              st.sampled_from([WARNING, ERROR, CRITICAL])),
    st.tuples(st.just("happen"), WORKER, st.sampled_from(EXECUTORS), st.just("low"), st.sampled_from(KEYS),
              st.just(ERROR)),
    st.tuples(st.just("resolve"), WORKER, st.sampled_from(EXECUTORS), st.sampled_from(KEYS)),
    st.tuples(st.just("advance"), st.sampled_from([1.0, 29.0, 30.0, 31.0, 600.0, HOUR])),
    st.tuples(st.just("due"), WORKER),
    st.tuples(st.just("forget"), WORKER),
)  # fmt: skip


class OneProcess:
    """What one process with all the executors in it would say."""

    def __init__(self):
        self.matters = Grouping(PAGED, interval=HOUR, storm_limit=4)
        self.executors = defaultdict(set)

    def happen(self, executor, text, key, level, now):
        """Return who is told what of an event."""
        matter = happened(executor, text, level=level, key=key).matter
        subject = Subject(id_in_fleet(matter.id, executor if key else None), "log", named=key is not None)
        verdict, going = self.matters.judge(subject, level, frozenset(BACKENDS), now)
        if going is not None and going.count == 1:
            self.executors[subject.id].clear()
        if going is not None:
            self.executors[subject.id].add(executor)
        if verdict is not Verdict.ANNOUNCE:
            return [("machine", "", 0, 0)]
        return [(name, "announced", going.count, len(self.executors[going.id])) for name in BACKENDS]

    def resolve(self, executor, key):
        """Return who is told of an end."""
        going = self.matters.resolve(id_in_fleet(id_of_key(key), executor))
        return [] if going is None else [(name, "resolved", going.count, 1) for name in going.told]

    def due(self, now):
        """Return who is told what now."""
        told = []
        while self.matters.due_at <= now:
            for saying in self.matters.due(now):
                going = saying.going
                told += [(name, saying.phase.value, going.count, len(self.executors[going.id])) for name in saying.to]
                self.matters.told(going.id, lost=False)
            told += [(name, "", 0, 0) for name in self.matters.digest(now)]
        return told


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=30))
def test_two_workers_in_any_order_say_what_one_process_would(client, server, steps):  # noqa: F811
    client.flushall()
    clock, alone = FakeClock(), OneProcess()
    workers = [Judge(each, name, clock=clock, storm_limit=4) for name, each in (("one", client), ("other", client))]
    for what, *how in steps:
        worker = workers[how[0]] if what != "advance" else workers[0]
        if what == "happen":
            publish(client, happened(how[1], how[2], key=how[3], level=how[4]))
            expected, told = alone.happen(*how[1:], clock.time()), worker.work()
        elif what == "resolve":
            publish(client, happened(how[1], "", key=how[2], level=INFO, phase=Phase.RESOLVED))
            expected, told = alone.resolve(*how[1:]), worker.work()
        elif what == "due":
            worker.folding._followed_at = -math.inf  # as it is after five seconds
            expected, told = alone.due(clock.time()), worker.due()
        else:
            expected = told = []
            if what == "advance":
                clock.advance(how[0])
            else:
                worker.folding._forget()

        assert Counter((each.backend, each.phase, each.count, each.executors) for each in told) == Counter(expected)


# ---- processes

_WORKER = """
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from folds import Chat
from relay_matters import Judge
from notify.relay.stream import Away, LeaseLost
from notify.rules.routing import Route

port, name = sys.argv[1:]
client = redis.Redis(port=int(port), retry=Retry(NoBackoff(), 0), socket_timeout=5)

class Saying(list):  # says what was told before that is noted
    def append(self, each):
        say(each.phase, each.count, each.executors)

lives, judge = 0, None
say("ready")
while True:
    try:
        if judge is None:
            lives += 1
            backends, routes = {"chat": Chat()}, {"chat": Route()}
            judge = Judge(client, f"{name}-{lives}", backends=backends, routes=routes, lease=2.0)
            judge.told = Saying()
        judge.work(50)
        judge.take_over()
        judge.folding.due()
    except Away:
        time.sleep(0.02)
        judge.read_again()
    except LeaseLost:
        judge = None
    time.sleep(0.01)
"""
_HOLDER = """
import redis
from folds import Chat
from relay_matters import Judge
from notify.relay import ledger
from notify.relay.ledger import Asked
from notify.rules.routing import Route

ledger._LOCK_SECONDS = 1.0
judge = Judge(redis.Redis(port=int(sys.argv[1])), "holder", backends={"chat": Chat()}, routes={"chat": Route()})
judge.folding._ledger.begin(Asked())
say("held")
idle()
"""
PATHS = os.pathsep.join([str(Path(notify.__file__).parents[1]), str(Path(__file__).parent)])


def until(condition, seconds=60.0):
    """Wait for what processes do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.process
def test_one_outage_on_two_hundred_executors_is_told_twice_and_every_repeat_is_counted(client, server):  # noqa: F811
    executors, each, events = 200, 50, 10_000
    arguments = [(server.port, name) for name in ("a", "b", "c", "d")]
    with ExitStack() as stack:
        workers = [stack.enter_context(running(_WORKER, arguments=one, PYTHONPATH=PATHS)) for one in arguments]
        for worker in workers:
            wait_for(worker, "ready")
        pipeline = client.pipeline(transaction=False)
        for number in range(events):
            pipeline.xadd(EVENTS, fields_of(Entry(happened(f"executor {number % executors}", "no RPC"))))
            if number == events // 2:
                pipeline.execute()
                workers[0].kill()  # whatever it does at the moment
                server.kill()
                server.start()
        pipeline.execute()
        until(lambda: client.xinfo_groups(EVENTS)[0]["lag"] == 0 and not client.xpending(EVENTS, GROUP)["pending"])
        for worker in workers:
            worker.kill()
        said = [line for worker in workers for line in worker.communicate()[0].decode().splitlines() if line != "ready"]

    assert each * executors == events
    later = Judge(client, "later", backends={"chat": Chat()}, routes={"chat": Route()}, ahead=30)
    (counted,) = later.due()
    assert counted == Told("chat", "no RPC × 10,000 on 200 executors", "counted", events, executors)
    # Each of the two kills may have come between the telling and the note of it.
    assert 1 <= len(said) <= 3
    assert set(said) == {"announced 1 1"}


@pytest.mark.process
def test_the_kill_of_a_worker_with_the_lock_loses_nothing(client, server, one):  # noqa: F811
    with running(_HOLDER, arguments=(server.port,), PYTHONPATH=PATHS) as worker:
        wait_for(worker, "held")
        worker.kill()
    assert client.exists("notify:lock:matters") == 1
    publish(client, happened("alpha", "no RPC"))

    assert names(one.work(), "announced") == ["chat", "machine", "pager"]  # after what is left of its second
