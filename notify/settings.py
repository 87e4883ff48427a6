"""Every setting: one table that parsing, `notify env`, `notify doctor` and the reference page read."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from notify.errors import ConfigError
from notify.levels import TRADE, parse_level
from notify.rules.routing import Topics, parse_topics
from notify.rules.silence import Silence, parse_silence

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

NEVER = sys.maxsize
"""A level that nothing reaches."""


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One environment variable.

    Args:
        name: of the variable.
        parse: text to value; raises `ValueError` with a text that says what is expected and not what was found.
        default: the value when the variable is unset or empty.
        meaning: one line for people.
        shown_default: the default as the table shows it.
        secret: never shown.
    """

    name: str
    parse: Callable[[str], T_co]
    default: T_co
    meaning: str
    shown_default: str = "–"
    secret: bool = False

    def under(self, old: str, new: str) -> "Setting[T_co]":
        """Return the same setting of another backend: its name with the prefix *old* replaced by *new*."""
        return replace(self, name=new + self.name.removeprefix(old))


# ---- from text to values


def _text(text: str) -> str:
    return text


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off"}:
        return False
    raise ValueError("not true or false")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError("not a port number from 1 to 65535")
    return int(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"not one of {', '.join(choices)}")
        return text.lower()

    return parse


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _backend_names(text: str) -> tuple[str, ...]:
    names = tuple(name.lower() for name in _names(text))
    if not all(re.fullmatch(r"[a-z][a-z0-9_-]*", name) for name in names):
        raise ValueError("not a comma list of backend names")
    if any(name in {"intake", "outbox"} for name in names):
        raise ValueError("intake and outbox are no names for a backend: they stand for something else in stats()")
    if any(name in {"stdout", "logstash"} or name.split("_")[0] == "discord" for name in names):
        raise ValueError("stdout, discord and logstash are built in; they have settings of their own")
    return names


def _web_address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", text) or len(text) > 2048:
        raise ValueError("not a web address (https://…, 2048 characters at most)")
    return text


def _snowflake(text: str) -> str:
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text):  # as Discord's own schema has it
        raise ValueError("not an id of Discord's: these are numbers of up to 20 digits")
    return text


def _level(text: str) -> int:
    return NEVER if text.lower() in {"disabled", "none", "off"} else parse_level(text)


# ---- the table

NAME: Setting[str | None] = Setting("NAME", _text, None, "who speaks, shown to people", "program name")
EXECUTOR_ID: Setting[str | None] = Setting(
    "EXECUTOR_ID", _text, None, "who speaks, for machines: Logstash `application` is `executor-{EXECUTOR_ID}`",
    "program name",
)  # fmt: skip
ICON_URL: Setting[str | None] = Setting("ICON_URL", _web_address, None, "picture of who speaks")

DISCORD_WEBHOOK_URL: Setting[str | None] = Setting(
    "DISCORD_WEBHOOK_URL", _text, None,
    "Discord channel; on if set. `DISCORD_<X>_WEBHOOK_URL` adds a backend `discord_<x>` with its own `DISCORD_<X>_…`",
    secret=True,
)  # fmt: skip
DISCORD_LEVEL: Setting[int] = Setting("DISCORD_LEVEL", _level, TRADE, "least level that goes there", "TRADE")
DISCORD_TOPICS: Setting[Topics] = Setting(
    "DISCORD_TOPICS", parse_topics, Topics(), "topics that go there: a comma list, `!x` leaves out", "all"
)
DISCORD_USERNAME: Setting[str | None] = Setting("DISCORD_USERNAME", _text, None, "name of the sender", "NAME")
DISCORD_AVATAR_URL: Setting[str | None] = Setting(
    "DISCORD_AVATAR_URL", _web_address, None, "picture of the sender", "ICON_URL"
)
DISCORD_MENTION: Setting[str | None] = Setting(
    "DISCORD_MENTION", _text, None, "user id, or `&` and a role id, that is pinged at ERROR and above"
)
DISCORD_SILENT: Setting[Silence | None] = Setting(
    "DISCORD_SILENT", parse_silence, None, "a level up to which, or topics of which, posts make no sound"
)
DISCORD_THREAD_ID: Setting[str | None] = Setting("DISCORD_THREAD_ID", _snowflake, None, "thread of the channel")
DISCORD: tuple[Setting[object], ...] = (
    DISCORD_WEBHOOK_URL, DISCORD_LEVEL, DISCORD_TOPICS, DISCORD_USERNAME, DISCORD_AVATAR_URL, DISCORD_MENTION,
    DISCORD_SILENT, DISCORD_THREAD_ID,
)  # fmt: skip

