"""Workers that judge, and what they have told whom, without lanes and destinations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import ERROR
from typing import Any

import redis
from folds import Chat, People

from notify.backend import Backend
from notify.backends.memory import MemoryBackend
from notify.backends.relay.wire import EVENTS, Entry, entry_of, fields_of
from notify.delivery.folding.front import INTERVAL
from notify.event import Event, Matter, Origin, Phase, new_id
from notify.relay.judging import Given, Judged
from notify.relay.ledger import Asked, Known
from notify.relay.matters import SharedFolding
from notify.relay.stream import Found, Settled, Stream
from notify.rules.fingerprint import id_of_key
from notify.rules.routing import Route
from notify.testing.clock import FakeClock

BACKENDS: Mapping[str, Backend] = {"chat": Chat(), "pager": People(), "machine": MemoryBackend()}
ROUTES: Mapping[str, Route] = {name: Route() for name in BACKENDS}


@dataclass(frozen=True)
class Told:
    """What one backend was told.

    Args:
        backend: its name.
        message: of the event.
        phase: of its matter, empty for none.
        count: how often.
        executors: on how many.
        who: the executor that it comes from, empty for the relay.
    """

    backend: str
    message: str
    phase: str = ""
    count: int = 0
    executors: int = 0
    who: str = ""


class Judge:
    """A worker that takes events, judges them, and delivers them at once.

    Args:
        client: of Redis.
        name: of the worker.
        backends: by name.
        routes: of each.
        clock: the server's time, too; None: the real ones.
        storm_limit: announcements a minute.
        lease: seconds after which others take over from a dead one.
        ahead: seconds by which the server's clock is later.
    """

    def __init__(
        self,
        client: redis.Redis,
        name: str,
        *,
        backends: Mapping[str, Backend] = BACKENDS,
        routes: Mapping[str, Route] = ROUTES,
        clock: FakeClock | None = None,
        storm_limit: int = 60,
        lease: float = 30.0,
        ahead: float = 0.0,
    ) -> None:
        self.told: list[Told] = []
        self.stream = Stream(client, name, lease=lease)
        self.stream.join()
        self.routes = routes
        self.folding = SharedFolding(
            client, name, backends, routes, interval=INTERVAL, storm_limit=storm_limit, clock=clock
        )
        begin = self.folding._ledger.begin

        def then(asked: Asked) -> Known:
            known = begin(asked)
            return known._replace(now=known.now + ahead if clock is None else clock.time())

        self.folding._ledger.begin = then  # type: ignore[method-assign]
        self._cursor = "0-0"

    def take(self, most: int = 1000) -> list[tuple[Given, bytes | None, frozenset[str]]]:
        """Return what there is: given, what was noted of it, and who it is for if the relay says it."""
        taken = self.stream.take(self._cursor, most)
        if taken.is_elsewhere:
            taken = self.stream.take(self._cursor, most)
        self._cursor = taken.cursor
        return self._given(taken.found)

    def take_over(self) -> None:
        """Judge and deliver what a dead worker has left."""
        claimed, _, _ = self.stream.claim(1000, is_sure=True)
        self._hand_out(self._given(claimed))

    def read_again(self) -> None:
        """Begin once more with what was taken and is not settled."""
        self._cursor = "0-0"

    def _given(self, taken: Sequence[Found]) -> list[tuple[Given, bytes | None, frozenset[str]]]:
        found = []
        for each in taken:
            entry = entry_of(each.fields)
            wanted = entry.to or frozenset(name for name, route in self.routes.items() if route.wants(entry.event))
            found.append((Given(each.entry, each.executor, entry.event, wanted), each.judged, entry.to))
        return found

    def work(self, most: int = 1000) -> list[Told]:
        """Judge and deliver what there is, and return what that was."""
        before = len(self.told)
        while found := self.take(most):
            self._hand_out(found)
        return self.told[before:]

    def judge(self, found: Sequence[tuple[Given, bytes | None, frozenset[str]]]) -> Sequence[Judged]:
        """Return what becomes of what was taken."""
        return self.folding.judge_batch([given for given, _, _ in found])

    def due(self) -> list[Told]:
        """Say what is to be said, and deliver it."""
        self.folding.due()
        return self.work()

    def _hand_out(self, found: Sequence[tuple[Given, bytes | None, frozenset[str]]]) -> None:
        for (given, _, _), verdict in zip(found, self.judge(found), strict=True):
            self._deliver(given, verdict)

    def _deliver(self, given: Given, judged: Judged) -> None:
        for event, names in judged.said:
            matter, who = event.matter, event.origin.executor if event.origin is not None else ""
            for name in sorted(names):
                counts = () if matter is None else (matter.phase.value, matter.count, matter.executors)
                self.told.append(
                    Told(name, event.message, *counts, who=who) if counts else Told(name, event.message, who=who)
                )
        if judged.said:
            self.stream.settle([Settled(given.entry, given.executor)])


def happened(
    executor: str, text: str, *, level: int = ERROR, key: str | None = None, phase: Phase = Phase.ANNOUNCED
) -> Event:
    """Return what an executor publishes of a matter that is the same wherever *text*, or *key*, is."""
    matter = Matter(id_of_key(key) if key is not None else text.replace(" ", "-"), phase, 1, 1.0, 1.0)
    return Event(
        id=new_id(1.0),
        time=1.0,
        message=text,
        level=level,
        key=key,
        matter=matter,
        origin=Origin(executor, executor.title()),
    )


def publish(client: redis.Redis, *events: Event) -> None:
    """Publish *events*, as executors do."""
    for event in events:
        fields: dict[Any, Any] = {**fields_of(Entry(event))}  # redis-py's type of a mapping fits nothing else
        client.xadd(EVENTS, fields)
