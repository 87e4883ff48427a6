"""When the next request may go out."""

import json
import os
import threading

import pytest

from notify.backends.discord import DiscordBackend, limiter
from notify.backends.discord.limiter import ProcessLimiter, process_limiter
from notify.backends.http import Answer

ONE, TWO = "https://discord.com/api/v10/webhooks/1/x", "https://discord.com/api/v10/webhooks/2/x"
BAN = Answer(429, {}, b"<html>")
DONE = Answer(204, {}, b"")


@pytest.fixture
def limits(clock):
    return ProcessLimiter(clock)


def limited(seconds, scope="user"):
    return Answer(429, {"X-RateLimit-Scope": scope}, json.dumps({"retry_after": seconds}).encode())


def posted_in(channel):
    return Answer(200, {}, json.dumps({"id": "1", "channel_id": channel}).encode())


def left(requests, seconds):
    return Answer(204, {"X-RateLimit-Remaining": str(requests), "X-RateLimit-Reset-After": str(seconds)}, b"")


def ask(limits, webhook, answer):
    """Make a request that is answered at once."""
    assert limits.acquire(webhook) == 0
    limits.answered(webhook, answer)


# ---- how long


def test_nothing_is_waited_for_at_first_nor_after_a_success(limits):
    assert limits.ready_in(ONE) == 0
    ask(limits, ONE, DONE)
    assert limits.ready_in(ONE) == 0


def test_what_discord_asks_for_is_waited_for_and_no_longer(limits, clock):
    ask(limits, ONE, limited(5))

    assert limits.ready_in(ONE) == limits.acquire(ONE) == 5
    clock.advance(4)
    assert limits.acquire(ONE) == 1
    clock.advance(1)
    assert limits.acquire(ONE) == 0


def test_a_server_that_keeps_saying_at_once_is_asked_ever_more_rarely(limits):
    waits = []
    for _ in range(9):
        limits.answered(ONE, limited(0))
        waits.append(limits.ready_in(ONE))
        limits._clock.advance(waits[-1])

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_success_makes_the_next_wait_short_again(limits, clock):
    for _ in range(3):
        limits.answered(ONE, limited(0))
        clock.advance(4)  # the third of 1, 2, 4
    ask(limits, ONE, DONE)

    limits.answered(ONE, limited(0))
    assert limits.ready_in(ONE) == 1


def test_answers_that_come_together_count_as_one_stop(limits, clock):
    for _ in range(5):
        limits.answered(ONE, limited(0))
    clock.advance(2)  # what the second of two stops lasts

    assert limits.ready_in(ONE) == 0


def test_no_wait_is_longer_than_an_hour(limits):
    ask(limits, ONE, limited(1e9))

    assert limits.ready_in(ONE) == 3600


def test_a_success_of_a_request_that_left_before_a_stop_does_not_end_it(limits):
    assert limits.acquire(ONE) == limits.acquire(ONE) == 0
    limits.answered(ONE, limited(5))
    limits.answered(ONE, DONE)

    assert limits.ready_in(ONE) == 5


# ---- whom it stops


def test_a_limit_of_one_webhook_stops_no_other(limits):
    ask(limits, ONE, limited(5))

    assert limits.ready_in(TWO) == 0


@pytest.mark.parametrize("answer", [limited(5, "global"), BAN, Answer(403, {}, b"error code: 1015")])
def test_what_concerns_the_address_stops_every_webhook(limits, answer):
    ask(limits, ONE, answer)

    assert limits.ready_in(ONE) == limits.ready_in(TWO) >= 5


def test_the_hidden_limit_stops_the_webhooks_of_one_channel(limits):
    other = "https://discord.com/api/v10/webhooks/3/x"
    ask(limits, ONE, posted_in("7"))
    ask(limits, TWO, posted_in("7"))
    ask(limits, other, posted_in("8"))

    ask(limits, ONE, limited(40, "shared"))

    assert limits.ready_in(ONE) == limits.ready_in(TWO) == 40
    assert limits.ready_in(other) == 0


def fill(limits, clock, seconds_apart):
    """Post as many messages as the hidden limit takes, and then meet it: the first of them leaves in ten seconds."""
    for _ in range(30):  # Discord's hidden limit, as facts and the stand-in have it
        ask(limits, ONE, posted_in("7"))
        clock.advance(seconds_apart)
    ask(limits, ONE, limited(10, "shared"))


def test_who_has_filled_the_hidden_limit_keeps_to_its_window_and_does_not_meet_it_again(limits, clock):
    fill(limits, clock, seconds_apart=2)  # a minute ago the first, so the window has 70 seconds

    assert limits.ready_in(ONE) == pytest.approx(10.7)  # and one in a hundred more
    clock.advance(10.7)
    ask(limits, ONE, posted_in("7"))
    assert limits.ready_in(ONE) == pytest.approx(2)  # when the second leaves


def test_a_window_that_others_have_filled_is_not_kept_to(limits, clock):
    fill(limits, clock, seconds_apart=4)  # two minutes: longer than any window that is known

    assert limits.ready_in(ONE) == pytest.approx(10)


def test_the_window_of_a_channel_is_forgotten_after_a_while(limits, clock):
    fill(limits, clock, seconds_apart=0)
    clock.advance(600)
    for _ in range(30):
        ask(limits, ONE, posted_in("7"))

    assert limits.ready_in(ONE) == 0  # others may have gone: who tries finds out


