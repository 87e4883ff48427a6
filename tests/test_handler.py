import ctypes
import gc
import itertools
import logging
import logging.handlers
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import pytest
from intakes import an_intake
from lanes import LONG

from notify.backends.memory import MemoryBackend
from notify.capture import handler as handler_module
from notify.capture.handler import IntakeHandler
from notify.capture.ring import RingBuffer
from notify.delivery.intake import CAPACITY, HEAVY
from notify.event import Event
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.rules.routing import Route


@pytest.fixture
def notifier(notifier: Notifier) -> Notifier:
    """The notifier that hears whatever is logged."""
    logging.getLogger().setLevel(logging.DEBUG)
    notifier.attach()
    return notifier


def messages(notifier: Notifier, backend: MemoryBackend) -> list[str]:
    assert notifier.flush(LONG)
    return backend.messages


def test_what_is_logged_anywhere_arrives_in_its_order(notifier: Notifier, backend: MemoryBackend) -> None:
    said = [f"message {number}" for number in range(1000)]
    for number, message in enumerate(said):
        logging.getLogger(f"module{number % 7}").log(logging.DEBUG + number % 30, message)  # none is urgent

    assert messages(notifier, backend) == said


def test_what_is_logged_and_what_is_notified_arrive_in_one_order(notifier: Notifier, backend: MemoryBackend) -> None:
    logging.info("first")
    notifier.notify("second")
    logging.warning("third")
    notifier.trade("fourth")

    assert messages(notifier, backend) == ["first", "second", "third", "fourth"]


def test_a_handler_takes_what_some_route_wants_and_what_the_tail_shows() -> None:
    routes = {"people": Route(logging.ERROR), "gas": Route(logging.WARNING)}
    with Notifier({"people": MemoryBackend(), "gas": MemoryBackend()}, routes=routes) as notifier:
        assert notifier.handler.level == logging.INFO  # the ring's
    with Notifier({"all": MemoryBackend()}, routes={"all": Route(logging.DEBUG)}) as notifier:
        assert notifier.handler.level == logging.DEBUG
    with Notifier({}) as notifier:
        assert notifier.handler.level == logging.INFO


