"""Events on their way through a lane to a Discord that limits, breaks and stalls."""

import logging

import pytest
from lanes import until

from notify.backends.discord import DiscordBackend
from notify.backends.discord.limiter import ProcessLimiter
from notify.backends.discord.url import parse_webhook_url
from notify.backends.http import HttpClient
from notify.event import Attachment, Event, Matter, Phase
from notify.notifier import Notifier
from notify.rules.routing import Route
from notify.testing.fake_discord import (
    BAD_GATEWAY,
    BAN,
    BLOCKED,
    DRIP,
    HANG,
    RESET,
    RESET_EARLY,
    RESET_LATE,
    FakeDiscord,
    rate_limited,
)

SPEED = 40  # Discord's limits pass forty times as fast: 5 in 50 ms, 30 in 1.5 s. A lane waits 0.1 s at least
PATIENCE = 30  # seconds for what takes less than eight
TOO_LONG_FOR_TWO = "x" * 3000  # characters, so that no two events share a message: Discord takes 6000 in one


@pytest.fixture
def discord():
    with FakeDiscord(speed=SPEED) as server:
        yield server
        assert server.refusals == []


def titles(discord):
    return [embed["title"] for embed in discord.embeds]


def test_at_discords_limits_nothing_is_lost_and_every_wait_is_kept():
    names = [f"event {number}" for number in range(35)]  # more than the hidden limit of 30
    # Ten times as fast: 30 in 6 s, which a busy machine meets, too.
    with FakeDiscord(speed=10) as discord, Notifier({"discord": DiscordBackend(discord.url)}) as notifier:
        for name in names:
            notifier.notify(name, body=TOO_LONG_FOR_TWO)
        assert notifier.flush(PATIENCE)
        stats = notifier.stats()["discord"]

    assert discord.refusals == []
    assert titles(discord) == names
    assert discord.too_early == 0
    assert discord.limited >= 1  # the hidden limit was met: otherwise this test shows nothing
    assert (stats["delivered"], stats["pending"], stats["dropped"]) == (35, 0, {})
    assert stats["retried"] == discord.limited  # the limit that is announced is waited for, and is no failure


def test_six_hundred_trades_travel_in_about_sixty_messages(discord):
    names = [f"trade {number}" for number in range(600)]
    with Notifier({"discord": DiscordBackend(discord.url)}) as notifier:
        for name in names:
            notifier.trade(name)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == names
    assert len(discord.messages) <= 65  # 60 full ones, and a few that left before ten events were there
    assert discord.too_early == 0


def test_a_wait_that_discord_asks_for_is_kept_with_one_probe_after_it(discord, clock):
    discord.answer_with(rate_limited(40.5, scope="shared"), rate_limited(2.0, via=False))
    with Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier:
        notifier.notify("a")
        assert clock.next_wait() == pytest.approx(41)  # the header's whole seconds
        clock.advance(40)
        assert discord.requests == 1
        clock.advance(1.5)
        assert clock.next_wait() == pytest.approx(2)
        clock.advance(2)
        assert notifier.flush(PATIENCE)

    assert discord.requests == 3
    assert titles(discord) == ["a"]


def test_a_ban_by_cloudflare_is_waited_for_ten_minutes(discord, clock):
    discord.answer_with(BAN)
    with Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier:
        notifier.notify("a")
        assert clock.next_wait() == pytest.approx(600)
        clock.advance(600)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == ["a"]


@pytest.mark.parametrize(
    ("reply", "copies"),
    [
        pytest.param(RESET, 1, id="reset"),
        pytest.param(RESET_EARLY, 1, id="reset early"),
        pytest.param(500, 1, id="500"),
        pytest.param(BAD_GATEWAY, 1, id="502"),
        pytest.param(RESET_LATE, 2, id="reset late"),
    ],
)
def test_a_connection_that_breaks_costs_nothing_but_perhaps_a_duplicate(discord, clock, reply, copies):
    discord.answer_with(reply)
    with Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier:
        notifier.notify("a", attachments=[Attachment("a.png", b"1")])
        assert clock.next_wait() <= 1  # the first of the lane's growing waits
        clock.advance(1)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == ["a"] * copies
    assert discord.messages[-1].files == {"a.png": b"1"}


def test_a_server_that_hangs_is_left_at_the_deadline(discord, clock):
    discord.answer_with(HANG)
    backend = DiscordBackend(discord.url, limiter=ProcessLimiter(clock), deadline_seconds=2.0)  # of real time
    with Notifier({"discord": backend}, clock=clock) as notifier:
        notifier.notify("a")
        assert clock.next_wait(PATIENCE) <= 1
        assert notifier.stats()["discord"]["last_error"] == "no answer within 2 s"
        clock.advance(1)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == ["a"]


def test_a_server_that_took_the_message_and_drips_its_answer_is_not_sent_it_again(discord, clock):
    discord.answer_with(DRIP)
    backend = DiscordBackend(discord.url, limiter=ProcessLimiter(clock), deadline_seconds=2.0)  # of real time
    with Notifier({"discord": backend}, clock=clock) as notifier:
        assert notifier.notify("a").wait(PATIENCE) == {"discord": "delivered"}
        assert notifier.notify("b").wait(PATIENCE) == {"discord": "delivered"}

    assert titles(discord) == ["a", "b"]


