"""When the next request to Discord may go out, for all workers together: they ask the Redis that they share.

Its clock counts, whatever theirs say. What was said of a limit is kept there as `backends/discord/limiter` keeps it in
one process, and beyond that the requests are counted, so that none is refused: several workers that each go by what
the last answer said would be too many together.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from notify.backends.discord.limiter import LOOK_AGAIN, PROBE
from notify.backends.discord.limits import allowance_of, limit_of
from notify.backends.http import Answer, parsed
from notify.clock import Clock
from notify.relay.keys import LIMIT
from notify.relay.permits import MARGIN, Permits

if TYPE_CHECKING:
    from redis import Redis


class Window(NamedTuple):
    """How many requests are taken in how much time.

    Args:
        most: requests.
        seconds: any so long.
    """

    most: int
    seconds: float


# Discord's staff says 5 in 2 s for a webhook; 30 in 60 s for a channel is what is seen (discord-api-docs #367, #4043).
WEBHOOK = Window(5, 2.0 * MARGIN)
CHANNEL = Window(30, 60.0 * MARGIN)


class SharedLimiter:
    """Asks Redis who may send. A `Limiter` of the Discord backends. Thread-safe.

    A request counts from when it is allowed until a window's length after its answer, so that it does not matter when
    in between it arrives. One whose worker died counts for as long as a probe does. What a webhook's channel is, is
    known after its first message; until then one request at a time goes there.

    While Redis does not answer nobody sends: `acquire` says "later". What Discord has said meanwhile is kept, and told
    as soon as it does.

    Args:
        client: of Redis, with deadlines of its own.
        clock: tells how long an answer has waited for Redis.
    """

    def __init__(self, client: "Redis", clock: Clock | None = None) -> None:
        constants: dict[str, float | str] = {
            "PROBE": PROBE,
            "LOOK_AGAIN": LOOK_AGAIN,
            "WEBHOOK_MOST": WEBHOOK.most,
            "WEBHOOK_SECONDS": WEBHOOK.seconds,
            "CHANNEL_MOST": CHANNEL.most,
            "CHANNEL_SECONDS": CHANNEL.seconds,
            "CHANNEL_KEY": f"{LIMIT}channel:",
            "SENT": ":sent",
        }
        self._permits = Permits(client, "limits", constants, "Discord", clock)

    def ready_in(self, webhook: str) -> float:
        """Return the seconds until a request to *webhook*, a URL, is welcome."""
        return self._permits.ready_in(_keys(webhook))

    def acquire(self, webhook: str) -> float:
        """Return 0 if a request to *webhook* may go out now, and otherwise the seconds until it is worth asking again.

        Whoever gets 0 sends, and calls `answered`.
        """
        return self._permits.acquire(_keys(webhook))

    def answered(self, webhook: str, answer: Answer | None) -> None:
        """Note what came of a request to *webhook*; None when there was no answer."""
        self._permits.answered(_keys(webhook), *_said(answer))


def _keys(webhook: str) -> tuple[str, ...]:
    gate = f"{LIMIT}webhook:{_digest(webhook)}"
    return gate, f"{gate}:sent", f"{LIMIT}all"


def _digest(webhook: str) -> str:
    """Return what stands for a webhook in Redis: whoever reads that must not be able to post."""
    return blake2b(webhook.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _said(answer: Answer | None) -> list[str]:
    """Return what *answer* says as the script takes it: channel, stop, its seconds, whether there is one, allowance,
    its seconds and bucket.
    """
    if answer is None:
        return ["", "", "0", "0", "", "0", ""]
    channel = parsed(answer.body).get("channel_id") if answer.status == 200 else None
    limit, allowance = limit_of(answer), allowance_of(answer)
    return [
        channel if isinstance(channel, str) and channel.isalnum() else "",
        *((limit.scope.name, repr(limit.seconds)) if limit else ("", "0")),
        "1",
        *((str(allowance.left), repr(allowance.seconds), allowance.bucket) if allowance else ("", "0", "")),
    ]
