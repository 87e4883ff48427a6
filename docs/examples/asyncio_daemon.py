"""A daemon on asyncio: two loops beside each other, and a task that nobody waits for.

    DISCORD_WEBHOOK_URL=https://discord.com/api/webhooks/… python asyncio_daemon.py

Without that variable it only prints. Ctrl-C ends it.
"""

import asyncio
import logging
import os

import notify

SECONDS = float(os.environ.get("SECONDS_A_CYCLE", "60"))
logger = logging.getLogger("strategy")


async def watch_prices() -> None:
    """Read a price feed, and say when it is stale."""
    while True:
        logger.debug("price read")  # below INFO: nobody asks for it, so it costs next to nothing
        await asyncio.sleep(SECONDS / 10)


# What ends this coroutine with an exception is reported with this name, and raised again.
@notify.guard("trading")
async def trade() -> None:
    """Trade in cycles."""
    cycle = 0
    while True:
        cycle += 1
        # No log call waits for a network, so it holds up no other task.
        logger.trade("Cycle %d: bought 0.25 ETH", cycle, extra={"cycle": cycle})
        if cycle == 2:
            # Nobody will ever await this task, so asyncio itself would only log that it failed. We report it.
            asyncio.create_task(send_statistics())  # noqa: RUF006 - to lose it is what this shows
        notify.get_notifier().run_state.refresh()
        await asyncio.sleep(SECONDS)


async def send_statistics() -> None:
    """Fail, as what nobody looks after does."""
    raise ConnectionError("the statistics server is gone")


async def main() -> None:
    """Run both until one of them fails."""
    async with asyncio.TaskGroup() as group:
        group.create_task(watch_prices())
        group.create_task(trade())


if __name__ == "__main__":
    # Before the loop begins: SIGTERM and Ctrl-C are announced, and then end it as they would have without us.
    notify.setup()
    asyncio.run(main())