def test_the_window_of_a_channel_is_kept_to_for_ten_minutes(limits, clock):
    fill(limits, clock, seconds_apart=0)
    clock.advance(599)
    for _ in range(30):
        ask(limits, ONE, posted_in("7"))

    assert limits.ready_in(ONE) == pytest.approx(10.1)  # ten seconds, and one in a hundred more


def test_the_hidden_limit_of_a_channel_that_is_not_known_yet_stops_the_webhook(limits):
    ask(limits, ONE, limited(40, "shared"))

    assert limits.ready_in(ONE) == 40
    assert limits.ready_in(TWO) == 0


# ---- the probe


@pytest.mark.parametrize("answer", [limited(5, "global"), BAN])
def test_after_a_stop_one_request_goes_out_and_the_others_wait_for_its_answer(limits, clock, answer):
    ask(limits, ONE, answer)
    clock.advance(limits.ready_in(ONE))

    assert limits.acquire(ONE) == 0
    assert limits.acquire(TWO) == limits.ready_in(TWO) == 1  # to be asked again after a second
    limits.answered(ONE, DONE)
    assert limits.acquire(TWO) == 0


def test_a_probe_that_is_refused_stops_the_others_again(limits, clock):
    ask(limits, ONE, BAN)
    clock.advance(600)

    ask(limits, ONE, BAN)

    assert limits.ready_in(TWO) == 600


def test_a_probe_without_an_answer_makes_room_for_the_next(limits, clock):
    ask(limits, ONE, limited(5))
    clock.advance(5)

    ask(limits, ONE, None)

    assert limits.acquire(ONE) == 0
    assert limits.acquire(ONE) == 1  # still one at a time: there was no success yet


def test_a_probe_whose_webhook_moved_to_another_channel_is_not_waited_for_for_ever(limits, clock):
    ask(limits, ONE, posted_in("7"))
    ask(limits, TWO, posted_in("7"))
    ask(limits, ONE, limited(5, "shared"))
    clock.advance(5.5)
    ask(limits, ONE, posted_in("8"))

    assert limits.acquire(TWO) == 1
    clock.advance(60)  # as long as a probe may take
    assert limits.acquire(TWO) == 0


# ---- what Discord announces


def test_when_nothing_is_left_the_end_of_the_window_is_waited_for(limits, clock):
    ask(limits, ONE, left(0, 1.5))

    assert limits.acquire(ONE) == 1.5
    clock.advance(1.5)
    assert limits.acquire(ONE) == 0


def test_what_is_left_is_shared_by_all_who_send_to_a_webhook(limits):
    ask(limits, ONE, left(2, 1.5))

    assert [limits.acquire(ONE) for _ in range(3)] == [0, 0, 1.5]
    assert limits.acquire(TWO) == 0


def test_what_is_under_way_is_not_left(limits):
    assert [limits.acquire(ONE) for _ in range(3)] == [0, 0, 0]
    limits.answered(ONE, left(3, 1.5))  # of which two are taken: their answers are not here yet

    assert [limits.acquire(ONE) for _ in range(2)] == [0, 1.5]


def test_a_new_window_begins_with_what_discord_says(limits, clock):
    ask(limits, ONE, left(0, 1.5))
    clock.advance(1.5)
    ask(limits, ONE, left(4, 2))

    assert [limits.acquire(ONE) for _ in range(5)] == [0, 0, 0, 0, 2]


# ---- the process


def test_backends_share_the_limiter_of_the_process_unless_they_are_given_one(limits):
    shared = {DiscordBackend(url).limiter for url in (ONE, TWO)}

    assert shared == {process_limiter()}
    assert DiscordBackend(ONE, limiter=limits).limiter is limits


def test_many_threads_do_not_take_more_than_is_left(limits):
    ask(limits, ONE, left(50, 5))
    passed = []

    def take():
        for _ in range(100):
            if limits.acquire(ONE) == 0:
                passed.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(passed) == 50


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what Python 3.12 says of a fork beside threads
def test_a_forked_child_keeps_the_waits_and_gets_a_lock_of_its_own(monkeypatch):
    shared = process_limiter()
    for name, value in vars(ProcessLimiter()).items():  # whatever other tests have left there
        monkeypatch.setattr(shared, name, value)
    ask(shared, ONE, limited(1000))
    assert shared.acquire(TWO) == 0  # under way when the process forks
    held = shared._lock
    with held:
        child = os.fork()
        if child == 0:
            try:
                ask(shared, TWO, left(1, 5))
                kept = 900 < shared.ready_in(ONE) <= 1000
                os._exit(0 if kept and shared.acquire(TWO) == 0 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0

    assert shared._lock is held
    assert limiter.process_limiter() is shared


# ---- edits, which Discord counts by themselves


def left_of(bucket, requests, seconds):
    said = left(requests, seconds)
    return Answer(said.status, {**said.headers, "X-RateLimit-Bucket": bucket}, said.body)


def test_what_is_said_of_edits_does_not_make_more_messages_pass(limits):
    ask(limits, ONE, left_of("messages", 2, 1.9))
    ask(limits, ONE, left_of("edits", 4, 1.9))

    # The edit was taken for a message: whose bucket it is counted in is known by its answer only.
    assert [limits.acquire(ONE) for _ in range(2)] == [0, 1.9]


def test_who_has_no_edits_left_waits_for_them_whatever_is_said_of_messages(limits, clock):
    ask(limits, ONE, left_of("edits", 0, 5))
    clock.advance(2)
    limits.answered(ONE, left_of("messages", 4, 1))

    assert limits.ready_in(ONE) == 3
    clock.advance(3)
    assert limits.ready_in(ONE) == 0
