"""A daemon with a loop that trades.

    DISCORD_WEBHOOK_URL=https://discord.com/api/webhooks/… python plain_daemon.py

Without that variable it only prints. Ctrl-C ends it.
"""

import itertools
import logging
import os
import time

import notify

SECONDS = float(os.environ.get("SECONDS_A_CYCLE", "60"))

# Log as you always did: any module, any logger.
logger = logging.getLogger("strategy")


def main() -> None:
    """Trade in cycles until somebody stops it."""
    # Once, at the start. From now on what is logged goes where the environment says, and a crash is reported.
    notifier = notify.setup()
    # Tells once when a value has passed a limit, and once when it is well again.
    gas_left = notify.Threshold("gas left", unit="ETH", warn=0.1, critical=0.02, clear=0.2)

    for cycle in itertools.count(1):
        # INFO: for machines and for whoever looks at the console. Extras become fields that one can search for.
        logger.info("cycle %d begins", cycle, extra={"cycle": cycle})

        if cycle % 3 == 1:
            # A trade: people get it on Discord, and it is on disk before this call returns.
            logger.trade("Bought 0.25 ETH at %s USDC", "3,450.10", extra={"pair": "ETH-USDC"})

        try:
            if cycle % 3 == 2:
                raise TimeoutError("the RPC node does not answer")
        except TimeoutError:
            # However often it happens, people get one message that counts.
            logger.exception("no price in this cycle")

        gas_left.observe(0.15 - 0.02 * cycle)

        # The loop makes progress: this is what /healthz, the heartbeat and NOTIFY_HANG_AFTER go by.
        notifier.run_state.refresh()
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
