import gc
import logging
import logging.handlers
import pickle
import signal
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from notify.capture.snapshot import Snapshot
from notify.event import Event, Source
from notify.levels import TRADE
from notify.plain import MAX_MESSAGE


class Logged(logging.Handler):
    """Takes a snapshot of each record, as the handler does."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshots: list[Snapshot] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.snapshots.append(Snapshot(record))

    @property
    def event(self) -> Event:
        (snapshot,) = self.snapshots
        return snapshot.event()


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.Logger("strategy.eth")  # its own tree: nothing propagates
    logger.setLevel(logging.DEBUG)
    return logger


@pytest.fixture
def logged(logger: logging.Logger) -> Logged:
    logged = Logged()
    logger.addHandler(logged)
    return logged


class Hostile:
    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = _refuse


def snapshot(**attributes: object) -> Event:
    """The event of a record that came from elsewhere."""
    return Snapshot(logging.makeLogRecord(attributes)).event()


# ---- an ordinary record


def test_an_ordinary_record_becomes_an_event(logger: logging.Logger, logged: Logged) -> None:
    before = time.time()
    logger.warning("Gas is %d %s", 200, "gwei", extra={"pair": "ETH", "gwei": 200, "high": True, "limit": None})

    event = logged.event
    assert (event.message, event.level, event.logger) == ("Gas is 200 gwei", logging.WARNING, "strategy.eth")
    assert (event.topic, event.key, event.body, event.exception) == ("log", None, "", None)
    assert event.fields == {"pair": "ETH", "gwei": 200, "high": True, "limit": None}
    assert list(event.fields) == ["pair", "gwei", "high", "limit"]
    assert before <= event.time <= time.time()
    assert (event.source.path, event.source.function) == (__file__, "test_an_ordinary_record_becomes_an_event")
    assert (event.source.thread, event.source.line > 0, event.source.process > 0) == ("MainThread", True, True)


def test_a_record_without_extras_has_no_fields(logger: logging.Logger, logged: Logged) -> None:
    logger.info("plain")

    assert logged.event.fields == {}


def test_each_event_has_fields_of_its_own(logger: logging.Logger, logged: Logged) -> None:
    logger.info("plain")
    first, second = logged.snapshots[0].event(), logged.snapshots[0].event()

    assert first.fields is not second.fields


@pytest.mark.parametrize(("method", "topic"), [("trade", "trade"), ("trade_high", "decision"), ("error", "log")])
def test_the_level_gives_the_topic(logger: logging.Logger, logged: Logged, method: str, topic: str) -> None:
    getattr(logger, method)("Bought")

    assert logged.event.topic == topic


def test_an_extra_may_give_the_topic(logger: logging.Logger, logged: Logged) -> None:
    logger.log(TRADE, "Bought", extra={"topic": "position", "pair": "ETH"})

    assert (logged.event.topic, logged.event.fields) == ("position", {"pair": "ETH"})


@pytest.mark.parametrize("topic", [3, "", None, ["gas"]])
def test_a_topic_that_is_none_stays_an_extra(logger: logging.Logger, logged: Logged, topic: object) -> None:
    logger.info("x", extra={"topic": topic})

    assert (logged.event.topic, logged.event.fields) == ("log", {"topic": topic})


# ---- messages that do not format


@pytest.mark.parametrize(
    ("template", "args", "shown"),
    [
        ("%d pairs", ("two",), "%d pairs [not formatted, TypeError: 'two']"),
        ("%s and %s", ("one",), "%s and %s [not formatted, TypeError: 'one']"),
        ("%s", ("one", "two"), "%s [not formatted, TypeError: 'one', 'two']"),
        ("100%", ("one",), "100% [not formatted, ValueError: 'one']"),
        ("%(pair)s", ({"other": 1},), "%(pair)s [not formatted, KeyError: {'other': 1}]"),
        ("%s", (10**5000,), "%s [not formatted, ValueError: 0x"),
    ],
)
def test_a_message_that_does_not_format_arrives_with_its_arguments(
    logger: logging.Logger, logged: Logged, template: str, args: tuple[object, ...], shown: str
) -> None:
    logger.info(template, *args)

    assert logged.event.message.startswith(shown)


def test_an_argument_that_cannot_be_printed_is_marked(logger: logging.Logger, logged: Logged) -> None:
    logger.info("%s and %s", Hostile(), "ETH")

    assert logged.event.message == (
        "%s and %s [not formatted, RuntimeError: <unprintable Hostile: RuntimeError>, 'ETH']"
    )


def test_a_message_that_cannot_be_printed_is_marked(logger: logging.Logger, logged: Logged) -> None:
    logger.info(Hostile())

    assert "<unprintable Hostile: RuntimeError>" in logged.event.message


def test_long_arguments_that_do_not_format_are_cut(logger: logging.Logger, logged: Logged) -> None:
    logger.info("%d", "x" * 1_000_000)

    assert len(logged.event.message) < 1200  # a thousand of them, and what is around


def test_a_message_need_not_be_a_string(logger: logging.Logger, logged: Logged) -> None:
    logger.error(ValueError("no liquidity"))

    assert logged.event.message == "no liquidity"


def test_a_string_of_the_programs_own_kind_becomes_a_string(logger: logging.Logger, logged: Logged) -> None:
    class Markup(str):
        __slots__ = ()

        def __str__(self) -> "Markup":
            return self

        def __mod__(self, args: object) -> "Markup":
            return Markup("something else")

    logger.info(Markup("Bought %s"), "ETH")

    assert logged.event.message == "Bought ETH"
    assert type(logged.event.message) is str


def test_a_dict_as_the_only_argument_formats_by_name(logger: logging.Logger, logged: Logged) -> None:
    logger.info("%(pair)s", {"pair": "ETH"})

    assert logged.event.message == "ETH"


def test_percent_signs_without_arguments_are_left_alone(logger: logging.Logger, logged: Logged) -> None:
    logger.info("100% of %s")

    assert logged.event.message == "100% of %s"


# ---- extras


def test_what_changes_after_the_call_does_not_show(logger: logging.Logger, logged: Logged) -> None:
    legs, names = [1, 2], ["a"]
    extra: dict[str, Any] = {"legs": legs, "deep": {"legs": legs}}

    logger.info("%s", names, extra=extra)
    legs.append(3)
    names.append("b")
    extra["late"] = 1

    event = logged.event
    assert event.message == "['a']"
    assert event.fields == {"legs": [1, 2], "deep": {"legs": [1, 2]}}


def test_hostile_extras_are_marked(logger: logging.Logger, logged: Logged) -> None:
    logger.info("x", extra={"a": Hostile(), "b": float("nan"), "c": 10**5000, "\ud800": "\ud800", "d": "x" * 100_000})

    fields = logged.event.fields
    assert fields["a"] == "<unprintable Hostile: RuntimeError>"
    assert fields[r"\ud800"] == r"\ud800"
    assert "characters cut" in str(fields["d"])
    assert set(fields) == {"a", "b", "c", "d", r"\ud800"}


def test_the_programs_objects_are_not_kept_alive(logger: logging.Logger, logged: Logged) -> None:
    class Held:
        pass

    objects = [Held() for _ in range(4)]
    watched = [weakref.ref(held) for held in objects]
    error = ValueError("x")
    error.args = (objects[3],)

    logger.info(objects[0], extra={"a": objects[1]})
    logger.info("%s", objects[2], exc_info=error)
    objects.clear()
    del error
    gc.collect()

    assert len(logged.snapshots) == 2
    assert [reference() for reference in watched] == [None] * 4


def test_what_other_handlers_add_to_a_record_is_no_extra(logger: logging.Logger) -> None:
    class Formatting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logging.Formatter("%(asctime)s %(message)s").format(record)
            assert hasattr(record, "asctime")
            assert hasattr(record, "message")

    logger.addHandler(Formatting())
    logged = Logged()
    logger.addHandler(logged)

    logger.info("x", extra={"pair": "ETH"})

    assert logged.event.fields == {"pair": "ETH"}


def test_what_other_handlers_change_afterwards_does_not_show(logger: logging.Logger, logged: Logged) -> None:
    class Changing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            record.msg, record.levelno, record.name = "changed", 50, "changed"
            record.__dict__["pair"] = record.__dict__["added"] = "changed"

    logger.addHandler(Changing())

    logger.info("x", extra={"pair": "ETH"})

    event = logged.event
    assert (event.message, event.level, event.logger, event.fields) == ("x", 20, "strategy.eth", {"pair": "ETH"})


LEGS = [1]
made: list[list[int]] = []  # what programs' records were given, to change it afterwards


class EarlyRecord(logging.LogRecord):
    """A program's own record, with attributes from before those of the standard library."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.run_id = 7
        self.legs = LEGS.copy()
        made.append(self.legs)
        super().__init__(*args, **kwargs)


