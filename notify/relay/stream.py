"""What a worker asks of the stream of events: each method is one step on the server."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from notify.backends.relay.trouble import trouble
from notify.backends.relay.wire import EVENTS
from notify.errors import NotifyError
from notify.relay.scripts import script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

LEASE = 30.0  # seconds: twice the slowest request, and six times a look at what others do
DELIVERIES = 5
"""Workers that may be killed while they have one entry in hand."""
_MOST_BYTES = 4 * 2**20  # of entries that come in one answer
_SAID_FOR = 600  # seconds


class LeaseLost(NotifyError):
    """Nothing of what this worker had in hand is its own any more."""

    def __init__(self) -> None:
        super().__init__("others have taken over what this worker had in hand, or Redis has lost it")


class Away(NotifyError):
    """The server does not answer, or refuses. The text says how, and holds no credentials."""


class Found(NamedTuple):
    """An entry that is this worker's to deliver.

    Args:
        entry: its id in the stream.
        executor: of whom it is, as scripts know it.
        fields: as they were published.
        judged: what became of it among repeats, if that was decided already.
        has: the backends that have it.
    """

    entry: str
    executor: bytes
    fields: Mapping[bytes, bytes]
    judged: bytes | None
    has: frozenset[str]


class Taken(NamedTuple):
    """What there was.

    Args:
        found: entries, oldest first.
        cursor: the last entry that was looked at.
        duplicates: how many were there for the second time.
        caught_up: whether all that was pending for this worker has been read.
        end: of the stream, when there is nothing more.
        is_elsewhere: whether this is another server than the last time, or one that was started again: it may know
            less. Nothing was read.
    """

    found: Sequence[Found]
    cursor: str
    duplicates: int
    caught_up: bool
    end: str | None
    is_elsewhere: bool


class Settled(NamedTuple):
    """What became of one entry at one backend.

    Args:
        entry: its id.
        executor: of whom it is.
        backend: empty: of the entry as a whole.
        others: that want it, and do not have it as far as this worker knows.
        reason: why it is set aside; empty: it has arrived.
    """

    entry: str
    executor: bytes
    backend: str = ""
    others: frozenset[str] = frozenset()
    reason: str = ""


class Stream:
    """The stream, as one worker sees it. Thread-safe.

    Every method raises `Away`, and `LeaseLost` when others have taken over.

    Args:
        client: of the server.
        worker: the name of this one, which nobody else has and nobody ever had.
        lease: seconds without a word after which others take over.
    """

    def __init__(self, client: "Redis", worker: str, *, lease: float = LEASE) -> None:
        self._client = client
        self._worker = worker
        self._lease = lease
        self._run = b""  # of the server that was asked last
        self._scripts = {name: script(client, name) for name in _SCRIPTS}

    def join(self) -> bool:
        """Begin to be one of the workers. Says whether there was no group of them: then all that it knew is gone."""
        return bool(self._call("join", self._lease))

    def take(self, cursor: str, most: int) -> Taken:
        """Renew the lease, and return what is this worker's behind *cursor*, *most* entries at most."""
        known = self._run
        found, at, duplicates, caught_up, end, self._run = self._call(
            "take", self._lease, cursor, most, _MOST_BYTES, known
        )
        return Taken(
            _found(found),
            at.decode(),
            duplicates,
            bool(caught_up),
            None if end is None else end.decode(),
            is_elsewhere=known not in (b"", self._run),
        )

    def wait(self, end: str, seconds: float) -> None:
        """Wait until there is something behind *end*, *seconds* at most."""
        with naming():
            self._client.xread({EVENTS: end}, count=1, block=max(1, int(seconds * 1000)))

    def settle(self, settled: Iterable[Settled]) -> None:
        """Note what became of entries; those that all have are pending no more. May be repeated."""
        flat: list[Any] = []
        for each in settled:
            flat += (each.entry, each.executor, each.backend, ",".join(sorted(each.others)), each.reason)
        if flat:
            self._call("settle", *flat)

    def park(self, backend: str, entries: Sequence[str]) -> int:
        """Leave *entries* pending until *backend* has room. Returns how many of that kind there are."""
        parked: int = self._call("park", backend, *entries)
        return parked

    def unpark(self, backend: str, most: int) -> tuple[Sequence[Found], int]:
        """Return parked entries, oldest first, and how many are left."""
        found, left = self._call("unpark", backend, most, _MOST_BYTES)
        return _found(found), left

    def rescan(self) -> None:
        """Forget what is parked. For who reads all that is pending for him once more."""
        self._call("rescan")

    def claim(self, most: int, *, is_sure: bool) -> tuple[Sequence[Found], int, bool]:
        """Take over from a worker that has left, or, if *is_sure*, whose lease has ended.

        Returns entries, oldest first, which come before all that is taken later; how many were set aside, because
        each worker that had them was killed; and whether there is more.
        """
        found, poison, more = self._call("claim", most, _MOST_BYTES, DELIVERIES, int(is_sure), self._lease, self._run)
        return _found(found), poison, bool(more)

    def absolve(self, entries: Sequence[str]) -> None:
        """Note that it is none of *entries* that kills workers: this one has had them in hand for long."""
        if entries:
            self._call("absolve", *entries)

    def leave(self) -> None:
        """Leave what is in hand to others."""
        self._call("leave")

    def trim(self) -> None:
        """Remove what is behind everybody."""
        self._call("trim")

    def is_first_to_say(self, text: str) -> bool:
        """Say whether none of the workers has said *text* in the last ten minutes."""
        return bool(self._call("say", hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), _SAID_FOR))

    def report(self, document: bytes, *, seconds: int) -> None:
        """Have *document* told of this worker for so many *seconds*."""
        self._call("report", document, seconds)

    def _call(self, name: str, *arguments: object) -> Any:
        with naming():
            return self._scripts[name](args=[self._worker, *arguments])  # type: ignore[list-item]  # redis encodes them


_SCRIPTS = ("join", "take", "settle", "park", "unpark", "rescan", "claim", "absolve", "leave", "trim", "say",
            "report")  # fmt: skip


@contextmanager
def naming() -> "Iterator[None]":
    """Turn what redis raises into what this module says."""
    from redis import RedisError, ResponseError

    try:
        yield
    except ResponseError as error:
        if str(error).startswith(("LOST", "NOGROUP")):  # the latter: somebody has emptied the server
            raise LeaseLost from None
        raise Away(str(trouble(error))) from None
    except (RedisError, OSError) as error:
        raise Away(str(trouble(error))) from None


def _found(raw: Iterable[Any]) -> Sequence[Found]:
    return [_one(*each) for each in raw]


def _one(entry: bytes, executor: bytes, fields: Sequence[bytes], marks: Sequence[bytes]) -> Found:
    noted = _pairs(marks)
    has = frozenset(name[3:].decode("utf-8", "replace") for name in noted if name.startswith(b"to:"))
    return Found(entry.decode(), executor, _pairs(fields), noted.get(b"judged"), has)


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=False))
