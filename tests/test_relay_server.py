"""Connections to Redis that end by a deadline, and what a server says of itself."""

import time
from pathlib import Path
from typing import Any

import pytest
import redis
from raw_server import raw, silent
from redis_server import running_redis

from notify.backends.relay import server as relay_server
from notify.backends.relay.address import Address, parse_address
from notify.backends.relay.server import Server, look, open_client, outdated, unfit

SOON = 0.3  # seconds of a deadline
SLACK = 4.0  # seconds that a busy machine may add; who is silent here hangs up after five


def dripping_redis(server: Any, connection: Any) -> None:
    """Begin an answer of a thousand bytes, and send one each hundredth of a second."""
    connection.recv(65_536)
    connection.sendall(b"$1000\r\n")
    while not server.stop.wait(0.01):
        connection.sendall(b"x")


def address_of(server: Any) -> Address:
    return parse_address(f"redis://{server.authority}")


@pytest.mark.parametrize("behaviour", [silent, dripping_redis])
def test_a_server_that_says_little_or_nothing_costs_the_deadline_and_no_more(
    behaviour: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_server, "CONNECT_SECONDS", SOON)
    with raw(behaviour) as server:
        client = open_client(address_of(server), request_seconds=SOON)
        began = time.monotonic()

        with pytest.raises((redis.TimeoutError, redis.ConnectionError)):
            client.ping()

        assert time.monotonic() - began < 2 * SOON + SLACK  # the connection's and the request's
        client.close()


@pytest.mark.parametrize("behaviour", [silent, dripping_redis])
def test_who_is_told_to_end_while_a_request_waits_waits_no_longer_and_begins_no_other(behaviour: Any) -> None:
    with raw(behaviour) as server:
        began = time.monotonic()
        client = open_client(address_of(server), request_seconds=60, ends_at=lambda: began + SOON)

        for _ in range(2):
            with pytest.raises((redis.TimeoutError, redis.ConnectionError, TimeoutError)):
                client.ping()

        assert time.monotonic() - began < SOON + SLACK
        client.close()


@pytest.mark.process
def test_the_deadline_is_for_a_request_with_its_whole_answer(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        client = open_client(parse_address(server.url), request_seconds=SOON)
        began = time.monotonic()

        with pytest.raises(redis.TimeoutError):
            client.blpop(["notify:nothing"], timeout=5)
        took = time.monotonic() - began
        client.close()

    assert took < SOON + SLACK


@pytest.mark.process
def test_many_requests_together_may_take_longer_than_one(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        client = open_client(parse_address(server.url), request_seconds=3.0)

        for _ in range(3):
            assert client.blpop(["notify:nothing"], timeout=1.2) is None  # 3.6 s in all
        client.close()


@pytest.mark.process
def test_a_server_as_the_relay_wants_it_has_nothing_against_it(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        found = look(server.client())

    assert found.policy == "noeviction"
    assert found.appends
    assert unfit(found) == []
    assert str(found) == f"Redis {found.version}, append-only file, noeviction"


@pytest.mark.process
def test_a_server_that_may_lose_events_is_told_why(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--appendonly", "no", "--maxmemory-policy", "allkeys-lru") as server:
        found = look(server.client())

    assert unfit(found) == [
        "Redis may throw events away when its memory is full: maxmemory-policy is allkeys-lru, "
        "and has to be noeviction",
        "Redis forgets events when it is killed: appendonly is off, and has to be yes",
    ]


def test_a_server_that_tells_nothing_is_unfit() -> None:
    class Mute:
        def info(self, section: str) -> dict[str, object]:
            return {}

    found = look(Mute())  # type: ignore[arg-type]  # all that is asked

    assert found == Server("of an unknown version", "an unknown maxmemory-policy", appends=False)
    assert len(unfit(found)) == 2  # both of what may be wrong
    assert outdated(found) == []  # which it does not say


def test_a_server_older_than_seven_is_told_to_be_too_old() -> None:
    assert outdated(Server("6.2.14", "noeviction", appends=True)) == ["Redis 6.2.14 is too old, 7.0 is needed"]
    assert outdated(Server("7.0.0", "noeviction", appends=True)) == []
