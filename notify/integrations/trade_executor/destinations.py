"""Where the executor's events go: each function adds a destination to the one notifier."""

import logging
import os
import sys
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import PurePath
from typing import Any
from weakref import WeakKeyDictionary

import notify
from notify.bootstrap import extend
from notify.errors import ConfigError
from notify.event import Attachment
from notify.integrations.trade_executor.crash import CrashFilter
from notify.integrations.trade_executor.version import docker_version
from notify.levels import TRADE
from notify.notifier import Notifier, current_notifier
from notify.plain import safe_str
from notify.setting import NEVER
from notify.settings import LOGSTASH_PORT

_PORT = LOGSTASH_PORT.default
_IMAGE = "strategy-state.png"
_PATIENCE = 5.0  # seconds that closing the handler of Telegram waits for it
# Whether these are used is the program's decision, who calls the function or does not.
_DECIDED_BY_CALLER = ("DISCORD_WEBHOOK_URL", "LOGSTASH_SERVER", "TELEGRAM_API_KEY", "TELEGRAM_CHAT_ID")

logger = logging.getLogger(__name__)


class _Known:
    """What was asked of one notifier."""

    def __init__(self) -> None:
        self.asked: dict[str, Mapping[str, str]] = {}
        self.image = b""  # digest of the last one


_known: WeakKeyDictionary[Notifier, _Known] = WeakKeyDictionary()


def setup_discord_logging(name: str, webhook_url: str, avatar_url: str | None = None) -> None:
    """Have Discord get what is at TRADE and above. Returns at once.

    The other `DISCORD_…` settings count as everywhere: a ping at errors, a thread, silence. Called again for the same
    channel it changes who speaks, for a strategy that says its name only when it is loaded.

    Args:
        name: who speaks.
        webhook_url: of the channel.
        avatar_url: picture of who speaks.

    Raises `ConfigError` for an address that is none of a webhook.
    """
    url, name, avatar_url = _text(webhook_url), _text(name), _text(avatar_url)
    wanted = {"DISCORD_WEBHOOK_URL": url, "DISCORD_USERNAME": name, "DISCORD_AVATAR_URL": avatar_url}
    if not url:
        raise ConfigError("DISCORD_WEBHOOK_URL: not set")
    notifier = current_notifier()
    asked = {} if notifier is None or notifier.closed else _known.setdefault(notifier, _Known()).asked
    if notifier is not None and asked.get("discord", {}).get("DISCORD_WEBHOOK_URL") == url:
        _speak_as(notifier, name, avatar_url)
        asked["discord"] = wanted
    _deliver_to("discord", wanted)


def setup_telegram_logging(telegram_api_key: str, telegram_chat_id: str | int) -> logging.Handler:
    """Have Telegram get decisions: what is logged at TRADE_HIGH, and no error. Returns at once.

    Args:
        telegram_api_key: token of the bot.
        telegram_chat_id: a number, below zero for groups.

    Returns a handler whose `close()` waits until all was delivered, five seconds at most. It is attached nowhere, and
    need not be closed. Raises `ConfigError` when one of the two is missing or cannot be right.
    """
    wanted = {"TELEGRAM_API_KEY": _text(telegram_api_key), "TELEGRAM_CHAT_ID": _text(telegram_chat_id)}
    if not wanted["TELEGRAM_API_KEY"]:
        raise ConfigError("TELEGRAM_API_KEY: not set")
    notifier = _deliver_to("telegram", wanted)
    logging.getLogger().info("Decisions go to Telegram, chat %s", telegram_chat_id)
    return _Sent(notifier)


def setup_logstash_logging(
    logstash_server: str,
    application_name: str,
    extra_tags: list[str] | None = None,
    quiet: bool = True,
    level: str | int = logging.INFO,
    port: int = _PORT,
) -> logging.Logger:
    """Have Logstash get what is at *level* and above, as one JSON event a datagram. Returns at once.

    Args:
        logstash_server: host; with a port or a scheme (`tcp://`, `tls://`) as `LOGSTASH_SERVER` may have them.
        application_name: `application` of every event.
        extra_tags: besides `python`.
        quiet: False: log that this was done.
        level: least level.
        port: unless the server has one; by default `LOGSTASH_PORT`, if that is set.

    Returns the root logger. Raises `ConfigError` when something is missing or cannot be right.
    """
    if not logstash_server:
        raise ConfigError("LOGSTASH_SERVER: not set")
    if not application_name:
        raise ConfigError("LOGSTASH_APPLICATION: Logstash needs the name of the application")
    tags = ["python", *map(_text, extra_tags or [])]
    root = logging.getLogger()
    if not quiet:
        root.info("Events go to Logstash at %s, as %s with the tags %s", logstash_server, application_name, tags)
    wanted = {
        "LOGSTASH_SERVER": _text(logstash_server),
        "LOGSTASH_APPLICATION": _text(application_name),
        "LOGSTASH_TAGS": ",".join(tags),
        "LOGSTASH_LEVEL": _text(level),
    }
    if port != _PORT:
        wanted["LOGSTASH_PORT"] = _text(port)
    _deliver_to("logstash", wanted)
    return root


