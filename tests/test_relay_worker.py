"""A worker against a real Redis, in this process."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis_server import RedisServer, running_redis

from notify.backend import Backend
from notify.backends.memory import MemoryBackend
from notify.backends.relay.wire import DEAD, EVENTS, Entry, fields_of
from notify.clock import SystemClock
from notify.delivery.folding.front import INTERVAL, STORM_LIMIT
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Event, Matter, Origin, Phase, new_id
from notify.relay.judging import Given, Judged, Judging
from notify.relay.matters import SharedFolding
from notify.relay.stream import Stream
from notify.relay.worker import Worker
from notify.rules.routing import Route, parse_topics


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(server: RedisServer) -> RedisServer:
    server.client().flushall()
    return server


class NoJudging:
    """Everybody gets everything."""

    def judge_batch(self, given: Sequence[Given]) -> Sequence[Judged]:
        """Return each event for all who want it."""
        return [Judged(((each.event, each.wanted),)) for each in given]

    def judged_before(self, given: Given, noted: bytes) -> Judged:
        """Return the event for all who want it."""
        return Judged(((given.event, given.wanted),))

    def due(self) -> None:
        """Do nothing."""

    def lost(self, event: Event, backends: frozenset[str]) -> None:
        """Do nothing."""


def event(executor: str, number: int, **parts: object) -> Event:
    now = time.time()
    made = Event(id=new_id(now), time=now, message=f"{executor} {number}", level=25, origin=Origin(executor, executor))
    return replace(made, **parts)


def publish(server: RedisServer, *events: Event) -> list[str]:
    client = server.client()
    return [client.xadd(EVENTS, fields_of(Entry(each))).decode() for each in events]


def folding(server: RedisServer, name: str, backends: Mapping[str, Backend]) -> SharedFolding:
    routes = {each: Route() for each in backends}
    return SharedFolding(server.client(protocol=2), name, backends, routes, interval=INTERVAL, storm_limit=STORM_LIMIT)


def worker(
    server: RedisServer,
    name: str,
    lease: float = 30.0,
    routes: Mapping[str, Route] | None = None,
    judging: Judging | None = None,
    had_group: bool = False,
    **backends: Backend,
) -> Worker:
    client = server.client(protocol=2)
    return Worker(
        Stream(client, name, lease=lease),
        backends,
        {each: Route() for each in backends} | dict(routes or {}),
        judging=judging or NoJudging(),
        redact=lambda events: events,
        redact_text=str,
        clock=SystemClock(),
        lease=lease,
        had_group=had_group,
    )


@contextmanager
def working(*workers: Worker) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=each.run, args=(stop,)) for each in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for each in workers:
            each.close(2.0)


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come about"
        threading.Event().wait(0.01)


def pending(server: RedisServer) -> int:
    return server.client().xpending(EVENTS, "notify")["pending"]


def pending_entry(server: RedisServer) -> str:
    (one,) = server.client().xpending_range(EVENTS, "notify", "-", "+", 2)
    return one["message_id"].decode()


def test_what_was_published_arrives_in_order_and_is_acknowledged(redis: RedisServer) -> None:
    publish(redis, *(event("a", number) for number in range(500)))
    memory = MemoryBackend(max_batch=50)

    with working(worker(redis, "one", memory=memory)):
        memory.wait_for(500)
        until(lambda: pending(redis) == 0)

    assert memory.messages == [f"a {number}" for number in range(500)]
    assert redis.client().exists("notify:hands", "notify:inhand") == 0


class Gate(MemoryBackend):
    """Takes nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__(max_batch=50)
        self.is_open = False

    def send(self, events: Sequence[Event], /) -> int:
        if not self.is_open:
            raise RetryLater(0.1)
        return super().send(events)


def parked(server: RedisServer) -> int:
    count: int = server.client().llen("notify:parked:one:ill")
    return count


def test_a_dead_destination_delays_no_other_and_gets_it_all_in_order_later(redis: RedisServer) -> None:
    publish(redis, *(event("a", number) for number in range(3000)))
    well, ill = MemoryBackend(max_batch=50), Gate()

    with working(worker(redis, "one", well=well, ill=ill)):
        well.wait_for(3000, timeout=20)
        until(lambda: parked(redis) == 2000)  # a lane has room for a thousand
        ill.is_open = True
        ill.wait_for(3000, timeout=20)
        until(lambda: pending(redis) == 0)

    assert ill.messages == well.messages == [f"a {number}" for number in range(3000)]


def test_what_is_parked_survives_redis_and_comes_once_and_in_order(tmp_path: Path) -> None:
    with running_redis(tmp_path) as own:
        publish(own, *(event("a", number) for number in range(2500)))
        well, ill = MemoryBackend(max_batch=50), Gate()

        with working(worker(own, "one", well=well, ill=ill)):
            well.wait_for(2500, timeout=20)
            until(lambda: parked(own) == 1500)
            own.kill()
            own.start()
            publish(own, *(event("a", number) for number in range(2500, 2600)))
            well.wait_for(2600, timeout=20)
            ill.is_open = True
            ill.wait_for(2600, timeout=20)
            until(lambda: pending(own) == 0)

    assert ill.messages == well.messages == [f"a {number}" for number in range(2600)]


