"""Asking a script in Redis who may send, and telling it what came of that, however long Redis is away."""

import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from os import urandom
from typing import TYPE_CHECKING

from notify import diagnostics
from notify.backends import stop
from notify.clock import Clock, SystemClock
from notify.plain import class_name
from notify.relay.scripts import HEAD, locals_of, source

if TYPE_CHECKING:
    from redis import Redis

AWAY = 5.0
"""Seconds until Redis is asked again that did not answer."""
KEPT = 86400
"""Seconds after which what nobody has used is forgotten: the longest stop is an hour."""
MARGIN = 1.05
"""On the time in which a destination takes so and so many: its clock and the server's need not run alike."""
_OF_ALL = {
    "LONGEST": stop.LONGEST,
    "SHORTEST": stop.SHORTEST,
    "SHORTEST_LAST": stop.SHORTEST_LAST,
    "MOST": stop.MOST,
    "KEPT": KEPT,
}
_UNTOLD = 1000  # answers that may wait for Redis


class Permits:
    """A script that is asked with "ready" or "acquire" and told with "answered". Thread-safe.

    It takes the keys of a destination, and as arguments one of these words, a name of the request, and what else
    matters: for "answered" that is first for how many seconds Redis could not be told. It returns the seconds to wait.

    Args:
        client: of Redis, with deadlines of its own.
        script: its name.
        constants: what the script knows by name, beside what all of them know.
        destination: as people call it.
        clock: tells how long an answer has waited for Redis.
    """

    def __init__(
        self, client: "Redis", script: str, constants: Mapping[str, float | str], destination: str, clock: Clock | None
    ) -> None:
        known = locals_of({**_OF_ALL, **constants})
        self._script = client.register_script(HEAD + known + source("ours") + source(script))
        self._destination = destination
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._under_way: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        self._untold: deque[tuple[float, tuple[str, ...], Sequence[str]]] = deque(maxlen=_UNTOLD)

    def ready_in(self, keys: tuple[str, ...], *about: str) -> float:
        """Return the seconds until a request is welcome."""
        return self._ask(keys, ["ready", "", *about])

    def acquire(self, keys: tuple[str, ...], *about: str) -> float:
        """Return 0 if a request may go out now, and otherwise the seconds until it is worth asking again."""
        request = urandom(8).hex()
        wait = self._ask(keys, ["acquire", request, *about])
        if not wait:
            with self._lock:
                self._under_way[keys].append(request)
        return wait

    def answered(self, keys: tuple[str, ...], *about: str) -> None:
        """Tell what came of a request; while Redis is away that is kept."""
        with self._lock:
            requests = self._under_way.get(keys)
            request = requests.pop(0) if requests else urandom(8).hex()
        self._untold.append((self._clock.monotonic(), keys, [request, *about]))
        self._tell()

    def _ask(self, keys: tuple[str, ...], arguments: Sequence[str]) -> float:
        wait = self._run(keys, arguments) if self._tell() else None
        return AWAY if wait is None else wait

    def _tell(self) -> bool:
        """Tell Redis what it does not know yet, and say whether it knows everything."""
        while self._untold:
            try:
                told = self._untold.popleft()
            except IndexError:  # another thread was quicker
                break
            at, keys, (request, *about) = told
            ago = max(0.0, self._clock.monotonic() - at)
            if self._run(keys, ["answered", request, repr(ago), *about]) is None:
                self._untold.appendleft(told)
                return False
        return True

    def _run(self, keys: tuple[str, ...], arguments: Sequence[str]) -> float | None:
        from redis import RedisError

        try:
            return float(self._script(keys=keys, args=arguments))
        except (RedisError, OSError, ValueError) as error:
            diagnostics.report(
                f"relay limits {self._destination}",
                f"Redis does not tell {self._destination}'s limits ({class_name(error)}): "
                "until it does nothing is sent there",
            )
            return None