def post_logging_discord_image(image: bytes | None) -> None:
    """Have Discord show an image. Returns at once, and raises nothing.

    Without Discord, and without a relay that may reach it, it does nothing.

    Args:
        image: the bytes of a PNG, JPEG, WebP or GIF. None is no image, and of anything else a warning says that it is
            left out. The image that was shown last is not shown twice in a row.
    """
    if image is None:  # what draws the charts had none to give, in each cycle
        logger.info("There is no image for Discord")
        return
    if not isinstance(image, bytes):
        logger.warning("An image was not shown on Discord: it is no bytes but %s", type(image).__name__)
        return
    notifier = current_notifier()
    if notifier is None or notifier.closed or not ("discord" in notifier or "relay" in notifier):
        return
    known = _known.setdefault(notifier, _Known())
    digest = blake2b(image).digest()
    if digest != known.image:
        known.image = digest
        notifier.notify("Strategy state", level=TRADE, topic="cycle", attachments=[Attachment(_IMAGE, image)])


class _Sent(logging.Handler):
    """Stands for what is delivered, for who closes a handler at the end.

    Args:
        notifier: delivers.
    """

    def __init__(self, notifier: Notifier) -> None:
        super().__init__(NEVER)
        self._notifier = notifier

    def emit(self, record: logging.LogRecord) -> None:
        """Do nothing: the notifier's own handler hears the same record."""

    def close(self) -> None:
        """Wait until all was delivered, five seconds at most. Idempotent.

        Not when logging closes all handlers there are, as at the end and in the middle of `dictConfig()`.
        """
        if sys._getframe(1).f_code is not logging.shutdown.__code__:
            self._notifier.flush(_PATIENCE)  # at once when that is closed
        super().close()


def _text(argument: object) -> str:
    """Return *argument* as a setting has it, empty for None, so that what is no text is wrong as a setting would be."""
    return "" if argument is None else safe_str(argument)


def _speak_as(notifier: Notifier, name: str, avatar_url: str) -> None:
    from notify.backends.discord import DiscordBackend  # for those who have it

    backend = notifier.backend("discord") if "discord" in notifier else None
    if isinstance(backend, DiscordBackend):
        try:
            backend.speak_as(name, avatar_url or None)
        except ValueError as error:
            raise ConfigError(f"DISCORD_AVATAR_URL: {error}") from None


def _deliver_to(name: str, wanted: Mapping[str, str]) -> Notifier:
    """Have the one notifier deliver to *name*, as *wanted* says. What was asked for before is no news."""
    notifier = current_notifier()
    if notifier is None or notifier.closed:
        # Without destinations, but for a relay: they are added below, so that what is on disk for each finds it.
        notifier = notify.setup(env=_environment(beyond=False))
        notifier.run_state.version = docker_version()
    if not any(isinstance(each, CrashFilter) for each in notifier.handler.filters):
        crash_filter: Any = CrashFilter(notifier)  # returns records, as Python has it from 3.12 on
        notifier.handler.addFilter(crash_filter)
    notifier.attach()
    known = _known.setdefault(notifier, _Known())
    if known.asked.get(name) != wanted:
        extend({**_environment(beyond=not known.asked), **wanted})
        known.asked[name] = dict(wanted)
    return notifier


def _environment(*, beyond: bool) -> dict[str, str]:
    """Return the process environment, but for what the executor decides, serves and prints itself.

    Args:
        beyond: with the destinations that it knows nothing of: further channels of Discord, Apprise, third parties'.
    """
    env = {name: value for name, value in os.environ.items() if name not in _DECIDED_BY_CALLER}
    if not beyond:
        env = {name: value for name, value in env.items() if not _is_destination(name)}
    env.pop("LOG_LEVEL", None)
    env.setdefault("NOTIFY_STDOUT", "off")
    env["HTTP_ENABLED"] = "false"
    if not env.get("EXECUTOR_ID") and env.get("STRATEGY_FILE"):
        env["EXECUTOR_ID"] = PurePath(env["STRATEGY_FILE"]).stem
    return env


def _is_destination(name: str) -> bool:
    return name in ("APPRISE_URLS", "NOTIFY_BACKENDS") or (
        name.startswith("DISCORD_") and name.endswith("_WEBHOOK_URL")
    )
