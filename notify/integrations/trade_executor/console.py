"""What the executor prints and writes into files: the program's own handlers, which need no notifier."""

import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from notify import diagnostics
from notify.destinations import prints_to_console
from notify.integrations.trade_executor.levels import (
    mute_noisy_in_tests,
    mute_noisy_loggers,
    setup_custom_log_levels,
)
from notify.integrations.trade_executor.ring import setup_in_memory_logging
from notify.notifier import current_notifier

DISABLED = "disabled"
"""The log level with which the executor's tests leave logging as pytest has it."""
NO_FILE = "NONE"

_CONSOLE = "%(asctime)s %(name)-44s %(levelname)-8s [%(threadName)s] %(message)s"
_FILE = "%(asctime)s %(name)-50s %(levelname)-8s %(message)s"
_OF_PROCESS = "<proc:%(process)d> "
_POSITIONS = "tradeexecutor.strategy.pandas_trader.position_manager"


def setup_logging(
    log_level: str | int | None = logging.INFO, in_memory_buffer: bool = False, enable_trade_high: bool = False
) -> logging.Logger:
    """Have logging print on standard error from *log_level* on, and mute what says too much.

    Handlers that print to a console are replaced. All others stay: ours, pytest's, and those of files.

    Args:
        log_level: number or name, in any case; also the level of the root logger, so that less severe records reach
            nobody. None is INFO. `disabled` leaves logging as it is, but for the levels of trades.
        in_memory_buffer: keep the last records for `get_ring_buffer_handler`. Not with `disabled`.
        enable_trade_high: see `setup_custom_log_levels`.

    Returns the root logger. Raises `ValueError` for a level that there is not.
    """
    setup_custom_log_levels(enable_trade_high=enable_trade_high)
    root = logging.getLogger()
    if log_level == DISABLED:
        return root
    root.setLevel(_level(logging.INFO if log_level is None else log_level))
    for handler in [handler for handler in root.handlers if prints_to_console(handler)]:
        root.removeHandler(handler)
    _print(root, sys.stderr, _CONSOLE)
    mute_noisy_loggers()
    if in_memory_buffer:
        setup_in_memory_logging(root)
    notifier = current_notifier()
    if notifier is not None and not notifier.closed:
        notifier.attach()
    return root


def setup_file_logging(
    log_filename: str | Path, log_level: str | int = logging.INFO, http_logging: bool = False
) -> None:
    """Have logging append to a file, too. A directory that is missing is made.

    Args:
        log_filename: where to. A file that is written already is not written twice.
        log_level: least level; `none`, in any case: no file.
        http_logging: have the executor's web server write a file of its own beside it, which root never sees.

    Raises `OSError` when the file cannot be opened, and `ValueError` for a level that there is not.
    """
    level = _level(log_level)
    if level == NO_FILE:
        return
    path = Path(log_filename)
    root = logging.getLogger()
    written = {each.baseFilename for each in root.handlers if isinstance(each, logging.FileHandler)}
    if os.path.abspath(path) not in written:  # noqa: PTH100 - as FileHandler has it
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter(_FILE))
        handler.setLevel(level)
        root.addHandler(handler)
    if http_logging:
        _log_requests(path)


def setup_pytest_logging(request: object = None, mute_requests: bool = True) -> logging.Logger:
    """Have the levels of trades, and mute what says too much in tests. pytest's own handlers stay.

    Args:
        request: pytest's; not looked at.
        mute_requests: the libraries of HTTP, too.

    Returns a logger for tests.
    """
    setup_custom_log_levels()
    mute_noisy_in_tests(requests=mute_requests)
    return logging.getLogger("test")


def setup_notebook_logging(log_level: str | int = logging.WARNING, show_process: bool = False) -> logging.Logger:
    """Have logging print on standard output from *log_level* on, unless the root logger has handlers already.

    Args:
        log_level: number or name.
        show_process: the process in each line, for workers of a pool.

    Returns the root logger. Raises `ValueError` for a level that there is not.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.setLevel(_level(log_level))
        _print(root, sys.stdout, (_OF_PROCESS if show_process else "") + _FILE)
    setup_custom_log_levels()
    mute_noisy_in_tests()
    return root


def setup_strategy_logging(default_log_level: str | int = logging.WARNING) -> logging.Logger:
    """Have logging print what positions do in a backtest, and of all else what is at *default_log_level* or above.

    Returns the root logger. Raises `ValueError` for a level that there is not.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.setLevel(_level(default_log_level))
        _print(root, sys.stdout, logging.BASIC_FORMAT)
    setup_custom_log_levels()
    logging.getLogger(_POSITIONS).setLevel(logging.INFO)
    return root


def _level(level: str | int) -> str | int:
    return level.upper() if isinstance(level, str) else level


def _print(root: logging.Logger, stream: TextIO, line: str) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(line))
    root.addHandler(handler)


def _log_requests(beside: Path) -> None:
    try:
        # The executor's web server writes into a logger of that module's.
        from tradeexecutor.webhook.http_log import (  # type: ignore[import-not-found]  # theirs
            configure_http_request_logging,
        )
    except ImportError:
        diagnostics.report("http log", "requests are not logged: the executor's web server is not installed")
        return
    configure_http_request_logging(beside)
