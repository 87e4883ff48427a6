"""Many executors, several workers, and one Redis, all of which are killed while they work."""

from pathlib import Path

import pytest
from redis_server import running_redis
from relay_fleet import ACKNOWLEDGES_FIRST, Receiver, disordered, expected, fleet, repeated
from services import eventually

_EACH = 20  # events of each executor
_BATCH = 10  # events of one message: what a kill may cost twice

pytestmark = pytest.mark.process


def test_nothing_is_lost_when_workers_and_redis_are_killed(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    executors = pytestconfig.getoption("executors")
    receiver = Receiver(pause=0.002)
    total = executors * _EACH
    with running_redis(tmp_path) as redis, fleet(redis.url, tmp_path, receiver) as some:
        for _ in range(4):
            some.work()
        some.publish(executors, _EACH, pause=0.1)

        eventually(lambda: receiver.events > total * 0.2, "a fifth has arrived", timeout=300)
        some.workers[0].kill()
        eventually(lambda: receiver.events > total * 0.4, "two fifths have arrived", timeout=300)
        redis.kill()
        redis.start()
        eventually(lambda: receiver.events > total * 0.6, "three fifths have arrived", timeout=300)
        some.workers[1].kill()
        some.work()
        some.published(timeout=300)
        eventually(lambda: set(receiver.texts()) == expected(executors, _EACH), "all has arrived", timeout=300)
        eventually(lambda: redis.client().xpending("notify:events", "notify")["pending"] == 0, "all is acknowledged")

        texts = receiver.texts()
        assert set(texts) == expected(executors, _EACH)
        assert repeated(texts) <= 2 * _BATCH  # workers that were killed
        assert disordered(texts) == []
        assert redis.client().xlen("notify:dead") == 0
        assert redis.client().exists("notify:hands", "notify:inhand") == 0
    receiver.close()


def test_a_worker_that_says_done_too_early_is_found_out(tmp_path: Path) -> None:
    receiver = Receiver(pause=0.05)
    with running_redis(tmp_path) as redis, fleet(redis.url, tmp_path, receiver) as some:
        some.work(script=ACKNOWLEDGES_FIRST)
        some.publish(20, _EACH, processes=1)
        some.published(timeout=60)
        eventually(lambda: receiver.events > 40, "some of it has arrived")
        some.workers[0].kill()
        some.work()
        eventually(lambda: redis.client().xpending("notify:events", "notify")["pending"] == 0, "all is said to be done")

        assert set(receiver.texts()) != expected(20, _EACH)
    receiver.close()
