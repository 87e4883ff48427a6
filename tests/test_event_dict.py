"""structlog that writes through the standard library's logging: what our handler makes of its event dicts."""

import io
import logging
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import structlog
from lanes import LONG
from structlog.stdlib import ProcessorFormatter

import notify
from notify.backends.memory import MemoryBackend
from notify.event import Event
from notify.notifier import Notifier

BEFORE = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso"),
]
RENDERERS: dict[str, list[Any]] = {
    "wrap_for_formatter": [*BEFORE, ProcessorFormatter.wrap_for_formatter],
    "render_to_log_kwargs": [structlog.contextvars.merge_contextvars, structlog.stdlib.render_to_log_kwargs],
}
if hasattr(structlog.stdlib, "render_to_log_args_and_kwargs"):  # from structlog 25.1 on
    RENDERERS["render_to_log_args_and_kwargs"] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.render_to_log_args_and_kwargs,
    ]
WAYS = pytest.mark.parametrize("way", RENDERERS)


class Program:
    """A program that logs through structlog, prints JSON itself, and has our handler beside that."""

    def __init__(self, notifier: Notifier, backend: MemoryBackend) -> None:
        self._notifier = notifier
        self._backend = backend
        self.printed = io.StringIO()
        console = logging.StreamHandler(self.printed)
        console.setFormatter(
            ProcessorFormatter(
                processors=[ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
                foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            )
        )
        # Of the class that structlog's LoggerFactory would give it: it looks for the caller above structlog.
        self._logger = structlog.stdlib._FixedFindCallerLogger("strategy")
        self._logger.addHandler(console)
        notifier.attach(self._logger)

    def log(self, way: str, wrapper: type[Any] = structlog.stdlib.BoundLogger) -> Any:
        return structlog.wrap_logger(self._logger, processors=RENDERERS[way], wrapper_class=wrapper)

    @property
    def event(self) -> Event:
        assert self._notifier.flush(LONG)
        (event,) = self._backend.events
        return event


@pytest.fixture
def program(notifier: Notifier, backend: MemoryBackend) -> Iterator[Program]:
    yield Program(notifier, backend)
    structlog.contextvars.clear_contextvars()


@WAYS
def test_the_event_is_the_message_and_the_rest_are_fields(program: Program, way: str) -> None:
    program.log(way).bind(pair="ETH-USDC").warning("price is stale", seconds=90)

    event = program.event
    assert event.message == "price is stale"
    assert event.fields == {"pair": "ETH-USDC", "seconds": 90}
    assert (event.level, event.topic, event.logger) == (logging.WARNING, "log", "strategy")
    assert event.source.path == __file__


@WAYS
def test_what_is_bound_to_the_context_becomes_fields(program: Program, way: str) -> None:
    structlog.contextvars.bind_contextvars(cycle=17)

    program.log(way).info("thinking")

    assert program.event.fields == {"cycle": 17}


@WAYS
def test_the_topic_is_the_given_one(program: Program, way: str) -> None:
    program.log(way).info("low", topic="gas", level_left=3)

    assert (program.event.topic, program.event.fields) == ("gas", {"level_left": 3})


@WAYS
def test_the_exception_that_is_being_handled_goes_with_it(program: Program, way: str) -> None:
    try:
        raise ValueError("no price")
    except ValueError:
        program.log(way).exception("cycle failed")

    event = program.event
    assert event.exception is not None
    assert (event.exception.type, event.exception.message) == ("ValueError", "no price")
    assert "test_event_dict.py" in event.exception.traceback
    assert event.fields == {}


@WAYS
def test_the_program_prints_what_it_would_print_without_us(program: Program, way: str) -> None:
    program.log(way).info("price is stale", seconds=90)

    assert '"event": "price is stale"' in program.printed.getvalue()
    assert '"seconds": 90' in program.printed.getvalue()


def test_what_processors_before_the_formatter_have_rendered_is_the_body(program: Program) -> None:
    log = structlog.wrap_logger(
        program._logger,
        processors=[
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            ProcessorFormatter.wrap_for_formatter,
        ],
    )
    log.error("cycle failed", stack_info=True, exc_info=ValueError("no price"))

    event = program.event
    assert event.body.startswith("Stack (most recent call last):")
    assert event.body.endswith("ValueError: no price")
    assert event.fields == {}


def record(msg: object, **attributes: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": msg, "levelno": logging.ERROR, "levelname": "ERROR", **attributes})


def test_a_dict_that_is_none_of_structlogs_is_shown_as_it_is(program: Program) -> None:
    program._logger.handle(record({"pair": "ETH-USDC"}))

    assert program.event.message == "{'pair': 'ETH-USDC'}"
    assert program.event.fields == {}


def test_extras_of_the_record_win_over_the_event_dict(program: Program) -> None:
    program._logger.handle(record({"event": "said", "pair": "ETH-USDC"}, pair="BTC-USDC"))

    assert program.event.fields == {"pair": "BTC-USDC"}


def test_what_changes_later_is_what_it_was(program: Program) -> None:
    said = {"event": "said", "route": ["uniswap"]}
    program._logger.handle(record(said))
    said["event"] = "changed"
    said["route"].append("changed")  # type: ignore[attr-defined]  # it is the list above

    assert (program.event.message, program.event.fields) == ("said", {"route": ["uniswap"]})


class Hostile:
    def _refuse(self, *_: object) -> NoReturn:
        raise SystemExit

    __str__ = __repr__ = __bool__ = __eq__ = _refuse  # type: ignore[assignment]  # that is the point

    def __hash__(self) -> int:
        return hash("level")  # so that it is compared to that

    @property
    def __class__(self) -> type:  # type: ignore[override]  # that is the point, too
        raise SystemExit


class Alike:
    """A key that says of itself that it is *name*, until it is compared."""

    def __init__(self, name: str) -> None:
        self._hash = hash(name)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        raise SystemExit


class Unreadable(dict):  # type: ignore[type-arg]  # anything
    def keys(self) -> NoReturn:
        raise SystemExit

    __iter__ = items = keys


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"event": Hostile()},
        lambda: {"event": "said", "exc_info": Hostile(), "stack": Hostile(), "x": Hostile()},
        lambda: {Hostile(): 1, "event": "said"},
        lambda: {"event": "said", Alike("stack"): 1},
        lambda: {"event": "said", Alike("exception"): 1},
        lambda: {"event": "said", Alike("exc_info"): 1},
        lambda: Unreadable(event="said"),
    ],
)
def test_no_event_dict_ends_the_program_or_is_lost(
    notifier: Notifier, backend: MemoryBackend, make: Callable[[], object]
) -> None:
    logger = logging.Logger("strategy")  # none but ours looks at it
    notifier.attach(logger)

    logger.handle(record(make()))

    assert notifier.flush(LONG)
    assert len(backend.events) == 1


def test_repeats_of_an_event_are_one_matter_whatever_their_fields() -> None:
    backend = MemoryBackend(max_batch=100)
    backend.folds = True
    with Notifier({"people": backend}) as notifier:
        logger = logging.Logger("strategy")
        notifier.attach(logger)
        for number in range(5):
            logger.handle(record({"event": "no price", "attempt": number}))
        assert notifier.flush(LONG)
        counts: Any = notifier.stats()["people"]

    assert counts["folded"] == 4  # all but the first


@WAYS
def test_a_generic_logger_of_structlog_knows_our_levels(program: Program, way: str) -> None:
    program.log(way, structlog.BoundLogger).trade("Bought", pair="ETH-USDC")

    event = program.event
    assert (event.message, event.level, event.topic) == ("Bought", notify.TRADE, "trade")
    assert event.fields == {"pair": "ETH-USDC"}
