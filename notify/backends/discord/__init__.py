"""Discord: events as embeds in the messages of a webhook."""

from notify.backends.discord.backend import DiscordBackend

__all__ = ["DiscordBackend"]
