"""Reads `TS_PUBLIC_STRATEGIES`: which strategies there are, and what is wrong with the list."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from notify.backends.stdout import escape
from notify.clip import clip
from notify.plain import clean

_TEXT = 200  # code points of an id or a name
_URL = 2048  # characters
_LEAST_INTERVAL = 1.0  # seconds
_MOST_INTERVAL = 86_400.0  # seconds: a day
_NO_ID = (".", "..")
# A name, as compose files give to services, too, or an address; then a port.
_UPSTREAM = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One strategy that is watched or shown.

    Args:
        id: what machines call it.
        name: what people call it.
        url: of its status server, without a slash at its end.
        interval: seconds between two polls; None: what the whole fleet has.
        upstream: `host:port` where a proxy finds its program; None: not known.
    """

    id: str
    name: str
    url: str
    interval: float | None = None
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class Strategies:
    """What the list says.

    Args:
        strategies: those that can be used, in their order.
        problems: a line for each thing that is wrong. None of them shows a URL, which may hold a password.
    """

    strategies: tuple[Strategy, ...] = ()
    problems: tuple[str, ...] = ()


def parse_strategies(text: str) -> Strategies:
    """Read a JSON list of `{id, name, url}`, as trade-executor's front end has it. Never raises.

    An entry that cannot be used is left out and named among the problems; the others stay. Of several with one id the
    last counts, as it does in the front end. Keys that are not known here are somebody else's.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        return Strategies(problems=(f"not JSON{where}",))
    if not isinstance(entries, list):
        return Strategies(problems=("not a JSON list of strategies, such as [{…}, {…}]",))
    found: dict[str, Strategy] = {}
    problems = []
    for number, entry in enumerate(entries, 1):
        wrong = list(_wrong(entry))
        if wrong:
            problems.append(f"{_named(number, entry)}: {'; '.join(wrong)}")
            continue
        strategy = _strategy(entry)
        if found.pop(strategy.id, None) is not None:
            problems.append(f"{_named(number, entry)}: this id is there twice, and the last entry counts")
        found[strategy.id] = strategy
    return Strategies(tuple(found.values()), tuple(problems))


def _wrong(entry: object) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield "not an object with id, name and url"
        return
    for key in ("id", "name"):
        value = entry.get(key)
        if value is None:
            yield f"{key} is missing"
        elif not isinstance(value, str) or not value.strip() or len(value) > _TEXT:
            yield f"{key} is not a text of 1 to {_TEXT} characters"
        elif key == "id" and value.strip() in _NO_ID:
            yield f"id is {value.strip()}, which browsers take out of an address"
    yield from wrong_with_url(entry.get("url"))
    interval = entry.get("interval")
    if interval is not None and not _is_interval(interval):
        yield f"interval is not a number of seconds from {_LEAST_INTERVAL:g} to {_MOST_INTERVAL:g}"
    upstream = entry.get("upstream")
    if upstream is not None and not _is_upstream(upstream):
        yield "upstream is not host:port, such as 127.0.0.1:19003"


def wrong_with_url(url: object) -> Iterator[str]:
    """Yield what keeps *url* from being that of a status server, a line each, without showing it."""
    if url is None:
        yield "url is missing"
        return
    if not isinstance(url, str) or not re.fullmatch(r"https?://[!-~]+", url) or len(url) > _URL:
        yield "url is not a whole web address (http://… or https://…)"
        return
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket without its other
        usable = False
    if not usable:
        yield "url is not a whole web address (http://… or https://…)"
    elif "@" in parts.netloc:
        yield "url holds a user or a password, which everybody would see; --auth sends HTTP_USERNAME and HTTP_PASSWORD"
    elif parts.query or parts.fragment:
        yield "url has a query or a fragment, and paths are appended to it"


def _is_interval(value: object) -> bool:
    return type(value) in (int, float) and _LEAST_INTERVAL <= value <= _MOST_INTERVAL  # type: ignore[operator]  # these two are numbers


def _is_upstream(upstream: object) -> bool:
    found = _UPSTREAM.fullmatch(upstream) if isinstance(upstream, str) else None
    return found is not None and 1 <= int(found[1]) <= 65535


def _strategy(entry: dict[str, object]) -> Strategy:
    interval, upstream = entry.get("interval"), entry.get("upstream")
    return Strategy(
        id=clean(str(entry["id"])).strip(),
        name=clean(str(entry["name"])).strip(),
        url=str(entry["url"]).rstrip("/"),
        interval=float(interval) if isinstance(interval, int | float) else None,
        upstream=upstream if isinstance(upstream, str) else None,
    )


def _named(number: int, entry: object) -> str:
    said = entry.get("id") if isinstance(entry, dict) else None
    name = f" ({escape(clip(clean(said), 40))})" if isinstance(said, str) and said.strip() else ""
    return f"entry {number}{name}"