def test_records_below_the_level_of_the_handler_are_left_alone(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.handler.setLevel(logging.WARNING)

    logging.info("low")
    logging.warning("high")

    assert messages(notifier, backend) == ["high"]


def test_the_programs_filters_on_the_handler_hold(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.handler.addFilter(lambda record: "secret" not in record.getMessage())

    logging.info("secret")
    logging.info("open")

    assert messages(notifier, backend) == ["open"]


def test_attaching_twice_is_attaching_once_and_leaves_others_alone(notifier: Notifier, backend: MemoryBackend) -> None:
    root = logging.getLogger()
    other = logging.NullHandler()
    root.addHandler(other)

    notifier.attach()
    notifier.attach()

    assert root.handlers.count(notifier.handler) == 1
    assert other in root.handlers
    logging.info("once")
    assert messages(notifier, backend) == ["once"]


def test_attaching_again_puts_back_what_a_program_took_off(notifier: Notifier, backend: MemoryBackend) -> None:
    logging.basicConfig(force=True, handlers=[logging.NullHandler()])  # takes every handler off, and closes it
    logging.info("unheard")

    notifier.attach()
    logging.getLogger().setLevel(logging.INFO)
    logging.info("heard")

    assert messages(notifier, backend) == ["heard"]


def test_a_record_that_cannot_be_taken_is_told_of_and_nothing_is_raised(
    notifier: Notifier,
    backend: MemoryBackend,
    monkeypatch: pytest.MonkeyPatch,
    internal_errors: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(record: logging.LogRecord) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(handler_module, "Snapshot", broken)
    logging.getLogger("strategy").warning("lost")
    monkeypatch.undo()
    logging.info("next")

    assert "a record of strategy was lost: RuntimeError" in capsys.readouterr().err
    assert messages(notifier, backend) == ["next"]


def test_hostile_records_raise_nothing_and_arrive(notifier: Notifier, backend: MemoryBackend) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    logger = logging.Logger("strategy")  # without pytest's own handlers, which raise
    notifier.attach(logger)
    logger.info("%d", "text")
    logger.info("%r", Hostile())
    logger.info("%s", 10**5000)
    logger.info("x", extra={"a": Hostile()})
    logger.info(Hostile())
    logger.info("\ud800")

    assert len(messages(notifier, backend)) == 6


def test_no_record_of_ours_comes_back_and_none_of_others_is_lost_meanwhile() -> None:
    in_send, let = threading.Event(), threading.Event()
    delivered: list[str] = []

    class Talkative:
        """A backend that logs while it delivers, as HTTP clients do."""

        def send(self, events: Sequence[Event], /) -> int:
            logging.getLogger("urllib3").debug("a new connection")
            delivered.append(events[0].message)
            in_send.set()
            assert let.wait(LONG)
            logging.getLogger("urllib3").error("a retry")
            return 1

        def close(self) -> None:
            logging.error("closing")

    def speak() -> None:
        for number in range(20):
            logging.debug("of another thread %d", number)

    with Notifier({"talkative": Talkative()}, routes={"talkative": Route(logging.NOTSET)}) as notifier:
        logging.getLogger().setLevel(logging.DEBUG)
        notifier.attach()
        logging.debug("first")
        assert in_send.wait(LONG)
        speaker = threading.Thread(target=speak)
        speaker.start()
        speaker.join()
        logging.debug("of this thread")  # all of them while our thread is in send()
        let.set()
        assert notifier.flush(LONG)

        assert not any("connection" in line or "retry" in line for line in notifier.tail(100))
    assert delivered == ["first", *(f"of another thread {n}" for n in range(20)), "of this thread"]


def test_a_record_that_waits_for_no_lock_of_ours(notifier: Notifier, backend: MemoryBackend) -> None:
    held = threading.Thread(target=lambda: logging.error("from another thread"))

    notifier.handler.acquire()  # as a thread that hangs in another handler's emit would
    held.start()
    held.join(LONG)
    alive = held.is_alive()
    notifier.handler.release()

    assert not alive
    assert messages(notifier, backend) == ["from another thread"]


def test_records_that_come_through_a_queue_arrive(notifier: Notifier, backend: MemoryBackend) -> None:
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, notifier.handler)
    logger = logging.getLogger("queued")
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener.start()

    logger.error("Bought %s", "ETH", extra={"pair": "ETH"})
    listener.stop()
    logger.handlers.clear()
    logger.propagate = True

    assert messages(notifier, backend) == ["Bought ETH"]
    assert backend.events[0].fields == {"pair": "ETH"}


def test_the_last_records_are_remembered_for_the_tail(notifier: Notifier) -> None:
    for number in range(5):
        logging.getLogger("strategy").info("message %d", number)

    assert [line.split(" ", 1)[1] for line in notifier.tail(2)] == [
        "INFO strategy: message 3",
        "INFO strategy: message 4",
    ]


def test_after_the_end_records_are_dropped_without_an_exception(backend: MemoryBackend) -> None:
    notifier = Notifier({"memory": backend})
    notifier.attach()
    notifier.close()
    logging.getLogger().setLevel(logging.INFO)

    logging.error("too late")
    logging.log(TRADE, "too late")

    assert backend.events == []
    assert notifier._pipeline.intake.dropped == {"closed": 2}


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit], ids=lambda error: error.__name__)
def test_a_record_whose_reading_would_end_the_program_does_not(
    notifier: Notifier,
    monkeypatch: pytest.MonkeyPatch,
    internal_errors: list[str],
    capsys: pytest.CaptureFixture[str],
    error: type[BaseException],
) -> None:
    def ending(record: logging.LogRecord) -> NoReturn:
        raise error

    monkeypatch.setattr(handler_module, "Snapshot", ending)

    logging.getLogger("strategy").warning("lost")

    assert f"a record of strategy was lost: {error.__name__}" in capsys.readouterr().err


