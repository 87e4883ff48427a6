"""Who is measured: for each, how a program sets it up and how it then says something."""

import logging
import logging.handlers
import os
import queue
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import util
from types import MappingProxyType

import least

Ports = Mapping[str, int]
Say = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Competitor:
    """One way of logging.

    Args:
        name: as the table has it.
        start: takes the ports of the destinations by kind and returns what makes one log call.
        needs: the module without which it cannot run.
        blocks: each call waits for an answer, so that a few of them are enough.
        to: the kind of destination, where that is counted.
    """

    name: str
    start: Callable[[Ports], Say]
    needs: str = "logging"
    blocks: bool = False
    to: str = "udp"

    def installed(self) -> bool:
        """Say whether it can run here."""
        return util.find_spec(self.needs) is not None


def _root(handler: logging.Handler) -> Say:
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return _say


def _say(number: int) -> None:
    _logger.info("Bought %d of %s", number, "ETH", extra={"pair": "ETH-USDC", "price": 1850.25, "slot": number})


_logger = logging.getLogger("strategy")


class _Calls(logging.Handler):
    """What a program writes around a package that has no handler of its own."""

    def __init__(self, function: Callable[[str], object]) -> None:
        super().__init__()
        self._function = function

    def emit(self, record: logging.LogRecord) -> None:
        self._function(self.format(record))


def _null(ports: Ports) -> Say:
    return _root(logging.NullHandler())


def _notify(ports: Ports) -> Say:
    from notify import Notifier
    from notify.backends.logstash import LogstashBackend

    logging.getLogger().setLevel(logging.INFO)
    Notifier({"logstash": LogstashBackend("127.0.0.1", ports["udp"])}).attach()
    return _say


def _set_up(settings: Mapping[str, str]) -> Callable[[Ports], Say]:
    def start(ports: Ports) -> Say:
        import notify

        # Of the environment no more than this is read: a real webhook may be in it.
        ours = {"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": os.environ["NOTIFY_STATE_DIR"]}
        notify.setup({**ours, **{name: value.format_map(ports) for name, value in settings.items()}})
        return _say

    return start


def _logstash(ports: Ports) -> Say:
    import logstash

    return _root(logstash.UDPLogstashHandler("127.0.0.1", ports["udp"], version=1))


def _logstash_tcp(ports: Ports) -> Say:
    import logstash

    return _root(logstash.TCPLogstashHandler("127.0.0.1", ports["tcp"], version=1))


def _least(kind: str, **how: float) -> Callable[[Ports], Say]:
    return lambda ports: _root(least.handler(kind, ports[kind], **how))


def _queue_handler(ports: Ports) -> Say:
    import logstash

    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    logging.handlers.QueueListener(waiting, logstash.UDPLogstashHandler("127.0.0.1", ports["udp"], version=1)).start()
    return _root(logging.handlers.QueueHandler(waiting))


def _logstash_async(ports: Ports) -> Say:
    from logstash_async.handler import AsynchronousLogstashHandler

    return _root(
        AsynchronousLogstashHandler(
            "127.0.0.1", ports["udp"], database_path=None, transport="logstash_async.transport.UdpTransport"
        )
    )


def _loguru(enqueue: bool) -> Callable[[Ports], Say]:
    def start(ports: Ports) -> Say:
        from loguru import logger

        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(("127.0.0.1", ports["udp"]))
        logger.remove()
        logger.add(_Datagrams(sender), serialize=True, enqueue=enqueue)

        def say(number: int) -> None:
            logger.bind(pair="ETH-USDC", price=1850.25, slot=number).info("Bought {} of {}", number, "ETH")

        return say

    return start


class _Datagrams:
    def __init__(self, sender: socket.socket) -> None:
        self._sender = sender

    def write(self, text: str) -> None:
        self._sender.send(text.encode())


def _discord_webhook(kind: str, timeout: float) -> Callable[[Ports], Say]:
    def start(ports: Ports) -> Say:
        from discord_webhook import DiscordWebhook

        def post(text: str) -> None:
            try:
                DiscordWebhook(_webhook(ports, kind), content=text, timeout=timeout).execute()
            except OSError:
                return

        return _root(_Calls(post))

    return start


def _discord_handler(ports: Ports) -> Say:
    from discord_logging.handler import DiscordHandler

    return _root(DiscordHandler("strategy", _webhook(ports, "http")))