class LateRecord(logging.LogRecord):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.run_id = 7
        self.legs = LEGS.copy()
        made.append(self.legs)


def late_factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)
    record.run_id = 7
    record.legs = legs = LEGS.copy()
    made.append(legs)
    return record


@pytest.fixture
def factory() -> Any:
    before = logging.getLogRecordFactory()
    yield logging.setLogRecordFactory
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("made_by", [EarlyRecord, LateRecord, late_factory])
@pytest.mark.parametrize("extra", [{}, {"pair": "ETH"}])
def test_what_a_programs_own_records_have_are_extras(
    logger: logging.Logger,
    logged: Logged,
    factory: Callable[[object], None],
    made_by: object,
    extra: dict[str, object],
) -> None:
    factory(made_by)

    logger.info("x", extra=extra)
    made.pop().append(2)

    assert logged.event.fields == {"run_id": 7, "legs": LEGS, **extra}


def test_an_extra_is_found_when_a_filter_has_taken_a_standard_attribute_off(
    logger: logging.Logger, logged: Logged
) -> None:
    def shorten(record: logging.LogRecord) -> bool:
        del record.processName
        return True

    logger.addFilter(shorten)

    logger.info("x", extra={"pair": "ETH"})

    assert logged.event.fields == {"pair": "ETH"}


