"""Every setting: one table that parsing, `notify env`, `notify doctor` and the reference page read."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from notify import diagnostics
from notify.errors import ConfigError
from notify.levels import TRADE
from notify.route_setting import executors_setting, fallback_setting, prefix_of
from notify.rules.quiet_hours import QuietHours, parse_quiet_hours
from notify.rules.routing import Topics, parse_topics
from notify.rules.silence import Silence, parse_silence
from notify.setting import (
    Setting,
    one_of,
    parse_backend_names,
    parse_chat_id,
    parse_count,
    parse_flag,
    parse_interval,
    parse_least_level,
    parse_names,
    parse_port,
    parse_seconds,
    parse_seconds_or_off,
    parse_snowflake,
    parse_text,
    parse_web_address,
)

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


# ---- the table

NAME: Setting[str | None] = Setting("NAME", parse_text, None, "who speaks, shown to people", "program name")
EXECUTOR_ID: Setting[str | None] = Setting(
    "EXECUTOR_ID", parse_text, None, "who speaks, for machines: Logstash `application` is `executor-{EXECUTOR_ID}`",
    "program name",
)  # fmt: skip
ICON_URL: Setting[str | None] = Setting("ICON_URL", parse_web_address, None, "picture of who speaks")

DISCORD_WEBHOOK_URL: Setting[str | None] = Setting(
    "DISCORD_WEBHOOK_URL", parse_text, None,
    "Discord channel; on if set. `DISCORD_<X>_WEBHOOK_URL` adds a backend `discord_<x>` with its own `DISCORD_<X>_…`",
    secret=True,
)  # fmt: skip
DISCORD_LEVEL: Setting[int] = Setting("DISCORD_LEVEL", parse_least_level, TRADE, "least level that goes there", "TRADE")
DISCORD_TOPICS: Setting[Topics] = Setting(
    "DISCORD_TOPICS", parse_topics, Topics(), "topics that go there: a comma list, `!x` leaves out", "all"
)
DISCORD_FALLBACK = fallback_setting("DISCORD")
DISCORD_USERNAME: Setting[str | None] = Setting("DISCORD_USERNAME", parse_text, None, "name of the sender", "NAME")
DISCORD_AVATAR_URL: Setting[str | None] = Setting(
    "DISCORD_AVATAR_URL", parse_web_address, None, "picture of the sender", "ICON_URL"
)
DISCORD_MENTION: Setting[str | None] = Setting(
    "DISCORD_MENTION", parse_text, None, "user id, or `&` and a role id, that is pinged at ERROR and above"
)
DISCORD_SILENT: Setting[Silence | None] = Setting(
    "DISCORD_SILENT", parse_silence, None, "a level up to which, or topics of which, posts make no sound"
)
DISCORD_THREAD_ID: Setting[str | None] = Setting("DISCORD_THREAD_ID", parse_snowflake, None, "thread of the channel")
DISCORD_EXECUTORS = executors_setting("DISCORD")
DISCORD: tuple[Setting[object], ...] = (
    DISCORD_WEBHOOK_URL, DISCORD_LEVEL, DISCORD_TOPICS, DISCORD_FALLBACK, DISCORD_EXECUTORS, DISCORD_USERNAME,
    DISCORD_AVATAR_URL, DISCORD_MENTION, DISCORD_SILENT, DISCORD_THREAD_ID,
)  # fmt: skip

TELEGRAM_API_KEY: Setting[str | None] = Setting(
    "TELEGRAM_API_KEY", parse_text, None, "token of a Telegram bot; on if set, with `TELEGRAM_CHAT_ID`", secret=True
)
TELEGRAM_CHAT_ID: Setting[int | None] = Setting(
    "TELEGRAM_CHAT_ID", parse_chat_id, None, "chat that the bot writes to: a number, below zero for groups and channels"
)
TELEGRAM_LEVEL: Setting[int] = Setting("TELEGRAM_LEVEL", parse_least_level, 20, "least level that goes there", "INFO")
TELEGRAM_TOPICS: Setting[Topics] = Setting(
    "TELEGRAM_TOPICS", parse_topics, Topics(frozenset({"decision"})),
    "topics that go there; `!x` alone is all but that one", "decision",
)  # fmt: skip
TELEGRAM_FALLBACK = fallback_setting("TELEGRAM")
TELEGRAM_API_BASE: Setting[str | None] = Setting(
    "TELEGRAM_API_BASE", parse_web_address, None, "a Bot API server of one's own", "Telegram's"
)
TELEGRAM_EXECUTORS = executors_setting("TELEGRAM")
TELEGRAM: tuple[Setting[object], ...] = (
    TELEGRAM_API_KEY, TELEGRAM_CHAT_ID, TELEGRAM_LEVEL, TELEGRAM_TOPICS, TELEGRAM_FALLBACK, TELEGRAM_EXECUTORS,
    TELEGRAM_API_BASE,
)  # fmt: skip

APPRISE_URLS: Setting[str | None] = Setting(
    "APPRISE_URLS", parse_text, None,
    "URLs of Apprise, with a comma or a space between them; on if set. The second is the backend `apprise_2` …",
    secret=True,
)  # fmt: skip
APPRISE_LEVEL: Setting[int] = Setting("APPRISE_LEVEL", parse_least_level, 40, "least level that goes there", "ERROR")
APPRISE_TOPICS: Setting[Topics] = Setting("APPRISE_TOPICS", parse_topics, Topics(), "topics that go there", "all")
APPRISE_FALLBACK = fallback_setting("APPRISE")
APPRISE_EXECUTORS = executors_setting("APPRISE")
APPRISE: tuple[Setting[object], ...] = (
    APPRISE_URLS, APPRISE_LEVEL, APPRISE_TOPICS, APPRISE_FALLBACK, APPRISE_EXECUTORS,
)  # fmt: skip

LOGSTASH_SERVER: Setting[str | None] = Setting(
    "LOGSTASH_SERVER", parse_text, None, "on if set: `host`, `host:port`, `[::1]:5959`, `udp://…`, `tcp://…`, `tls://…`"
)
LOGSTASH_PORT: Setting[int] = Setting("LOGSTASH_PORT", parse_port, 5959, "port, when the server names none", "5959")
LOGSTASH_LEVEL: Setting[int] = Setting("LOGSTASH_LEVEL", parse_least_level, 20, "least level that goes there", "INFO")
LOGSTASH_TOPICS: Setting[Topics] = Setting("LOGSTASH_TOPICS", parse_topics, Topics(), "topics that go there", "all")
LOGSTASH_FALLBACK = fallback_setting("LOGSTASH")
LOGSTASH_EXECUTORS = executors_setting("LOGSTASH")
LOGSTASH_APPLICATION: Setting[str | None] = Setting(
    "LOGSTASH_APPLICATION", parse_text, None, "`application` of every event", "executor-{EXECUTOR_ID}"
)
LOGSTASH_TAGS: Setting[tuple[str, ...]] = Setting(
    "LOGSTASH_TAGS", parse_names, ("python",), "comma list of tags of every event", "python"
)
LOGSTASH_ECS: Setting[bool] = Setting(
    "LOGSTASH_ECS", parse_flag, False, "Elastic Common Schema: `host` as an object", "false"
)

LOG_LEVEL: Setting[int] = Setting("LOG_LEVEL", parse_least_level, 20, "least level of stdout", "INFO")
STDOUT_TOPICS: Setting[Topics] = Setting("STDOUT_TOPICS", parse_topics, Topics(), "topics on stdout", "all")
STDOUT_FALLBACK = fallback_setting("STDOUT")
STDOUT_EXECUTORS = executors_setting("STDOUT")
NOTIFY_STDOUT: Setting[str] = Setting(
    "NOTIFY_STDOUT", one_of("auto", "text", "json", "off"), "auto",
    "`text`, `json`, `off`; `auto` is text, unless the root logger already prints to a console", "auto",
)  # fmt: skip

NOTIFY_BACKENDS: Setting[tuple[str, ...]] = Setting(
    "NOTIFY_BACKENDS", parse_backend_names, (),
    "comma list of third-party backends to load; each has `<BACKEND>_LEVEL`, `…_TOPICS` and `…_FALLBACK`",
)  # fmt: skip
NOTIFY_RELAY_URL: Setting[str | None] = Setting(
    "NOTIFY_RELAY_URL", parse_text, None,
    "`redis://name:password@host:6379/0`, `rediss://…` for TLS: what people read goes there, and `notify relay` "
    "delivers it, in place of Discord, Telegram and Apprise here",
    secret=True,
)  # fmt: skip
NOTIFY_RELAY_LOGSTASH: Setting[bool] = Setting(
    "NOTIFY_RELAY_LOGSTASH", parse_flag, False,
    "Logstash's events go there, too, in place of `LOGSTASH_SERVER`: to the list `notify:logstash`",
    "false",
)  # fmt: skip
RELAY_LEVEL: Setting[int] = Setting(
    "RELAY_LEVEL", parse_least_level, 20, "least level that goes to the relay, whose backends choose of that", "INFO"
)
RELAY_FALLBACK = fallback_setting("RELAY")
RELAY_TOPICS: Setting[Topics] = Setting("RELAY_TOPICS", parse_topics, Topics(), "topics that go to the relay", "all")
NOTIFY_STATE_DIR: Setting[str | None] = Setting(
    "NOTIFY_STATE_DIR", parse_text, None, "directory for what outlives the process, this user's alone: the outbox",
    "the user's state directory / `notify` / `EXECUTOR_ID`",
)  # fmt: skip
NOTIFY_DURABLE_LEVEL: Setting[int] = Setting(
    "NOTIFY_DURABLE_LEVEL", parse_least_level, TRADE,
    "least level that is on disk before the call returns; `off`: none", "TRADE",
)  # fmt: skip
NOTIFY_REPEAT_INTERVAL: Setting[float] = Setting(
    "NOTIFY_REPEAT_INTERVAL", parse_interval, 3600.0, "seconds between reminders of a matter that goes on", "3600"
)
NOTIFY_STORM_LIMIT: Setting[int] = Setting(
    "NOTIFY_STORM_LIMIT", parse_count, 60, "different matters announced a minute; the rest comes as a digest", "60"
)
NOTIFY_HANG_AFTER: Setting[float | None] = Setting(
    "NOTIFY_HANG_AFTER", parse_seconds_or_off, None, "seconds without `run_state.refresh()` after which a hang is told",
    "off",
)  # fmt: skip
NOTIFY_STALE_AFTER: Setting[float] = Setting(
    "NOTIFY_STALE_AFTER", parse_seconds, 3600.0,
    "seconds without `run_state.refresh()` after which `/healthz` says stale", "3600",
)  # fmt: skip
NOTIFY_QUIET_HOURS: Setting[QuietHours | None] = Setting(
    "NOTIFY_QUIET_HOURS", parse_quiet_hours, None,
    "`22:00-07:00 Europe/Helsinki`: then posts below CRITICAL make no sound; nothing is withheld",
)  # fmt: skip
HTTP_ENABLED: Setting[bool] = Setting(
    "HTTP_ENABLED", parse_flag, False, "serve the status of this run, also after a crash, until somebody stops it",
    "false",
)  # fmt: skip
HTTP_HOST: Setting[str] = Setting(
    "HTTP_HOST", parse_text, "127.0.0.1", "address that the status server listens on", "127.0.0.1"
)
HTTP_PORT: Setting[int] = Setting("HTTP_PORT", parse_port, 3456, "port that it listens on", "3456")
HTTP_USERNAME: Setting[str | None] = Setting(
    "HTTP_USERNAME", parse_text, None, "with `HTTP_PASSWORD`: who may see more than `/ping`"
)
HTTP_PASSWORD: Setting[str | None] = Setting(
    "HTTP_PASSWORD", parse_text, None, "with `HTTP_USERNAME`: Basic auth on all but `/ping`", secret=True
)
HTTP_PUBLIC_LOGS: Setting[bool] = Setting(
    "HTTP_PUBLIC_LOGS", parse_flag, False, "serve `/logs` also without a password", "false"
)
HTTP_WAIT_GOOD_STARTUP_SECONDS: Setting[float] = Setting(
    "HTTP_WAIT_GOOD_STARTUP_SECONDS", parse_seconds, 60.0,
    "a crash before that ends the process, and `notify run`; after that the status server stays up", "60",
)  # fmt: skip
HEARTBEAT_URL: Setting[str | None] = Setting(
    "HEARTBEAT_URL", parse_web_address, None, "pinged while the run makes progress, as of healthchecks.io", secret=True
)
HEARTBEAT_SECONDS: Setting[float] = Setting(
    "HEARTBEAT_SECONDS", parse_interval, 60.0, "seconds between two of these pings, 1 at least", "60"
)
TS_PUBLIC_STRATEGIES: Setting[str] = Setting(
    "TS_PUBLIC_STRATEGIES", parse_text, "[]",
    "JSON list of `{id, name, url}` for `notify dashboard` and `notify watch`, with `upstream` for `notify caddyfile`",
    "[]",
)  # fmt: skip
UNIT_TESTING: Setting[bool] = Setting("UNIT_TESTING", parse_flag, False, "no network at all", "false")
SIMULATE: Setting[bool] = Setting("SIMULATE", parse_flag, False, "no network at all", "false")
NOTIFY_DRY_RUN: Setting[bool] = Setting(
    "NOTIFY_DRY_RUN", parse_flag, False, "no network: prints what would be sent, and where to", "false"
)

TABLE: tuple[Setting[object], ...] = (
    NAME, EXECUTOR_ID, ICON_URL, *DISCORD, *TELEGRAM, *APPRISE, LOGSTASH_SERVER, LOGSTASH_PORT, LOGSTASH_LEVEL,
    LOGSTASH_TOPICS, LOGSTASH_FALLBACK, LOGSTASH_EXECUTORS, LOGSTASH_APPLICATION, LOGSTASH_TAGS, LOGSTASH_ECS,
    LOG_LEVEL, STDOUT_TOPICS, STDOUT_FALLBACK, STDOUT_EXECUTORS, NOTIFY_STDOUT,
    NOTIFY_BACKENDS, NOTIFY_RELAY_URL, NOTIFY_RELAY_LOGSTASH, RELAY_LEVEL, RELAY_TOPICS, RELAY_FALLBACK,
    NOTIFY_STATE_DIR, NOTIFY_DURABLE_LEVEL, NOTIFY_REPEAT_INTERVAL, NOTIFY_STORM_LIMIT, NOTIFY_QUIET_HOURS,
    NOTIFY_HANG_AFTER, NOTIFY_STALE_AFTER,
    HTTP_ENABLED, HTTP_HOST, HTTP_PORT, HTTP_USERNAME, HTTP_PASSWORD, HTTP_PUBLIC_LOGS, HTTP_WAIT_GOOD_STARTUP_SECONDS,
    HEARTBEAT_URL, HEARTBEAT_SECONDS, TS_PUBLIC_STRATEGIES, UNIT_TESTING, SIMULATE, NOTIFY_DRY_RUN,
)  # fmt: skip

_DISCORD_FAMILY = re.compile(r"DISCORD_([A-Z0-9_]+)_WEBHOOK_URL")


class Settings:
    """An environment, read through the table.

    Args:
        env: names and values. Values are stripped; an empty one counts as unset, since that is how
            compose files pass on what is not there.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = {name: value.strip() for name, value in env.items()}
        self.file: Mapping[str, str] = getattr(env, "file", {})

    def get(self, setting: Setting[T]) -> T:
        """Return the value of *setting*. Raises `ConfigError`, naming the variable and not its value."""
        text = self.env.get(setting.name)
        if not text:
            return setting.default
        try:
            return setting.parse(text)
        except ValueError as error:
            raise ConfigError(f"{setting.name}: {error}") from None

    def is_set(self, setting: Setting[T]) -> bool:
        """Say whether the environment has a value for *setting*."""
        return bool(self.env.get(setting.name))

    def discord_prefixes(self) -> list[str]:
        """Return the prefix of every Discord backend: `DISCORD_`, `DISCORD_OPS_` …"""
        prefixes = ["DISCORD_"] if self.is_set(DISCORD_WEBHOOK_URL) else []
        for name in sorted(self.env):
            match = _DISCORD_FAMILY.fullmatch(name)
            if match and self.env[name]:
                prefixes.append(f"DISCORD_{match[1]}_")
        return prefixes

    def rows(self) -> Iterator[Setting[object]]:
        """Return the table, with the rows of further Discord backends and of further backends' routes.

        An unusable `NOTIFY_BACKENDS` adds no rows: its own row is where that shows.
        """
        yield from TABLE
        for prefix in self.discord_prefixes():
            if prefix != "DISCORD_":
                for setting in DISCORD:
                    yield setting.under("DISCORD_", prefix)
        with suppress(ConfigError):
            for name in self.get(NOTIFY_BACKENDS):
                yield from (*route_settings(name), fallback_setting(name), executors_setting(name))

    def secrets(self) -> list[str]:
        """Return the values that nobody may see: all of the secrets file, and those of variables with secret names.

        Settings of ours that are no secret, such as a level, are not among them. Of an RPC node's address only the key
        is: its name and its host stay readable.
        """
        from notify.rules.secret_names import is_secret
        from notify.rules.secret_values import in_urls

        ours = {setting.name: setting.secret for setting in self.rows()}
        in_file = (value.strip() for name, value in self.file.items() if ours.get(name, True))
        outside = (value for name, value in self.env.items() if ours.get(name, is_secret(name, value)))
        nodes = (value for name, value in self.env.items() if "RPC" in name.upper() and name not in ours)
        keys = (key for value in nodes for key in in_urls(value))
        return list(filter(None, dict.fromkeys((*in_file, *outside, *keys))))


