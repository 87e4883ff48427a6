"""The relay backend: publishes events to Redis, where the relay's workers take them."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from notify import diagnostics
from notify.backends.relay.address import parse_address
from notify.backends.relay.lines import MOST, Lines
from notify.backends.relay.server import REQUEST_SECONDS, look, open_client, outdated, unfit
from notify.backends.relay.trouble import trouble
from notify.backends.relay.wire import EVENTS, LOGSTASH, Entry, fields_of
from notify.errors import DeliveryError, Rejected, RetryLater, Unfit
from notify.event import Event, Origin
from notify.plain import clean

if TYPE_CHECKING:
    import redis

_ID = re.compile(rb"[0-9]+-[0-9]+")  # of an entry
_BATCH_BYTES = 1_048_576  # a batch ends with the event that reaches this, so that it is written within the deadline
_LARGE = 1_048_576  # bytes; Redis takes a value of this size however it is set up
_ANSWER_BYTES = 1_048_576  # ids of a hundred entries are two thousand, and what a server says of itself is ten thousand
_MOST_BYTES = 512 * 2**20  # of a value, unless the server is set up otherwise


class RelayBackend:
    """Publishes every event to a stream in Redis, in order, as many together as there are: all of them or none.

    A publication whose answer is lost is repeated: the workers know an event by its id. Nothing is resolved or opened
    before the first `send`.

    Args:
        url: of Redis, a credential.
        origin: who speaks, for the workers.
        lines: encodes what Logstash gets the same way; None: nothing.

    Raises `ValueError`, without the URL, when that is unusable, and when the package redis is not installed.
    """

    durable = True
    folds = False
    passes_matters = True
    in_order = True  # the workers count by it, and have what is urgent overtake
    max_batch = 100
    imports = (
        "redis",
        "notify.event_json",
        # The rest is redis' own: when it connects, and looks up its version.
        "secrets",
        "email.parser",
        "importlib.metadata._adapters",
        "encodings.idna",
    )

    def __init__(self, url: str, origin: Origin, *, lines: Lines | None = None) -> None:
        self._address = parse_address(url)
        if find_spec("redis") is None:
            raise ValueError("needs redis: pip install 'executor-notify[relay]'")
        self._origin = Origin(clean(origin.executor), clean(origin.name), clean(origin.icon_url))
        self._lines = lines
        self._client: redis.Redis | None = None

    def send(self, events: Sequence[Event], /) -> int:
        """Publish some of *events*, from the first on, and return how many.

        Takes 15 seconds at most, beside the look-up of a name. Raises `RetryLater` while Redis is not there or unwell,
        `Gone` when it refuses us, `Rejected` for an event that is larger than the server takes. Called by one thread at
        a time.
        """
        try:
            return self._publish(events)
        except DeliveryError:
            raise
        except Exception as error:  # noqa: BLE001 - redis-py's, whose text may hold an event or the address
            self.close()
            raise trouble(error) from None

    def check(self) -> str:
        """Connect, and say what is there.

        Raises `RetryLater` when nothing is, `Gone` when it refuses us, `Unfit` when it is one that a worker refuses.
        """
        try:
            client = self._opened()
            server = look(client)
            said = [str(server), f"{client.xlen(EVENTS):,} entries in the stream"]
        except Exception as error:  # noqa: BLE001 - as above
            raise trouble(error) from None
        said += [] if self._address.tls else ["without TLS"]
        if wrong := [*outdated(server), *unfit(server)]:
            raise Unfit("; ".join([*wrong, *said]))
        return "; ".join(said)

    def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect()
            client.close()

    def _opened(self) -> "redis.Redis":
        if self._client is None:  # in a forked child it is there, and connects anew: redis-py sees to that
            self._client = open_client(self._address, request_seconds=REQUEST_SECONDS, answer_bytes=_ANSWER_BYTES)
        return self._client

    def _publish(self, events: Sequence[Event]) -> int:
        client = self._opened()
        entries: list[dict[str, str | bytes]] = []
        size = 0
        for event in events:
            entry = fields_of(Entry(self._as_published(event)))
            if (bytes_of_it := len(entry["event"])) > _LARGE and bytes_of_it > self._most(client):
                if not entries:
                    raise Rejected(f"with {bytes_of_it:,} bytes it is larger than Redis takes")
                break
            entries.append(entry)
            size += bytes_of_it
            if size >= _BATCH_BYTES:
                break
        lines = self._lines.of(events[: len(entries)]) if self._lines is not None else []
        with client.pipeline(transaction=True) as transaction:
            for entry in entries:
                transaction.xadd(EVENTS, entry)  # type: ignore[arg-type]  # a dict of what it takes
            if lines:
                transaction.rpush(LOGSTASH, *lines)
                transaction.ltrim(LOGSTASH, -MOST, -1)
            self._judge(transaction.execute(raise_on_error=False), len(entries))
        return len(entries)

    def _judge(self, answers: Sequence[object], entries: int) -> None:
        """Raise the first error that an event met. One of Logstash's list is told, and costs no event.

        What answers with anything but ids is no Redis, and has not got them.
        """
        errors = [(place, answer) for place, answer in enumerate(answers) if isinstance(answer, Exception)]
        if errors and errors[0][0] < entries:
            raise errors[0][1]
        if not all(isinstance(answer, bytes) and _ID.fullmatch(answer) for answer in answers[:entries]):
            raise RetryLater(reason="what answers at Redis' address is no Redis")
        if errors:
            diagnostics.report("relay logstash", f"relay: Logstash's list takes nothing: {trouble(errors[0][1])}")

    def _as_published(self, event: Event) -> Event:
        """Return *event* with its origin. Of its matter the workers count themselves, for all executors together."""
        matter = event.matter
        if matter is not None:
            matter = replace(matter, count=1, since=event.time, last=event.time)
        return replace(event, origin=self._origin, matter=matter)

    def _most(self, client: "redis.Redis") -> int:
        """Return how many bytes an event may have, as far as the server tells."""
        import redis

        limits = []
        for name in ("proto-max-bulk-len", "maxmemory"):
            with suppress(redis.ResponseError):  # a hosted one keeps that to itself
                said: Any = client.config_get(name)
                limits.append(int(said.get(name, 0)))
        return min(filter(None, limits), default=_MOST_BYTES)