# ---- records from elsewhere


def test_a_record_that_came_through_a_socket_is_the_same_event(logger: logging.Logger, logged: Logged) -> None:
    try:
        raise ValueError("no liquidity")
    except ValueError:
        logger.exception("failed", extra={"pair": "ETH"})
    record = logger.makeRecord("strategy", 20, "a.py", 7, "Bought %s", ("ETH",), None, "decide", {"pair": "ETH"})
    attributes = pickle.loads(logging.handlers.SocketHandler("localhost", 1).makePickle(record)[4:])  # after a length

    event = snapshot(**attributes)

    assert (event.message, event.logger, event.fields) == ("Bought ETH", "strategy", {"pair": "ETH"})
    assert event.source == Source("a.py", 7, "decide", record.process or 0, "MainThread")
    assert event.time == record.created


def test_a_traceback_that_came_as_text_is_not_lost() -> None:
    event = snapshot(msg="failed", exc_text="Traceback …\nValueError: no liquidity")

    assert event.body == "Traceback …\nValueError: no liquidity"


def test_a_traceback_that_another_handler_has_formatted_shows_once(logger: logging.Logger) -> None:
    class Formatting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logging.Formatter().format(record)
            assert record.exc_text

    logger.addHandler(Formatting())
    logged = Logged()
    logger.addHandler(logged)

    logger.error("failed", exc_info=ValueError("no liquidity"))

    assert logged.event.exception is not None
    assert logged.event.body == ""


