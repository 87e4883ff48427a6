"""Measures the relay: what it costs who publishes, how fast workers deliver, what they weigh before a long stream.

    python tests/benchmark/relay.py [--events 50000] [--waiting 1000000] [--rounds 3]

Needs redis-server. Its directory is a temporary one, its file is flushed every second.
"""

import argparse
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import table

sys.path.insert(0, str(Path(__file__).parents[1]))

from redis_server import RedisServer, running_redis

_EXECUTORS = 1000
_BATCH = 1000  # events that are published in one go
_CALLS = 3000
_PAUSE = 0.0005  # seconds between paced calls
_WATCHED = 20.0  # seconds that a worker is watched before a long stream


class Rate(NamedTuple):
    """How quickly workers deliver.

    Args:
        events: a second.
        workers: microseconds of their processor an event.
        redis: the same of Redis'.
    """

    events: float
    workers: float
    redis: float


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--waiting", type=int, default=1_000_000, help="0: memory is not measured")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory() as directory, running_redis(Path(directory), "--maxmemory", "2gb") as redis:
        versions = f"Python {platform.python_version()}, Redis {redis.client().info('server')['redis_version']}"
        print(f"{options.rounds} rounds of {options.events:,} events of {_EXECUTORS:,} executors. {versions}, "
              f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.\n")  # fmt: skip
        # One after the other in each round, so that a machine that is busy with something else counts for all of them.
        rounds = [{count: rate(redis, count, options.events) for count in (1, 2, 4)} for _ in range(options.rounds)]
        print(table.markdown(
            ["workers", "events/s", "most", "× one", "µs of processor an event, workers", "Redis"],
            [_row(count, [each[count] for each in rounds], [each[1] for each in rounds]) for count in rounds[0]],
        ))  # fmt: skip
        print()
        print(table.markdown(
            ["", "p50 µs", "p99 µs"],
            [[name, *map(table.number, calls(level, env))]
             for name, level, env in (
                 ("`logger.info`, Discord set up", "info", {"DISCORD_WEBHOOK_URL": _NOWHERE}),
                 ("the same, with the relay", "info", {"NOTIFY_RELAY_URL": redis.url}),
                 ("`logger.trade`, durable, Discord set up", "trade", {"DISCORD_WEBHOOK_URL": _NOWHERE}),
                 ("the same, with the relay", "trade", {"NOTIFY_RELAY_URL": redis.url}),
             )],
        ))  # fmt: skip
        print()
        if options.waiting:
            _weights(redis, options.waiting)


def _row(count: int, found: Sequence[Rate], ones: Sequence[Rate]) -> list[str]:
    return [
        str(count),
        table.number(median(each.events for each in found)),
        table.number(max(each.events for each in found)),
        table.ratio(median(each.events / one.events for each, one in zip(found, ones, strict=True))),
        table.number(median(each.workers for each in found)),
        table.number(median(each.redis for each in found)),
    ]


def _weights(redis: RedisServer, count: int) -> None:
    publish(redis, count, fresh=True)
    size = redis.client().memory_usage("notify:events", samples=0)
    print(f"An event in the stream takes {size / count:.0f} bytes of Redis' memory.\n")
    print(table.markdown(
        ["a worker's memory, MB", "most", "events delivered meanwhile"],
        [[name, *map(table.number, weight(redis, kind))]
         for name, kind in (
             (f"before {count:,} events, its destination dead", "dead"),
             ("the same, one destination dead beside one that takes all", "dead,quick"),
         )],
    ))  # fmt: skip


_NOWHERE = "https://discord.com/api/webhooks/123456789012345678/" + "a" * 68  # a proxy that is not there refuses


def publish(redis: RedisServer, count: int, *, fresh: bool) -> None:
    """Put *count* events into the stream, as programs put them there."""
    from notify.backends.relay.wire import EVENTS, Entry, fields_of
    from notify.event import Event, Origin, Source, new_id

    client = redis.client()
    if fresh:
        client.flushall()
    origins = [Origin(f"executor-{number}", f"Executor {number}") for number in range(_EXECUTORS)]
    source = Source("strategy.py", 42, "decide", 1234, "MainThread")
    for numbers in _batched(count):
        pipeline = client.pipeline(transaction=False)
        for number in numbers:
            now = time.time()
            event = Event(id=new_id(now), time=now, message=f"Bought {number} of ETH", level=25, topic="trade",
                          fields={"pair": "ETH-USDC", "price": 1850.25, "slot": number}, logger="strategy",
                          source=source, origin=origins[number % _EXECUTORS])  # fmt: skip
            pipeline.xadd(EVENTS, fields_of(Entry(event)))
        pipeline.execute()


def _batched(count: int) -> Iterator[range]:
    return (range(first, min(first + _BATCH, count)) for first in range(0, count, _BATCH))


def rate(redis: RedisServer, count: int, events: int) -> Rate:
    """Return how quickly *count* workers deliver *events*."""
    publish(redis, events, fresh=True)
    client = redis.client()
    with _workers(redis, ["quick"] * count) as workers:
        before = _processor(client)
        began = time.monotonic()
        for worker in workers:
            _say(worker, "go")
        while client.xlen("notify:events") and not _is_done(client):
            time.sleep(0.005)
        seconds = time.monotonic() - began
        used = _processor(client) - before
        processors = [float(_say(worker, "end").split()[1]) for worker in workers]
    return Rate(events / seconds, sum(processors) / events * 1e6, used / events * 1e6)


def _is_done(client: Any) -> bool:
    group = client.xinfo_groups("notify:events")[0] if client.exists("notify:workers") else {"lag": 1, "pending": 1}
    return not group["lag"] and not group["pending"]


def _processor(client: Any) -> float:
    said = client.info("cpu")
    return float(said["used_cpu_sys"]) + float(said["used_cpu_user"])


def weight(redis: RedisServer, kinds: str) -> tuple[float, float]:
    """Return the most megabytes that a worker has had, and how many events it has delivered meanwhile."""
    client = redis.client()
    for key in client.scan_iter("notify:*", count=10_000):
        if key != b"notify:events":
            client.delete(key)
    if client.xinfo_groups("notify:events"):
        client.xgroup_destroy("notify:events", "notify")
    with _workers(redis, [kinds]) as (worker,):
        _say(worker, "go")
        time.sleep(_WATCHED)
        _, _, peak, delivered = _say(worker, "end").split()
    return float(peak), float(delivered)


@contextmanager
def _workers(redis: RedisServer, kinds: Sequence[str]) -> Iterator[list["subprocess.Popen[str]"]]:
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "worker", redis.url, each],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for each in kinds
    ]  # fmt: skip
    try:
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _say(worker: "subprocess.Popen[str]", word: str) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(word, file=worker.stdin, flush=True)
    return worker.stdout.readline()


