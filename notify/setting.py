"""One setting: an environment variable, and how its text is read."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from notify.levels import parse_level

T_co = TypeVar("T_co", covariant=True)

NEVER = sys.maxsize
"""A level that nothing reaches."""

NO_BACKENDS = frozenset({"intake", "outbox"})
"""Keys of `Notifier.stats()` that are no backends."""

_BUILT_IN = frozenset({"stdout", "logstash", "telegram", "relay"})
_BUILT_IN_FAMILIES = frozenset({"discord", "apprise"})  # of which there may be several: `discord_ops`, `apprise_2`
_MOST_SECONDS = 1e8  # three years, and what every wait of the system takes


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


# ---- from text to values: each raises ValueError with a text that says what is expected, not what was found


def parse_text(text: str) -> str:
    """Take *text* as it is."""
    return text


def parse_flag(text: str) -> bool:
    """Read true or false: also 1 and 0, yes and no, on and off."""
    lowered = text.lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off"}:
        return False
    raise ValueError("not true or false")


def parse_port(text: str) -> int:
    """Read a TCP or UDP port."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError("not a port number from 1 to 65535")
    return int(text)


def parse_seconds(text: str) -> float:
    """Read a number of seconds, 0 or more."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError("not a number of seconds")
    return seconds


def parse_seconds_or_off(text: str) -> float | None:
    """Read a number of seconds above 0; None for `off` and 0."""
    return None if text.lower() in {"disabled", "none", "off"} else parse_seconds(text) or None


def parse_interval(text: str) -> float:
    """Read a number of seconds, 1 or more."""
    seconds = parse_seconds(text)
    if seconds < 1:
        raise ValueError("not a number of seconds, 1 or more")
    return seconds


def parse_count(text: str) -> int:
    """Read a whole number, 1 or more."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise ValueError("not a whole number from 1 to 999999")
    return int(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """Return what reads one of *choices*, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"not one of {', '.join(choices)}")
        return text.lower()

    return parse


def parse_names(text: str) -> tuple[str, ...]:
    """Read a comma list of names."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_backend_names(text: str) -> tuple[str, ...]:
    """Read a comma list of backends that are not built in."""
    names = tuple(name.lower() for name in parse_names(text))
    if not all(re.fullmatch(r"[a-z][a-z0-9_-]*", name) for name in names):
        raise ValueError("not a comma list of backend names")
    if any(name in NO_BACKENDS for name in names):
        raise ValueError("intake and outbox are no names for a backend: they stand for something else in stats()")
    if any(name in _BUILT_IN or name.split("_")[0] in _BUILT_IN_FAMILIES for name in names):
        raise ValueError(
            "stdout, discord, logstash, telegram, apprise and relay are built in; they have settings of their own"
        )
    return names


def parse_backend_name(text: str) -> str:
    """Read the name of a backend, in any case."""
    if not re.fullmatch(r"[\w.-]+", text):
        raise ValueError("not the name of a backend")
    return text.lower()


def parse_web_address(text: str) -> str:
    """Read a URL of http or https, as long as Discord takes it: 2048 characters."""
    if not re.fullmatch(r"https?://[^\s/]+\S*", text) or len(text) > 2048:
        raise ValueError("not a web address (https://…, 2048 characters at most)")
    return text


def parse_snowflake(text: str) -> str:
    """Read an id of Discord's, without the space around it: a number of up to 20 digits."""
    text = text.strip()
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text):  # as Discord's own schema has it
        raise ValueError("not an id of Discord's: these are numbers of up to 20 digits")
    return text


def parse_chat_id(text: str) -> int:
    """Read the id of a chat at Telegram: a whole number, below zero for groups and channels."""
    # As Telegram documents: at most 52 significant bits.
    if not re.fullmatch(r"-?[1-9][0-9]{0,15}", text) or abs(int(text)) >= 2**52:
        raise ValueError("not the id of a chat: a whole number, below zero for groups and channels")
    return int(text)


def parse_least_level(text: str) -> int:
    """Read a level, or `off` for one that nothing reaches."""
    return NEVER if text.lower() in {"disabled", "none", "off"} else parse_level(text)
