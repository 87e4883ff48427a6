"""What `tradeexecutor/cli/log.py` becomes: the names that the rest of the executor imports, from here on ours."""

from notify.integrations.trade_executor import (
    get_ring_buffer_handler,
    mute_noisy_loggers,
    post_logging_discord_image,
    set_fail,
    setup_custom_log_levels,
    setup_discord_logging,
    setup_file_logging,
    setup_in_memory_logging,
    setup_logging,
    setup_logstash_logging,
    setup_notebook_logging,
    setup_pytest_logging,
    setup_sentry_logging,
    setup_strategy_logging,
    setup_telegram_logging,
)

__all__ = [
    "get_ring_buffer_handler",
    "mute_noisy_loggers",
    "post_logging_discord_image",
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
