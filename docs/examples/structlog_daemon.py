"""A daemon that logs through structlog and prints JSON lines itself.

    DISCORD_WEBHOOK_URL=https://discord.com/api/webhooks/… python structlog_daemon.py

Without that variable it only prints. Ctrl-C ends it.
"""

import itertools
import logging
import os
import time

import structlog

import notify

SECONDS = float(os.environ.get("SECONDS_A_CYCLE", "60"))

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,  # what is bound below becomes fields of every event
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        notify.structlog_processor,  # hands the event over; before what renders it
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
)
log = structlog.get_logger()


def main() -> None:
    """Trade in cycles until somebody stops it."""
    # structlog prints already, so standard output is left to it.
    os.environ.setdefault("NOTIFY_STDOUT", "off")
    notifier = notify.setup()

    for cycle in itertools.count(1):
        structlog.contextvars.bind_contextvars(cycle=cycle)
        log.info("cycle begins")  # for machines
        # From WARNING on, people get it, too.
        log.warning("price is stale", pair="ETH-USDC", seconds=90)

        # structlog has no method for a trade, so it is said to the notifier.
        notifier.trade("Bought 0.25 ETH", fields={"pair": "ETH-USDC", "cycle": cycle})

        try:
            raise TimeoutError("the RPC node does not answer")
        except TimeoutError:
            log.exception("no price in this cycle")

        # Plain logging, of a library for one, has the same fields.
        logging.getLogger("library").warning("about to retry")

        notifier.run_state.refresh()
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
