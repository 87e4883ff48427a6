"""Whatever workers do, and however they end: each event comes once, in the order in which its executor said it."""

from collections import defaultdict

import redis as redis_package
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis_server import RedisServer
from relays import client, server  # noqa: F401 - fixtures

from notify.backends.relay.wire import EVENTS, Entry, fields_of
from notify.event import Event, Origin, new_id
from notify.relay.keys import WORKERS
from notify.relay.stream import Found, LeaseLost, Settled, Stream

_WORKERS = 3
_WHO = st.integers(0, _WORKERS - 1)
_STEPS = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from("abc"), st.integers(1, 4)),
    st.tuples(st.just("take"), _WHO, st.integers(1, 5)),
    st.tuples(st.just("deliver"), _WHO, st.integers(1, 3)),
    st.tuples(st.just("claim"), _WHO, st.integers(1, 3)),
    st.tuples(st.sampled_from(["kill", "leave", "lose take", "lose claim"]), _WHO, st.just(0)),
)


class Model:
    """A worker without threads: what it has in hand is a list."""

    def __init__(self, client: redis_package.Redis, name: str) -> None:  # noqa: F811
        self.name = name
        self._stream = Stream(client, name)
        self._stream.join()
        self._cursor, self._caught_up = "0-0", False
        self._queue: list[Found] = []
        self.delivered: list[tuple[bytes, str]] = []

    def take(self, most: int) -> int:
        taken = self._stream.take(self._cursor, most)
        self._cursor = taken.cursor
        self._caught_up |= taken.caught_up
        return self._add(taken.found) + (taken.end is None)

    def claim(self, most: int) -> int:
        if not self._caught_up:
            return 1
        found, _, more = self._stream.claim(most, is_sure=True)
        self._add(found)
        return more

    def _add(self, found: list[Found]) -> int:
        known = {each.entry for each in self._queue}
        self._queue += [each for each in found if each.entry not in known]
        return len(found)

    def deliver(self, most: int) -> int:
        now, self._queue = self._queue[:most], self._queue[most:]
        self._stream.settle([Settled(each.entry, each.executor) for each in now])
        self.delivered += [(each.executor, each.entry) for each in now]
        return len(now)

    def lose(self, what: str) -> None:
        """Ask, and never hear the answer."""
        if what == "lose take":
            self._stream.take(self._cursor, 2)
        elif self._caught_up:
            self._stream.claim(2, is_sure=True)
        self._stream.rescan()
        self._cursor, self._caught_up = "0-0", False

    def leave(self) -> None:
        self._stream.leave()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEPS, max_size=40))
@example(  # an heir that dies while it takes over
    steps=[("publish", "a", 4), ("take", 0, 5), ("kill", 0, 0), ("take", 1, 1), ("claim", 1, 2), ("publish", "a", 2),
           ("take", 2, 5), ("kill", 1, 0), ("claim", 2, 1), ("claim", 0, 3)]
)  # fmt: skip
def test_each_event_is_delivered_once_and_in_its_executors_order(
    client: redis_package.Redis,  # noqa: F811
    server: RedisServer,  # noqa: F811
    steps: list[tuple[str, object, int]],
) -> None:
    client.flushall()
    said: defaultdict[bytes, list[str]] = defaultdict(list)
    lives = 0
    everybody: list[Model] = []

    def born() -> Model:
        nonlocal lives
        lives += 1
        everybody.append(Model(client, f"worker-{lives}"))
        return everybody[-1]

    living = [born() for _ in range(_WORKERS)]
    delivered: list[tuple[bytes, str]] = []

    def do(what: str, who: int, count: int) -> int:
        worker = living[who]
        try:
            if what == "kill":
                client.zadd(WORKERS, {worker.name: 1.0})  # its lease ended long ago
                living[who] = born()
                return 0
            if what == "leave":
                worker.leave()
                living[who] = born()
                return 0
            if what.startswith("lose"):
                worker.lose(what)
                return 0
            before = len(worker.delivered)
            done = {"take": worker.take, "claim": worker.claim, "deliver": worker.deliver}[what](count)
            delivered.extend(worker.delivered[before:])
            return int(done)
        except LeaseLost:
            living[who] = born()
            return 1

    for what, who, count in steps:
        if what == "publish":
            for _ in range(count):
                event = Event(id=new_id(0.0), time=0.0, message="", level=20, origin=Origin(str(who), "name"))
                said[str(who).encode()].append(client.xadd(EVENTS, fields_of(Entry(event))).decode())
        else:
            do(what, int(str(who)), count)
    while sum(do(what, who, 2) for who in range(_WORKERS) for what in ("take", "claim", "deliver")):
        pass

    came: defaultdict[bytes, list[str]] = defaultdict(list)
    for executor, entry in delivered:
        came[executor].append(entry)
    assert came == said
    assert client.xpending(EVENTS, "notify")["pending"] == 0
    assert client.exists("notify:hands", "notify:inhand") == 0