LOGSTASH_SERVER: Setting[str | None] = Setting(
    "LOGSTASH_SERVER", _text, None, "on if set: `host`, `host:port`, `[::1]:5959`, `udp://…`, `tcp://…`, `tls://…`"
)
LOGSTASH_PORT: Setting[int] = Setting("LOGSTASH_PORT", _port, 5959, "port, when the server names none", "5959")
LOGSTASH_LEVEL: Setting[int] = Setting("LOGSTASH_LEVEL", _level, 20, "least level that goes there", "INFO")
LOGSTASH_TOPICS: Setting[Topics] = Setting("LOGSTASH_TOPICS", parse_topics, Topics(), "topics that go there", "all")
LOGSTASH_TAGS: Setting[tuple[str, ...]] = Setting(
    "LOGSTASH_TAGS", _names, ("python",), "comma list of tags of every event", "python"
)
LOGSTASH_ECS: Setting[bool] = Setting(
    "LOGSTASH_ECS", _flag, False, "Elastic Common Schema: `host` as an object", "false"
)

LOG_LEVEL: Setting[int] = Setting("LOG_LEVEL", _level, 20, "least level of stdout", "INFO")
STDOUT_TOPICS: Setting[Topics] = Setting("STDOUT_TOPICS", parse_topics, Topics(), "topics on stdout", "all")
NOTIFY_STDOUT: Setting[str] = Setting(
    "NOTIFY_STDOUT", _one_of("auto", "text", "json", "off"), "auto",
    "`text`, `json`, `off`; `auto` is text, unless the root logger already prints to a console", "auto",
)  # fmt: skip

NOTIFY_BACKENDS: Setting[tuple[str, ...]] = Setting(
    "NOTIFY_BACKENDS", _backend_names, (),
    "comma list of third-party backends to load; each has `<BACKEND>_LEVEL` and `<BACKEND>_TOPICS`",
)  # fmt: skip
NOTIFY_STATE_DIR: Setting[str | None] = Setting(
    "NOTIFY_STATE_DIR", _text, None, "directory for what outlives the process, this user's alone: the outbox",
    "the user's state directory / `notify` / `EXECUTOR_ID`",
)  # fmt: skip
NOTIFY_DURABLE_LEVEL: Setting[int] = Setting(
    "NOTIFY_DURABLE_LEVEL", _level, TRADE, "least level that is on disk before the call returns; `off`: none", "TRADE"
)
UNIT_TESTING: Setting[bool] = Setting("UNIT_TESTING", _flag, False, "no network at all", "false")
SIMULATE: Setting[bool] = Setting("SIMULATE", _flag, False, "no network at all", "false")
NOTIFY_DRY_RUN: Setting[bool] = Setting(
    "NOTIFY_DRY_RUN", _flag, False, "no network: prints what would be sent, and where to", "false"
)

TABLE: tuple[Setting[object], ...] = (
    NAME, EXECUTOR_ID, ICON_URL, *DISCORD, LOGSTASH_SERVER, LOGSTASH_PORT, LOGSTASH_LEVEL, LOGSTASH_TOPICS,
    LOGSTASH_TAGS, LOGSTASH_ECS, LOG_LEVEL, STDOUT_TOPICS, NOTIFY_STDOUT, NOTIFY_BACKENDS, NOTIFY_STATE_DIR,
    NOTIFY_DURABLE_LEVEL, UNIT_TESTING, SIMULATE, NOTIFY_DRY_RUN,
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
        self._file: Mapping[str, str] = getattr(env, "file", {})

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
                yield from route_settings(name)

    def secrets(self) -> list[str]:
        """Return the values that nobody may see: all of the secrets file, and those of variables with secret names.

        Settings of ours that are no secret, such as a level, are not among them.
        """
        from notify.rules.secret_names import is_secret

        ours = {setting.name: setting.secret for setting in self.rows()}
        in_file = (value.strip() for name, value in self._file.items() if ours.get(name, True))
        outside = (value for name, value in self.env.items() if ours.get(name, is_secret(name, value)))
        return list(filter(None, dict.fromkeys((*in_file, *outside))))

    def unknown(self) -> list[tuple[str, str | None]]:
        """Return every `NOTIFY_…` variable that nothing reads, with the name it resembles."""
        import difflib  # a program without such names need not load it

        known = [setting.name for setting in self.rows()]
        found = []
        for name in sorted(self.env):
            if name.startswith("NOTIFY_") and name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
                found.append((name, near[0] if near else None))
        return found


# Those of the table, by the name of the backend.
_ROUTES: dict[str, tuple[Setting[int], Setting[Topics]]] = {
    "stdout": (LOG_LEVEL, STDOUT_TOPICS),
    "discord": (DISCORD_LEVEL, DISCORD_TOPICS),
    "logstash": (LOGSTASH_LEVEL, LOGSTASH_TOPICS),
}


def route_settings(backend: str) -> tuple[Setting[int], Setting[Topics]]:
    """Return the two settings of a backend's route: `<BACKEND>_LEVEL` and `<BACKEND>_TOPICS`, LOG_LEVEL for stdout."""
    if backend in _ROUTES:
        return _ROUTES[backend]
    prefix = re.sub(r"[^A-Z0-9]", "_", backend.upper())
    return (
        Setting(f"{prefix}_LEVEL", _level, 20, f"least level that goes to {backend}", "INFO"),
        Setting(f"{prefix}_TOPICS", parse_topics, Topics(), f"topics that go to {backend}", "all"),
    )


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
