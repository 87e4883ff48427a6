import errno
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from children import python

from notify.backends.logstash import LogstashBackend
from notify.errors import RetryLater
from notify.event import Event
from notify.testing import check_backend

PATIENCE = 5.0  # seconds until a test gives up on a datagram; on loopback it is there at once


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(PATIENCE)
        made.bind(("127.0.0.1", 0))
        yield made


def backend_to(receiver: socket.socket, **options: Any) -> closing[LogstashBackend]:
    return closing(LogstashBackend("127.0.0.1", receiver.getsockname()[1], **options))


def event(message: str = "m") -> Event:
    return Event(id="id-1", time=1_767_225_600.0, message=message, level=logging.INFO)


def read(receiver: socket.socket) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(receiver.recv(70_000))
    return document


def test_it_keeps_the_contract_of_a_backend(receiver: socket.socket) -> None:
    check_backend(lambda: LogstashBackend("127.0.0.1", receiver.getsockname()[1]))


def test_it_says_who_speaks_and_from_where(receiver: socket.socket) -> None:
    options = {"application": "executor-test", "tags": ["python", "live"], "host_name": "trader-1"}
    with backend_to(receiver, **options) as logstash:
        assert logstash.send([event(), event()]) == 2

    document = read(receiver)
    assert document["application"] == "executor-test"
    assert document["tags"] == ["python", "live"]
    assert document["host"] == "trader-1"


def test_the_host_name_is_the_systems_unless_given(receiver: socket.socket) -> None:
    with backend_to(receiver) as logstash:
        logstash.send([event()])

    assert read(receiver)["host"] == socket.gethostname()


def test_ecs_is_chosen_by_a_flag(receiver: socket.socket) -> None:
    with backend_to(receiver, ecs=True, host_name="trader-1") as logstash:
        logstash.send([event()])

    assert read(receiver)["host"] == {"name": "trader-1"}


def test_the_same_events_go_over_tcp_in_larger_batches() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        with backend_to(listening, transport="tcp") as logstash:
            assert logstash.max_batch > LogstashBackend("127.0.0.1").max_batch
            assert logstash.send([event("one"), event("two")]) == 2
        accepted, _ = listening.accept()
        with accepted, accepted.makefile("rb") as file:
            assert [json.loads(line)["message"] for line in file] == ["one", "two"]


def test_a_batch_of_very_long_events_is_sent_in_parts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, backend_to(listening, transport="tcp") as logstash:
        # 300 kB each: the fourth one passes the megabyte that a batch may have. Nobody reads: the
        # socket buffers hold them.
        assert logstash.send([event("x" * 300_000)] * 8) == 4


def test_an_event_that_is_too_long_for_the_path_arrives_cut(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Narrow(socket.socket):
        def send(self, data: Any, *flags: int) -> int:
            if len(data) > 9_000:  # jumbo frames, and a path that drops fragments
                raise OSError(errno.EMSGSIZE, "Message too long")
            return super().send(data, *flags)

    monkeypatch.setattr(socket, "socket", Narrow)
    with backend_to(receiver) as logstash:
        assert logstash.send([event("x" * 40_000)]) == 1

    document = read(receiver)
    assert document["truncated"] is True
    assert 4_000 < len(document["message"]) < 9_000


def test_a_forked_child_opens_a_connection_of_its_own(receiver: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with backend_to(receiver) as logstash:
        logstash.send([event()])
        logstash.send([event()])
        monkeypatch.setattr(os, "getpid", lambda: -1)  # what a child would see: another process
        logstash.send([event()])

    senders = [receiver.recvfrom(70_000)[1] for _ in range(3)]
    assert senders[0] == senders[1] != senders[2]


@pytest.mark.parametrize(
    "options", [{"host": ""}, {"host": "secret host"}, {"port": 0}, {"port": 65_536}, {"transport": "http"}]
)
def test_unusable_arguments_are_refused_without_showing_them(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"address|port|transport") as refused:
        LogstashBackend(**{"host": "logs", **options})

    assert "secret" not in str(refused.value)


def test_making_one_resolves_nothing_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, socket; socket.getaddrinfo = None  # calling it would fail\n"
        "from notify.backends.logstash import LogstashBackend\n"
        "LogstashBackend('no.such.host', transport='tls')\n"
        "sys.exit(bool({'orjson', 'ssl'} & sys.modules.keys()))\n"
    )
    assert python("-c", code).returncode == 0


def test_a_check_over_udp_says_what_it_cannot_tell(receiver: socket.socket) -> None:
    with backend_to(receiver) as logstash:
        assert logstash.check() == "the address resolves; UDP cannot tell whether anybody listens"


def test_a_check_of_a_name_that_does_not_resolve_fails() -> None:
    with closing(LogstashBackend("no-such-host.invalid")) as logstash, pytest.raises(RetryLater, match="not resolve"):
        logstash.check()


def test_a_check_over_tcp_connects() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(LogstashBackend("127.0.0.1", server.getsockname()[1], transport="tcp")) as logstash,
    ):
        assert logstash.check() == "connected"


def test_a_check_over_tcp_fails_where_nobody_listens(receiver: socket.socket) -> None:
    # The receiver's port is taken for UDP only.
    with backend_to(receiver, transport="tcp") as logstash, pytest.raises(ConnectionRefusedError):
        logstash.check()
