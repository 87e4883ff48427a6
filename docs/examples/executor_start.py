"""An executor that uses `executor_logging.py` as it used its own: it sets up, runs one cycle, and crashes in the next.

DISCORD_WEBHOOK_URL=https://… LOGSTASH_SERVER=logs.example.com python docs/examples/executor_start.py
"""

import datetime as dt
import logging
import os
from dataclasses import dataclass

from executor_logging import (
    post_logging_discord_image,
    set_fail,
    setup_discord_logging,
    setup_file_logging,
    setup_logging,
    setup_logstash_logging,
    setup_telegram_logging,
)

# As in tradeexecutor/cli/loop.py, whose __name__ this is.
loop_logger = logging.getLogger("tradeexecutor.cli.loop")

# The executor's command logs to the root logger, and is known by its file. This file is another one.
command_logger = logging.getLogger("tradeexecutor.cli.commands.start")

THINKING = """Strategy thinking
…
ETH-USDC
   signal 0.81, weight 33 %
…
WBTC-USDC
   signal 0.42, weight 27 %"""

TRADES = """New trades
🌲 Buy 0.21 ETH for 724.50 USD
🔻 Sell 0.004 WBTC for 281.10 USD"""

REBALANCED = """Portfolio after rebalance
…
Equity 10,412.50 USD, cash 2,941.15 USD
…
🌲 #39 ETH-USDC
   3,450.10 USD, 33.1 % of the portfolio"""

CHART = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)


@dataclass
class RunState:
    """The executor's, as far as a failure changes it."""

    executor_running: bool = True
    crashed_at: dt.datetime | None = None
    last_refreshed_at: dt.datetime | None = None
    exception: dict[str, object] | None = None

    set_fail = set_fail


class LiveSchedulingTaskFailed(Exception):
    """A scheduled task has failed."""


def set_up(
    executor_id: str,
    name: str,
    *,
    discord_webhook_url: str | None,
    telegram_api_key: str | None,
    telegram_chat_id: str | None,
    logstash_server: str | None,
    log_file: str | None = None,
    unit_testing: bool = False,
) -> logging.Logger:
    """Set up logging, in the order and with the conditions of the executor's `start`."""
    logger = setup_logging("info", in_memory_buffer=True, enable_trade_high=True)
    if not unit_testing:
        if discord_webhook_url:
            setup_discord_logging(name, webhook_url=discord_webhook_url)
        if telegram_api_key and telegram_chat_id:
            setup_telegram_logging(telegram_api_key, telegram_chat_id)
        if logstash_server:
            setup_logstash_logging(logstash_server, f"executor-{executor_id}", quiet=False)
    if log_file:
        setup_file_logging(log_file, "info", http_logging=False)
    return logger


def cycle(number: int) -> None:
    """Do what a live cycle logs."""
    loop_logger.trade("Performing strategy tick #%d for timestamp 2026-01-01 00:00:00, cycle length is 1h", number)
    loop_logger.trade(THINKING)
    post_logging_discord_image(CHART)
    loop_logger.trade(TRADES)
    loop_logger.trade_high(REBALANCED)
    logging.getLogger("tradeexecutor.ethereum.gas").warning(
        "Hot wallet %s is low on gas\n%f left, the warning level is %f", "0x7a2…", 21.5, 25.0
    )
    loop_logger.info("Cycle %d complete", number, extra={"cycle": number, "duration": 1.25})


def task() -> None:
    """Fail in a scheduled task, as the scheduler's worker sees it."""
    try:
        raise ZeroDivisionError("no liquidity for ETH-USDC")
    except ZeroDivisionError as error:
        loop_logger.exception(error)
        raise LiveSchedulingTaskFailed("one of the scheduled tasks failed") from error


def run(run_state: RunState) -> None:
    """Run a cycle and crash in the next, as the executor's command sees it."""
    try:
        cycle(1)
        task()
    except Exception as error:
        command_logger.error("The trading execution loop crashed")
        run_state.set_fail()
        command_logger.exception(error)
        command_logger.error("The web server goes into wait mode, version %s", "v50")
        raise


if __name__ == "__main__":
    env = os.environ
    set_up(
        env.get("EXECUTOR_ID", "gold"),
        env.get("NAME", "Gold digger"),
        discord_webhook_url=env.get("DISCORD_WEBHOOK_URL"),
        telegram_api_key=env.get("TELEGRAM_API_KEY"),
        telegram_chat_id=env.get("TELEGRAM_CHAT_ID"),
        logstash_server=env.get("LOGSTASH_SERVER"),
    )
    run(RunState())
