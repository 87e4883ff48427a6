"""When the next request to Discord may go out, for all workers together: they ask the Redis that they share.

Its clock counts, whatever theirs say. What was said of a limit is kept there as `backends/discord/limiter` keeps it in
one process, and beyond that the requests are counted, so that none is refused: several workers that each go by what
the last answer said would be too many together.
"""

import os
import threading
from collections import defaultdict, deque
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from notify import diagnostics
from notify.backends.discord.limiter import LONGEST, LOOK_AGAIN, PROBE, SHORTEST, SHORTEST_LAST
from notify.backends.discord.limits import allowance_of, limit_of
from notify.backends.http import Answer, parsed
from notify.backends.relay.wire import PREFIX
from notify.clock import Clock, SystemClock
from notify.plain import class_name
from notify.relay.scripts import HEAD, source

if TYPE_CHECKING:
    from redis import Redis

_LIMIT = f"{PREFIX}limit:"
_AWAY = 5.0  # seconds until Redis is asked again that did not answer
_KEPT = 86400  # seconds after which what nobody has used is forgotten: the longest stop is an hour
_UNTOLD = 1000  # answers that may wait for Redis


class Window(NamedTuple):
    """How many requests are taken in how much time.

    Args:
        most: requests.
        seconds: any so long.
    """

    most: int
    seconds: float


_MARGIN = 1.05  # on what Discord counts: its clock and this one need not run alike
# Discord's staff says 5 in 2 s for a webhook; 30 in 60 s for a channel is what is seen (discord-api-docs #367, #4043).
WEBHOOK = Window(5, 2.0 * _MARGIN)
CHANNEL = Window(30, 60.0 * _MARGIN)


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
        self._script = client.register_script(HEAD + _constants() + source("limits"))
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._under_way: defaultdict[str, list[str]] = defaultdict(list)
        self._untold: deque[tuple[float, str, list[str]]] = deque(maxlen=_UNTOLD)

    def ready_in(self, webhook: str) -> float:
        """Return the seconds until a request to *webhook*, a URL, is welcome."""
        return self._ask(webhook, "ready", "")

    def acquire(self, webhook: str) -> float:
        """Return 0 if a request to *webhook* may go out now, and otherwise the seconds until it is worth asking again.

        Whoever gets 0 sends, and calls `answered`.
        """
        request = os.urandom(8).hex()
        wait = self._ask(webhook, "acquire", request)
        if not wait:
            with self._lock:
                self._under_way[webhook].append(request)
        return wait

    def answered(self, webhook: str, answer: Answer | None) -> None:
        """Note what came of a request to *webhook*; None when there was no answer."""
        with self._lock:
            waiting = self._under_way[webhook]
            request = waiting.pop(0) if waiting else os.urandom(8).hex()
        self._untold.append((self._clock.monotonic(), webhook, [request, *_said(answer)]))
        self._tell()

    def _ask(self, webhook: str, what: str, request: str) -> float:
        """Return the seconds to wait. Never less than Redis has said, whatever becomes of asking it."""
        if not self._tell():
            return _AWAY
        wait = self._run(webhook, [what, request])
        return _AWAY if wait is None else wait

    def _tell(self) -> bool:
        """Tell Redis what it does not know yet, and say whether it knows everything."""
        while self._untold:
            try:
                told = self._untold.popleft()
            except IndexError:  # another thread was quicker
                break
            at, webhook, (request, *said) = told
            ago = max(0.0, self._clock.monotonic() - at)
            if self._run(webhook, ["answered", request, repr(ago), *said]) is None:
                self._untold.appendleft(told)
                return False
        return True

    def _run(self, webhook: str, arguments: list[str]) -> float | None:
        from redis import RedisError

        gate = f"{_LIMIT}webhook:{_digest(webhook)}"
        try:
            return float(self._script(keys=[gate, f"{gate}:sent", f"{_LIMIT}all"], args=arguments))
        except (RedisError, OSError, ValueError) as error:
            diagnostics.report(
                "relay limits",
                f"Redis does not tell Discord's limits ({class_name(error)}): until it does nothing is sent there",
            )
            return None


def _digest(webhook: str) -> str:
    """Return what stands for a webhook in Redis: whoever reads that must not be able to post."""
    return blake2b(webhook.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _said(answer: Answer | None) -> list[str]:
    """Return what *answer* says as the script takes it: channel, stop, its seconds, whether there is one, allowance."""
    if answer is None:
        return ["", "", "0", "0", "", "0"]
    channel = parsed(answer.body).get("channel_id") if answer.status == 200 else None
    limit, allowance = limit_of(answer), allowance_of(answer)
    return [
        channel if isinstance(channel, str) and channel.isalnum() else "",
        *((limit.scope.name, repr(limit.seconds)) if limit else ("", "0")),
        "1",
        *((str(allowance.left), repr(allowance.seconds)) if allowance else ("", "0")),
    ]


def _constants() -> str:
    """Return the lines of Lua that name what both sides know."""
    known: dict[str, float | str] = {
        "LONGEST": LONGEST,
        "SHORTEST": SHORTEST,
        "SHORTEST_LAST": SHORTEST_LAST,
        "PROBE": PROBE,
        "LOOK_AGAIN": LOOK_AGAIN,
        "KEPT": _KEPT,
        "WEBHOOK_MOST": WEBHOOK.most,
        "WEBHOOK_SECONDS": WEBHOOK.seconds,
        "CHANNEL_MOST": CHANNEL.most,
        "CHANNEL_SECONDS": CHANNEL.seconds,
        "CHANNEL_KEY": f"{_LIMIT}channel:",
        "SENT": ":sent",
    }
    return "".join(f"local {name} = {value!r}\n" for name, value in known.items())
