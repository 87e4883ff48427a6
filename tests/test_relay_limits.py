"""What several workers may send together, on Redis' clock."""

import json
import math
from bisect import bisect_left
from contextlib import ExitStack

import pytest
from children import ended, running, wait_for
from redis.backoff import NoBackoff
from redis.retry import Retry
from relays import client, pass_time, server  # noqa: F401 - fixtures

from notify.backends.discord import DiscordBackend
from notify.backends.http import Answer
from notify.errors import RetryLater
from notify.event import Event
from notify.relay.limits import SharedLimiter, _keys
from notify.testing.fake_discord import FakeDiscord

ONE, TWO = "https://discord.com/api/v10/webhooks/1/secret-one", "https://discord.com/api/v10/webhooks/2/secret-two"
BAN = Answer(429, {}, b"<html>")
DONE = Answer(204, {}, b"")
AWAY = 5  # seconds until a Redis that does not answer is asked again
SOON = 2.5  # seconds that may pass on Redis' clock between two calls of a test: less than the margin of 5 % of a minute


@pytest.fixture
def one(client):  # noqa: F811
    """The limiter of one worker."""
    return SharedLimiter(client)


@pytest.fixture
def other(server):  # noqa: F811
    """The limiter of another."""
    return SharedLimiter(server.client())


def about(seconds):
    """What is left of *seconds* a moment later; of short ones a fifth at least."""
    passed = min(SOON, 0.8 * seconds)
    return pytest.approx(seconds - passed / 2, abs=passed / 2)


def limited(seconds, scope="user"):
    return Answer(429, {"X-RateLimit-Scope": scope}, json.dumps({"retry_after": seconds}).encode())


def posted_in(channel):
    return Answer(200, {}, json.dumps({"id": "1", "channel_id": channel}).encode())


def left(requests, seconds):
    headers = {"X-RateLimit-Remaining": str(requests), "X-RateLimit-Reset-After": str(seconds)}
    return Answer(200, headers, json.dumps({"id": "1", "channel_id": "7"}).encode())


def ask(limits, webhook, answer):
    """Make a request that is answered at once."""
    assert limits.acquire(webhook) == 0
    limits.answered(webhook, answer)


# ---- what Discord has said to one worker


def test_what_discord_asks_of_one_worker_all_of_them_wait_for(client, one, other):  # noqa: F811
    ask(one, ONE, limited(5))

    assert other.ready_in(ONE) == about(5)
    assert other.acquire(ONE) == about(5)
    assert other.acquire(TWO) == 0
    pass_time(client, 5)
    assert other.acquire(ONE) == 0


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [(limited(5, "global"), 5), (BAN, 600), (Answer(403, {}, b"error code: 1015"), 600)],
    ids=["global", "ban", "1015"],
)
def test_what_concerns_the_address_stops_every_worker_and_webhook(one, other, answer, seconds):
    ask(one, ONE, answer)

    assert other.ready_in(ONE) == about(seconds)
    assert other.ready_in(TWO) == about(seconds)


@pytest.mark.parametrize(
    "answer", [Answer(401, {}, b'{"code": 50027}'), Answer(404, {}, b'{"code": 10015}')], ids=["token", "deleted"]
)
def test_a_deleted_webhook_is_left_alone_by_all(one, other, answer):
    ask(one, ONE, answer)

    assert other.acquire(ONE) == about(600)
    assert other.acquire(TWO) == 0


def test_the_hidden_limit_stops_the_webhooks_of_one_channel(one, other):
    ask(one, ONE, posted_in("7"))
    ask(one, TWO, posted_in("7"))
    third = ONE.replace("/1/", "/3/")
    ask(one, third, posted_in("8"))

    ask(one, ONE, limited(40, "shared"))

    assert other.ready_in(TWO) == about(40.5)  # with the half of a second that this limit gets on top
    assert other.ready_in(third) == 0


def test_a_server_that_keeps_saying_at_once_is_asked_ever_more_rarely_by_all_together(client, one, other):  # noqa: F811
    waits = []
    for limits in [one, other] * 4 + [one]:
        ask(limits, ONE, limited(0))
        waits.append(math.ceil(limits.ready_in(ONE)))
        pass_time(client, waits[-1] + 3)  # seconds: the window has room as well

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_no_wait_is_longer_than_an_hour(one, other):
    ask(one, ONE, limited(1e9))

    assert other.ready_in(ONE) == about(3600)


