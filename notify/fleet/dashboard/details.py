"""What a strategy says of itself at this moment, for its own page: asked in parallel, kept for a moment."""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from notify import diagnostics, threads
from notify.backends.http import HttpClient
from notify.clock import Clock, SystemClock
from notify.fleet.dashboard.reading import Metadata, Record, Status, read_metadata, read_records, read_status
from notify.fleet.dashboard.text import redacted
from notify.fleet.fetch import DEADLINE, Credentials, FetchError, fetch_json
from notify.fleet.strategies import Strategy
from notify.plain import class_name

FRESH = 4.0  # seconds: an open page asks every five, and several of them share the answers
WAIT = 1.0  # seconds that a request waits for answers at most; what comes later is on the next page

_MOST_ASKED = 8  # strategies at a time, three requests each: those that hang keep threads for five seconds
_MOST_WAITING = 2  # requests at a time, so that the others always find a thread of the server
_KEPT = 32  # strategies whose answers are remembered
_MOST_LOGS = 4 * 2**20  # bytes of /logs: trade-executor's 2000 records with their tracebacks are below that

_READERS: Mapping[str, tuple[Callable[[object], object], int]] = {
    "status": (read_status, 2**20),
    "metadata": (read_metadata, 2**20),
    "logs": (read_records, _MOST_LOGS),
}


class Details(NamedTuple):
    """What is known of a strategy's own words.

    Args:
        status: of `/status`; None: see *problems*.
        metadata: of `/metadata`.
        records: of `/logs`, newest first.
        problems: by the name of the request, why there is nothing usable.
        asking: there is more to come.
    """

    status: Status | None
    metadata: Metadata | None
    records: tuple[Record, ...] | None
    problems: Mapping[str, str]
    asking: bool


class _Part(NamedTuple):
    value: object = None  # what was read
    problem: str = ""  # why nothing usable came


@dataclass(slots=True)
class _Asked:
    began: float = -math.inf
    parts: dict[str, _Part] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)


class Desk:
    """Asks strategies for what their own pages show. Thread-safe.

    A request for a page waits a second at most, and only two of them wait at a time: a strategy that hangs shows what
    was known before, and delays no other page.

    Args:
        credentials: for servers that ask for them.
        deadline_seconds: for each request to a strategy.
        wait: seconds that `details` waits at most.
        redact: takes secrets out of a text.
        clock: tells how old an answer is.
    """

    def __init__(
        self,
        *,
        credentials: Credentials | None = None,
        deadline_seconds: float = DEADLINE,
        wait: float = WAIT,
        redact: Callable[[str], str],
        clock: Clock | None = None,
    ) -> None:
        self._credentials = credentials
        self._deadline_seconds = deadline_seconds
        self._wait = wait
        self._redact = redact
        self._clock = clock or SystemClock()
        self._arrived = threading.Condition()
        self._asked: dict[str, _Asked] = {}
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)

    def details(self, strategy: Strategy) -> Details:
        """Return what *strategy* says, as it was a moment ago at most if it answers within a second."""
        with self._arrived:
            asked = self._asked.get(strategy.id) or _Asked()
            if not asked.open and self._clock.monotonic() - asked.began >= FRESH:
                if sum(bool(each.open) for each in self._asked.values()) >= _MOST_ASKED:
                    return _details(asked)._replace(asking=True)
                self._ask(strategy, asked)
            if asked.open and self._waiting.acquire(blocking=False):
                try:
                    self._arrived.wait_for(lambda: not asked.open, self._wait)
                finally:
                    self._waiting.release()
            return _details(asked)

    def _ask(self, strategy: Strategy, asked: _Asked) -> None:
        """Send the requests. Needs the lock."""
        asked.began = self._clock.monotonic()
        self._asked.pop(strategy.id, None)
        self._asked[strategy.id] = asked  # the last one in order
        for idle in [name for name, each in self._asked.items() if not each.open][: max(0, len(self._asked) - _KEPT)]:
            del self._asked[idle]
        for name in _READERS:
            asked.open.add(name)
            try:
                threads.start("details", partial(self._fetch, strategy, asked, name))
            except RuntimeError:
                asked.open.discard(name)
                asked.parts[name] = _Part(problem="this machine has no thread left to ask it")

    def _fetch(self, strategy: Strategy, asked: _Asked, name: str) -> None:
        read, most = _READERS[name]
        client = HttpClient()
        part = _Part(problem="it could not be asked")
        try:
            told = fetch_json(
                client,
                f"{strategy.url}/{name}",
                credentials=self._credentials,
                deadline_seconds=self._deadline_seconds,
                max_bytes=most,
            )
            part = _Part(redacted(read(told), self._redact))
        except FetchError as error:
            part = _Part(problem=str(error))
        except Exception as error:  # noqa: BLE001 - the page has to say something in any case
            diagnostics.report("details", f"/{name} of a strategy could not be read: {class_name(error)}")
        finally:
            client.close()
            with self._arrived:
                asked.parts[name] = part
                asked.open.discard(name)
                self._arrived.notify_all()


def _details(asked: _Asked) -> Details:
    status, metadata, records = (asked.parts.get(name, _Part()).value for name in _READERS)
    return Details(
        status=status if isinstance(status, Status) else None,
        metadata=metadata if isinstance(metadata, Metadata) else None,
        records=records if isinstance(records, tuple) else None,
        problems={name: part.problem for name, part in asked.parts.items() if part.problem},
        asking=bool(asked.open),
    )
