"""`notify test`: proves that every backend gets what it will get at 3 a.m., long texts and images included."""

import logging
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
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.rules.routing import Route
from notify.settings import Settings

_WIDTH, _HEIGHT = 480, 160  # pixels of the test image


def send_tests(env: Environment, *, timeout: float, as_json: bool) -> int:
    """Send three messages to every backend, whatever its route, print the receipts and return the exit code.

    Raises `ConfigError` when a setting is unusable.
    """
    with only_json(env, wanted=as_json) as heard:
        config = Settings(heard)
        reached, _ = destinations(config, {})
        everything = dict.fromkeys(reached, Route(level=logging.NOTSET))
        briefly = {name: _brief(backend) for name, backend in reached.items()}
        with Notifier(briefly, routes=everything, redact=redactor(config)) as notifier:
            tickets = {
                "a trade": _trade(notifier),
                "a long report": _long_report(notifier),
                "an image": _image(notifier),
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
    """Prints a line for each event where a person waits for the receipts, which a long body would push out of sight."""

    folds = StdoutBackend.folds
    in_order = StdoutBackend.in_order
    max_batch = StdoutBackend.max_batch

    def __init__(self, backend: StdoutBackend) -> None:
        self._backend = backend

    def send(self, events: Sequence[Event], /) -> int:
        return self._backend.send([_without_body(event) for event in events])

    def close(self) -> None:
        self._backend.close()


def _brief(backend: Backend) -> Backend:
    return _Lines(backend) if isinstance(backend, StdoutBackend) else backend


def _without_body(event: Event) -> Event:
    lines = len(event.body.splitlines())
    return replace(event, body="", fields={**event.fields, "lines_left_out": lines}) if lines else event


def _trade(notifier: Notifier) -> Ticket:
    return notifier.trade(
        "Bought 0.2500 ETH at 3,450.10 USDC (a test of notify)",
        fields={"pair": "ETH-USDC", "price": 3450.10, "value": "862.53 USD", "slippage": "0.02 %"},
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


def chart() -> bytes:
    """Return a PNG of a rising line."""
    rows = []
    for y in range(_HEIGHT):
        row = bytearray(b"\x00")  # PNG filter type 0 of each row
        for x in range(_WIDTH):
            top = _HEIGHT - 12 - int((_HEIGHT - 30) * (x / _WIDTH) ** 1.6 + 8 * ((x // 12) % 3))
            row += b"\x2e\xcc\x71" if y >= top else b"\x1e\x1f\x22"
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
