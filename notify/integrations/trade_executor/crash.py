"""How an executor fails: one crash is one report, whatever else its command and its loop log of it."""

import logging
import sys
from copy import copy
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

from notify import diagnostics
from notify.capture.event_dict import exception_in
from notify.crash.report import report_from_hook
from notify.integrations.trade_executor.redaction import redaction
from notify.interruption import came_from_a_signal
from notify.levels import severity
from notify.notifier import Notifier, current_notifier
from notify.plain import class_name

_WHERE = "the main loop"
_LOOP = "tradeexecutor.cli"
_COMMAND = "root"  # the executor's command logs to what setup_logging() returns, and so does any logging.error()
_OF_COMMANDS = "/tradeexecutor/cli/"  # in the path of its file, wherever it is installed


class ExceptionData(TypedDict):
    """What was raised, as `/status` has it: the frames as tblib has them, outermost first.

    Args:
        tb_frame: the code.
        tb_lineno: the line.
        tb_next: the frame below.
        exception_message: its text, and what it came of.
    """

    tb_frame: dict[str, object] | None
    tb_lineno: int | None
    tb_next: dict[str, object] | None
    exception_message: str


def serialise_exception() -> ExceptionData:
    """Return the exception that is being handled as JSON's types, without secrets. Raises nothing without one."""
    from notify.status.documents import exception  # with orjson, for those who fail
    from notify.status.strict_json import plain

    raised = sys.exception()
    return cast("ExceptionData", plain(exception("" if raised is None else raised), redaction()))


def set_fail(run_state: object = None) -> None:
    """Report the exception that is being handled as the end of the main loop, and note that in *run_state*.

    One crash is one report: the lines that the executor logs before and after this are not told people again.

    Args:
        run_state: the executor's, whose method of this name this is; its times are naive and UTC. None: none.

    Never raises, without an exception neither.
    """
    notifier = current_notifier()
    if notifier is not None and not notifier.closed:
        notifier.run_state.set_fail()
    if run_state is None:
        return
    state: Any = run_state
    try:
        state.exception = serialise_exception()
        state.last_refreshed_at = state.crashed_at = datetime.now(UTC).replace(tzinfo=None)
        state.executor_running = False
    except Exception as error:  # noqa: BLE001 - who fails has trouble enough
        diagnostics.report("run state", f"a failure could not be noted: {class_name(error)}")


class CrashFilter:
    """Lets every record pass, and reports the crash that one is said of.

    What the executor's command and its loop log at ERROR and above while they handle an exception ends them.

    Args:
        notifier: says it.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        """Report what *record* is said of, and return a copy that says so: the record itself is for others, too."""
        try:
            raised = _said_of(record)
            if raised is None:
                return True
            report_from_hook(raised, where=_WHERE, notifier=self._notifier, folds=False)
            record = copy(record)
            record.__dict__.setdefault("topic", "crash")
        except BaseException as error:  # guarantee 1: a record of the program's own class may raise anything
            if came_from_a_signal(error):
                raise
            diagnostics.report("crash filter", f"a record of a crash was passed on as it is: {class_name(error)}")
            return True
        return record


def _said_of(record: logging.LogRecord) -> BaseException | None:
    """Return the exception that ends the loop and that *record* is said of, None when it is no such record."""
    if severity(record.levelno) < logging.ERROR or not _ends_the_loop(record):
        return None
    return exception_in(record.exc_info) if record.exc_info is not None else sys.exception()


def _ends_the_loop(record: logging.LogRecord) -> bool:
    logger: object = record.name
    if type(logger) is not str:
        return False
    if logger == _COMMAND:
        return _OF_COMMANDS in f"/{record.pathname}"
    return logger == _LOOP or logger.startswith(f"{_LOOP}.")
