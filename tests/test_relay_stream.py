"""Who has what in hand, step by step."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis as redis_package
from redis_server import RedisServer, running_redis
from relays import client, server  # noqa: F401 - fixtures
from services import eventually

from notify.backends.relay.wire import DEAD, EVENTS, Entry, fields_of
from notify.event import Event, Origin, new_id
from notify.relay.stream import LeaseLost, Settled, Stream

NOW = 1_700_000_000.0
SHORT = 0.05  # seconds of a lease that has ended as soon as anybody looks
LONG = 60.0

Join = Callable[..., Stream]


@pytest.fixture
def join(server: RedisServer, client: redis_package.Redis) -> Iterator[Join]:  # noqa: F811
    own = server.client(protocol=2)

    def joined(name: str, lease: float = LONG) -> Stream:
        stream = Stream(own, name, lease=lease)
        stream.join()
        return stream

    yield joined
    own.close()


def published(client: redis_package.Redis, *texts: str) -> list[str]:  # noqa: F811
    """Publish events, each said by the executor that its text begins with."""
    entries = []
    for text in texts:
        event = Event(id=new_id(NOW), time=NOW, message=text, level=25, origin=Origin(text.split()[0], "name"))
        entries.append(client.xadd(EVENTS, fields_of(Entry(event))).decode())
    return entries


def test_what_an_executor_says_while_somebody_has_it_in_hand_goes_there(client, join) -> None:  # noqa: F811
    one, other = join("one"), join("other")
    published(client, "a 1", "b 1")
    first = one.take("0-0", 1)
    published(client, "a 2", "b 2")

    others = other.take("0-0", 10)
    rest = one.take(first.cursor, 10)

    assert [each.fields[b"executor"] for each in others.found] == [b"b", b"b"]
    assert [each.fields[b"executor"] for each in rest.found] == [b"a"]
    assert rest.end is not None


def test_an_executor_is_free_again_when_all_of_it_is_settled(client, join) -> None:  # noqa: F811
    one, other = join("one"), join("other")
    published(client, "a 1")
    (found,) = one.take("0-0", 10).found
    one.settle([Settled(found.entry, found.executor)])
    published(client, "a 2")

    assert len(other.take("0-0", 10).found) == 1
    assert client.hgetall("notify:hands") == {b"a": b"other"}


def test_an_entry_is_done_when_every_backend_has_it_and_may_be_said_so_twice(client, join) -> None:  # noqa: F811
    one = join("one")
    published(client, "a 1", "a 2")
    found, _ = one.take("0-0", 10).found
    here = Settled(found.entry, found.executor, "here", frozenset({"there"}))
    there = Settled(found.entry, found.executor, "there", frozenset({"here"}))

    one.settle([here, here])
    assert client.xpending(EVENTS, "notify")["pending"] == 2
    one.settle([there, there])

    assert client.xpending(EVENTS, "notify")["pending"] == 1
    assert client.hget("notify:inhand", "a") == b"1"


def test_an_event_that_was_published_twice_is_taken_once(client, join) -> None:  # noqa: F811
    one = join("one")
    event = Event(id=new_id(NOW), time=NOW, message="a 1", level=25, origin=Origin("a", "name"))
    for _ in range(2):
        client.xadd(EVENTS, fields_of(Entry(event)))

    taken = one.take("0-0", 10)

    assert len(taken.found) == 1
    assert taken.duplicates == 1
    assert client.xpending(EVENTS, "notify")["pending"] == 1


def test_a_dead_workers_entries_come_before_what_its_executors_say_later(client, join) -> None:  # noqa: F811
    dead, heir, third = join("dead", SHORT), join("heir"), join("third")
    entries = published(client, *(f"a {number}" for number in range(5)))
    dead.take("0-0", 10)
    eventually(lambda: dead_for(client, "dead"), "its lease has ended")

    first, _, more = heir.claim(3, is_sure=True)
    entries += published(client, "a 5")
    assert third.take("0-0", 10).found == []  # while the heir is at it, nobody else gets any of it
    second, _, _ = heir.claim(10, is_sure=True)
    _, _, still = heir.claim(10, is_sure=True)

    assert more
    assert [each.entry for each in (*first, *second)] == entries
    assert still  # the last step is made by this call
    assert client.hgetall("notify:hands") == {b"a": b"heir"}
    assert heir.claim(10, is_sure=True) == ([], 0, False)


def dead_for(client: redis_package.Redis, worker: str) -> bool:  # noqa: F811
    seconds, micros = client.time()
    return client.zscore("notify:workers", worker) < seconds + micros / 1e6


def test_an_heir_that_dies_leaves_its_own_part_to_be_taken_over_first(client, join) -> None:  # noqa: F811
    dead, heir, last = join("dead", SHORT), join("heir", SHORT), join("last")
    entries = published(client, *(f"a {number}" for number in range(6)))
    dead.take("0-0", 10)
    eventually(lambda: dead_for(client, "dead"), "its lease has ended")
    heir.claim(2, is_sure=True)
    eventually(lambda: dead_for(client, "heir"), "its lease has ended")

    order = []
    while True:
        found, _, more = last.claim(2, is_sure=True)
        order += [each.entry for each in found]
        if not more:
            break

    assert order == entries


def test_who_was_taken_over_from_can_do_nothing_any_more(client, join) -> None:  # noqa: F811
    dead, heir = join("dead", SHORT), join("heir")
    published(client, "a 1")
    (found,) = dead.take("0-0", 10).found
    eventually(lambda: dead_for(client, "dead"), "its lease has ended")
    heir.claim(10, is_sure=True)

    for call in (
        lambda: dead.take("0-0", 10),
        lambda: dead.settle([Settled(found.entry, found.executor)]),
        lambda: dead.park("memory", [found.entry]),
        dead.leave,
    ):
        with pytest.raises(LeaseLost):
            call()
    assert client.xpending(EVENTS, "notify")["pending"] == 1


def test_a_lease_that_nobody_has_noticed_the_end_of_goes_on(client, join) -> None:  # noqa: F811
    slow, other = join("slow", SHORT), join("other")
    published(client, "a 1")
    slow.take("0-0", 10)
    eventually(lambda: dead_for(client, "slow"), "its lease has ended")

    assert other.claim(10, is_sure=False) == ([], 0, False)  # who was away himself does not know
    assert slow.take("0-0", 0).found == []


def test_what_has_killed_five_workers_is_set_aside_and_the_rest_goes_on(client, join) -> None:  # noqa: F811
    published(client, "a 1", "a 2")
    for number in range(5):
        worker = join(f"victim {number}", SHORT)
        if number == 0:
            worker.take("0-0", 1)
        else:
            assert len(worker.claim(10, is_sure=True)[0]) == 1
            worker.claim(10, is_sure=True)
        eventually(lambda name=f"victim {number}": dead_for(client, name), "its lease has ended")

    last = join("last")
    found, poison, _ = last.claim(10, is_sure=True)

    assert (found, poison) == ([], 1)
    ((_, fields),) = client.xrange(DEAD)
    assert fields[b"reason"] == b"each of 5 workers that had it in hand was killed"
    last.claim(10, is_sure=True)
    assert [each.fields[b"id"] for each in last.take("0-0", 10).found] == [
        client.xrevrange(EVENTS, count=1)[0][1][b"id"]
    ]


def test_what_a_worker_has_lived_with_is_not_what_kills(client, join) -> None:  # noqa: F811
    (entry,) = published(client, "a 1")
    for number in range(7):  # more than may be killed
        worker = join(f"victim {number}", SHORT)
        if number == 0:
            worker.take("0-0", 1)
        else:
            assert len(worker.claim(10, is_sure=True)[0]) == 1
            worker.claim(10, is_sure=True)
        worker.absolve([entry])
        eventually(lambda name=f"victim {number}": dead_for(client, name), "its lease has ended")

    assert client.xlen(DEAD) == 0


def test_who_leaves_is_no_death_and_is_taken_over_from_at_once(client, join) -> None:  # noqa: F811
    published(client, "a 1")
    for number in range(10):
        worker = join(f"worker {number}")
        if number == 0:
            worker.take("0-0", 10)
        else:
            assert len(worker.claim(10, is_sure=False)[0]) == 1
            worker.claim(10, is_sure=False)
        worker.leave()

    assert client.xlen(DEAD) == 0


def test_parked_entries_come_back_in_order_and_only_if_they_wait_still(client, join) -> None:  # noqa: F811
    one = join("one")
    published(client, *(f"a {number}" for number in range(4)))
    found = one.take("0-0", 10).found
    ids = [each.entry for each in found]
    assert one.park("memory", ids[:2]) == 2
    assert one.park("memory", ids[2:]) == 4
    one.settle([Settled(found[1].entry, found[1].executor)])

    back, left = one.unpark("memory", 2)

    assert [each.entry for each in back] == [ids[0], ids[2]]
    assert left == 1


def test_parked_entries_that_somebody_has_deleted_wait_no_longer(client, join) -> None:  # noqa: F811
    one = join("one")
    entries = published(client, "a 1", "a 2")
    one.take("0-0", 10)
    one.park("discord", entries)
    client.xtrim(EVENTS, maxlen=1, approximate=False)  # as who makes room in a Redis that is full

    found, left = one.unpark("discord", 10)

    assert ([each.entry for each in found], left) == (entries[1:], 0)
    assert client.xpending(EVENTS, "notify")["pending"] == 1


def test_the_stream_is_trimmed_behind_the_slowest_and_no_further(client, join) -> None:  # noqa: F811
    one = join("one")
    entries = published(client, *(f"a {number}" for number in range(1000)))
    found = one.take("0-0", 1000).found
    one.settle([Settled(each.entry, each.executor) for each in found if each.entry != entries[500]])
    client.xgroup_create(EVENTS, "somebody else", entries[299])

    one.trim()

    left = [entry.decode() for entry, _ in client.xrange(EVENTS)]
    assert entries[299] in left  # what the other group has behind it by one may go, and Redis trims by whole nodes
    assert len(left) < 1000 - 150  # of 100 entries each
    client.xgroup_setid(EVENTS, "somebody else", "$")
    one.trim()
    left = [entry.decode() for entry, _ in client.xrange(EVENTS)]
    assert entries[500] in left
    assert entries[350] not in left


def test_a_server_that_was_emptied_costs_the_lease_and_a_new_one_is_there_at_once(client, join) -> None:  # noqa: F811
    one = join("one")
    client.flushall()

    with pytest.raises(LeaseLost, match="or Redis has lost it"):  # nobody has taken over: that would be a lie
        one.take("0-0", 10)

    assert join("another").take("0-0", 10).found == []


@pytest.mark.parametrize("lost", [("DEL", EVENTS), ("XGROUP", "DESTROY", EVENTS, "notify")])
def test_a_group_that_is_made_anew_binds_nobody_to_what_the_old_one_had_in_hand(client, join, lost) -> None:  # noqa: F811
    one, other = join("one"), join("other")
    published(client, "a 1", "b 1")
    (found, _) = one.take("0-0", 10).found
    one.park("discord", [found.entry])
    client.execute_command(*lost)

    third = join("third")

    for worker in (one, other):  # one that noticed nothing would never read what comes to it behind its cursor
        with pytest.raises(LeaseLost):
            worker.take("0-0", 10)
    published(client, "a 2")
    taken = third.take("0-0", 10).found
    assert taken[-1].fields[b"executor"] == b"a"
    third.settle([Settled(each.entry, each.executor) for each in taken])
    assert {key for key in client.scan_iter() if b":seen:" not in key} == {b"notify:events", b"notify:workers"}


def test_who_joins_learns_whether_there_was_a_group(server: RedisServer, client) -> None:  # noqa: F811
    one, other = (Stream(server.client(protocol=2), name) for name in ("one", "other"))

    assert (one.join(), other.join()) == (True, False)


@pytest.mark.process
def test_a_server_that_was_started_again_between_two_looks_is_noticed_before_anything_is_read(tmp_path: Path) -> None:
    with running_redis(tmp_path) as own:
        stream = Stream(own.client(protocol=2), "one")
        stream.join()
        assert not stream.take("0-0", 10).is_elsewhere
        own.stop()
        own.start()
        published(own.client(), "a 1")

        looks = [stream.take("0-0", 10) for _ in range(3)]

    assert [each.is_elsewhere for each in looks] == [True, False, False]
    assert [len(each.found) for each in looks] == [0, 1, 1]


@pytest.mark.process
def test_at_a_server_that_was_started_again_nobody_takes_over_before_he_has_looked(tmp_path: Path) -> None:
    with running_redis(tmp_path) as own:
        one, other = (Stream(own.client(protocol=2), name, lease=SHORT) for name in ("one", "other"))
        published(own.client(), "a 1")
        for stream in (one, other):
            stream.join()
        one.take("0-0", 10)
        other.take("0-0", 0)
        own.stop()
        own.start()

        assert other.claim(10, is_sure=True) == ([], 0, False)
        other.take("0-0", 0)
        eventually(lambda: other.claim(10, is_sure=True)[0], "its lease has ended")


def test_one_of_all_workers_says_what_concerns_them_all(client, join) -> None:  # noqa: F811
    one, other = join("one"), join("other")

    assert [one.is_first_to_say("discord is gone"), other.is_first_to_say("discord is gone")] == [True, False]
    assert other.is_first_to_say("telegram is gone")


def fill(client: redis_package.Redis, event: Event) -> None:  # noqa: F811
    while True:
        client.xadd(EVENTS, fields_of(Entry(replace(event, id=new_id(NOW)))))


def test_a_full_server_can_be_emptied(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("full")
    with running_redis(directory, "--maxmemory", "3mb") as full:
        client = full.client()
        event = Event(id=new_id(NOW), time=NOW, message="x" * 10_000, level=25, origin=Origin("a", "name"))
        with pytest.raises(redis_package.exceptions.OutOfMemoryError):
            fill(client, event)
        count = client.xlen(EVENTS)
        assert count > 10  # three megabytes, of which an empty server uses one
        one = Stream(full.client(protocol=2), "one")

        one.join()
        one.report(b"{}", seconds=60)  # or `notify relay status` would say that nothing is delivered
        assert [one.is_first_to_say("discord is gone") for _ in range(2)] == [True, False]
        cursor, taken = "0-0", 0
        while found := (page := one.take(cursor, 50)).found:
            cursor, taken = page.cursor, taken + len(found)
            one.settle([Settled(each.entry, each.executor) for each in found])
        one.trim()

        assert taken == count
        client.xadd(EVENTS, fields_of(Entry(event)))


def test_a_clock_of_the_server_that_is_set_back_lets_no_dead_worker_live_for_longer_than_a_lease(client, join):  # noqa: F811
    dead, heir = join("dead"), join("heir")
    (entry,) = published(client, "a 1")
    dead.take("0-0", 1)
    client.zincrby("notify:workers", 3600, "dead")  # as when the clock goes back by an hour

    assert heir.claim(10, is_sure=True) == ([], 0, False)
    left = client.zscore("notify:workers", "dead") - client.time()[0]
    client.zincrby("notify:workers", -left - 1, "dead")  # that much later
    found, _, _ = heir.claim(10, is_sure=True)

    assert 0 < left <= LONG + 1  # a lease, and the part of a second that the clock has beside it
    assert [each.entry for each in found] == [entry]


def test_what_is_noted_once_more_because_the_answer_was_lost_leaves_nothing_behind(client, join) -> None:  # noqa: F811
    one = join("one")
    published(client, "a 1")
    (found,) = one.take("0-0", 10).found
    refused = Settled(found.entry, found.executor, "here", frozenset({"there"}), "no such chat")
    there = Settled(found.entry, found.executor, "there", frozenset({"here"}))
    one.settle([refused])

    one.settle([refused, there])
    one.settle([refused, there])

    assert client.xlen(DEAD) == 1
    assert client.xpending(EVENTS, "notify")["pending"] == 0
    assert list(client.scan_iter("notify:entry:*")) == []


def test_a_dead_worker_is_taken_over_from_though_the_servers_clock_was_set_back(client, join) -> None:  # noqa: F811
    dead, heir = join("dead"), join("heir", SHORT)
    published(client, "a 1")
    assert len(dead.take("0-0", 10).found) == 1
    client.zincrby("notify:workers", 3600, "dead")  # what the clock of an hour ago makes of its lease

    eventually(lambda: heir.claim(10, is_sure=True)[0], "the heir has it")

    assert client.hget("notify:heirs", "dead") == b"heir"


def test_events_that_are_larger_than_an_answer_are_not_read_together(client, join) -> None:  # noqa: F811
    one = join("one")
    for number in range(4):
        said = Event(id=new_id(NOW), time=NOW, message=f"a {number}", level=25, body="x" * 5_000_000)
        client.xadd(EVENTS, fields_of(Entry(said)))

    assert len(one.take("0-0", 10).found) == 1  # of 5 MB, and an answer has 4 MB
    assert client.xpending(EVENTS, "notify")["pending"] == 1
