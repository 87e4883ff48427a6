"""Events on their way through a lane to a Discord that limits, breaks and stalls."""

import logging

import pytest

from notify.backends.discord import DiscordBackend
from notify.event import Attachment
from notify.notifier import Notifier
from notify.testing import FakeClock
from notify.testing.fake_discord import (
    BAD_GATEWAY,
    BAN,
    DRIP,
    HANG,
    RESET,
    RESET_EARLY,
    RESET_LATE,
    FakeDiscord,
    rate_limited,
)

SPEED = 40  # Discord's limits pass forty times as fast: 5 in 50 ms, 30 in 1.5 s. A lane waits 0.1 s at least
PATIENCE = 30  # seconds for what takes less than two
TOO_LONG_FOR_TWO = "x" * 3000  # characters, so that no two events share a message: Discord takes 6000 in one


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def discord():
    with FakeDiscord(speed=SPEED) as server:
        yield server
        assert server.refusals == []


def titles(discord):
    return [embed["title"] for embed in discord.embeds]


def test_at_discords_limits_nothing_is_lost_and_every_wait_is_kept(discord):
    names = [f"event {number}" for number in range(35)]  # more than the hidden limit of 30
    with Notifier({"discord": DiscordBackend(discord.url)}) as notifier:
        for name in names:
            notifier.notify(name, body=TOO_LONG_FOR_TWO)
        assert notifier.flush(PATIENCE)
        stats = notifier.stats()["discord"]

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
    discord.answer_with(rate_limited(40.5, shared=True), rate_limited(2.0, via=False))
    with Notifier({"discord": DiscordBackend(discord.url, clock=clock)}, clock=clock) as notifier:
        notifier.notify("a")
        assert clock.next_wait() == pytest.approx(41.5)  # the header's whole seconds, and half a one
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
    with Notifier({"discord": DiscordBackend(discord.url, clock=clock)}, clock=clock) as notifier:
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
    with Notifier({"discord": DiscordBackend(discord.url, clock=clock)}, clock=clock) as notifier:
        notifier.notify("a", attachments=[Attachment("a.png", b"1")])
        assert clock.next_wait() <= 1  # the first of the lane's growing waits
        clock.advance(1)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == ["a"] * copies
    assert discord.messages[-1].files == {"a.png": b"1"}


@pytest.mark.parametrize("reply", [HANG, DRIP], ids=["hang", "drip"])
def test_a_server_that_stalls_is_left_at_the_deadline(discord, clock, reply):
    discord.answer_with(reply)
    backend = DiscordBackend(discord.url, clock=clock, deadline=0.2)  # seconds, of real time
    with Notifier({"discord": backend}, clock=clock) as notifier:
        notifier.notify("a")
        assert clock.next_wait(timeout=5) <= 1
        assert notifier.stats()["discord"]["last_error"] == "no answer within 0.2 s"
        clock.advance(1)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == ["a"]


def test_an_event_that_discord_refuses_holds_up_no_other(discord, clock):
    discord.answer_with(400, 400)  # as an embed, and as plain text
    with Notifier({"discord": DiscordBackend(discord.url, clock=clock)}, clock=clock) as notifier:
        poison = notifier.notify("poison")
        assert poison.wait(PATIENCE) == {
            "discord": "rejected: Discord answered 400, code 50035: Invalid Form Body: embeds: X x"
        }
        assert notifier.notify("a").wait(PATIENCE) == {"discord": "delivered"}

    assert titles(discord) == ["a"]


def test_a_revoked_webhook_is_probed_once_in_ten_minutes(discord, clock):
    discord.answer_with(404)
    with Notifier({"discord": DiscordBackend(discord.url, clock=clock)}, clock=clock) as notifier:
        notifier.notify("a", level=logging.CRITICAL)
        assert clock.next_wait() == pytest.approx(600)
        notifier.notify("b", level=logging.CRITICAL)
        clock.advance(599)
        assert discord.requests == 1
        clock.advance(1)
        assert notifier.flush(PATIENCE)

    assert titles(discord) == ["🆘 a", "🆘 b"]
