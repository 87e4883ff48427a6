"""What all workers know of the matters that go on, in Redis: one at a time reads it, and writes what has changed.

Whoever takes the lock gets what others have changed since he had it last. What he writes is written in one step with
what it means for the entries of the stream, and only while he has the lock: who was too slow writes nothing.
"""

import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from notify.backends.relay.wire import Entry, fields_of
from notify.relay.scripts import script
from notify.relay.stream import naming

if TYPE_CHECKING:
    from redis import Redis

_LOCK_SECONDS = 5.0  # a worker that is killed with the lock stops the others for no longer
_PATIENCE = 0.002  # seconds between two tries to get it; it is held for a few thousandths


class Asked(NamedTuple):
    """What a worker wants to know.

    Args:
        entries: of the stream, by id: whether they were judged.
        heard: pairs of a matter and an executor: whether that is one of those that have told of it.
        matters: whether something that was said of them is on its way; None: of all.
    """

    entries: Sequence[str] = ()
    heard: Sequence[tuple[str, str]] = ()
    matters: Sequence[str] | None = ()


class Known(NamedTuple):
    """What there is.

    Args:
        now: UTC epoch seconds of the server.
        is_all: *changes* is everything, and what is not in it is not there any more.
        changes: JSON by name, in the order of their changes; None for what was removed.
        judged: what was noted of each entry; empty for nothing. One that is not pending any more is not there.
        heard: the pairs that are known.
        waiting: the matters of which something is on its way.
    """

    now: float
    is_all: bool
    changes: dict[str, bytes | None]
    judged: dict[str, bytes]
    heard: frozenset[tuple[str, str]]
    waiting: frozenset[str]


@dataclass(slots=True)
class Plan:
    """What is to be noted.

    Args:
        changes: JSON by name, empty for what is to be removed.
        heard: of matters, which executors have told of them that had not before, and whether it begins anew.
        arrived: the matters of which nothing is on its way any more.
        announced: the entry on its way that tells of each matter.
        sayings: entries to be published, each with the matter that it tells of, which may be empty.
        judged: what is noted of each entry, as JSON.
        acknowledged: entries that nobody gets, each with its executor.
    """

    changes: dict[str, str] = field(default_factory=dict)
    heard: dict[str, tuple[bool, set[str]]] = field(default_factory=dict)
    arrived: list[str] = field(default_factory=list)
    announced: dict[str, str] = field(default_factory=dict)
    sayings: list[tuple[str, Entry]] = field(default_factory=list)
    judged: dict[str, str] = field(default_factory=dict)
    acknowledged: list[tuple[str, bytes]] = field(default_factory=list)

    def as_json(self) -> str:
        """Return all but what is acknowledged as the script takes it: texts and lists of texts."""
        return json.dumps(
            {
                "changes": list(self.changes.items()),
                "heard": [
                    (name, "anew" if anew else "", sorted(executors)) for name, (anew, executors) in self.heard.items()
                ],
                "arrived": self.arrived,
                "announced": list(self.announced.items()),
                "sayings": [(name, list(_flat(entry))) for name, entry in self.sayings],
                "judged": list(self.judged.items()),
            }
        )


class Ledger:
    """The state in Redis. For one thread; raises `Away` and `LeaseLost` as the stream does.

    Args:
        client: of Redis.
        worker: the name of this one.
        kept_seconds: after which a matter's executors are forgotten, if nothing changes.
    """

    def __init__(self, client: "Redis", worker: str, *, kept_seconds: float) -> None:
        self._begin = script(client, "matters_begin")
        self._commit = script(client, "matters_commit")
        self._worker = worker
        self._kept_seconds = int(kept_seconds)
        self._token = ""
        self._cursor = (b"", b"")  # the last change that is known, and whose it was

    def forget(self) -> None:
        """Have everything told at the next time: what is known here is not what was written."""
        self._cursor = (b"", b"")

    def begin(self, asked: Asked) -> Known:
        """Wait for the lock, and return what there is."""
        self._token = os.urandom(8).hex()
        matters = {"all": True} if asked.matters is None else {"matters": asked.matters}
        document = json.dumps({"entries": asked.entries, "heard": asked.heard, **matters})
        while True:
            with naming():
                answer: Any = self._begin(
                    args=[self._worker, self._token, int(_LOCK_SECONDS * 1000), *self._cursor, document]
                )
            if answer[0] == b"held":
                break
            threading.Event().wait(_PATIENCE)
        _, now, change, by, is_all, values, judged, heard, waiting = answer
        self._cursor = (change, by)
        return Known(
            now=float(now),
            is_all=bool(is_all),
            changes={_text(name): value for name, value in zip(values[::2], values[1::2], strict=True)},
            judged={entry: noted for entry, noted in zip(asked.entries, judged, strict=True) if noted is not None},
            heard=frozenset(pair for pair, is_known in zip(asked.heard, heard, strict=True) if is_known),
            waiting=frozenset(map(_text, waiting)),
        )

    def commit(self, plan: Plan) -> bool:
        """Note *plan*, give the lock back, and say whether it was held until now. Otherwise nothing was noted."""
        acknowledged: Iterable[Any] = (part for pair in plan.acknowledged for part in pair)
        with naming():
            answer: Any = self._commit(
                args=[self._worker, self._token, self._kept_seconds, plan.as_json(), *acknowledged]
            )
        if answer[0] != b"noted":
            return False
        if answer[1]:
            self._cursor = (answer[1], self._token.encode())
        return True


def _text(name: bytes) -> str:
    """Return a name as text; what another program has put there need not be any."""
    return name.decode("utf-8", "replace")


def _flat(entry: Entry) -> Iterable[str]:
    for name, value in fields_of(entry).items():
        yield name
        yield value.decode() if isinstance(value, bytes) else value
