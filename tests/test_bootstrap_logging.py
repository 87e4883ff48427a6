"""`setup()` and the logging, the warnings and the hooks that are there already."""

import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable

import pytest
from rich.logging import RichHandler
from set_up import bare_root, sink

import notify
from notify.backends.memory import MemoryBackend

# ---- standard output and the handlers that are there


class FakeHandler(logging.Handler):
    def __init__(self, **attributes: object) -> None:
        super().__init__()
        self.__dict__.update(attributes)

    def emit(self, record: logging.LogRecord) -> None:
        """Print nothing."""


def handler_on_stderr() -> logging.Handler:
    return logging.StreamHandler()


def handler_on_stdout() -> logging.Handler:
    return logging.StreamHandler(sys.stdout)


def handler_of_rich() -> logging.Handler:
    return RichHandler()


def handler_in_memory() -> logging.Handler:
    return logging.StreamHandler(io.StringIO())


def handler_with_an_odd_stream() -> logging.Handler:
    return FakeHandler(stream=[])  # not hashable


@pytest.mark.parametrize(
    ("handler", "prints"),
    [
        (handler_on_stderr, True),
        (handler_on_stdout, True),
        (handler_of_rich, True),
        (handler_in_memory, False),
        (handler_with_an_odd_stream, False),
    ],
)
def test_automatic_standard_output_is_off_where_logging_prints_already(
    handler: Callable[[], logging.Handler], prints: bool
) -> None:
    root = bare_root()
    root.addHandler(handler())

    with notify.setup(env={}) as notifier:
        assert ("stdout" not in notifier.stats()) is prints
    with notify.setup(env={"NOTIFY_STDOUT": "text"}) as notifier:
        assert "stdout" in notifier.stats()


@pytest.mark.parametrize("level", ["disabled", "off", "none"])
def test_a_disabled_log_level_switches_standard_output_off(level: str) -> None:
    with notify.setup(env={"LOG_LEVEL": level, "NOTIFY_STDOUT": "text"}) as notifier:
        assert notifier.stats() == {}


def test_the_log_level_is_that_of_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    memory = MemoryBackend()
    with notify.setup(env={"LOG_LEVEL": "ERROR"}, backends={"sink": memory}):
        logging.getLogger("strategy").info("quiet")
        logging.getLogger("strategy").error("loud")

    assert sorted(memory.messages) == ["loud", "quiet"]
    out = capsys.readouterr().out
    assert "loud" in out
    assert "quiet" not in out


def test_the_handlers_that_are_there_stay() -> None:
    root = bare_root()
    mine = FakeHandler()
    root.addHandler(mine)

    notifier, _ = sink()

    assert root.handlers == [mine, notifier.handler]
    notifier.close()
    assert root.handlers == [mine]


def test_a_program_that_cleared_the_handlers_can_attach_ours_again() -> None:
    root = bare_root()
    notifier, backend = sink()
    root.handlers.clear()
    logging.getLogger("strategy").error("lost")

    notifier.attach()
    notifier.attach()
    logging.getLogger("strategy").error("heard")
    notifier.close()

    assert backend.messages == ["heard"]


# ---- the level of the root logger


def test_a_root_logger_that_nobody_configured_is_lowered_to_what_the_routes_want() -> None:
    root = bare_root()
    notifier, _ = sink({"SINK_LEVEL": "DEBUG"})

    assert root.level == logging.DEBUG
    notifier.close()
    assert root.level == logging.WARNING


def test_a_root_logger_is_never_raised() -> None:
    root = bare_root()
    root.setLevel(logging.DEBUG)

    with sink({"SINK_LEVEL": "ERROR"})[0]:
        assert root.level == logging.DEBUG


def test_the_level_of_a_configured_root_logger_stays_and_stderr_says_what_is_not_heard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = bare_root()
    root.addHandler(FakeHandler())

    with sink({"SINK_LEVEL": "TRADE"})[0]:
        assert root.level == logging.WARNING

    assert capsys.readouterr().err == (
        "notify: the root logger is at WARNING and keeps back what is wanted here; "
        "logging.getLogger().setLevel('INFO') lets it through\n"
    )


def test_a_level_that_the_program_has_set_meanwhile_stays_after_close() -> None:
    root = bare_root()
    notifier, _ = sink()
    root.setLevel(logging.ERROR)

    notifier.close()

    assert root.level == logging.ERROR


# ---- warnings and hooks


def test_warnings_are_events_until_close() -> None:
    bare_root()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        notifier, backend = sink()
        warnings.warn("old API", DeprecationWarning, stacklevel=1)
        notifier.close()
        after = warnings.showwarning

    (event,) = backend.events
    assert "DeprecationWarning: old API" in event.message
    assert (event.level, event.logger) == (logging.WARNING, "py.warnings")
    assert after is before


def test_a_program_that_captures_warnings_itself_goes_on_doing_so() -> None:
    with warnings.catch_warnings():
        logging.captureWarnings(True)
        captured = warnings.showwarning

        sink()[0].close()

        assert warnings.showwarning is captured
        logging.captureWarnings(False)


def test_close_puts_the_hooks_back() -> None:
    before = sys.excepthook, threading.excepthook

    notifier, _ = sink()
    during = sys.excepthook, threading.excepthook
    notifier.close()

    assert during[0] is not before[0]
    assert during[1] is not before[1]
    assert (sys.excepthook, threading.excepthook) == before


def test_in_an_interactive_session_a_typing_mistake_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    before = sys.excepthook, threading.excepthook

    with sink()[0]:
        assert (sys.excepthook, threading.excepthook) == before


def test_a_second_setup_puts_the_handler_back_that_something_has_taken_off() -> None:
    notifier, backend = sink()
    logging.getLogger().handlers.clear()

    assert notify.setup() is notifier
    logging.getLogger("strategy").warning("heard again")
    notifier.close()

    assert backend.messages == ["heard again"]


def test_nothing_configured_beside_a_console_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    root = bare_root()
    root.addHandler(logging.StreamHandler())
    root.setLevel(logging.INFO)

    with notify.setup(env={}) as notifier:
        assert notifier.stats() == {}

    assert "there is no backend" in capsys.readouterr().err