def test_a_clock_of_the_server_that_is_set_back_a_day_stops_nobody_for_longer_than_an_hour(client, one, other):  # noqa: F811
    for _ in range(5):
        ask(one, ONE, posted_in("7"))
    ask(one, TWO, limited(5))

    pass_time(client, -86400)

    assert other.acquire(ONE) == 0
    assert other.ready_in(TWO) == 3600


def test_what_is_left_is_shared_by_all_workers(one, other):
    ask(one, ONE, left(2, 1.5))

    assert [limits.acquire(ONE) for limits in (one, other)] == [0, 0]
    assert other.acquire(ONE) == about(1.5)


def test_what_others_have_under_way_is_not_left(client, one, other):  # noqa: F811
    ask(one, ONE, posted_in("7"))
    pass_time(client, 3)  # seconds: it has left the window of the webhook
    assert [limits.acquire(ONE) for limits in (one, other, other)] == [0, 0, 0]

    one.answered(ONE, left(3, 1.5))  # of which two are taken: their answers are not here yet

    assert other.acquire(ONE) == 0
    assert other.acquire(ONE) == about(1.5)


# ---- the probe


@pytest.mark.parametrize("answer", [limited(5, "global"), BAN], ids=["global", "ban"])
def test_after_a_stop_one_worker_probes_and_the_others_wait_for_what_becomes_of_it(client, one, other, answer):  # noqa: F811
    ask(one, ONE, answer)
    pass_time(client, 600)

    assert other.acquire(ONE) == 0
    assert one.acquire(TWO) == one.ready_in(TWO) == 1  # to be asked again after a second
    other.answered(ONE, DONE)
    assert one.acquire(TWO) == 0


def test_a_probe_that_is_refused_stops_the_others_again(client, one, other):  # noqa: F811
    ask(one, ONE, BAN)
    pass_time(client, 600)

    ask(other, ONE, BAN)

    assert one.ready_in(TWO) == about(600)


def test_the_answer_to_an_earlier_request_is_not_taken_for_the_probes(client, one, other):  # noqa: F811
    ask(one, ONE, posted_in("7"))
    assert one.acquire(ONE) == 0
    ask(other, ONE, limited(5))
    pass_time(client, 5)
    assert other.acquire(ONE) == 0

    one.answered(ONE, None)

    assert one.acquire(ONE) == 1


def test_a_probe_whose_webhook_moved_to_another_channel_frees_both(client, one, other):  # noqa: F811
    ask(one, ONE, posted_in("7"))
    ask(one, TWO, posted_in("7"))
    ask(one, ONE, limited(5, "shared"))
    pass_time(client, 5.5)

    ask(one, ONE, posted_in("8"))

    assert other.acquire(TWO) == 0


# ---- the windows


def test_five_requests_of_all_workers_go_to_a_webhook_in_two_seconds_and_a_margin(client, one, other):  # noqa: F811
    for limits in (one, other, one, other, one):
        ask(limits, ONE, posted_in("7"))

    assert one.acquire(ONE) == about(2.1)  # 2 s and 5 %
    assert other.acquire(ONE) == about(2.1)
    pass_time(client, 2.1)
    assert other.acquire(ONE) == 0


def test_thirty_requests_of_all_webhooks_go_to_a_channel_in_a_minute_and_a_margin(client, one, other):  # noqa: F811
    for number in range(30):
        ask(one, (ONE, TWO)[number % 2], posted_in("7"))
        pass_time(client, 1)  # so that no webhook has five in 2 s

    for webhook in (ONE, TWO):
        assert other.acquire(webhook) == about(63 - 30)  # the first was 30 s ago; 63 s are 60 and 5 %
    pass_time(client, 63 - 30)
    assert other.acquire(TWO) == 0
    assert other.acquire(ONE) == about(1)  # then the second of them leaves the window


def test_a_request_counts_until_a_windows_length_after_its_answer(client, one, other):  # noqa: F811
    ask(one, ONE, posted_in("7"))
    for _ in range(4):
        assert one.acquire(ONE) == 0
    pass_time(client, 10)  # they are under way all the time, and may arrive now
    one.answered(ONE, posted_in("7"))

    assert other.acquire(ONE) == 0  # the first one does not count any more
    assert other.acquire(ONE) == about(2.1)


