"""What backends know of their destination, put where all workers have it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from notify.backend import Backend, edits, remember_in
from notify.backends.discord import DiscordBackend
from notify.backends.telegram import TelegramBackend
from notify.relay.limits import SharedLimiter
from notify.relay.posted import SharedPosted
from notify.relay.telegram_limits import SharedTelegramLimiter

if TYPE_CHECKING:
    from redis import Redis


def share(backends: Mapping[str, Backend], client: "Redis") -> None:
    """Have *backends* keep limits together with those of all other workers, and change each other's messages.

    Args:
        backends: by name, before their first message.
        client: of the Redis that all workers share.
    """
    of_discord, of_telegram = SharedLimiter(client), SharedTelegramLimiter(client)
    for name, backend in backends.items():
        if isinstance(backend, DiscordBackend):
            backend.limiter = of_discord
        if isinstance(backend, TelegramBackend):
            backend.limiter = of_telegram
        if edits(backend):
            remember_in(backend, SharedPosted(client, name))
