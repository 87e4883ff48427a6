"""Our handler in a `logging.config.dictConfig`, made before `setup()` and after it."""

import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from lanes import LONG
from set_up import bare_root, sink

import notify
from notify.backends.function import FunctionBackend
from notify.backends.memory import MemoryBackend
from notify.notifier import Notifier

CLASS = {"class": "notify.NotifyHandler"}
FACTORY = {"()": "notify.NotifyHandler"}


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """What a configuration has changed of other loggers is undone after the test."""
    yield
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False
    strategy = logging.getLogger("strategy")
    strategy.handlers.clear()
    strategy.propagate = True
    strategy.setLevel(logging.NOTSET)


def configure(handler: dict[str, Any], *, at: str = "root", **more: Any) -> None:
    logger = {"handlers": ["notify"], "level": "DEBUG"}
    placed = {"root": logger} if at == "root" else {"loggers": {at: logger}}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "handlers": {"notify": handler}, **placed, **more}
    )


def said(notifier: Notifier, backend: MemoryBackend) -> list[str]:
    assert notifier.flush(LONG)
    return backend.messages


@pytest.mark.parametrize("handler", [CLASS, FACTORY])
@pytest.mark.parametrize("first", ["configuration", "setup"])
def test_a_record_arrives_once_whoever_comes_first(handler: dict[str, Any], first: str) -> None:
    bare_root()
    if first == "configuration":
        configure(handler)
    notifier, backend = sink()
    if first == "setup":
        configure(handler)

    logging.getLogger("strategy").info("once")

    assert said(notifier, backend) == ["once"]


@pytest.mark.parametrize("first", ["configuration", "setup"])
def test_its_level_decides_on_the_root_logger(first: str) -> None:
    bare_root()
    handler = {**CLASS, "level": "ERROR"}
    if first == "configuration":
        configure(handler)
    notifier, backend = sink()
    if first == "setup":
        configure(handler)

    logging.warning("low")
    logging.error("high")

    assert said(notifier, backend) == ["high"]


def test_what_no_route_wants_is_left_alone_whatever_its_level() -> None:
    bare_root()
    configure(CLASS)
    notifier, backend = sink()

    logging.debug("low")
    logging.info("high")

    assert said(notifier, backend) == ["high"]
    assert [line.split(": ")[1] for line in notifier.tail(9)] == ["high"]


class OnlyTrades(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno == notify.TRADE


def test_its_filters_decide() -> None:
    bare_root()
    configure({**CLASS, "filters": ["trades"]}, filters={"trades": {"()": OnlyTrades}})
    notifier, backend = sink()

    logging.error("no trade")
    logging.getLogger("strategy").trade("Bought")  # type: ignore[attr-defined]  # a method that we add

    assert said(notifier, backend) == ["Bought"]


def test_a_filter_may_put_another_record_in_the_place_of_one() -> None:
    bare_root()

    def another(record: logging.LogRecord) -> logging.LogRecord:
        return logging.makeLogRecord({**record.__dict__, "msg": "another"})

    handler = notify.NotifyHandler()
    handler.addFilter(another)  # type: ignore[arg-type]  # typeshed asks for a bool or a record, by a union
    logging.getLogger().addHandler(handler)
    notifier, backend = sink()

    logging.error("one")

    assert said(notifier, backend) == ["another"]  # on Python 3.11, too, whose own handlers take the first one


def test_beside_the_one_on_the_root_logger_it_says_nothing_twice() -> None:
    bare_root()
    notifier, backend = sink()
    configure(CLASS, at="strategy")

    logging.getLogger("strategy.gas").info("once")

    assert said(notifier, backend) == ["once"]


def test_on_a_logger_that_does_not_propagate_it_is_the_only_one() -> None:
    bare_root()
    notifier, backend = sink()
    configure(CLASS, at="strategy")
    logging.getLogger("strategy").propagate = False

    logging.getLogger("strategy.gas").info("once")

    assert said(notifier, backend) == ["once"]


def test_a_record_of_a_logger_that_nobody_has_made_arrives() -> None:
    bare_root()
    configure(CLASS)
    notifier, backend = sink()

    logging.getLogger().handle(logging.makeLogRecord({"msg": "from a socket", "name": "elsewhere", "levelno": 40}))

    assert said(notifier, backend) == ["from a socket"]
    assert "elsewhere" not in logging.Logger.manager.loggerDict


def test_without_a_notifier_stderr_says_so_once_and_the_program_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    configure(CLASS)

    for _ in range(3):
        logging.error("too early")

    (line,) = capsys.readouterr().err.splitlines()
    assert line == "notify: a log record was not sent: there is no notifier, see notify.setup()"


def test_who_calls_emit_is_heard() -> None:
    bare_root()
    handler = notify.NotifyHandler()
    notifier, backend = sink()
    notifier.detach()

    handler.emit(logging.makeLogRecord({"msg": "emitted", "levelno": logging.ERROR}))

    assert said(notifier, backend) == ["emitted"]


def test_what_our_own_threads_log_does_not_come_back() -> None:
    bare_root()

    class Talkative:
        def send(self, events: object, /) -> int:
            logging.getLogger("client").error("delivering")
            return 1

        def close(self) -> None:
            pass

    configure(CLASS)
    memory = MemoryBackend()
    with notify.setup(env={"NOTIFY_STDOUT": "off"}, backends={"talkative": Talkative(), "memory": memory}) as notifier:
        logging.error("said")
        assert notifier.flush(LONG)

    assert memory.messages == ["said"]


def test_a_notifier_that_setup_did_not_make_is_not_missed_by_its_own_threads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bare_root()
    configure(CLASS)

    def deliver(event: notify.Event) -> None:
        logging.getLogger("client").error("delivering")

    with Notifier({"own": FunctionBackend(deliver)}) as notifier:
        notifier.notify("said")
        assert notifier.flush(LONG)

    assert capsys.readouterr().err == ""


def test_a_configuration_that_disables_the_loggers_there_are_disables_them_for_us_too() -> None:
    bare_root()
    logging.getLogger("strategy")
    notifier, backend = sink()
    configure(CLASS, disable_existing_loggers=True)
    logging.getLogger("strategy").error("disabled")

    configure(CLASS, disable_existing_loggers=False)
    logging.getLogger("strategy").disabled = False  # as the program must: no configuration undoes what another one did
    logging.getLogger("strategy").error("enabled")

    assert said(notifier, backend) == ["enabled"]


def test_a_configuration_that_only_changes_levels_changes_nothing_of_ours() -> None:
    bare_root()
    notifier, backend = sink()
    logging.config.dictConfig({"version": 1, "incremental": True, "loggers": {"strategy": {"level": "ERROR"}}})

    logging.getLogger("strategy").warning("low")
    logging.getLogger("strategy").error("high")

    assert said(notifier, backend) == ["high"]


def test_the_fixture_hears_through_it(notify_outbox: Any) -> None:
    configure(CLASS)

    logging.getLogger("strategy").warning("said")

    assert notify_outbox.messages == ["said"]
