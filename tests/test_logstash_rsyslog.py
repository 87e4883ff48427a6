"""From the program's logger to a real receiver: what that understands is what was said."""

import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from rsyslog import Rsyslog, running_rsyslog

from notify.backends.logstash import LogstashBackend
from notify.notifier import Notifier

pytestmark = pytest.mark.process

DATAGRAM = 65_507  # bytes


@pytest.fixture(scope="module")
def rsyslog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rsyslog]:
    with running_rsyslog(tmp_path_factory.mktemp("rsyslog")) as running:
        yield running


@pytest.fixture
def transport() -> str:
    return "udp"


@pytest.fixture
def notifier(transport: str, rsyslog: Rsyslog) -> Iterator[Notifier]:
    logstash = LogstashBackend("127.0.0.1", rsyslog.port, transport=transport, application="executor-test")
    with Notifier({"logstash": logstash}) as made:
        yield made


@pytest.fixture
def logger(notifier: Notifier) -> Iterator[logging.Logger]:
    made = logging.getLogger("strategy.rsyslog")
    made.setLevel(logging.INFO)
    made.propagate = False
    notifier.attach(made)
    yield made
    notifier.detach(made)


@pytest.fixture
def marker(request: pytest.FixtureRequest) -> str:
    """Return what tells this test's events from the others'."""
    return str(request.node.name)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_extras_come_back_with_their_types(logger: logging.Logger, rsyslog: Rsyslog, marker: str) -> None:
    fields: dict[str, Any] = {
        "text": "損益 🚀",
        "count": 7,
        "largest": 2**63 - 1,
        "price": 1.5,
        "live": True,
        "nothing": None,
        "route": ["uniswap", 3000, [1.5]],
        "position": {"pair": "ETH-USDC", "legs": [{"size": 2}]},
    }
    logger.info("Bought %s", "ETH", extra={"marker": marker, **fields})

    event = rsyslog.event(marker)

    assert {name: event[name] for name in fields} == fields
    assert [type(event[name]) for name in fields] == [type(value) for value in fields.values()]
    assert event["message"] == "Bought ETH"
    assert (event["level"], event["logger_name"]) == ("INFO", "strategy.rsyslog")
    assert (event["application"], event["topic"], event["@version"]) == ("executor-test", "log", "1")
    assert event["tags"] == ["python"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_exception_comes_with_its_traceback(logger: logging.Logger, rsyslog: Rsyslog, marker: str) -> None:
    try:
        raise ValueError("oops")
    except ValueError:
        logger.exception("It broke", extra={"marker": marker})

    event = rsyslog.event(marker)

    assert str(event["stack_trace"]).endswith("ValueError: oops\n")
    assert (event["process"], event["thread_name"]) == (os.getpid(), "MainThread")
    assert isinstance(event["lineno"], int)


def test_values_that_receivers_spoil_arrive_unspoilt(logger: logging.Logger, rsyslog: Rsyslog, marker: str) -> None:
    cycle: dict[str, object] = {"name": "loop"}
    cycle["self"] = cycle
    spoilt = {
        "wei": 10**24,
        "nan": float("nan"),
        "decimal": Decimal("1.5"),
        "legs": [Decimal("1.5"), datetime(2026, 1, 1, tzinfo=UTC)],
        "cycle": cycle,
        "surrogate": "\ud800!",
        "nul": "before\0after",
        "host": "mine",
    }
    logger.info("a\0b", extra={"marker": marker, **spoilt})

    event = rsyslog.event(marker)

    assert event["wei"] == "1" + "0" * 24
    assert event["nan"] is None
    assert event["decimal"] == "Decimal('1.5')"
    assert event["legs"] == ["1.5", "2026-01-01 00:00:00+00:00"]
    assert event["cycle"] == {"name": "loop", "self": "<cycle>"}
    assert event["surrogate"] == "\\ud800!"
    assert (event["nul"], event["message"]) == ("before\\x00after", "a\\x00b")
    assert event["extra_host"] == "mine"


def test_a_long_table_in_any_script_arrives_cut(logger: logging.Logger, rsyslog: Rsyslog, marker: str) -> None:
    # 38,000 characters, as many as the table of stale vaults that no datagram could carry: 124 kB here.
    table = ("金庫🏦古い📉" * 6_000)[:38_000]
    logger.error("%s", table, extra={"marker": marker})

    event = rsyslog.event(marker)

    message = str(event["message"])
    assert event["truncated"] is True
    assert int(str(event["original_bytes"])) > len(table.encode()) > DATAGRAM
    assert len(message.encode()) > 0.9 * DATAGRAM  # little of the room is left unused
    assert message[:10_000] == table[:10_000]
    assert message[-4_000:] == table[-4_000:]


def test_a_traceback_of_200_kilobytes_arrives_cut(logger: logging.Logger, rsyslog: Rsyslog, marker: str) -> None:
    def sink(depth: int) -> None:
        if depth:
            rise(depth - 1)
        raise ValueError("at the bottom")

    def rise(depth: int) -> None:
        sink(depth)

    try:
        try:
            sink(300)
        except ValueError as error:
            raise RuntimeError("x" * 180_000) from error
    except RuntimeError:
        logger.exception("It broke", extra={"marker": marker})

    event = rsyslog.event(marker)

    assert int(str(event["original_bytes"])) > 200_000
    assert str(event["stack_trace"]).startswith("Traceback (most recent call last):")
    assert str(event["stack_trace"]).endswith("xxx\n")
    assert event["message"] == "It broke"


def test_a_notification_arrives_with_its_parts(notifier: Notifier, rsyslog: Rsyslog, marker: str) -> None:
    notifier.notify("Gas is low", body="0.01 ETH left", topic="gas", key="gas low", fields={"marker": marker})

    event = rsyslog.event(marker)

    assert (event["message"], event["body"], event["key"]) == ("Gas is low", "0.01 ETH left", "gas low")
    assert (event["topic"], event["logger_name"]) == ("gas", "notify")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_thousand_records_arrive_once_each(
    logger: logging.Logger, notifier: Notifier, rsyslog: Rsyslog, transport: str, marker: str
) -> None:
    for number in range(1_000):
        logger.info("Event %d", number, extra={"number": number, "burst": transport})
    assert notifier.flush(10)
    logger.info("The last one", extra={"marker": marker})
    rsyslog.event(marker)

    numbers = [event["number"] for event in rsyslog.events() if event.get("burst") == transport]

    assert numbers == list(range(1_000))
