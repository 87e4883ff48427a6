"""A Redis for the tests of the relay's workers, whose time passes when it is told to."""

from collections.abc import Iterator

import pytest
import redis
from redis_server import RedisServer, running_redis

_TIMES = {"closed_until", "probed_until", "counted_until", "paid_until"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests of a module, each of which begins with nothing in it."""
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> redis.Redis:
    """A client of it, which is empty."""
    client = server.client()
    client.flushall()
    return client


def pass_time(client: redis.Redis, seconds: float) -> None:
    """Do with what is known of limits what *seconds* more of the server's clock do."""
    for key in client.scan_iter("notify:limit:*"):
        if client.type(key) == b"zset":
            for request, _ in client.zrange(key, 0, -1, withscores=True):
                client.zincrby(key, -seconds, request)
        else:
            for name, value in client.hgetall(key).items():
                if name.decode() in _TIMES:
                    client.hset(key, name, repr(float(value) - seconds))
