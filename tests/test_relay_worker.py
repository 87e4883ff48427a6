"""A worker against a real Redis, in this process."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from redis_server import RedisServer, running_redis

from notify.backend import Backend
from notify.backends.memory import MemoryBackend
from notify.backends.relay.wire import EVENTS, Entry, fields_of
from notify.clock import SystemClock
from notify.errors import RetryLater
from notify.event import Event, Origin, new_id
from notify.relay.judging import NoJudging
from notify.relay.stream import Stream
from notify.relay.worker import Worker
from notify.rules.routing import Route


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(server: RedisServer) -> RedisServer:
    server.client().flushall()
    return server


def event(executor: str, number: int, **parts: object) -> Event:
    now = time.time()
    made = Event(id=new_id(now), time=now, message=f"{executor} {number}", level=25, origin=Origin(executor, executor))
    return replace(made, **parts)


def publish(server: RedisServer, *events: Event) -> list[str]:
    client = server.client()
    return [client.xadd(EVENTS, fields_of(Entry(each))).decode() for each in events]


def worker(server: RedisServer, name: str, lease: float = 30.0, **backends: Backend) -> Worker:
    client = server.client(protocol=2)
    return Worker(
        Stream(client, name, lease=lease),
        backends,
        {each: Route() for each in backends},
        judging=NoJudging(),
        redact=lambda events: events,
        redact_text=str,
        clock=SystemClock(),
        lease=lease,
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


def test_what_was_published_arrives_in_order_and_is_acknowledged(redis: RedisServer) -> None:
    publish(redis, *(event("a", number) for number in range(500)))
    memory = MemoryBackend(max_batch=50)

    with working(worker(redis, "one", memory=memory)):
        memory.wait_for(500)
        until(lambda: pending(redis) == 0)

    assert memory.messages == [f"a {number}" for number in range(500)]
    assert redis.client().exists("notify:hands", "notify:inhand") == 0


def test_a_dead_destination_delays_no_other_and_gets_it_all_in_order_later(redis: RedisServer) -> None:
    publish(redis, *(event("a", number) for number in range(3000)))
    well = MemoryBackend(max_batch=50)
    ill = MemoryBackend([RetryLater(1.5)], max_batch=50)

    with working(worker(redis, "one", well=well, ill=ill)):
        well.wait_for(3000)
        assert ill.messages == []
        assert redis.client().llen("notify:parked:one:ill") > 1000  # 3,000 less the room of a lane
        ill.wait_for(3000, timeout=20)
        until(lambda: pending(redis) == 0)

    assert ill.messages == well.messages == [f"a {number}" for number in range(3000)]
