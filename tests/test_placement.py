"""What becomes of our handler when the program clears the handlers: who notices, and who is told."""

import logging
import logging.config
from collections.abc import Callable
from typing import Any

import pytest
from lanes import LONG, until
from set_up import bare_root, sink

import notify
from notify.capture.configured import NotifyHandler
from notify.capture.placement import Placement
from notify.notifier import Notifier


def cleared() -> None:
    logging.getLogger().handlers.clear()  # as eth_defi's console set-up does


def forced() -> None:
    logging.basicConfig(force=True, handlers=[logging.NullHandler()])


def configured() -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}})


WAYS = pytest.mark.parametrize("clear", [cleared, forced, configured])
LOST = (
    "What is logged is not heard any more: something has taken notify's handler off the logger root, as "
    "logging.config.dictConfig() and basicConfig(force=True) do. Call notify.setup() again after it."
)


def trouble(notifier: Notifier) -> object:
    return notifier.stats().get("intake", {}).get("last_error")


def look(notifier: Notifier) -> None:
    """Have the look once a minute happen now."""
    notifier._pipeline._housekeeping.wake()


@WAYS
def test_a_handler_that_was_taken_off_is_told_on_stderr_to_people_and_in_the_counts(
    clear: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    bare_root()
    notifier, backend = sink()

    clear()
    look(notifier)
    until(lambda: trouble(notifier) is not None)
    until(lambda: backend.messages)
    notifier._pipeline._housekeeping.tell_unheard(people=True)  # the next look
    assert notifier.flush(LONG)

    assert trouble(notifier) == LOST
    assert backend.messages == [LOST]  # once, however often it is looked at
    (event,) = backend.events
    assert (event.level, event.topic) == (logging.WARNING, "alert")
    assert capsys.readouterr().err == f"notify: {LOST}\n"


@WAYS
def test_it_is_not_put_back_until_the_program_asks(clear: Callable[[], None]) -> None:
    bare_root()
    notifier, backend = sink()

    clear()
    look(notifier)
    until(lambda: trouble(notifier) is not None)
    logging.getLogger("strategy").error("unheard")
    assert notify.setup() is notifier
    logging.getLogger("strategy").error("heard")
    look(notifier)
    until(lambda: trouble(notifier) is None)
    assert notifier.flush(LONG)

    assert [message for message in backend.messages if message != LOST] == ["heard"]


def test_a_program_that_lives_less_than_a_minute_hears_of_it_when_it_closes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bare_root()
    notifier, backend = sink()

    cleared()
    notifier.close()

    assert capsys.readouterr().err == f"notify: {LOST}\n"
    assert backend.messages == []  # people need not know of a program's end


def test_a_program_that_takes_it_off_by_our_method_is_left_in_peace(capsys: pytest.CaptureFixture[str]) -> None:
    root = bare_root()
    notifier, _ = sink()

    notifier.detach()
    notifier.close()

    assert notifier.handler not in root.handlers
    assert capsys.readouterr().err == ""


def test_a_program_that_has_placed_ours_itself_is_left_in_peace(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    notifier, _ = sink()

    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"notify": {"class": "notify.NotifyHandler"}},
            "root": {"handlers": ["notify"]},
        }
    )
    notifier.close()

    assert capsys.readouterr().err == ""


def test_one_that_was_placed_by_a_configuration_is_missed_too(capsys: pytest.CaptureFixture[str]) -> None:
    root = bare_root()
    root.addHandler(NotifyHandler())
    notifier, _ = sink()

    cleared()
    notifier.close()

    assert LOST in capsys.readouterr().err


def test_every_logger_that_has_lost_it_is_named() -> None:
    placement, handler = Placement(), logging.NullHandler()
    loggers = [logging.Logger("strategy"), logging.Logger("gas"), logging.Logger("kept")]

    for logger in loggers:
        placement.put(handler, logger)
    assert placement.trouble() is None
    for logger in loggers[:2]:
        logger.removeHandler(handler)

    assert "off the loggers strategy and gas, as" in str(placement.trouble())


class TakenOff(logging.Logger):
    """One whose handler is taken off, by our method, while it is looked at."""

    placement: Placement
    ours: logging.Handler

    def __getattribute__(self, name: str) -> Any:
        if name == "handlers" and self.__dict__.get("ours") in self.__dict__["handlers"]:
            self.placement.take_off(self.__dict__.pop("ours"), self)
        return super().__getattribute__(name)


def test_one_that_is_taken_off_by_our_method_during_the_look_is_not_missed() -> None:
    placement, handler = Placement(), logging.NullHandler()
    logger = TakenOff("strategy")
    placement.put(handler, logger)
    logger.placement, logger.ours = placement, handler

    assert placement.trouble() is None
    assert logger.handlers == []
