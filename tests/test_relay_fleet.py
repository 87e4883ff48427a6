"""Many executors, several workers, and one Redis, all of which are killed while they work."""

import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from redis.exceptions import OutOfMemoryError
from redis_server import RedisServer, running_redis
from relay_fleet import ACKNOWLEDGES_FIRST, Receiver, disordered, expected, fleet, repeated
from services import eventually

from notify.backends.relay.wire import Entry, fields_of
from notify.event import Event, Origin, new_id
from notify.testing.fake_discord import FakeDiscord

_EACH = 20  # events of each executor
_BATCH = 10  # events of one message: what a kill may cost twice
_ON_DISCORD = "executor-1,executor-2"  # of whom a channel takes all in less than its thirty messages a minute

pytestmark = pytest.mark.process


def test_nothing_is_lost_when_workers_and_redis_are_killed(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    executors = pytestconfig.getoption("executors")
    receiver = Receiver(pause=0.002)
    total = executors * _EACH
    with (
        running_redis(tmp_path) as redis,
        FakeDiscord() as discord,
        fleet(redis.url, tmp_path, receiver, DISCORD_WEBHOOK_URL=discord.url, DISCORD_EXECUTORS=_ON_DISCORD) as some,
    ):
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
        eventually(  # the limit of a channel is by the minute
            lambda: redis.client().xpending("notify:events", "notify")["pending"] == 0,
            "all is acknowledged",
            timeout=100,
        )

        told = told_on(discord)
        assert set(told) == {f"{executor} {number}" for executor in _ON_DISCORD.split(",") for number in range(_EACH)}
        assert repeated(told) <= 3 * _BATCH
        assert disordered(told) == []
        assert (discord.limited, discord.too_early) == (0, 0)
        texts = receiver.texts()
        assert set(texts) == expected(executors, _EACH)
        assert repeated(texts) <= 3 * _BATCH  # one message for each kill
        assert disordered(texts) == []
        assert redis.client().xlen("notify:dead") == 0
        assert redis.client().exists("notify:hands", "notify:inhand") == 0
    receiver.close()


def told_on(discord: FakeDiscord) -> list[str]:
    return [f"{embed['author']['name']} {embed['title'].rpartition(' ')[2]}" for embed in discord.embeds]


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


def test_a_worker_that_stood_still_for_longer_than_its_lease_begins_anew(tmp_path: Path) -> None:
    receiver = Receiver(pause=0.002)
    with running_redis(tmp_path) as redis, fleet(redis.url, tmp_path, receiver) as some:
        still, other = some.work(), some.work()
        eventually(lambda: redis.client().zcard("notify:workers") == 2, "both are there")
        some.publish(40, _EACH, processes=2, pause=0.05)
        eventually(lambda: {worker for worker, _ in receiver.messages} == {still.pid, other.pid}, "both deliver")
        still.send_signal(signal.SIGSTOP)
        some.published(timeout=60)
        eventually(lambda: set(receiver.texts()) == expected(40, _EACH), "the other has taken over", timeout=30)
        eventually(lambda: redis.client().zcard("notify:workers") == 1, "its lease has ended")
        still.send_signal(signal.SIGCONT)
        eventually(lambda: "begins anew" in some.said(still), "it has noticed")
        some.publish(40, _EACH, processes=2, pause=0.05)  # the same texts once more, of other ids
        some.published(timeout=60)
        eventually(lambda: receiver.events >= 2 * 40 * _EACH, "all of that has arrived, too")

        texts = receiver.texts()
        assert len(texts) <= 2 * 40 * _EACH + _BATCH  # the message that it was about to send
        assert {worker for worker, _ in receiver.messages[-60:]} == {still.pid, other.pid}
    receiver.close()


def test_redis_may_be_away_and_clocks_may_differ(tmp_path: Path) -> None:
    receiver = Receiver()
    a_minute_ahead = "import time; true_time = time.time; time.time = lambda: true_time() + 60"
    with running_redis(tmp_path) as redis, fleet(redis.url, tmp_path, receiver) as some:
        for script in ("", a_minute_ahead):
            some.work(script=script)
        some.publish(40, _EACH, processes=2, pause=0.1)
        eventually(lambda: receiver.events > 100, "something has arrived")
        redis.stop()
        threading.Event().wait(5.5)  # longer than a lease
        redis.start()
        some.published(timeout=60)
        eventually(lambda: set(receiver.texts()) == expected(40, _EACH), "all has arrived", timeout=30)

        assert repeated(receiver.texts()) == 0
        assert disordered(receiver.texts()) == []
        assert ["begins anew" in some.said(worker) for worker in some.workers] == [False, False]
    receiver.close()


def test_a_replica_that_takes_over_one_address_is_told_what_it_has_not_heard(tmp_path: Path) -> None:
    for name in ("primary", "replica"):
        (tmp_path / name).mkdir()
    receiver = Receiver(pause=0.03)  # 300 events a second: the worker waits for that, and not for Redis
    with (
        running_redis(tmp_path / "primary", "--repl-diskless-sync-delay", "0") as primary,
        running_redis(tmp_path / "replica") as replica,
        fleet(primary.url, tmp_path, receiver) as some,
    ):
        port, client = primary.port, replica.client()
        client.replicaof("127.0.0.1", port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up", "it is a replica")
        some.work()
        some.publish(10, 200, processes=1)
        some.published(timeout=60)
        eventually(lambda: receiver.events > 100, "it delivers")
        last = primary.client().xrevrange("notify:events", count=1)
        eventually(lambda: client.xrevrange("notify:events", count=1) == last, "the replica has all of it")
        client.replicaof("NO", "ONE")  # whatever is delivered from now on it does not hear
        before = receiver.events
        eventually(lambda: receiver.events > before + 100, "what is delivered is not replicated")
        primary.kill()
        client.config_set("port", port)
        eventually(lambda: set(receiver.texts()) == expected(10, 200), "all has arrived", timeout=60)
        taken_over = primary.client()
        eventually(lambda: taken_over.xpending("notify:events", "notify")["pending"] == 0, "all is acknowledged")

        assert repeated(receiver.texts()) == 0  # the worker that has delivered it lives
        assert disordered(receiver.texts()) == []
        assert taken_over.exists("notify:hands", "notify:inhand") == 0
    receiver.close()


def test_a_redis_that_comes_back_empty_is_told_once_and_the_rest_goes_on(tmp_path: Path) -> None:
    receiver = Receiver()
    with running_redis(tmp_path) as redis, fleet(redis.url, tmp_path, receiver) as some:
        for _ in range(2):
            some.work()
        eventually(lambda: redis.client().zcard("notify:workers") == 2, "both are there")
        redis.kill()
        shutil.rmtree(tmp_path / "appendonlydir")
        redis.start()
        some.publish(20, _EACH, processes=1)
        some.published(timeout=60)
        eventually(lambda: set(receiver.texts()) >= expected(20, _EACH), "all has arrived")
        eventually(lambda: redis.client().zcard("notify:workers") == 2, "both are there again")

        told = [text for text in receiver.texts() if text not in expected(20, _EACH)]
        assert told == [
            "The relay's Redis has lost its group of workers, as when it was emptied: what waited there may be gone or "
            "come twice."
        ]
        assert repeated(receiver.texts()) == 0
    receiver.close()


def test_a_redis_that_is_full_is_emptied_and_takes_the_rest(tmp_path: Path) -> None:
    receiver = Receiver()
    with running_redis(tmp_path, "--maxmemory", "8mb") as redis, fleet(redis.url, tmp_path, receiver) as some:
        before = fill(redis)
        assert before > 100  # eight megabytes, of which an empty server uses one, in events of twenty kilobytes
        some.publish(20, _EACH, processes=1)
        threading.Event().wait(1)
        # A few may have found the room that the buffers of who has filled it have given back meanwhile.
        assert before <= redis.client().xlen("notify:events") < before + 20 * _EACH
        some.work()
        some.published(timeout=60)
        eventually(lambda: receiver.events >= before + 20 * _EACH, "all has arrived", timeout=30)

        texts = receiver.texts()
        assert {text for text in texts if not text.startswith("full")} == expected(20, _EACH)
        assert repeated(texts) == 0
        assert disordered(texts) == []
    receiver.close()


def fill(redis: RedisServer) -> int:
    """Publish large events until Redis takes no more, and return how many it has."""
    client, count = redis.client(), 0
    with suppress(OutOfMemoryError):
        while True:
            now = time.time()
            event = Event(id=new_id(now), time=now, message=f"full {count}", level=25, body="x" * 20_000,
                          origin=Origin("full", "full"))  # fmt: skip
            client.xadd("notify:events", fields_of(Entry(event)))
            count += 1
    return count


def test_a_worker_that_is_told_to_end_does_so_in_five_seconds_and_others_go_on_at_once(tmp_path: Path) -> None:
    slow = Receiver(pause=0.5)  # 20 events a second
    with running_redis(tmp_path) as redis, fleet(redis.url, tmp_path, slow) as some:
        ending = some.work(lease="")
        some.publish(20, _EACH, processes=1)
        some.published(timeout=60)
        eventually(lambda: slow.events, "it delivers")
        began = time.monotonic()
        ending.terminate()
        assert ending.wait(10) == 0
        assert time.monotonic() - began < 9.0  # 5 are promised, and a busy machine may need the rest
        reached = slow.events
        assert reached < 20 * _EACH
        other = some.work(lease="")
        eventually(lambda: slow.messages[-1][0] == other.pid, "the other goes on", timeout=25)  # a lease takes 30 s

        assert repeated(slow.texts()) == 0
        assert disordered(slow.texts()) == []
    slow.close()


def test_a_worker_that_is_told_to_end_while_redis_hangs_does_so_in_five_seconds_too(tmp_path: Path) -> None:
    slow = Receiver(pause=0.1)
    with running_redis(tmp_path) as redis, fleet(redis.url, tmp_path, slow) as some:
        ending = some.work()
        some.publish(20, _EACH, processes=1)
        some.published(timeout=60)
        eventually(lambda: slow.events, "it delivers")
        with redis.hanging():
            began = time.monotonic()
            ending.terminate()
            assert ending.wait(30) == 0
            assert time.monotonic() - began < 9.0  # 5 are promised, and a request alone has 10
        some.work()
        eventually(lambda: set(slow.texts()) == expected(20, _EACH), "another has taken over", timeout=30)

        assert repeated(slow.texts()) <= _BATCH  # what arrived and could not be noted
        assert disordered(slow.texts()) == []
    slow.close()


def test_one_outage_of_all_is_one_message_that_counts_executors_and_repeats(tmp_path: Path) -> None:
    receiver = Receiver()
    edits_soon = "from notify.rules import grouping; grouping.EDIT_EVERY = 4.0"  # of the thirty seconds that it is
    with (
        running_redis(tmp_path) as redis,
        FakeDiscord() as discord,
        fleet(redis.url, tmp_path, receiver, DISCORD_WEBHOOK_URL=discord.url) as some,
    ):
        for _ in range(3):
            some.work(script=edits_soon)
        began = time.monotonic()
        some.publish(200, 50, processes=2, error="no RPC node answers")
        some.published(timeout=100)

        eventually(lambda: "× 10,000" in str(discord.embeds), "the message has the count", timeout=30)

        # The first, a count of what was known by then, and that of all; one more every 4 s that it took.
        assert discord.requests <= 3 + (time.monotonic() - began) // 4
        assert len(discord.messages) == 1
        assert "10,000 on 200 executors" in str(discord.embeds)
        assert discord.limited == 0
        eventually(lambda: receiver.events >= 200 * 50, "who does not fold gets all of it")
    receiver.close()


def test_a_channel_of_some_executors_gets_theirs_alone_and_its_limits_are_kept(tmp_path: Path) -> None:
    receiver = Receiver()
    with (
        running_redis(tmp_path) as redis,
        FakeDiscord() as discord,
        fleet(
            redis.url,
            tmp_path,
            receiver,
            DISCORD_WEBHOOK_URL=discord.url,
            DISCORD_EXECUTORS="executor-1,executor-2,executor-3",
        ) as some,
    ):
        for _ in range(4):
            some.work()
        some.publish(8, _EACH, processes=2, pause=0.02)
        some.published(timeout=60)
        eventually(lambda: len(discord.embeds) >= 3 * _EACH, "all has arrived", timeout=30)
        some.workers[0].kill()

        told = told_on(discord)
        assert set(told) == {text for text in expected(4, _EACH) if not text.startswith("executor-0 ")}
        assert disordered(told) == []
        assert (discord.limited, discord.too_early) == (0, 0)
    receiver.close()