def test_until_its_channel_is_known_one_request_at_a_time_goes_to_a_webhook(one, other):
    assert one.acquire(ONE) == 0
    assert other.acquire(ONE) == 1

    one.answered(ONE, posted_in("7"))

    assert other.acquire(ONE) == 0


def test_a_worker_that_dies_before_the_answer_blocks_nobody_for_longer_than_a_probe(client, one, other):  # noqa: F811
    ask(one, ONE, limited(5))
    pass_time(client, 5)
    assert one.acquire(ONE) == 0
    del one

    assert other.acquire(ONE) == 1
    pass_time(client, 60)
    assert other.acquire(ONE) == 0


def test_a_question_that_is_asked_twice_takes_one_place(client, one):  # noqa: F811
    ask(one, ONE, posted_in("7"))

    waits = [one._permits._run(_keys(ONE), ["acquire", "the same"]) for _ in range(9)]

    assert waits == [0] * 9
    assert sum(one.acquire(ONE) == 0 for _ in range(9)) == 3  # of five: one has gone out, one was asked for nine times


# ---- what is kept


def test_no_key_and_no_value_holds_a_webhook_and_all_are_forgotten_in_the_end(client, one):  # noqa: F811
    ask(one, ONE, left(2, 1.5))
    ask(one, ONE, limited(40, "shared"))
    ask(one, TWO, BAN)
    one.ready_in(ONE)

    keys = list(client.scan_iter("*"))

    assert len(keys) == 7  # of two webhooks and a channel what is known and what was sent, and what is known of all
    assert all(key.startswith(b"notify:limit:") for key in keys)
    assert all(0 < client.ttl(key) <= 86400 for key in keys)
    dump = b"".join(key + (client.dump(key) or b"") for key in keys)
    assert b"secret" not in dump
    assert b"webhooks/" not in dump


# ---- Redis does not answer


@pytest.fixture
def discord():
    with FakeDiscord() as stand_in:
        yield stand_in


@pytest.fixture
def hasty(server):  # noqa: F811
    """A client that says at once that the server is away."""
    return server.client(retry=Retry(NoBackoff(), 0), socket_timeout=0.2)


def test_while_redis_is_away_nothing_is_sent(client, server, hasty, discord, capsys):  # noqa: F811
    backend = DiscordBackend(discord.url, limiter=SharedLimiter(hasty))
    server.kill()
    try:
        with pytest.raises(RetryLater) as raised:
            backend.send([Event(id="1", time=0.0, message="m", level=30)])
        assert raised.value.after == backend.ready_in() == AWAY
    finally:
        backend.close()
        server.start()

    assert discord.requests == 0
    assert capsys.readouterr().err == (
        "notify: Redis does not tell Discord's limits (ConnectionError): until it does nothing is sent there\n"
    )


def test_what_discord_said_while_redis_was_away_counts_as_soon_as_it_is_back(client, server, hasty, clock):  # noqa: F811
    limits = SharedLimiter(hasty, clock)
    assert limits.acquire(ONE) == 0
    server.kill()
    try:
        limits.answered(ONE, limited(30))
        assert limits.acquire(TWO) == AWAY
    finally:
        server.start()
    clock.advance(10)

    assert limits.acquire(TWO) == 0  # by which it is told

    assert SharedLimiter(server.client()).ready_in(ONE) == about(20)


def test_a_redis_that_was_killed_knows_the_limits_when_it_is_back(client, server, one):  # noqa: F811
    ask(one, ONE, limited(300))

    server.kill()
    server.start()

    assert 200 < one.acquire(ONE) < 300  # seconds, of which the start takes a few


# ---- processes

_WORKER = """
import redis
from notify.backends.discord import DiscordBackend
from notify.clock import SystemClock
from notify.errors import RetryLater
from notify.event import Event, new_id
from notify.relay import limits

port, url, speed, skew, seconds = sys.argv[1:]
speed, skew = float(speed), float(skew)

class Wrong(SystemClock):
    def time(self): return super().time() + skew
    def monotonic(self): return super().monotonic() + skew

real = time.time
time.time = lambda: real() + skew
for name in ("WEBHOOK", "CHANNEL"):
    window = getattr(limits, name)
    setattr(limits, name, window._replace(seconds=window.seconds / speed))
"""
_HAMMER = """
backend = DiscordBackend(url, limiter=limits.SharedLimiter(redis.Redis(port=int(port)), Wrong()))
end = time.monotonic() + float(seconds)
while time.monotonic() < end:
    try:
        backend.send([Event(id=new_id(0), time=0.0, message="m", level=30)])
    except RetryLater as error:
        time.sleep(min(error.after, 0.02))
backend.close()
"""
_DYING = """
limiter = limits.SharedLimiter(redis.Redis(port=int(port)), Wrong())
while limiter.acquire(url):
    time.sleep(0.01)
say("asked")
idle()
"""


