"""Asking who may send, from many threads and while Redis comes and goes."""

import threading

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry
from relays import client, server  # noqa: F401 - fixtures

from notify.relay.limits import SharedLimiter, _keys
from notify.relay.permits import AWAY

ONE = "https://discord.com/api/v10/webhooks/1/x"


def test_many_threads_of_one_worker_do_not_take_more_than_there_is(client):  # noqa: F811
    limits, passed = SharedLimiter(client), []
    assert limits.acquire(ONE) == 0
    limits._permits.answered(_keys(ONE), "7", "", "0", "1", "", "0")  # the channel is known

    def take():
        for _ in range(20):
            if limits.acquire(ONE) == 0:
                passed.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(passed) == 4  # of five, of which one had gone out


@pytest.mark.usefixtures("client")
def test_what_could_not_be_told_is_told_as_soon_as_it_can_be_and_no_more_than_a_thousand_of_it(server, clock):  # noqa: F811
    limits = SharedLimiter(server.client(retry=Retry(NoBackoff(), 0)), clock)
    server.kill()
    try:
        for number in range(1100):
            limits._permits._untold.append((clock.monotonic(), _keys(ONE), [f"r{number}", "7", "", "0", "1", "", "0"]))
        assert limits.ready_in(ONE) == AWAY
    finally:
        server.start()

    limits.ready_in(ONE)

    assert not limits._permits._untold
    told = [request.decode() for request in server.client().zrange("notify:limit:channel:7:sent", 0, -1)]
    assert {"r100", "r1099"} <= set(told)
    assert "r99" not in told
