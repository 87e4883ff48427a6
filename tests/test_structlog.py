"""The structlog processor, with a structlog that prints by itself."""

import io
import logging
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import structlog

import notify
from notify.backends.function import FunctionBackend
from notify.event import Event
from notify.integrations.structlog import structlog_processor
from notify.notifier import Notifier, set_notifier
from notify.testing.caught import Caught, caught

WAIT = 30.0  # seconds; who waits this long has failed


@pytest.fixture
def outbox() -> Iterator[Caught]:
    with caught() as box:
        yield box


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(printed: io.StringIO) -> Any:
    """Return a logger of a program whose structlog writes JSON by itself."""
    return structlog.wrap_logger(
        structlog.PrintLogger(printed),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            notify.structlog_processor,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )


def only(outbox: Caught) -> Event:
    (event,) = outbox.events
    return event


def test_an_event_arrives_with_its_message_and_fields(outbox: Caught, log: Any) -> None:
    log.bind(pair="ETH-USDC").warning("price is stale", seconds=90)

    event = only(outbox)
    assert event.message == "price is stale"
    assert event.level == logging.WARNING
    assert event.topic == "log"
    assert event.fields == {"pair": "ETH-USDC", "seconds": 90}


def test_the_program_still_prints_its_own_line(outbox: Caught, log: Any, printed: io.StringIO) -> None:
    log.info("price is stale", topic="data")

    assert '"event": "price is stale"' in printed.getvalue()
    assert '"topic": "data"' in printed.getvalue()


def test_the_event_dict_is_passed_on_unchanged(outbox: Caught) -> None:
    event_dict = {"event": "x", "topic": "gas", "exc_info": ValueError("no"), "fields": [1], "level": "info"}
    before = dict(event_dict)

    assert structlog_processor(None, "info", event_dict) is event_dict
    assert event_dict == before


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("debug", logging.DEBUG),
        ("info", logging.INFO),
        ("msg", logging.INFO),
        ("warning", logging.WARNING),
        ("warn", logging.WARNING),
        ("error", logging.ERROR),
        ("exception", logging.ERROR),
        ("critical", logging.CRITICAL),
        ("fatal", logging.CRITICAL),
        ("trade", notify.TRADE),
        ("trade_high", notify.TRADE_HIGH),
        ("a_method_of_theirs", logging.INFO),
    ],
)
def test_the_method_is_the_level(outbox: Caught, method: str, level: int) -> None:
    structlog_processor(None, method, {"event": "said"})

    assert only(outbox).level == level


@pytest.mark.parametrize(
    ("method", "given", "topic"),
    [
        ("info", {"topic": "gas"}, "gas"),
        ("trade", {}, "trade"),
        ("trade_high", {}, "decision"),
        ("trade", {"topic": "position"}, "position"),
        ("info", {"topic": None}, "log"),
    ],
)
def test_the_topic_is_the_given_one_or_that_of_the_level(
    outbox: Caught, method: str, given: dict[str, object], topic: str
) -> None:
    structlog_processor(None, method, {"event": "said", **given})

    event = only(outbox)
    assert event.topic == topic
    assert event.fields == {}


def test_the_exception_that_is_being_handled_goes_with_it(outbox: Caught, log: Any) -> None:
    try:
        raise ValueError("no price")
    except ValueError:
        log.exception("cycle failed")

    event = only(outbox)
    assert event.level == logging.ERROR
    assert event.exception is not None
    assert (event.exception.type, event.exception.message) == ("ValueError", "no price")
    assert "test_structlog.py" in event.exception.traceback
    assert event.fields == {}


def raised() -> ValueError:
    try:
        raise ValueError("no price")
    except ValueError as error:
        return error


@pytest.mark.parametrize("form", ["exception", "triple"])
def test_an_exception_may_be_passed_in_each_form_that_structlog_takes(outbox: Caught, log: Any, form: str) -> None:
    error = raised()

    log.error("cycle failed", exc_info=error if form == "exception" else (type(error), error, error.__traceback__))

    exception = only(outbox).exception
    assert exception is not None
    assert exception.message == "no price"


@pytest.mark.parametrize("odd", [None, False, (), (None, None, None), "text", True])
def test_an_exc_info_that_holds_none_is_no_exception(outbox: Caught, odd: object) -> None:
    structlog_processor(None, "error", {"event": "said", "exc_info": odd})

    assert only(outbox).exception is None


def test_what_processors_before_it_have_rendered_is_the_body(outbox: Caught) -> None:
    structlog_processor(None, "error", {"event": "said", "stack": "Stack:\n a", "exception": "Traceback:\n b"})

    event = only(outbox)
    assert event.body == "Stack:\n a\nTraceback:\n b"
    assert event.fields == {}


def test_the_logger_and_the_place_are_those_of_the_program(outbox: Caught, log: Any) -> None:
    log.info("said")
    assert only(outbox).source.path == __file__
    assert only(outbox).source.function == "test_the_logger_and_the_place_are_those_of_the_program"


def test_the_name_of_the_logger_is_known(outbox: Caught) -> None:
    structlog_processor(None, "info", {"event": "said", "logger": "strategy"})

    assert only(outbox).logger == "strategy"
    assert only(outbox).fields == {}


def test_values_that_cannot_be_shown_raise_nothing(outbox: Caught) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

    structlog_processor(None, "info", {"event": Hostile(), "x": Hostile(), "stack": Hostile()})

    assert only(outbox).message == "<unprintable Hostile: RuntimeError>"


class Ending:
    """Would end the program when it is looked at."""

    def _end(self, *_: object) -> NoReturn:
        raise SystemExit

    __str__ = __repr__ = __bool__ = __eq__ = __hash__ = _end  # type: ignore[assignment]  # that is the point


@pytest.mark.parametrize("name", ["event", "topic", "logger", "exc_info", "stack", "x"])
def test_no_value_ends_the_program(outbox: Caught, name: str) -> None:
    event_dict = {"event": "said", name: Ending()}

    assert structlog_processor(None, "info", event_dict) is event_dict

    assert "Ending" in str(only(outbox)) or name == "exc_info"


def test_a_dict_that_cannot_be_read_arrives_as_what_can_be_shown_of_it(outbox: Caught) -> None:
    class Broken(dict):  # type: ignore[type-arg]  # anything
        def items(self) -> NoReturn:
            raise RuntimeError("no")

    structlog_processor(None, "warning", Broken(event="said"))

    assert (only(outbox).level, only(outbox).message) == (logging.WARNING, "{'event': 'said'}")


def test_what_a_backend_says_through_structlog_is_printed_and_goes_no_further(log: Any, printed: io.StringIO) -> None:
    arrived: list[str] = []

    def deliver(event: Event) -> None:
        arrived.append(event.message)
        log.info("delivered", message=event.message)

    with Notifier({"mine": FunctionBackend(deliver)}) as notifier:
        set_notifier(notifier)
        log.info("said")
        assert notifier.flush(WAIT)

    assert arrived == ["said"]
    assert printed.getvalue().count('"event": "delivered"') == 1


def test_without_a_notifier_the_program_goes_on_and_stderr_says_so_once(
    log: Any, printed: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        log.info("before setup()")

    assert printed.getvalue().count("before setup()") == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "notify.setup()" in lines[0]