def test_who_takes_over_delivers_what_was_parked_too(redis: RedisServer) -> None:
    publish(redis, *(event("a", number) for number in range(1500)))
    well, ill = MemoryBackend(max_batch=50), Gate()
    with working(worker(redis, "one", well=well, ill=ill)):
        well.wait_for(1500, timeout=20)
        until(lambda: parked(redis) == 500)
    again, opened = MemoryBackend(max_batch=50), MemoryBackend(max_batch=50)

    with working(worker(redis, "two", well=again, ill=opened)):
        opened.wait_for(1500, timeout=20)
        until(lambda: pending(redis) == 0)
        until(lambda: not list(redis.client().scan_iter("notify:parked:*")))

    assert opened.messages == [f"a {number}" for number in range(1500)]
    assert again.messages == []  # it was all there before


def test_events_that_are_larger_than_an_answer_come_one_by_one(redis: RedisServer) -> None:
    publish(redis, *(event("a", number, body="x" * 6_000_000) for number in range(3)))
    memory = MemoryBackend()

    with working(worker(redis, "one", memory=memory)):
        memory.wait_for(3, timeout=20)
        until(lambda: pending(redis) == 0)

    assert memory.messages == ["a 0", "a 1", "a 2"]


def test_what_nobody_wants_is_acknowledged(redis: RedisServer) -> None:
    publish(redis, event("a", 1, level=10))
    memory = MemoryBackend()

    with working(worker(redis, "one", memory=memory)):
        until(lambda: any(group["lag"] == 0 for group in redis.client().xinfo_groups(EVENTS)))
        until(lambda: pending(redis) == 0)

    assert memory.events == []


def test_a_backend_that_is_taken_out_of_the_settings_loses_what_was_decided_for_it_and_stops_nobody(
    redis: RedisServer,
) -> None:
    before, after = {"old": Gate(), "kept": Gate()}, {"kept": MemoryBackend()}
    for backend in (*before.values(), *after.values()):
        backend.folds = True  # so that what becomes of an event is decided, and noted
    publish(redis, event("a", 0, level=40, matter=Matter("rpc", Phase.ANNOUNCED)))
    with working(first := worker(redis, "one", judging=folding(redis, "one", before), **before)):
        until(lambda: first.in_hand == 1)

    with working(worker(redis, "two", judging=folding(redis, "two", after), **after)):
        after["kept"].wait_for(1)
        until(lambda: pending(redis) == 0)

    assert after["kept"].messages == ["a 0"]


def test_what_was_decided_by_another_version_is_decided_anew(redis: RedisServer) -> None:
    (entry,) = publish(redis, event("a", 0, level=40, matter=Matter("rpc", Phase.ANNOUNCED)))
    redis.client().hset(f"notify:entry:{entry}", "judged", '{"version": 2}')
    other = Stream(redis.client(protocol=2), "other")
    other.join()
    other.take("0-0", 1)
    other.leave()
    memory = MemoryBackend()

    with working(worker(redis, "two", judging=folding(redis, "two", {"memory": memory}), memory=memory)):
        memory.wait_for(1)
        until(lambda: pending(redis) == 0)

    assert memory.messages == ["a 0"]


def test_what_a_backend_refuses_is_set_aside_for_it_alone(redis: RedisServer) -> None:
    publish(redis, event("a", 1), event("a", 2))
    picky, well = MemoryBackend([Rejected("no such chat")]), MemoryBackend()

    with working(worker(redis, "one", picky=picky, well=well)):
        well.wait_for(2)
        until(lambda: pending(redis) == 0)

    assert (picky.messages, well.messages) == (["a 2"], ["a 1", "a 2"])
    ((_, dead),) = redis.client().xrange(DEAD)
    assert (dead[b"backend"], dead[b"reason"], dead[b"executor"]) == (b"picky", b"no such chat", b"a")


def test_a_destination_that_is_gone_is_told_to_the_others_once(redis: RedisServer) -> None:
    publish(redis, event("a", 1))
    gone, well = MemoryBackend([Gone("the webhook was deleted")]), MemoryBackend()

    with working(worker(redis, "one", gone=gone, well=well)):
        well.wait_for(2)

    assert sorted(well.messages) == [
        "a 1",
        "gone takes no messages any more: the webhook was deleted. It is tried again every ten minutes.",
    ]


STANDING_IN = {"deleted": Route(fallback="chat"), "chat": Route(topics=parse_topics("nothing"))}
"""The chat wants nothing of its own, and gets what the deleted one should have."""