def test_an_empty_record_becomes_an_event() -> None:
    event = snapshot()

    assert (event.level, event.topic, event.fields) == (logging.INFO, "log", {})


@pytest.mark.parametrize("created", [None, "yesterday", float("nan"), float("inf"), -1.0, 1e30, 7])
def test_a_record_of_an_impossible_time_is_of_now(created: object) -> None:
    before = time.time()

    assert before <= snapshot(created=created).time <= time.time()


@pytest.mark.parametrize(("given", "level"), [("ERROR", 20), (None, 20), (30.5, 20), (True, 1), (35, 35)])
def test_a_level_that_is_no_number_is_info(given: object, level: int) -> None:
    assert snapshot(levelno=given).level == level
    assert type(snapshot(levelno=given).level) is int


@pytest.mark.parametrize("name", ["name", "pathname", "funcName", "threadName", "levelname", "stack_info", "exc_text"])
@pytest.mark.parametrize("value", [None, 3, "\ud800", ["a"], Hostile])
def test_odd_texts_in_a_record_are_made_valid(name: str, value: object) -> None:
    event = snapshot(**{name: value() if value is Hostile else value})

    texts = (event.logger, event.body, event.source.path, event.source.function, event.source.thread)
    for text in texts:
        assert type(text) is str
        text.encode()


@pytest.mark.parametrize("value", [None, "seven", ["a"]])
@pytest.mark.parametrize("name", ["lineno", "process"])
def test_odd_numbers_in_a_record_are_numbers_in_the_event(name: str, value: object) -> None:
    source = snapshot(**{name: value}).source

    assert type(source.line) is int
    assert type(source.process) is int


def test_a_number_that_only_equals_a_line_number_does_not_stand_for_it_later() -> None:
    odd = snapshot(pathname="a.py", lineno=7.0)
    ordinary = snapshot(pathname="a.py", lineno=7)

    assert (odd.source.line, ordinary.source.line) == (0, 7)


@pytest.mark.parametrize("missing", ["created", "levelname", "name", "pathname", "lineno", "stack_info", "process"])
def test_an_attribute_that_a_filter_removed_is_no_loss(missing: str) -> None:
    record = logging.makeLogRecord({"msg": "x", "pair": "ETH"})
    delattr(record, missing)

    event = Snapshot(record).event()

    assert (event.message, event.fields) == ("x", {"pair": "ETH"})


# ---- exceptions and stacks


def test_an_exception_arrives_with_its_traceback(logger: logging.Logger, logged: Logged) -> None:
    try:
        raise ValueError("no liquidity")
    except ValueError:
        logger.exception("failed")

    exception = logged.event.exception
    assert exception is not None
    assert (exception.type, exception.message) == ("ValueError", "no liquidity")
    assert "in test_an_exception_arrives_with_its_traceback" in exception.traceback


def test_an_exception_itself_may_be_exc_info(logger: logging.Logger, logged: Logged) -> None:
    logger.error("failed", exc_info=ValueError("no liquidity"))

    assert logged.event.exception is not None


def test_exc_info_without_an_exception_is_none(logger: logging.Logger, logged: Logged) -> None:
    logger.error("failed", exc_info=True)  # outside of any except

    assert logged.event.exception is None
    assert logged.event.fields == {}


@pytest.mark.parametrize(
    "exc_info", [(None, None, None), (ValueError,), (), "text", 7, (ValueError, "text", None), ValueError, [1], True]
)
def test_exc_info_of_odd_shapes_does_no_harm(exc_info: object) -> None:
    event = snapshot(msg="failed", exc_info=exc_info)

    assert (event.message, event.exception) == ("failed", None)


def test_a_bare_exception_in_a_record_is_shown() -> None:
    event = snapshot(msg="failed", exc_info=ValueError("no liquidity"))

    assert event.exception is not None
    assert event.exception.message == "no liquidity"