# Those of the table, by the name of the backend.
_ROUTES: dict[str, tuple[Setting[int], Setting[Topics]]] = {
    "stdout": (LOG_LEVEL, STDOUT_TOPICS),
    "discord": (DISCORD_LEVEL, DISCORD_TOPICS),
    "logstash": (LOGSTASH_LEVEL, LOGSTASH_TOPICS),
    "telegram": (TELEGRAM_LEVEL, TELEGRAM_TOPICS),
    "apprise": (APPRISE_LEVEL, APPRISE_TOPICS),
    "relay": (RELAY_LEVEL, RELAY_TOPICS),
}


def route_settings(backend: str) -> tuple[Setting[int], Setting[Topics]]:
    """Return the two settings of a backend's route: `<BACKEND>_LEVEL` and `<BACKEND>_TOPICS`, LOG_LEVEL for stdout."""
    if backend in _ROUTES:
        return _ROUTES[backend]
    prefix = prefix_of(backend)
    return (
        Setting(f"{prefix}_LEVEL", parse_least_level, 20, f"least level that goes to {backend}", "INFO"),
        Setting(f"{prefix}_TOPICS", parse_topics, Topics(), f"topics that go to {backend}", "all"),
    )


def report_unusable(config: Settings) -> None:
    """Report each setting whose value cannot be used: what reads one has refused it, so nothing here does."""
    for setting in config.rows():
        try:
            config.get(setting)
        except ConfigError as error:
            diagnostics.report(f"unusable {setting.name}", f"{error}; nothing here reads it, so the program goes on")