def test_what_was_for_a_destination_that_is_gone_goes_to_its_fallback_and_is_acknowledged(redis: RedisServer) -> None:
    publish(redis, *(event("a", number) for number in range(300)))
    chat = MemoryBackend(max_batch=50)
    deleted = MemoryBackend([Gone("the webhook was deleted")] * 2)

    with working(worker(redis, "one", routes=STANDING_IN, deleted=deleted, chat=chat)):
        chat.wait_for(301)  # with the news that the other is gone
        until(lambda: pending(redis) == 0)

    events = [each for each in chat.events if each.topic != "alert"]
    assert [each.message for each in events] == [f"a {number}" for number in range(300)]
    assert {each.fields["in place of"] for each in events} == {"deleted"}
    assert deleted.messages == []


def test_who_takes_over_hands_nothing_over_that_the_fallback_has_had(redis: RedisServer) -> None:
    publish(redis, event("a", 1))
    ill, chat, again = Gate(), MemoryBackend(), MemoryBackend()
    with working(worker(redis, "one", routes=STANDING_IN, deleted=MemoryBackend([Gone("no")]), chat=chat, ill=ill)):
        chat.wait_for(2)
        until(lambda: len(redis.client().hgetall(f"notify:entry:{pending_entry(redis)}")) == 2)  # both of the pair

    ill.is_open = True
    with working(worker(redis, "two", routes=STANDING_IN, deleted=MemoryBackend([Gone("no")]), chat=again, ill=ill)):
        ill.wait_for(1)
        until(lambda: pending(redis) == 0)

    assert "a 1" in chat.messages
    assert again.messages == []


def test_what_a_fallback_cannot_deliver_either_waits_for_whoever_is_there_first(redis: RedisServer) -> None:
    publish(redis, event("a", 1))
    first = worker(
        redis, "one", routes=STANDING_IN, deleted=MemoryBackend([Gone("no")]), chat=MemoryBackend([Gone("no")])
    )
    with working(first):
        until(lambda: all(each["last_error"] == "no" for each in first.stats().values()))

    back = MemoryBackend()
    with working(worker(redis, "two", routes=STANDING_IN, deleted=back, chat=MemoryBackend())):
        back.wait_for(1)
        until(lambda: pending(redis) == 0)

    assert (back.messages, back.events[0].fields) == (["a 1"], {})


def test_a_stand_in_that_is_slow_does_not_get_all_of_the_stream_into_memory(redis: RedisServer) -> None:
    publish(redis, *(event("a", number) for number in range(3000)))
    chat = Gate()
    one = worker(redis, "one", routes=STANDING_IN, deleted=MemoryBackend([Gone("no")] * 2), chat=chat)

    with working(one):
        until(lambda: one.stats()["deleted"]["parked"] == 2000)  # the chat has the other thousand in its place
        assert one.in_hand == 1000
        chat.is_open = True
        chat.wait_for(3001, timeout=20)  # with the news that the other is gone
        until(lambda: pending(redis) == 0)

    assert [each for each in chat.messages if each.startswith("a ")] == [f"a {number}" for number in range(3000)]


def test_a_stand_in_gets_what_the_relay_says_to_who_is_gone_alone(redis: RedisServer) -> None:
    said = replace(event("", 1), origin=None)
    redis.client().xadd(EVENTS, fields_of(Entry(said, frozenset({"deleted"}))))
    routes = {"deleted": Route(fallback="chat")}  # the chat wants all, and would be thought to have it anyway
    chat = MemoryBackend()

    with working(worker(redis, "one", routes=routes, deleted=MemoryBackend([Gone("no")]), chat=chat)):
        chat.wait_for(2)
        until(lambda: pending(redis) == 0)

    assert said.message in chat.messages


def test_that_redis_was_emptied_is_told_by_one_who_was_there_before(redis: RedisServer) -> None:
    one, other, newcomer = MemoryBackend(), MemoryBackend(), MemoryBackend()
    was_there = worker(redis, "one", had_group=True, memory=one)
    with working(was_there):
        until(lambda: len(one.events) == 1)
        with working(worker(redis, "other", had_group=True, memory=other), worker(redis, "new", memory=newcomer)):
            publish(redis, event("a", 1), event("b", 2), event("c", 3))
            until(lambda: len(one.events + other.events + newcomer.events) == 4)

    (told,) = [each for each in one.events + other.events + newcomer.events if each.topic == "alert"]
    assert told is one.events[0]
    assert told.level == logging.ERROR
    assert told.message == (
        "The relay's Redis has lost its group of workers, as when it was emptied: what waited there may be gone or "
        "come twice."
    )


def test_a_relay_that_begins_tells_nobody(redis: RedisServer) -> None:
    memory = MemoryBackend()
    with working(worker(redis, "one", memory=memory)):
        publish(redis, event("a", 1))
        until(lambda: bool(memory.events))

    assert [each.message for each in memory.events] == ["a 1"]