def test_an_event_that_discord_refuses_holds_up_no_other(discord, clock):
    discord.answer_with(400, 400)  # as an embed, and as plain text
    with Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier:
        poison = notifier.notify("poison")
        assert poison.wait(PATIENCE) == {
            "discord": "rejected: Discord answered 400, code 50035: Invalid Form Body: embeds: X x"
        }
        assert notifier.notify("a").wait(PATIENCE) == {"discord": "delivered"}

    assert titles(discord) == ["a"]


def test_a_revoked_webhook_is_probed_once_in_ten_minutes(discord, clock):
    discord.answer_with(404)
    with Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier:
        notifier.notify("a", level=logging.CRITICAL)
        assert clock.next_wait() == pytest.approx(600)
        notifier.notify("b", level=logging.CRITICAL)
        clock.advance(599)
        assert discord.requests == 1
        clock.advance(1)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == ["🆘 a", "🆘 b"]


DAY = 24 * 3600  # seconds
AN_HOURS_MOST = 10  # requests to a webhook that answers nothing but no
MOST = AN_HOURS_MOST * 24 + 1  # answers that are more than a day needs


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(404, id="deleted"),
        pytest.param(401, id="token renewed"),
        pytest.param(403, id="forbidden"),
        pytest.param(BAN, id="banned"),
        pytest.param(BLOCKED, id="blocked"),
    ],
)
def test_in_a_day_of_refusals_there_are_ten_requests_an_hour_at_most(discord, clock, reply):
    discord.answer_with(*[reply] * MOST)
    asked_at = []
    with Notifier({"discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock))}, clock=clock) as notifier:
        while clock.monotonic() < DAY:
            notifier.notify("again", level=logging.CRITICAL)  # urgent, and no reason to ask more often
            wait = clock.next_wait()
            asked_at += [clock.monotonic()] * (discord.requests - len(asked_at))
            clock.advance(wait)
        notifier.close(0)

    assert discord.requests >= 24  # and one an hour at least, to learn that it is over
    for begin in asked_at:
        assert sum(begin <= moment < begin + 3600 for moment in asked_at) <= AN_HOURS_MOST


def test_two_backends_of_one_webhook_ask_it_as_rarely_as_one(discord, clock):
    discord.answer_with(*[404] * MOST)
    limiter = ProcessLimiter(clock)
    backends = {name: DiscordBackend(discord.url, limiter=limiter) for name in ("one", "two")}
    with Notifier(backends, clock=clock) as notifier:
        notifier.notify("a")
        while clock.monotonic() < DAY:
            # An answer takes no time of this clock: who looks every second what became of the probe would have it run
            # on for the minute after which a probe that was not answered is no longer waited for.
            until(lambda: not limiter._process.under_way)
            clock.advance(clock.next_wait())
        notifier.close(0)

    # One in ten minutes, at the day's beginning and its end too, and there both: neither has an answer yet.
    assert 24 <= discord.requests <= DAY / 600 + 2


def test_a_ban_stops_every_backend_of_the_process(discord, clock):
    limiter = ProcessLimiter(clock)
    discord.answer_with(BAN)
    with FakeDiscord(speed=SPEED) as other:
        backends = {
            "banned": DiscordBackend(discord.url, limiter=limiter),
            "other": DiscordBackend(other.url, limiter=limiter),
        }
        with Notifier(backends, routes={"other": Route(level=logging.ERROR)}, clock=clock) as notifier:
            notifier.notify("a")
            assert clock.next_wait() == pytest.approx(600)
            notifier.notify("b", level=logging.CRITICAL)
            clock.advance(599)
            assert not notifier.flush(0.2)  # seconds in which a request would have come
            assert (discord.requests, other.requests) == (1, 0)

            clock.advance(1)
            while not notifier.flush(0.1):
                clock.advance(1)  # who is not the probe looks every second what became of it

    assert sorted(titles(discord)) == ["a", "🆘 b"]
    assert titles(other) == ["🆘 b"]


def test_after_an_edit_no_more_messages_pass_than_discord_takes():
    limiter, client = ProcessLimiter(), HttpClient()
    with FakeDiscord(speed=0.1) as slow:  # its limit is of 20 seconds, so that this machine may take its time
        backend = DiscordBackend(slow.url, client=client, limiter=limiter)
        living = Event(id="0", time=0.0, message="step", level=logging.INFO, matter=Matter("cycle", Phase.LIVING))
        message = Event(id="1", time=0.0, message="m", level=logging.INFO)
        for event in (living, message, message, living):
            backend.send([event])
        url = parse_webhook_url(slow.url).url
        passed = 0
        while not limiter.acquire(url):  # as many backends of this webhook do that ask at once
            passed += 1
        for _ in range(passed):
            client.post(url, json=b'{"content": "m"}', deadline_seconds=PATIENCE)
        backend.close()

    # Discord takes two more, of five. The edit was taken for one of them: its bucket is known by its answer only.
    assert (passed, len(slow.edits), slow.limited) == (1, 1, 0)