def is_offline(config: Settings) -> bool:
    """Say whether nothing may leave this machine, as in tests and simulations."""
    return config.get(UNIT_TESTING) or config.get(SIMULATE)


def reaches_nobody(config: Settings) -> bool:
    """Say whether nothing may leave this machine, or is only printed."""
    return is_offline(config) or config.get(NOTIFY_DRY_RUN)


def known_secrets(config: Settings) -> list[str]:
    """Return the secrets of *config*, and those of the process: whatever it was set up from, libraries read these."""
    return [*config.secrets(), *Settings(os.environ).secrets()]


def state_dir(config: Settings) -> "Path":
    """Return the directory of what outlives the process. Nothing is made or looked at.

    Programs that speak for different things need different ones: what one of them leaves there undelivered, the next
    one that starts there delivers.
    """
    from pathlib import Path

    named = config.get(NOTIFY_STATE_DIR)
    if named:
        return Path(named).expanduser().absolute()  # now: a daemon changes its working directory
    from platformdirs import user_state_path

    speaker = re.sub(r"[^\w.-]", "_", config.get(EXECUTOR_ID) or program_name()).lstrip(".")
    return user_state_path("notify") / (speaker or "python")


def program_name() -> str:
    """Return what this program is called: the stem of its script, or the package of `python -m package`."""
    folder, script = os.path.split(sys.argv[0] if sys.argv else "")
    stem = os.path.splitext(script)[0]  # noqa: PTH122 - pathlib would be a third of what importing this package costs
    name = os.path.basename(folder) if stem == "__main__" else stem  # noqa: PTH119 - as above
    return name if name and name != "-c" else "python"