def calls(level: str, env: dict[str, str]) -> tuple[float, float]:
    """Return the median and the 99th percentile of what one call takes, in microseconds."""
    with TemporaryDirectory() as directory:
        names = {**os.environ, **env, "NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": directory,
                 "HTTPS_PROXY": "http://127.0.0.1:9", "DISCORD_LEVEL": "INFO"}  # fmt: skip
        command = [sys.executable, __file__, "caller", level]
        said = subprocess.run(command, env=names, capture_output=True, text=True, check=True).stdout.split()
    return float(said[0]), float(said[1])


def _caller(level: str) -> None:
    import logging

    import notify

    notify.setup()
    logger = logging.getLogger("strategy")
    say = getattr(logger, level)
    took = []
    for number in range(_CALLS):
        began = time.perf_counter()
        say("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25, "slot": number})
        took.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    print(median(took[200:]) * 1e6, quantiles(took[200:], n=100)[98] * 1e6, flush=True)
    os._exit(0)  # nobody waits for what cannot be delivered


class _Quick:
    """Takes all there is, and keeps nothing."""

    folds = False
    max_batch = 100
    delivered = 0

    def send(self, events: Sequence[Any], /) -> int:
        self.delivered += len(events)
        return len(events)

    def close(self) -> None:
        pass


class _Dead(_Quick):
    """Takes nothing."""

    def send(self, events: Sequence[Any], /) -> int:
        raise ConnectionError


def _worker(url: str, kinds: str) -> None:
    from notify.backends.relay.server import open_client
    from notify.relay.service import Destinations, Service, Stop, address_of
    from notify.rules.redaction import Redactor
    from notify.rules.routing import Route
    from notify.run_state import RunState
    from notify.settings import Settings

    config = Settings({"NOTIFY_RELAY_URL": url})
    backends: dict[str, Any] = {kind: {"quick": _Quick, "dead": _Dead}[kind]() for kind in kinds.split(",")}
    to = Destinations(backends, {kind: Route() for kind in backends})
    service = Service(config, open_client(address_of(config)), to, redactor=Redactor(), run_state=RunState())
    stop = Stop()
    print("ready", flush=True)
    sys.stdin.readline()
    before = time.process_time()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    print("works", flush=True)
    sys.stdin.readline()
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    delivered = max(each.delivered for each in backends.values())
    print("ended", time.process_time() - before, int(peak) / 1024, delivered, flush=True)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        _worker(*sys.argv[2:])
    elif sys.argv[1:2] == ["caller"]:
        _caller(*sys.argv[2:])
    else:
        main()
