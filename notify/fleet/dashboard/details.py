"""What a strategy says of itself at this moment, for its own page: asked in parallel, kept for a moment."""

import threading
from collections.abc import Callable, Mapping, Sequence
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

WAIT = 1.0  # seconds that a request waits for answers at most; what comes later is on the next page

_MOST_ASKED = 8  # strategies at a time, three requests each: those that hang keep threads for five seconds
_MOST_WAITING = 2  # requests at a time, so that the others always find a thread of the server
_KEPT = 32  # strategies whose answers are remembered
_MOST_LOGS = 4 * 2**20  # bytes of /logs: trade-executor's 2000 records with their tracebacks are below that


class _Question(NamedTuple):
    read: Callable[[object], object]
    most_bytes: int
    fresh: float  # seconds for which an answer is shared: an open page asks every five


QUESTIONS: Mapping[str, _Question] = {
    "status": _Question(read_status, 2**20, 4.0),
    "logs": _Question(read_records, _MOST_LOGS, 9.0),  # every other time: it may be megabytes, from a trading machine
    "metadata": _Question(read_metadata, 2**20, 59.0),
}
"""What a strategy is asked for, by the last part of its address."""


class Details(NamedTuple):
    """What is known of a strategy's own words.

    Args:
        status: of `/status`; None: see *problems*.
        metadata: of `/metadata`.
        records: of `/logs`, newest first.
        problems: by the name of the question, why nothing usable came now; what came before is there all the same.
        as_of: by the name of the question, when what is there came, in UTC epoch seconds.
        asking: there is more to come.
    """

    status: Status | None
    metadata: Metadata | None
    records: tuple[Record, ...] | None
    problems: Mapping[str, str]
    as_of: Mapping[str, float]
    asking: bool


class _Part(NamedTuple):
    value: object = None  # what was read
    as_of: float = 0.0  # when, in UTC epoch seconds
    problem: str = ""  # why nothing usable came since


@dataclass(slots=True)
class _Asked:
    began: dict[str, float] = field(default_factory=dict)  # in monotonic seconds
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
            due = self._due(asked)
            if due:
                if sum(bool(each.open) for each in self._asked.values()) >= _MOST_ASKED:
                    return _details(asked)._replace(asking=True)
                self._ask(strategy, asked, due)
            if asked.open and self._waiting.acquire(blocking=False):
                try:
                    self._arrived.wait_for(lambda: not asked.open, self._wait)
                finally:
                    self._waiting.release()
            return _details(asked)

    def _due(self, asked: _Asked) -> list[str]:
        """Return what it is time to ask for, if nothing is on its way."""
        now = self._clock.monotonic()
        if asked.open:
            return []
        return [
            name
            for name, question in QUESTIONS.items()
            if name not in asked.began or now - asked.began[name] >= question.fresh
        ]

    def _ask(self, strategy: Strategy, asked: _Asked, due: Sequence[str]) -> None:
        """Send the requests. Needs the lock."""
        self._asked.pop(strategy.id, None)
        self._asked[strategy.id] = asked  # the last one in order
        for idle in [name for name, each in self._asked.items() if not each.open][: max(0, len(self._asked) - _KEPT)]:
            del self._asked[idle]
        for name in due:
            asked.began[name] = self._clock.monotonic()
            asked.open.add(name)
            try:
                threads.start("details", partial(self._fetch, strategy, asked, name))
            except RuntimeError:
                asked.open.discard(name)
                asked.parts[name] = _Part(problem="this machine has no thread left to ask it")

    def _fetch(self, strategy: Strategy, asked: _Asked, name: str) -> None:
        question = QUESTIONS[name]
        client = HttpClient()
        before = asked.parts.get(name, _Part())
        part = before._replace(problem="it could not be asked")
        try:
            told = fetch_json(
                client,
                f"{strategy.url}/{name}",
                credentials=self._credentials,
                deadline_seconds=self._deadline_seconds,
                max_bytes=question.most_bytes,
            )
            part = _Part(redacted(question.read(told), self._redact), self._clock.time())
        except FetchError as error:
            part = before._replace(problem=str(error))
        except Exception as error:  # noqa: BLE001 - the page has to say something in any case
            diagnostics.report("details", f"/{name} of a strategy could not be read: {class_name(error)}")
        finally:
            client.close()
            with self._arrived:
                asked.parts[name] = part
                asked.open.discard(name)
                self._arrived.notify_all()


def _details(asked: _Asked) -> Details:
    status, records, metadata = (asked.parts.get(name, _Part()).value for name in QUESTIONS)
    return Details(
        status=status if isinstance(status, Status) else None,
        metadata=metadata if isinstance(metadata, Metadata) else None,
        records=records if isinstance(records, tuple) else None,
        problems={name: part.problem for name, part in asked.parts.items() if part.problem},
        as_of={name: part.as_of for name, part in asked.parts.items()},
        asking=bool(asked.open),
    )
