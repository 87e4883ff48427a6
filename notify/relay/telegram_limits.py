"""When the next message of a Telegram bot may go out, for all workers together: they ask the Redis that they share."""

from hashlib import blake2b
from typing import TYPE_CHECKING

from notify.backends.telegram.limiter import ALL, ALL_SECONDS, BURST, EACH, GROUP, GROUP_SECONDS
from notify.clock import Clock
from notify.relay.keys import LIMIT
from notify.relay.permits import MARGIN, Permits

if TYPE_CHECKING:
    from redis import Redis


class SharedTelegramLimiter:
    """Counts the messages of all workers on Redis' clock. A `Limiter` of the Telegram backends. Thread-safe.

    While Redis does not answer nobody sends. What Telegram has said meanwhile is kept, and told as soon as it does.

    Args:
        client: of Redis, with deadlines of its own.
        clock: tells how long an answer has waited for Redis.
    """

    def __init__(self, client: "Redis", clock: Clock | None = None) -> None:
        constants: dict[str, float | str] = {
            "EACH": EACH * MARGIN,
            "GROUP": GROUP,
            "GROUP_SECONDS": GROUP_SECONDS * MARGIN,
            "ALL": ALL,
            "ALL_SECONDS": ALL_SECONDS * MARGIN,
        }
        self._permits = Permits(client, "telegram_limits", constants, "Telegram", clock)

    def ready_in(self, bot: str, chat: int) -> float:
        """Return the seconds until a new event for *chat*, by the bot of this token, is welcome."""
        return self._permits.ready_in(_keys(bot, chat), "1", _kind(chat))

    def acquire(self, bot: str, chat: int, *, more: bool = False) -> float:
        """Return 0 if a message may go out now, and otherwise the seconds until it is worth asking again.

        Whoever gets 0 sends, and calls `answered`.

        Args:
            bot: its token.
            chat: where to.
            more: whether this is the rest of an event that was begun: that may follow at once, as a short burst.
        """
        return self._permits.acquire(_keys(bot, chat), str(BURST if more else 1), _kind(chat))

    def answered(self, bot: str, chat: int, stop: float | None = None) -> None:
        """Note what came of a message: *stop*, in seconds, when Telegram asked for a pause."""
        self._permits.answered(_keys(bot, chat), "" if stop is None else repr(stop))


def _keys(bot: str, chat: int) -> tuple[str, ...]:
    # Whoever reads the keys must not be able to post.
    known = f"{LIMIT}bot:{blake2b(bot.encode('utf-8', 'backslashreplace'), digest_size=16).hexdigest()}"
    return f"{known}:{chat}", f"{known}:{chat}:sent", f"{known}:sent"


def _kind(chat: int) -> str:
    return "group" if chat < 0 else "person"  # groups and channels have negative ids