def test_a_stack_is_the_body(logger: logging.Logger, logged: Logged) -> None:
    logger.info("where am I", stack_info=True)

    assert logged.event.body.startswith("Stack (most recent call last):")
    assert sys._getframe().f_code.co_name in logged.event.body


# ---- what would end the program, and what is too long


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit], ids=lambda error: error.__name__)
def test_an_object_that_would_end_the_program_when_it_is_shown_does_not(
    logger: logging.Logger, logged: Logged, error: type[BaseException]
) -> None:
    class Ending:
        def __str__(self) -> NoReturn:
            raise error

    logger.info("%s", Ending())

    assert logged.event.message.startswith(f"%s [not formatted, {error.__name__}: ")


def test_a_signal_that_ends_the_program_does_so_while_a_record_is_looked_at(
    logger: logging.Logger, logged: Logged
) -> None:
    class Signalled:
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGTERM)
            return "went on"

    def stop(number: int, frame: object) -> NoReturn:
        raise SystemExit(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(SystemExit):
            logger.info("%s", Signalled())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_extras_of_a_class_that_cannot_be_hashed_arrive_with_those_after_them(
    logger: logging.Logger, logged: Logged
) -> None:
    class Unhashable(type):
        def __hash__(cls) -> NoReturn:
            raise TypeError("no")

        def __eq__(cls, other: object) -> NoReturn:
            raise TypeError("no")

    class Odd(metaclass=Unhashable):
        def __repr__(self) -> str:
            return "odd"

    logger.info("x", extra={"before": 1, "odd": Odd(), "after": "2"})

    assert list(logged.event.fields) == ["before", "odd", "after"]
    assert logged.event.fields["before"] == 1
    assert logged.event.fields["odd"] == "odd"
    assert "2" in str(logged.event.fields["after"])


def test_a_message_of_a_class_of_the_programs_own_becomes_a_text(logger: logging.Logger, logged: Logged) -> None:
    class Own(str):
        __slots__ = ()

        def __str__(self) -> str:
            return self  # and so "%s" gives it as it is

    logger.info("%s", Own("text"))

    assert type(logged.event.message) is str
    assert logged.event.message == "text"


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_a_message_above_twelve_mebi_characters_is_cut_with_its_middle_marked(
    logger: logging.Logger, logged: Logged, letter: str
) -> None:
    logger.info("%s", letter * MAX_MESSAGE + "z")

    message = logged.event.message
    assert len(message) <= MAX_MESSAGE
    assert (message[0], message[-1]) == (letter, "z")
    assert " characters cut]…" in message


# ---- what will not be looked at


class OfNoClass:
    @property
    def __class__(self) -> type:  # type: ignore[override]  # that is the point
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "odd",
    [
        {"msg": OfNoClass()},
        {"exc_info": OfNoClass()},
        {"exc_info": (None, OfNoClass(), None)},
        {"exc_info": Hostile()},
        {"exc_info": (1,)},
        {"args": Hostile()},
        {"args": OfNoClass()},
    ],
)
def test_a_record_whose_parts_will_not_be_looked_at_is_an_event(odd: dict[str, object]) -> None:
    record = logging.makeLogRecord({"msg": "said", "levelno": logging.ERROR, **odd})

    snapshot = Snapshot(record)
    snapshot.prepare_subject(record)  # as the handler does from WARNING on

    assert snapshot.event().exception is None
    assert snapshot.event().message.startswith("said") or "msg" in odd


def test_what_a_record_of_the_programs_own_class_has_as_properties_is_asked_of_it() -> None:
    class Record(logging.LogRecord):
        @property
        def levelno(self) -> int:
            return logging.ERROR

        @levelno.setter
        def levelno(self, value: int) -> None:
            pass

    assert Snapshot(Record("strategy", 20, "strategy.py", 1, "m", (), None)).level == logging.ERROR