def _apprise(ports: Ports) -> Say:
    import apprise

    reached = apprise.Apprise()
    reached.add(f"json://127.0.0.1:{ports['http']}/")
    # Not on the root logger: Apprise logs each delivery, which would be delivered, logged, and so on.
    _logger.setLevel(logging.INFO)
    _logger.addHandler(_Calls(lambda text: reached.notify(body=text)))
    return _say


def _webhook(ports: Ports, kind: str) -> str:
    return f"http://127.0.0.1:{ports[kind]}/api/webhooks/1/token"


HANDLERS = (
    Competitor("logging.NullHandler", _null),
    Competitor("notify, Logstash over UDP", _notify, "notify"),
    Competitor(
        "notify.setup(), Logstash and Discord",
        _set_up(
            {
                "LOGSTASH_SERVER": "127.0.0.1:{udp}",
                "DISCORD_WEBHOOK_URL": "http://127.0.0.1:{http}/api/webhooks/1/token",
            }
        ),
        "notify",
    ),
    Competitor("QueueHandler and python-logstash", _queue_handler, "logstash"),
    Competitor("python-logstash, UDP", _logstash, "logstash"),
    Competitor("python-logstash-async, memory, UDP", _logstash_async, "logstash_async"),
    Competitor("loguru, UDP", _loguru(enqueue=False), "loguru"),
    Competitor("loguru, UDP, enqueue=True", _loguru(enqueue=True), "loguru"),
    Competitor("discord-webhook", _discord_webhook("http", 5.0), "discord_webhook", blocks=True),
    Competitor("python-logging-discord-handler", _discord_handler, "discord_logging", blocks=True),
    Competitor("Apprise", _apprise, "apprise", blocks=True),
)


def _to_discord(kind: str) -> Competitor:
    # INFO, so that what is measured waits for Discord at all.
    settings = {"DISCORD_WEBHOOK_URL": f"http://127.0.0.1:{{{kind}}}/api/webhooks/1/token", "DISCORD_LEVEL": "INFO"}
    return Competitor(f"notify, {kind}", _set_up(settings), "notify")


def _to_logstash(kind: str) -> Competitor:
    return Competitor(f"notify, {kind}", _set_up({"LOGSTASH_SERVER": f"tcp://127.0.0.1:{{{kind}}}"}), "notify")


def _by_webhook(kind: str) -> Competitor:
    # The package waits for ever unless told otherwise.
    return Competitor(f"discord-webhook, {kind}", _discord_webhook(kind, 1.0), "discord_webhook", blocks=True)


HANGING: Mapping[str, tuple[Competitor, Competitor]] = MappingProxyType(
    {
        "notify, Discord never answers": (_to_discord("http"), _to_discord("http, hanging")),
        "notify, Logstash over TCP never reads": (_to_logstash("tcp"), _to_logstash("tcp, hanging")),
        "discord-webhook with a timeout of 1 s": (_by_webhook("http"), _by_webhook("http, hanging")),
    }
)
"""Pairs of the same set-up, with a healthy destination and with one that hangs."""

PEER = Competitor("python-logstash, UDP", _logstash, "logstash")

BURSTS = (
    PEER,
    Competitor("notify.setup(), Logstash over UDP", _set_up({"LOGSTASH_SERVER": "127.0.0.1:{udp}"}), "notify"),
    Competitor(
        "notify.setup(), Logstash over TCP", _set_up({"LOGSTASH_SERVER": "tcp://127.0.0.1:{tcp}"}), "notify", to="tcp"
    ),
    Competitor("the least that JSON over UDP takes", _least("udp"), "orjson"),
    Competitor("the same with rests as ours", _least("udp", rest=0.0004), "orjson"),
    Competitor("the same, careful", _least("udp", rest=0.0004, careful=True), "orjson"),
    Competitor("the least that JSON over TCP takes", _least("tcp"), "orjson", to="tcp"),
    Competitor("the same over TCP, careful", _least("tcp", careful=True), "orjson", to="tcp"),
    Competitor("python-logstash, TCP", _logstash_tcp, "logstash", to="tcp"),
    Competitor("QueueHandler and python-logstash", _queue_handler, "logstash"),
    Competitor("python-logstash-async, memory, UDP", _logstash_async, "logstash_async"),
    Competitor("loguru, UDP", _loguru(enqueue=False), "loguru"),
)
"""Who is asked for a burst. The first is what the others are compared with."""

IMPORTS = ("notify", "logstash", "logstash_async.handler", "loguru", "structlog", "apprise", "discord_webhook")
