"""What can be seen of a relay from outside: what waits, who works, what holds them up, what was set aside."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from notify.backends.relay.server import Server
from notify.backends.relay.server import look as look_at_server
from notify.backends.relay.wire import DEAD, EVENTS, GROUP
from notify.relay import keys

if TYPE_CHECKING:
    from redis import Redis

_MOST = 10_000  # entries that are counted one by one, where the server does not know how many there are


class Seen(NamedTuple):
    """One worker.

    Args:
        name: of it.
        lease: seconds that its lease lasts; 0 or less: it is dead, or has left.
        pending: entries that it has not delivered yet.
        report: what it said of itself last: `host`, `pid`, `since`, `rate` and `backends`; empty when nothing is known.
    """

    name: str
    lease: float
    pending: int
    report: Mapping[str, Any]

    @property
    def lives(self) -> bool:
        """Whether it works."""
        return self.lease > 0


class Limit(NamedTuple):
    """A destination that takes nothing at the moment.

    Args:
        of: `webhook`, `channel`, `bot` with its chat, or `all`, and what tells it from others.
        seconds: until it takes something again.
    """

    of: str
    seconds: float


class Overview(NamedTuple):
    """How a relay is.

    Args:
        server: what Redis says of itself.
        waiting: entries that no worker has taken yet.
        more: whether these are only those that were counted, and there are more.
        pending: entries that a worker has taken and not delivered everywhere.
        oldest: seconds since the oldest of both was published; None: there is none.
        rate: events a second that arrived in the last minute, over all workers and backends.
        workers: that live or have something.
        limits: in force.
        dead: entries in notify:dead.
        dead_since: seconds since the last of them came; None: there is none.
        dead_of: why that was.
        memory: bytes that Redis uses.
        memory_limit: bytes that it may use; 0: as many as there are.
    """

    server: Server
    waiting: int
    more: bool
    pending: int
    oldest: float | None
    rate: float
    workers: Sequence[Seen]
    limits: Sequence[Limit]
    dead: int
    dead_since: float | None
    dead_of: str
    memory: int
    memory_limit: int


def look(client: "Redis") -> Overview:
    """Return how the relay is that uses the server of *client*. Changes nothing. Raises what redis raises."""
    server = look_at_server(client)
    memory: Any = client.info("memory")
    seconds, micros = client.time()
    now = seconds + micros / 1e6
    group = _group(client)
    waiting, more = _waiting(client, group)
    pending: Any = client.xpending(EVENTS, GROUP) if group else {"pending": 0, "min": None}
    workers = _workers(client, now, is_there=bool(group))
    last: Any = client.xrevrange(DEAD, count=1)
    reason = last[0][1].get(b"reason", b"").decode("utf-8", "replace") if last else ""
    return Overview(
        server=server,
        waiting=waiting,
        more=more,
        pending=pending["pending"],
        oldest=_oldest(client, group, pending["min"], now),
        rate=sum(rate for each in workers if isinstance(rate := each.report.get("rate"), int | float)),
        workers=workers,
        limits=_limits(client, now),
        dead=client.xlen(DEAD),
        dead_since=max(0.0, now - _at(last[0][0])) if last else None,
        dead_of=reason,
        memory=int(memory.get("used_memory", 0)),
        memory_limit=int(memory.get("maxmemory", 0)),
    )


def _group(client: "Redis") -> Mapping[str, Any]:
    """Return what Redis says of the workers' group; nothing, when no worker was ever there."""
    if not client.exists(EVENTS):
        return {}
    groups: Any = client.xinfo_groups(EVENTS)
    return next((each for each in groups if each["name"] == GROUP.encode()), {})


def _waiting(client: "Redis", group: Mapping[str, Any]) -> tuple[int, bool]:
    """Return how many entries nobody has taken yet, and whether there are more."""
    if not group:
        return client.xlen(EVENTS), False
    lag = group.get("lag")
    if lag is not None:
        return int(lag), False
    # Redis does not know it any more, once entries in the middle were deleted.
    found: Any = client.xrange(EVENTS, min=f"({group['last-delivered-id'].decode()}", count=_MOST)
    return len(found), len(found) == _MOST


def _oldest(client: "Redis", group: Mapping[str, Any], pending: bytes | None, now: float) -> float | None:
    after = f"({group['last-delivered-id'].decode()}" if group else "-"
    first: Any = client.xrange(EVENTS, min=after, count=1)
    ids = [each for each in (pending, first[0][0] if first else None) if each]
    return max(0.0, now - min(map(_at, ids))) if ids else None


def _workers(client: "Redis", now: float, *, is_there: bool) -> list[Seen]:
    leases: Any = client.zrange(keys.WORKERS, 0, -1, withscores=True)
    ends = dict(leases)
    consumers: Any = client.xinfo_consumers(EVENTS, GROUP) if is_there else []
    pending = {each["name"]: each["pending"] for each in consumers}
    found = []
    for name in sorted({*ends, *pending}):
        left = ends.get(name, 0.0) - now
        if left > 0 or pending.get(name):
            text: Any = client.get(keys.WORKER.encode() + name)
            found.append(Seen(name.decode("utf-8", "replace"), left, pending.get(name, 0), _report(text)))
    return found


def _report(text: bytes | None) -> Mapping[str, Any]:
    try:
        report = json.loads(text or b"{}")
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _limits(client: "Redis", now: float) -> list[Limit]:
    found = []
    for key in client.scan_iter(f"{keys.LIMIT}*", count=1000, _type="hash"):
        closed: Any = client.hget(key, "closed_until")
        left = float(closed) - now if closed else 0.0
        if left > 0:
            found.append(Limit(key.decode("utf-8", "replace").removeprefix(keys.LIMIT), left))
    return sorted(found)


def _at(entry: bytes) -> float:
    return int(entry.partition(b"-")[0]) / 1000
