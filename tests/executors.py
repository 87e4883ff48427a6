"""An executor's logging as `notify.integrations.trade_executor` sets it up, and what its destinations got."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import pytest
from lanes import LONG

import notify
from notify.integrations import trade_executor
from notify.integrations.trade_executor import levels, redaction, ring
from notify.notifier import Notifier
from notify.testing.fake_discord import FakeDiscord
from notify.testing.fake_telegram import CHAT_ID, TOKEN, FakeTelegram

P = ParamSpec("P")
R = TypeVar("R")

MUTED = tuple(levels._NOISY)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)
"""A picture of one pixel."""
LOOP = "tradeexecutor.cli.loop"
_COMMAND = "/usr/src/trade-executor/tradeexecutor/cli/commands/start.py"


def in_the_command(function: Callable[P, R]) -> Callable[P, R]:
    """Have what *function* logs come from the file of the executor's command, which logs to the root logger."""
    function.__code__ = function.__code__.replace(co_filename=_COMMAND)  # type: ignore[attr-defined]  # a function's
    return function


class Executor:
    """The destinations of one executor.

    Args:
        discord: its channel.
        telegram: its group.
        receiver: its Logstash.
    """

    def __init__(self, discord: FakeDiscord, telegram: FakeTelegram, receiver: socket.socket) -> None:
        self.discord = discord
        self.telegram = telegram
        self._receiver = receiver
        self.port: int = receiver.getsockname()[1]
        self.loop = logging.getLogger(LOOP)

    def begin(self, level: str | int | None = "info") -> logging.Logger:
        """Set up logging in the order of the executor's `start`, and return its root logger."""
        root = trade_executor.setup_logging(level, in_memory_buffer=True, enable_trade_high=True)
        self.to_discord()
        self.to_telegram()
        self.to_logstash()
        return root

    def to_discord(self, name: str = "My strategy", avatar_url: str | None = None) -> None:
        trade_executor.setup_discord_logging(name, webhook_url=self.discord.url, avatar_url=avatar_url)

    def to_telegram(self) -> logging.Handler:
        return trade_executor.setup_telegram_logging(TOKEN, str(CHAT_ID))

    def to_logstash(self, **options: Any) -> logging.Logger:
        return trade_executor.setup_logstash_logging("127.0.0.1", "executor-gold", port=self.port, **options)

    @property
    def notifier(self) -> Notifier:
        return notify.get_notifier()

    def settle(self) -> None:
        """Wait until nothing is on its way."""
        assert self.notifier.flush(LONG)

    @property
    def titles(self) -> list[str]:
        """What people read first on Discord, in order."""
        self.settle()
        return [embed.get("title", "") for embed in self.discord.embeds]

    @property
    def sent(self) -> list[str]:
        """The texts that the group at Telegram got, without the line that says where they come from."""
        self.settle()
        return [message.text.rpartition("\n\n")[0] for message in self.telegram.messages]

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What Logstash has got since the last time, in order."""
        self.settle()
        found = []
        self._receiver.setblocking(False)
        try:
            while True:
                found.append(json.loads(self._receiver.recv(70_000)))  # more than a datagram holds
        except BlockingIOError:
            return found


@contextmanager
def executors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """Yield an executor; after that logging is as it was."""
    number = getattr(logging, "TRADE_HIGH")  # noqa: B009 - no stub knows it
    before = {name: logging.getLogger(name).level for name in MUTED}
    monkeypatch.setattr(levels, "_numbered", False)
    monkeypatch.setattr(ring, "_kept", None)
    redaction._redactor.cache_clear()
    for name in ("DISCORD_WEBHOOK_URL", "LOGSTASH_SERVER", "LOG_LEVEL", "EXECUTOR_ID"):
        monkeypatch.delenv(name, raising=False)
    with (
        FakeDiscord(speed=60) as discord,
        FakeTelegram(speed=60) as telegram,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        monkeypatch.setenv("TELEGRAM_API_BASE", telegram.base)
        try:
            yield Executor(discord, telegram, receiver)
        finally:
            if notify.notifier.current_notifier() is not None:
                notify.get_notifier().close(0)
            root = logging.getLogger()
            for handler in [each for each in root.handlers if isinstance(each, logging.FileHandler)]:
                root.removeHandler(handler)
                handler.close()
            levels.number_trade_high(number)
            logging._levelToName.pop(51, None)  # type: ignore[attr-defined]  # a name is never taken off otherwise
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
            redaction._redactor.cache_clear()
