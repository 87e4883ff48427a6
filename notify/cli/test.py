"""`notify test`: proves that every backend gets what it will get at 3 a.m., long texts and images included."""

import logging
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

from notify.backend import Backend
from notify.backends.stdout import StdoutBackend
from notify.bootstrap import redactor
from notify.cli.output import only_json, print_json, print_table, say_if_none, told
from notify.delivery.ticket import DELIVERED, Ticket
from notify.destinations import destinations
from notify.env_file import Environment
from notify.event import Attachment, Event
from notify.levels import TRADE, TRADE_HIGH
from notify.notifier import Notifier
from notify.rules.routing import Route
from notify.settings import Settings
from notify.table import table_of

_WIDTH, _HEIGHT = 480, 160  # pixels of the test image


def send_tests(env: Environment, *, timeout: float, as_json: bool) -> int:
    """Send five messages to every backend, whatever its route, print the receipts and return the exit code.

    None is an error: those call people.

    Raises `ConfigError` when a setting is unusable.
    """
    with only_json(env, wanted=as_json) as heard:
        config = Settings(heard)
        reached, _ = destinations(config, None)
        everything = dict.fromkeys(reached, Route(level=logging.NOTSET))
        briefly = {name: _brief(backend) for name, backend in reached.items()}
        with Notifier(briefly, routes=everything, redact=redactor(config)) as notifier:
            tickets = {
                "a trade": _trade(notifier),
                "a position report": _positions(notifier),
                "a long report": _long_report(notifier),
                "an image": _image(notifier),
                "a warning": _warning(notifier),
            }
            notifier.close(timeout)
        outcomes = {name: told(ticket, notifier) for name, ticket in tickets.items()}
    say_if_none(list(reached))
    if as_json:
        print_json(outcomes)
    else:
        rows = [(backend, name, outcome) for name, per in outcomes.items() for backend, outcome in per.items()]
        print_table("Receipts", ("backend", "message", "outcome"), sorted(rows))
    answers = [outcome for per in outcomes.values() for outcome in per.values()]
    return 0 if answers and all(outcome == DELIVERED for outcome in answers) else 1


class _Lines:
    """Prints a line for each event where a person waits for the receipts, which long ones would push out of sight."""

    folds = StdoutBackend.folds
    in_order = StdoutBackend.in_order
    max_batch = StdoutBackend.max_batch

    def __init__(self, backend: StdoutBackend) -> None:
        self._backend = backend

    def send(self, events: Sequence[Event], /) -> int:
        return self._backend.send([_in_a_line(event) for event in events])

    def close(self) -> None:
        self._backend.close()


def _brief(backend: Backend) -> Backend:
    return _Lines(backend) if isinstance(backend, StdoutBackend) else backend


def _in_a_line(event: Event) -> Event:
    fields = {
        name: value if (table := table_of(value)) is None else f"{len(table)} rows"
        for name, value in event.fields.items()
    }
    lines = len(event.body.splitlines())
    return replace(event, body="", fields={**fields, **({"lines_left_out": lines} if lines else {})})


def _trade(notifier: Notifier) -> Ticket:
    return notifier.trade(
        "Bought 0.2500 ETH at 3,450.10 USDC (a test of notify)",
        fields={"pair": "ETH-USDC", "price": 3450.10, "value": "862.53 USD", "slippage": "0.02 %"},
    )


def _positions(notifier: Notifier) -> Ticket:
    return notifier.notify(
        "Portfolio after rebalance (a test of notify)",
        body="71.7 % is invested.",
        level=TRADE_HIGH,
        topic="position",
        fields={
            "equity": "10,412.50 USD",
            "cash": "2,941.15 USD",
            "today": "+83.13 USD",
            "open positions": [
                {"pair": "ETH-USDC", "USD": 3450.1, "profit": "+3.50 %"},
                {"pair": "WBTC-USDC", "USD": 2811.0, "profit": "-1.20 %"},
                {"pair": "AAVE-USDC", "USD": 1210.25, "profit": "+0.08 %"},
            ],
        },
    )


def _long_report(notifier: Notifier) -> Ticket:
    """Longer than Discord's embed and than a message of most services: short tests pass where real ones fail."""
    rows = [
        f"#{number:<4} PAIR-{number:03} long   {number * 13.7:>10,.2f} USD  {number % 9 - 4:+.2f} %"
        for number in range(150)
    ]
    return notifier.notify(
        "Portfolio of 150 positions (a test of notify)", body="\n".join(rows), level=TRADE, topic="position"
    )


def _image(notifier: Notifier) -> Ticket:
    return notifier.notify(
        "Equity curve (a test of notify)",
        level=TRADE,
        topic="position",
        attachments=[Attachment("equity.png", chart(), "image/png")],
    )


def _warning(notifier: Notifier) -> Ticket:
    return notifier.notify(
        "Gas price is high (a test of notify)",
        level=logging.WARNING,
        topic="gas",
        fields={"now": "164 gwei", "warned from": "80 gwei"},
    )


def chart() -> bytes:
    """Return a PNG of a line that rises."""
    tops = [
        _HEIGHT * (0.85 - 0.65 * (x / _WIDTH) ** 1.4) - 9 * math.sin(x / 23) - 4 * math.sin(x / 7)
        for x in range(_WIDTH)
    ]
    rows = []
    for y in range(_HEIGHT):
        row = bytearray(b"\x00")  # PNG filter type 0 of each row
        for top in tops:
            row += b"\x2e\xcc\x71" if 0 <= y - top < 3 else b"\x1d\x4a\x33" if y > top else b"\x1e\x1f\x22"
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
