"""Discord: events as embeds in the messages of a webhook."""

from notify.backends.discord.backend import DiscordBackend
from notify.backends.discord.identity import Mention, parse_mention
from notify.backends.discord.url import Webhook, parse_webhook_url

__all__ = ["DiscordBackend", "Mention", "Webhook", "parse_mention", "parse_webhook_url"]
