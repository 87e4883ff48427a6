"""What a strategy is asked for when its page is opened: in parallel, bounded, shared, and never waited for long."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from looks import strategy
from raw_server import answering, raw, silent

from notify.fleet.dashboard import details as module
from notify.fleet.dashboard.details import QUESTIONS, Desk, Details
from notify.fleet.strategies import Strategy
from notify.status import StatusServer
from notify.testing import FakeClock

DEADLINE = 0.5  # seconds that a strategy has in these tests
LONG = 10.0  # seconds that nothing here takes


class Backend:
    """A WSGI app that answers each path with what the test says, and counts."""

    def __init__(self, **bodies: object) -> None:
        self.bodies = bodies
        self.asked: list[str] = []
        self.let = threading.Event()
        self.let.set()

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]  # as WSGI has it
        name = environ["PATH_INFO"].removeprefix("/")
        self.asked.append(name)
        self.let.wait(LONG)
        if name not in self.bodies:
            start_response("404 Not Found", [])
            return [b""]
        body = self.bodies[name]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body if isinstance(body, bytes) else json.dumps(body).encode()]


@contextmanager
def answers(backend: Backend) -> Iterator[Strategy]:
    server = StatusServer(backend, "127.0.0.1", 0)
    try:
        yield strategy(url=server.url)
    finally:
        backend.let.set()
        server.close()


def settled(desk: Desk, of: Strategy) -> Details:
    """Return the details once nothing is on its way any more."""
    until = time.monotonic() + LONG
    while (found := desk.details(of)).asking:
        assert time.monotonic() < until, "it never ends"
    return found


def test_status_metadata_and_logs_are_asked_for_and_read() -> None:
    backend = Backend(
        status={"cycles": 7}, metadata={"short_description": "Buys low"}, logs=[{"level": "info", "message": "hi"}]
    )
    with answers(backend) as of:
        found = settled(Desk(redact=str), of)

    assert sorted(backend.asked) == ["logs", "metadata", "status"]
    assert found.status is not None
    assert [fact.text for fact in found.status.facts] == ["7"]
    assert found.metadata is not None
    assert found.metadata.description == "Buys low"
    assert found.records is not None
    assert [record.message for record in found.records] == ["hi"]
    assert (found.problems, found.asking) == ({}, False)


def test_what_does_not_come_has_its_reason_and_the_rest_is_there() -> None:
    backend = Backend(status=b'{"cycles": NaN}', metadata=b"<!doctype html>")
    with answers(backend) as of:
        found = settled(Desk(redact=str), of)

    assert (found.status, found.metadata, found.records) == (None, None, None)
    assert found.problems == {
        "status": "the answer holds NaN, which JSON does not have",
        "metadata": "the answer is a web page, not JSON",
        "logs": "there is no status server behind this address (HTTP 404)",
    }


def test_ten_megabytes_of_logs_are_refused() -> None:
    with answers(Backend(status={}, metadata={}, logs=b'["' + b"x" * (10 * 2**20) + b'"]')) as of:
        found = settled(Desk(redact=str), of)

    assert found.problems == {"logs": "the answer is larger than 4096 kB"}


def test_who_hangs_is_given_up_at_the_deadline() -> None:
    with raw(silent) as server:
        found = settled(Desk(redact=str, deadline_seconds=DEADLINE), strategy(url=server.url))

    assert found.problems == dict.fromkeys(("status", "metadata", "logs"), "no answer within 0.5 s")


def test_a_page_does_not_wait_for_who_hangs() -> None:
    desk = Desk(redact=str, deadline_seconds=DEADLINE, wait=0.0)
    with raw(silent) as server:
        of = strategy(url=server.url)
        found = desk.details(of)
        settled(desk, of)

    assert found.asking
    assert found.problems == {}


@pytest.mark.process
def test_two_pages_wait_at_most_and_a_third_does_not() -> None:
    desk = Desk(redact=str, deadline_seconds=LONG, wait=LONG)
    backends = [Backend(status={}, metadata={}, logs=[]) for _ in range(3)]
    with answers(backends[0]) as one, answers(backends[1]) as two, answers(backends[2]) as three:
        for backend in backends:
            backend.let.clear()
        waiting = [
            threading.Thread(target=desk.details, args=(Strategy(id=name, name=name, url=of.url),))
            for name, of in (("1", one), ("2", two))
        ]
        for thread in waiting:
            thread.start()
        until = time.monotonic() + LONG
        while desk._waiting._value:  # until both have taken their places
            assert time.monotonic() < until
            time.sleep(0.01)
        began = time.monotonic()
        found = desk.details(three)
        took = time.monotonic() - began
        for backend in backends:
            backend.let.set()
        for thread in waiting:
            thread.join()
        settled(desk, three)

    assert found.asking
    assert took < LONG / 2  # seconds, where it might have been all of them


def test_answers_are_shared_for_a_moment_and_large_ones_for_longer() -> None:
    clock = FakeClock()
    desk = Desk(redact=str, clock=clock)
    backend = Backend(status={}, metadata={}, logs=[])
    with answers(backend) as of:
        for seconds in (0, 0, 4, 5, 51):  # since the look before, as an open page asks every five
            clock.advance(seconds)
            settled(desk, of)
        counted = {name: backend.asked.count(name) for name in QUESTIONS}

    # At 0, 4, 9 and 60 s; logs are shared for nine, metadata for almost a minute.
    assert counted == {"status": 4, "logs": 3, "metadata": 2}


def test_of_who_has_gone_the_last_words_are_kept_and_said_to_be_old() -> None:
    clock = FakeClock()
    desk = Desk(redact=str, clock=clock)
    backend = Backend(status={"cycles": 7}, metadata={}, logs=[{"level": "info", "message": "the last"}])
    with answers(backend) as of:
        settled(desk, of)
    clock.advance(60)

    found = settled(desk, of)

    assert found.problems == dict.fromkeys(QUESTIONS, "connection refused")
    assert found.records is not None
    assert [record.message for record in found.records] == ["the last"]
    assert found.as_of["logs"] == clock.time() - 60


def test_while_it_hangs_the_last_answer_is_shown() -> None:
    clock = FakeClock()
    desk = Desk(redact=str, clock=clock, wait=0.0)
    backend = Backend(status={"cycles": 7}, metadata={}, logs=[])
    with answers(backend) as of:
        settled(desk, of)
        backend.let.clear()
        clock.advance(QUESTIONS["status"].fresh)

        found = desk.details(of)

        backend.let.set()
        settled(desk, of)

    assert found.asking
    assert found.status is not None
    assert found.status.facts != ()


def test_no_more_than_a_few_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ASKED", 1)
    desk = Desk(redact=str, deadline_seconds=DEADLINE, wait=0.0)
    with raw(silent) as server:
        first, second = (Strategy(id=name, name=name, url=server.url) for name in "ab")
        desk.details(first)

        found = desk.details(second)

        assert found.asking
        assert list(desk._asked) == ["a"]
        settled(desk, first)
        settled(desk, second)


def test_answers_of_many_are_not_kept_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 2)
    desk = Desk(redact=str)
    with raw(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as server:
        for name in "abcd":
            settled(desk, Strategy(id=name, name=name, url=server.url))

    assert list(desk._asked) == ["c", "d"]


def test_answers_that_cannot_be_read_have_a_reason_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(answer: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setitem(QUESTIONS, "status", QUESTIONS["status"]._replace(read=broken))  # type: ignore[arg-type]  # a dict
    with answers(Backend(status={})) as of:
        found = settled(Desk(redact=str), of)

    assert found.problems["status"] == "it could not be asked"
    assert "/status of a strategy could not be read: ZeroDivisionError" in capsys.readouterr().err
