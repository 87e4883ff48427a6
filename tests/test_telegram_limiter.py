"""Telegram's limits, kept ahead of time."""

import pytest

from notify.backends.telegram.limiter import ProcessLimiter

BOT = "1:token"
PERSON, GROUP = 5, -5


@pytest.fixture
def limiter(clock):
    return ProcessLimiter(clock)


def send(limiter, chat=PERSON, **how):
    wait = limiter.acquire(BOT, chat, **how)
    if not wait:
        limiter.answered(BOT, chat)
    return wait


def test_a_chat_takes_an_event_a_second(limiter, clock):
    assert send(limiter) == 0
    assert limiter.ready_in(BOT, PERSON) == 1
    assert send(limiter) == 1

    clock.advance(1)

    assert limiter.ready_in(BOT, PERSON) == 0
    assert send(limiter) == 0


def test_the_rest_of_an_event_follows_at_once_and_the_next_event_waits_for_all_of_it(limiter, clock):
    assert [send(limiter), send(limiter, more=True), send(limiter, more=True)] == [0, 0, 0]

    assert limiter.ready_in(BOT, PERSON) == 3
    clock.advance(3)
    assert limiter.ready_in(BOT, PERSON) == 0


def test_a_burst_is_short(limiter, clock):
    waits = [send(limiter), *(send(limiter, more=True) for _ in range(5))]

    assert waits == [0, 0, 0, 0, 0, 1]  # five at once, and from then on one a second
    clock.advance(1)
    assert send(limiter, more=True) == 0
    assert send(limiter, more=True) == 1


def test_a_group_takes_twenty_messages_a_minute(limiter, clock):
    for _ in range(20):
        assert send(limiter, GROUP) == 0
        clock.advance(1)

    assert limiter.ready_in(BOT, GROUP) == 40  # the first was 20 s ago
    assert send(limiter, GROUP, more=True) == 40
    clock.advance(40)
    assert send(limiter, GROUP) == 0
    assert limiter.ready_in(BOT, GROUP) == 1  # the second's minute ends then


def test_a_person_takes_more_than_twenty_messages_a_minute(limiter, clock):
    for _ in range(50):
        assert send(limiter) == 0
        clock.advance(1)


def test_a_bot_sends_thirty_messages_a_second_in_all_its_chats(limiter, clock):
    assert [send(limiter, chat) for chat in range(1, 31)] == [0] * 30

    assert limiter.ready_in(BOT, 99) == 1
    assert limiter.ready_in("2:token", 99) == 0  # another bot
    clock.advance(1)
    assert send(limiter, 99) == 0


def test_chats_do_not_wait_for_each_other(limiter):
    send(limiter, 1)

    assert limiter.ready_in(BOT, 2) == 0


@pytest.mark.parametrize(("asked", "wait"), [(0, 1), (0.5, 1), (30, 30), (1e9, 3600)])
def test_a_stop_lasts_as_long_as_telegram_says(limiter, clock, asked, wait):
    send(limiter)
    limiter.answered(BOT, PERSON, asked)

    assert limiter.ready_in(BOT, PERSON) == wait
    clock.advance(wait)
    assert limiter.ready_in(BOT, PERSON) == 0


def test_a_server_that_keeps_saying_at_once_is_asked_ever_more_rarely(limiter, clock):
    waits = []
    for _ in range(8):
        limiter.answered(BOT, PERSON, 0.0)
        waits.append(limiter.ready_in(BOT, PERSON))
        clock.advance(waits[-1])

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_after_a_success_stops_are_short_again(limiter, clock):
    for _ in range(3):
        limiter.answered(BOT, PERSON, 0.0)
        clock.advance(60)
    send(limiter)

    limiter.answered(BOT, PERSON, 0.0)

    assert limiter.ready_in(BOT, PERSON) == 1


def test_a_forked_child_goes_on_counting_with_a_lock_of_its_own(limiter):
    send(limiter)
    limiter._lock.acquire()  # as another thread may have at the moment of the fork

    limiter.begin_in_child()

    assert limiter.ready_in(BOT, PERSON) == 1
