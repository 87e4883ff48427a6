"""What backends know of their destination, put where all workers have it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from notify.backend import Backend, edits, remember_in
from notify.backends.discord import DiscordBackend
from notify.relay.limits import SharedLimiter
from notify.relay.posted import SharedPosted

if TYPE_CHECKING:
    from redis import Redis


def share(backends: Mapping[str, Backend], client: "Redis") -> None:
    """Have *backends* keep limits together with those of all other workers, and change each other's messages.

    Args:
        backends: by name, before their first message.
        client: of the Redis that all workers share.
    """
    limiter = SharedLimiter(client)
    for name, backend in backends.items():
        if isinstance(backend, DiscordBackend):
            backend.limiter = limiter
        if edits(backend):
            remember_in(backend, SharedPosted(client, name))
