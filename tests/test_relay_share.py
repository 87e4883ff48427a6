"""Who gets what all workers share."""

from relays import client, server  # noqa: F401 - fixtures

from notify.backends.discord import DiscordBackend
from notify.backends.memory import MemoryBackend
from notify.backends.telegram import TelegramBackend
from notify.relay.limits import SharedLimiter
from notify.relay.posted import SharedPosted
from notify.relay.share import share
from notify.relay.telegram_limits import SharedTelegramLimiter


def test_backends_share_what_they_have_to_share(client):  # noqa: F811
    discord = DiscordBackend("https://discord.com/api/webhooks/1/x")
    trades = DiscordBackend("https://discord.com/api/webhooks/2/x")
    telegram = TelegramBackend("123456789:" + "x" * 35, 5)
    machine = MemoryBackend()

    share({"discord": discord, "discord_trades": trades, "telegram": telegram, "machine": machine}, client)

    assert isinstance(discord.limiter, SharedLimiter)
    assert discord.limiter is trades.limiter
    assert isinstance(telegram.limiter, SharedTelegramLimiter)
    discord.posted["a"] = "1"
    assert dict(SharedPosted(client, "discord")) == {"a": "1"}
    assert not hasattr(machine, "posted")
