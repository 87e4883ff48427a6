"""The executor's levels, and the loggers that it mutes."""

import logging

from notify.levels import TRADE, number_trade_high

_ABOVE_ALL = logging.CRITICAL + 1
_ABOVE_TRADE = TRADE + 1

_NOISY = {
    "web3.RequestManager": logging.WARNING,
    "web3.providers.HTTPProvider": logging.WARNING,
    "requests": logging.WARNING,
    "urllib3": logging.WARNING,
    "urllib3.connectionpool": logging.WARNING,
    "asyncio": logging.WARNING,
    "matplotlib": logging.WARNING,
    "pyramid_openapi3": logging.ERROR,
    "ddtrace": logging.INFO,
    "apscheduler.executors.default": logging.ERROR,
    "graphql": logging.WARNING,
    "gql": logging.WARNING,
    "tradeexecutor.utils.timer": logging.WARNING,
    "traitlets": logging.ERROR,
    "eth_defi.token": logging.WARNING,
}
_NOISY_IN_TESTS = (
    "web3.RequestManager", "web3.providers.HTTPProvider", "asyncio", "matplotlib", "tradeexecutor.utils.timer"
)  # fmt: skip
_OF_REQUESTS = ("requests", "urllib3")

_numbered = False  # by whoever came first in this process


def setup_custom_log_levels(enable_trade_high: bool = False) -> None:
    """Have logging know TRADE (21) and TRADE_HIGH, with `Logger.trade()` and `Logger.trade_high()`.

    The number of TRADE_HIGH is a matter of the threshold of the program's own handlers. We route by what it means, so
    either number goes to Telegram.

    Args:
        enable_trade_high: TRADE_HIGH is 51, above CRITICAL; otherwise 22. The first call in a process decides.
    """
    global _numbered
    if not _numbered:
        _numbered = True
        number_trade_high(_ABOVE_ALL if enable_trade_high else _ABOVE_TRADE)


def mute_noisy_loggers() -> None:
    """Raise the levels of libraries that say too much."""
    for name, level in _NOISY.items():
        logging.getLogger(name).setLevel(level)


def mute_noisy_in_tests(*, requests: bool = True) -> None:
    """Raise the levels of the few that say too much in tests and notebooks.

    Args:
        requests: those of HTTP, too.
    """
    for name in (*_NOISY_IN_TESTS, *(_OF_REQUESTS if requests else ())):
        logging.getLogger(name).setLevel(_NOISY[name])
