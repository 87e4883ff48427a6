"""Any `logging.Handler` as a backend: what it gets, and what becomes of its errors."""

import json
import logging
import logging.handlers
import os
import socket
from collections.abc import Iterator
from typing import Any

import logstash
import pytest

from notify.backends.handler import HandlerBackend, log_record
from notify.errors import RetryLater
from notify.event import Event, ExceptionInfo, Source
from notify.levels import TRADE

AT = 1_767_225_600.25  # 2026-01-01T00:00:00.250Z
WAIT = 5.0  # seconds that a socket of these tests waits at most


def event(message: str = "Bought 0.25 ETH", level: int = TRADE, **parts: Any) -> Event:
    return Event(id="e-1", time=AT, message=message, level=level, **parts)


class ListHandler(logging.Handler):
    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))


class FailingHandler(logging.Handler):
    """Fails as handlers of the standard library do: through `handleError`."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        try:
            raise self.error
        except Exception:
            self.handleError(record)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WAIT)
        yield server


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(WAIT)
        yield udp


# ---- the record


def test_the_record_says_what_the_event_says() -> None:
    source = Source("/srv/bot.py", 42, "decide", 4711, "worker-1")

    record = log_record(event(logger="strategy", source=source, topic="trade", fields={"pair": "ETH-USDC"}))

    assert record.getMessage() == "Bought 0.25 ETH"
    assert (record.name, record.levelno, record.levelname) == ("strategy", TRADE, "TRADE")
    assert (record.created, record.msecs) == (AT, 250)
    assert (record.pathname, record.filename, record.lineno, record.funcName) == (
        "/srv/bot.py", "bot.py", 42, "decide",
    )  # fmt: skip
    assert (record.process, record.threadName) == (4711, "worker-1")
    assert record.__dict__["pair"] == "ETH-USDC"
    assert (record.__dict__["topic"], record.__dict__["event_id"]) == ("trade", "e-1")


def test_a_body_follows_the_message() -> None:
    assert log_record(event("head", body="more")).getMessage() == "head\nmore"


def test_percent_signs_in_a_message_are_no_template() -> None:
    assert log_record(event("100 %s %d %(x)s")).getMessage() == "100 %s %d %(x)s"


def test_an_event_without_a_logger_has_ours() -> None:
    assert log_record(event()).name == "notify"


def test_extras_that_collide_with_a_record_are_renamed_and_none_is_lost() -> None:
    fields = dict.fromkeys(["msg", "args", "name", "levelname", "message", "exc_info", "asctime", "taskName"], "mine")

    record = log_record(event(logger="strategy", fields=fields))

    assert record.getMessage() == "Bought 0.25 ETH"
    assert record.name == "strategy"
    assert {record.__dict__[f"extra_{name}"] for name in fields} == {"mine"}


def test_an_exception_is_printed_by_any_formatter() -> None:
    traceback = "Traceback (most recent call last):\nValueError: no\n"
    handler = ListHandler()

    HandlerBackend(handler).send([event("Crashed", exception=ExceptionInfo("ValueError", "no", traceback))])

    assert handler.lines == ["Crashed\n" + traceback.rstrip("\n")]


# ---- the handler's own rules


def test_only_the_first_event_is_handed_over() -> None:
    handler = ListHandler()

    assert HandlerBackend(handler).send([event("a"), event("b")]) == 1

    assert handler.lines == ["a"]


def test_the_level_of_the_handler_counts() -> None:
    handler = ListHandler(logging.ERROR)

    assert HandlerBackend(handler).send([event(level=logging.WARNING)]) == 1

    assert handler.records == []


def test_the_filters_and_the_formatter_of_the_handler_count() -> None:
    handler = ListHandler()
    handler.addFilter(lambda record: record.getMessage() != "b")
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s %(pair)s"))
    backend = HandlerBackend(handler)

    for message in ("a", "b"):
        backend.send([event(message, fields={"pair": "x"})])

    assert handler.lines == ["TRADE a x"]


def test_what_a_handler_changes_in_a_record_no_other_backend_sees() -> None:
    shared = event(fields={"legs": [1, {"price": 2}]})

    class Changing(ListHandler):
        def emit(self, record: logging.LogRecord) -> None:
            legs = record.__dict__["legs"]
            legs[1]["price"] = 3
            legs.clear()

    HandlerBackend(Changing()).send([shared])

    assert shared.fields == {"legs": [1, {"price": 2}]}


@pytest.mark.parametrize("method", ["emit", "handle"])
def test_a_handler_that_nobody_would_await_is_refused(method: str) -> None:
    async def coroutine(self: logging.Handler, record: logging.LogRecord) -> None:
        """Stand for what a program with asyncio may pass."""

    handler = type("Awaited", (ListHandler,), {method: coroutine})()

    with pytest.raises(ValueError, match="coroutine function"):
        HandlerBackend(handler)


def test_closing_closes_the_handler() -> None:
    closed: list[bool] = []
    handler = ListHandler()
    handler.close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see it

    HandlerBackend(handler).close()

    assert closed == [True]
    ListHandler.close(handler)


# ---- errors


def test_trouble_with_the_network_is_tried_again_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    backend = HandlerBackend(FailingHandler(ConnectionRefusedError(111, "c4nary")))

    with pytest.raises(RetryLater) as caught:
        backend.send([event()])

    assert str(caught.value) == "ConnectionRefusedError"
    assert capsys.readouterr() == ("", "")


def test_another_error_of_the_handler_is_the_error_of_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    error = TypeError("not serialisable")

    with pytest.raises(TypeError) as caught:
        HandlerBackend(FailingHandler(error)).send([event()])

    assert caught.value is error
    assert capsys.readouterr() == ("", "")


def test_an_error_does_not_stick_to_the_next_event() -> None:
    handler = FailingHandler(OSError())
    backend = HandlerBackend(handler)
    with pytest.raises(RetryLater):
        backend.send([event()])

    handler.emit = lambda record: None  # type: ignore[method-assign]  # it has recovered

    assert backend.send([event()]) == 1


def test_a_handler_that_raises_by_itself_is_heard_too() -> None:
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise LookupError

    with pytest.raises(LookupError):
        HandlerBackend(Raising()).send([event()])


# ---- handlers that people use


def test_python_logstash_over_tcp_gets_the_event_as_a_line(listener: socket.socket) -> None:
    backend = HandlerBackend(logstash.TCPLogstashHandler("127.0.0.1", listener.getsockname()[1], version=1))

    backend.send([event(fields={"pair": "ETH-USDC"}, exception=ExceptionInfo("ValueError", "no", "Traceback\n"))])
    backend.close()

    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        connection.settimeout(WAIT)
        document = json.loads(lines.readline())
    assert document["message"] == "Bought 0.25 ETH"
    assert (document["level"], document["pair"], document["topic"]) == ("TRADE", "ETH-USDC", "log")
    assert document["@timestamp"] == "2026-01-01T00:00:00.250Z"
    assert document["stack_trace"] == "Traceback\n"


def test_python_logstash_over_udp_gets_the_event_as_a_datagram(receiver: socket.socket) -> None:
    backend = HandlerBackend(logstash.UDPLogstashHandler("127.0.0.1", receiver.getsockname()[1], version=1))

    assert backend.send([event()]) == 1
    backend.close()

    assert json.loads(receiver.recv(65_536))["message"] == "Bought 0.25 ETH"


def test_a_tcp_handler_that_cannot_connect_keeps_its_events(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    backend = HandlerBackend(logstash.TCPLogstashHandler("127.0.0.1", port, version=1))

    # The second time it does not even try, until its own retry time has come.
    for _ in range(2):
        with pytest.raises(RetryLater, match="not connected"):
            backend.send([event()])

    backend.close()


def test_a_syslog_handler_works_unchanged(receiver: socket.socket) -> None:
    backend = HandlerBackend(logging.handlers.SysLogHandler(receiver.getsockname()))

    backend.send([event(level=logging.ERROR)])
    backend.close()

    # facility user (1) * 8 + severity error (3)
    assert receiver.recv(1024) == b"<11>Bought 0.25 ETH\x00"


# ---- a fork


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what Python 3.12 says of a fork beside threads
@pytest.mark.parametrize("kind", ["socket", "logstash", "syslog"])
def test_a_forked_child_has_a_connection_of_its_own(listener: socket.socket, kind: str) -> None:
    address = listener.getsockname()
    make = {
        "socket": lambda: logging.handlers.SocketHandler(*address),
        "logstash": lambda: logstash.TCPLogstashHandler(*address, version=1),
        "syslog": lambda: logging.handlers.SysLogHandler(address, socktype=socket.SOCK_STREAM),
    }
    backend = HandlerBackend(make[kind]())
    backend.send([event("of the parent")])
    child = os.fork()
    if child == 0:
        try:
            backend.send([event("of the child")])
            backend.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    backend.send([event("of the parent again")])  # what the child did has not ended the parent's connection
    backend.close()

    heard = []
    for _ in range(2):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(WAIT)
            heard.append(stream.read())
    assert [(b"of the parent" in said, b"of the parent again" in said, b"of the child" in said) for said in heard] == [
        (True, True, False),
        (False, False, True),
    ]
