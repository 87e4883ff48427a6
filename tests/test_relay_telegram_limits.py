"""What several workers may send to Telegram together, on Redis' clock."""

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry
from relays import client, pass_time, server  # noqa: F401 - fixtures

from notify.relay.telegram_limits import SharedTelegramLimiter, _keys

BOT = "1:secret-token"
PERSON, GROUP = 5, -5
SOON = 0.8  # seconds that may pass on Redis' clock between two calls of a test


@pytest.fixture
def one(client):  # noqa: F811
    """The limiter of one worker."""
    return SharedTelegramLimiter(client)


@pytest.fixture
def other(server):  # noqa: F811
    """The limiter of another."""
    return SharedTelegramLimiter(server.client())


def about(seconds):
    """What is left of *seconds* a moment later."""
    return pytest.approx(seconds - SOON / 2, abs=SOON / 2)


def send(limiter, chat=PERSON, **how):
    wait = limiter.acquire(BOT, chat, **how)
    if not wait:
        limiter.answered(BOT, chat)
    return wait


def test_a_chat_takes_an_event_a_second_of_all_workers(client, one, other):  # noqa: F811
    assert send(one) == 0
    assert other.ready_in(BOT, PERSON) == about(1.05)  # a second and 5 %
    assert send(other) > 0

    pass_time(client, 1.05)

    assert other.ready_in(BOT, PERSON) == 0
    assert send(other) == 0


def test_the_rest_of_an_event_follows_at_once_as_a_short_burst(one, other):
    assert send(one) == 0
    assert [send(one, more=True) for _ in range(4)] == [0] * 4  # five at once

    assert send(one, more=True) == about(1.05)
    assert other.ready_in(BOT, PERSON) == about(5 * 1.05)


def test_a_group_takes_twenty_messages_a_minute_of_all_workers(client, one, other):  # noqa: F811
    for number in range(20):
        assert send((one, other)[number % 2], GROUP) == 0
        pass_time(client, 1.05)

    assert other.ready_in(BOT, GROUP) == about(63 - 21)  # the first was 21 s ago; 63 s are a minute and 5 %
    assert send(one, GROUP, more=True) > 0
    assert send(one, PERSON) == 0
    pass_time(client, 63 - 21)
    assert send(one, GROUP) == 0


def test_a_bot_sends_thirty_messages_a_second_at_most(one, other):
    waits = [send((one, other)[chat % 2], chat) for chat in range(1, 32)]

    assert waits[:30] == [0] * 30
    assert 0 < waits[30] <= 1.05
    assert other.acquire("2:another", PERSON) == 0


def test_a_pause_that_telegram_asks_of_one_worker_all_of_them_keep(client, one, other):  # noqa: F811
    one.acquire(BOT, GROUP)
    one.answered(BOT, GROUP, 35.0)

    assert other.ready_in(BOT, GROUP) == about(35)
    assert other.ready_in(BOT, PERSON) == 0
    pass_time(client, 35)
    assert send(other, GROUP) == 0


def test_a_server_that_keeps_saying_at_once_is_asked_ever_more_rarely(client, one, other):  # noqa: F811
    waits = []
    for limiter in [one, other] * 2:
        limiter.acquire(BOT, PERSON)
        limiter.answered(BOT, PERSON, 0.0)
        waits.append(round(other.ready_in(BOT, PERSON) + 0.4))
        pass_time(client, 70)  # seconds, of whatever is still to be waited for

    assert waits == [1, 2, 4, 8]


def test_a_question_that_is_asked_twice_takes_one_place(one):
    waits = [one._permits._run(_keys(BOT, PERSON), ["acquire", "the same", "1", "person"]) for _ in range(3)]

    assert waits == [0, 0, 0]


def test_no_key_holds_a_token_and_all_are_forgotten_in_the_end(client, one):  # noqa: F811
    for _ in range(3):
        send(one, GROUP)
        pass_time(client, 70)
    send(one, GROUP)

    keys = list(client.scan_iter("*"))

    assert len(keys) == 3  # what is known of the chat, its messages and those of the bot
    assert not any(b"secret" in key for key in keys)
    assert all(0 < client.ttl(key) <= 86400 for key in keys)
    assert all(client.zcard(key) <= 2 for key in keys if client.type(key) == b"zset")  # of four that were sent


def test_while_redis_is_away_nothing_is_sent_and_what_telegram_said_counts_afterwards(client, server, clock, capsys):  # noqa: F811
    limiter = SharedTelegramLimiter(server.client(retry=Retry(NoBackoff(), 0)), clock)
    assert limiter.acquire(BOT, PERSON) == 0
    server.kill()
    try:
        limiter.answered(BOT, PERSON, 30.0)
        assert limiter.acquire(BOT, GROUP) == limiter.ready_in(BOT, GROUP) == 5  # seconds until it is asked again
    finally:
        server.start()
    clock.advance(10)

    assert limiter.ready_in(BOT, PERSON) == about(20)
    assert capsys.readouterr().err == (
        "notify: Redis does not tell Telegram's limits (ConnectionError): until it does nothing is sent there\n"
    )


def test_what_another_program_has_put_in_place_of_a_limit_stops_nobody_and_is_obeyed_by_nobody(client, one, other):  # noqa: F811
    one.answered(BOT, GROUP, stop=0.0)
    for odd in ("key", "nan"):
        for key in list(client.scan_iter("notify:limit:*")):
            if odd == "key":
                client.delete(key)
                client.rpush(key, "of another program")
            elif client.type(key) == b"hash":
                client.hset(key, mapping=dict.fromkeys(("paid_until", "closed_until", "stops"), odd))
        assert send(other, GROUP) == 0
        pass_time(client, 61)  # seconds: a window of a minute is empty

    one.answered(BOT, GROUP, stop=5.0)

    assert other.ready_in(BOT, GROUP) == about(5)
