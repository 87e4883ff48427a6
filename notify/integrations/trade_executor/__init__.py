"""The logging of trade-executor: its own function names and arguments, on our pipeline.

    from notify.integrations.trade_executor import setup_discord_logging, setup_logging

    setup_logging(in_memory_buffer=True, enable_trade_high=True)
    setup_discord_logging("My strategy", DISCORD_WEBHOOK_URL)

The functions may be called in any order, more than once, and one without the others, before and after
`notify.setup()`. There is one notifier, which gains a destination with each call.
"""

from notify.integrations.trade_executor.console import (
    setup_file_logging,
    setup_logging,
    setup_notebook_logging,
    setup_pytest_logging,
    setup_strategy_logging,
)
from notify.integrations.trade_executor.crash import ExceptionData, serialise_exception, set_fail
from notify.integrations.trade_executor.destinations import (
    post_logging_discord_image,
    setup_discord_logging,
    setup_logstash_logging,
    setup_telegram_logging,
)
from notify.integrations.trade_executor.levels import mute_noisy_loggers, setup_custom_log_levels
from notify.integrations.trade_executor.ring import (
    ExportedRecord,
    RingBufferHandler,
    get_ring_buffer_handler,
    setup_in_memory_logging,
)
from notify.integrations.trade_executor.sentry import setup_sentry_logging

__all__ = [
    "ExceptionData",
    "ExportedRecord",
    "RingBufferHandler",
    "get_ring_buffer_handler",
    "mute_noisy_loggers",
    "post_logging_discord_image",
    "serialise_exception",
    "set_fail",
    "setup_custom_log_levels",
    "setup_discord_logging",
    "setup_file_logging",
    "setup_in_memory_logging",
    "setup_logging",
    "setup_logstash_logging",
    "setup_notebook_logging",
    "setup_pytest_logging",
    "setup_sentry_logging",
    "setup_strategy_logging",
    "setup_telegram_logging",
]