def most_in(times, seconds):
    """The most of *times*, which are in order, in any window of so many seconds."""
    return max(bisect_left(times, at + seconds) - place for place, at in enumerate(times))


@pytest.mark.process
def test_several_workers_with_clocks_a_minute_apart_keep_every_limit_together(client, server):  # noqa: F811
    speed, seconds = 10, 13  # two windows of a channel of 6 s, and the beginning of a third
    with FakeDiscord(speed=speed) as discord, ExitStack() as stack:
        arguments = [(server.port, discord.url, speed, skew, seconds) for skew in (0, 60, -60, 3600)]
        workers = [stack.enter_context(running(_WORKER, _HAMMER, arguments=each)) for each in arguments]
        for worker in workers:
            assert ended(worker).complaints == ""

    arrived = [message.time for message in discord.messages]
    # The margin is 10 ms here. A thread of the stand-in that rests for longer, after it has noted when a request came,
    # counts that in the next window.
    assert discord.limited <= 1
    assert most_in(arrived, 2.0 / speed) <= 5
    assert most_in(arrived, 60.0 / speed) == 30  # and no fewer
    assert len(arrived) >= 60  # 30 in each of two windows


@pytest.mark.process
def test_the_kill_of_a_worker_with_the_probe_costs_a_minute_at_most(client, server, one):  # noqa: F811
    ask(one, ONE, BAN)
    pass_time(client, 600)
    with running(_WORKER, _DYING, arguments=(server.port, ONE, 1, 0, 0)) as worker:
        wait_for(worker, "asked")
        worker.kill()

    assert one.acquire(TWO) == 1
    pass_time(client, 60)
    assert one.acquire(TWO) == 0


# ---- what another program has put under our names


def spoil(client):  # noqa: F811
    """Put something else in the place of all that is known of limits."""
    for key in list(client.scan_iter("notify:limit:*")):
        client.delete(key)
        client.rpush(key, "of another program")


def test_what_another_program_has_put_in_place_of_a_limit_stops_nobody(client, one, other):  # noqa: F811
    ask(one, ONE, posted_in("7"))
    ask(one, TWO, posted_in("7"))
    assert one.acquire(ONE) == 0
    spoil(client)

    one.answered(ONE, posted_in("7"))

    assert other.acquire(ONE) == 0
    assert other.acquire(TWO) == 0
    spoil(client)
    assert one.ready_in(TWO) == 0


@pytest.mark.parametrize("odd", ["nan", "-nan", "text", "inf", "-inf", ""])
def test_a_number_that_is_none_of_ours_keeps_no_later_limit_from_being_obeyed(client, one, other, odd):  # noqa: F811
    ask(one, ONE, posted_in("7"))
    pass_time(client, 60)
    for key in client.scan_iter("notify:limit:*"):
        if client.type(key) == b"hash":
            for name in ("stops", "left", "counted_until"):
                client.hset(key, name, odd)
            client.hset(key, "closed_until", "0" if odd == "inf" else odd)  # for an hour it would be

    ask(one, ONE, limited(5))

    assert other.ready_in(ONE) == about(60 if odd == "inf" else 5)  # stopped endlessly often before


def test_what_is_said_of_edits_does_not_make_more_messages_pass(client, one, other):  # noqa: F811
    for bucket, requests in (("messages", 2), ("edits", 4)):
        said = left(requests, 1.5)
        ask(one, ONE, Answer(200, {**said.headers, "X-RateLimit-Bucket": bucket}, said.body))

    assert other.acquire(ONE) == 0
    # The edit was taken for a message: whose bucket it is counted in is known by its answer only.
    assert other.acquire(ONE) == about(1.5)


def test_an_allowance_of_edits_that_ends_later_is_waited_for_to_its_end(client, one, other):  # noqa: F811
    for bucket, requests, seconds in (("messages", 2, 1.5), ("edits", 0, 4.0)):
        said = left(requests, seconds)
        ask(one, ONE, Answer(200, {**said.headers, "X-RateLimit-Bucket": bucket}, said.body))

    assert other.acquire(ONE) == about(4.0)