def test_ctrl_c_while_a_record_is_read_reaches_the_program(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(record: logging.LogRecord) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(handler_module, "Snapshot", interrupted)

    with pytest.raises(KeyboardInterrupt):
        notifier.handler.handle(logging.makeLogRecord({}))


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from running what others have it call: an exception may land there, too."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection", "internal_errors")
def test_what_is_raised_into_a_thread_ends_it_while_it_logs(notifier: Notifier) -> None:
    class NoTimeLeft(BaseException):
        """As a time limit for threads raises it."""

    threads, ended = 20, []

    def log(number: int) -> None:
        # Not by the logger: other handlers have a lock, and would keep it.
        notifier.handler.handle(logging.makeLogRecord({"msg": f"failed {number}", "levelno": logging.ERROR}))

    def log_until_the_end() -> None:
        try:
            begun.set()
            numbers = itertools.count()
            while not raised.is_set():
                log(next(numbers))
            for _ in range(100):  # it comes with the first of these at last
                log(next(numbers))
        except NoTimeLeft:
            ended.append(True)

    for _ in range(threads):
        begun, raised = threading.Event(), threading.Event()
        thread = threading.Thread(target=log_until_the_end)
        thread.start()
        begun.wait()
        assert thread.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(NoTimeLeft))
        raised.set()
        thread.join()

    # What comes in code that is not ours is taken for what an object raises, and told. That is seldom.
    assert len(ended) > threads // 2


def test_a_filter_may_put_another_record_in_the_place_of_one(notifier: Notifier, backend: MemoryBackend) -> None:
    logger = logging.Logger("strategy")
    logger.addHandler(notifier.handler)
    other = logging.LogRecord("strategy", logging.INFO, __file__, 1, "another", (), None)
    replaces: Any = lambda record: other  # noqa: E731 - a function is a filter as well
    notifier.handler.addFilter(replaces)

    logger.info("one")

    assert notifier.flush()
    assert backend.messages == ["another"]


# ---- what is heavy

LARGE = "x" * 100_000


def deep_error() -> BaseException:
    def down(levels: int) -> None:
        if levels:
            down(levels - 1)
        raise ValueError("deep")

    try:
        down(600)
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "parts",
    [
        {"msg": LARGE},
        {"msg": "%s of %s", "args": (LARGE, 1)},
        {"hash": LARGE},
        {f"field {number}": "x" * 1000 for number in range(100)},
        {"rows": [{"price": "1" * 1000}] * 100},
        {"stack_info": LARGE},
        {"exc_text": LARGE},
        {"exc_info": ValueError(LARGE)},
        {"exc_info": deep_error()},  # of 600 frames, each of 200 bytes
        {"msg": {"event": "from structlog", "stack": LARGE}},
        {"msg": {"event": "from structlog", "answer": LARGE[:30_000], "again": LARGE[:70_000]}},  # cut at 32,768
        {"msg": {"event": "from structlog", "exc_info": ValueError(LARGE)}},
    ],
    ids=[
        "message",
        "argument",
        "field",
        "fields",
        "nested",
        "stack",
        "text",
        "error",
        "frames",
        "event",
        "dict",
        "raised",
    ],
)
@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
def test_a_heavy_record_fills_the_intake_sooner_than_one_that_is_light(level: int, parts: dict[str, Any]) -> None:
    intake = an_intake()
    handler = IntakeHandler(intake, RingBuffer())

    handler.handle(logging.makeLogRecord({"levelno": level, **parts}))

    assert 60_000 // HEAVY < len(intake) < 150_000 // HEAVY
    assert len(intake.take(9)) == 1


def test_a_loop_that_logs_large_records_is_stopped_before_the_memory_is_full() -> None:
    intake = an_intake()
    handler = IntakeHandler(intake, RingBuffer())
    record = logging.makeLogRecord({"msg": LARGE, "levelno": logging.INFO})

    for _ in range(1500):
        handler.handle(record)

    # 100,000 places of 1,024 code points; each record takes 98 of them.
    assert intake.stats()["pending"] == -(-CAPACITY // 98)
    assert intake.dropped["intake full"] == 1500 - -(-CAPACITY // 98)
