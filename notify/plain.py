"""Any value as plain data: bounded, immutable by others, valid Unicode, and never raising.

`keep` runs on the caller's thread, so that a value is what it was when it was said. `jsonable` and `clean` run on
ours, and turn what was kept into what strict JSON can hold.

An object may raise anything when it is looked at, SystemExit too, and is marked as unprintable. Only what a signal
raises is let through (see `interruption`): Ctrl-C, or a handler of the program that ends it, is no doing of the object.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any

from notify.clip import clip
from notify.interruption import came_from_a_signal

MAX_DEPTH = 6
MAX_ITEMS = 100
MAX_TOTAL = 2000  # items of one value at all depths: a list that holds itself many times over is small, its copy is not
MAX_MESSAGE = 12 * 2**20  # code points of a message or a body: what is longer belongs into a file
MAX_TEXT = 32_768  # code points of one string inside fields
LONG = 2**63  # Elasticsearch's long; rsyslog and syslog-ng clamp beyond it without a word

_PLACE = 32  # bytes of a place in a list, with the number or the head of the text that is there

_IMMUTABLE = frozenset({str, int, float, bool, type(None), bytes, datetime, date, time, timedelta, complex})
# Known by name, so that a program that has none of them need not import their modules for us.
_IMMUTABLE_ELSEWHERE = frozenset({("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID")})
SCALARS = frozenset({str, int, float, bool, type(None)})
# What JSON has no type for, and whose repr walks through all of it.
_LISTED: tuple[type, ...] = (set, frozenset, deque, type({}.keys()), type({}.values()), type({}.items()))
_BRACKETS = {"set": ("{", "}"), "frozenset": ("frozenset({", "})")}


def class_name(value: object) -> str:
    """Return the name of the class of *value*. Asks neither the object nor its metaclass, and never raises."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name


def safe_str(value: object) -> str:
    """Return `str(value)`, or a mark that says what could not be shown. Raises nothing of the object's."""
    return _shown(value, str)


def safe_repr(value: object) -> str:
    """Return `repr(value)`, or a mark that says what could not be shown. Raises nothing of the object's."""
    return _shown(value, repr)


def _shown(value: object, how: Callable[[object], str]) -> str:
    try:
        text = how(value)
        return text if type(text) is str else str.__str__(text)
    except BaseException as error:
        if came_from_a_signal(error):
            raise
        if type(value) is int:  # more digits than sys.get_int_max_str_digits()
            return clip(hex(value), MAX_TEXT)
        return f"<unprintable {class_name(value)}: {class_name(error)}>"


def iso_time(seconds: float) -> str:
    """Return epoch seconds as `2026-01-31T23:59:59.999Z`; 1970 for a number that is no time. Never raises."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean(text: str) -> str:
    """Return *text* with lone surrogates written out, backslash and all, so that it can be encoded."""
    if type(text) is not str:
        text = str.__str__(text)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def keep(value: object) -> object:
    """Return *value* as something that nobody can change later.

    Immutable values of the standard library are returned as they are; dicts, lists and tuples are copied, to
    `MAX_DEPTH` levels, `MAX_ITEMS` items each and `MAX_TOTAL` items in all; sets, deques, arrays and views become
    text that shows no more items than that. Everything else becomes its `repr` (`str` inside a dict or list, as
    python-logstash has it), unless its `len` is above `MAX_TOTAL`: then its name and length. Raises nothing of the
    object's.

    What a `repr`, an `items` or an iterator of the program's own class costs, the caller of this pays.
    """
    return _copy(value, 0, (), [MAX_TOTAL])


def keep_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of *fields* with names that are strings and values that nobody can change.

    Of a mapping that raises, or never ends, what came of it is kept. Raises nothing of the object's.
    """
    kept: dict[str, object] = {}
    try:
        items = getattr(fields, "items", None)
        if items is None:
            return {"fields": keep(fields)}  # no mapping, but said
        pairs, unread = _first(items(), MAX_ITEMS)
        for name, value in pairs:
            kept[_text(name if type(name) is str else safe_str(name))] = keep(value)
        if not unread and len(pairs) == MAX_ITEMS and len(fields) > MAX_ITEMS:
            unread = f"{len(fields) - MAX_ITEMS} more"
    except BaseException as error:
        if came_from_a_signal(error):
            raise
        unread = f"<unreadable {class_name(fields)}: {class_name(error)}>"
    if unread:
        kept["…" if kept else "fields"] = unread
    return kept


def _first(items: Iterable[Any], count: int) -> tuple[list[Any], str]:
    """Return the first of *items*, *count* at most, and a mark if they raised before that."""
    first: list[Any] = []
    try:
        first.extend(islice(items, count))  # one call into C: no other thread changes a dict meanwhile
    except BaseException as error:
        if came_from_a_signal(error):
            raise
        return first, f"<unreadable from here: {class_name(error)}>"
    return first, ""


def _text(text: str) -> str:
    return clean(clip(text, MAX_TEXT))


def _copy(value: object, depth: int, above: tuple[int, ...], left: list[int]) -> object:
    """Copy *value*, which lies *depth* levels below those *above*. `left[0]` more items may be copied."""
    try:
        return _copied(value, depth, above, left)
    except BaseException as error:
        if came_from_a_signal(error):
            raise
        return f"<unprintable {class_name(value)}: {class_name(error)}>"


def _copied(value: Any, depth: int, above: tuple[int, ...], left: list[int]) -> object:
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind in _IMMUTABLE and kind is not bytes:
        return value
    if (kind.__module__, kind.__qualname__) in _IMMUTABLE_ELSEWHERE:
        return value
    # By its type, and never by isinstance(): that believes what an object says of its own class.
    if issubclass(kind, dict | list | tuple | MappingProxyType):
        return _container(value, depth, above, left)
    if issubclass(kind, str):
        return _text(str.__str__(value))
    if issubclass(kind, bytes | bytearray):
        return _bytes(value)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, _LISTED):
        return _text(_listing(value, depth, above, left))
    if hasattr(kind, "__len__") and len(value) > MAX_TOTAL:
        return f"<{class_name(value)} of {len(value)}>"
    return _text((safe_str if depth else safe_repr)(value))


def _bytes(value: Any) -> object:
    own = bytes if issubclass(type(value), bytes) else bytearray
    size = own.__len__(value)
    if size > MAX_TEXT:
        return f"<{class_name(value)} of {size}>"
    exact = own.__getitem__(value, slice(None))  # the same object, unless its class is the program's or it can change
    return exact if own is bytes else repr(exact)


def _container(value: Any, depth: int, above: tuple[int, ...], left: list[int]) -> object:
    size = len(value)
    if id(value) in above:
        return "<cycle>"
    if depth >= MAX_DEPTH:
        return f"<{class_name(value)} of {size}: too deep>"
    above = (*above, id(value))
    shown = min(size, MAX_ITEMS, left[0])
    left[0] -= shown
    if issubclass(type(value), dict | MappingProxyType):
        pairs, unread = _first(value.items(), shown)
        copied = {_name(key): _copy(item, depth + 1, above, left) for key, item in pairs}
        if unread or size > shown:
            copied["…"] = unread or f"{size - shown} more"
        return copied
    first, unread = _first(value, shown)
    items = [_copy(item, depth + 1, above, left) for item in first]
    if unread or size > shown:
        items.append(unread or f"… {size - shown} more")
    return items if issubclass(type(value), list) else tuple(items)


def _listing(value: Any, depth: int, above: tuple[int, ...], left: list[int]) -> str:
    """Show *value* as Python does, but no more of it than of a list."""
    size = len(value)
    if depth >= MAX_DEPTH:
        return f"<{class_name(value)} of {size}: too deep>"
    shown = min(size, MAX_ITEMS, left[0])
    first, unread = _first(value, shown)
    if shown == size and not unread and all(map(_is_small, first)):
        return safe_repr(value)
    left[0] -= shown
    items = [_copy(item, depth + 1, above, left) for item in first]
    texts = [
        kept if type(kept) is str and not issubclass(type(item), str) else safe_repr(kept)
        for item, kept in zip(first, items, strict=True)
    ]
    if unread or size > shown:
        texts.append(unread or f"… {size - shown} more")
    name = class_name(value)
    opening, closing = _BRACKETS.get(name, (f"{name}([", "])"))
    return f"{opening}{', '.join(texts)}{closing}"


def _is_small(value: object) -> bool:
    return type(value) in _IMMUTABLE and (not isinstance(value, str | bytes) or len(value) <= MAX_TEXT)


def weight(kept: object) -> int:
    """Return about how much text there is in a kept value, in code points; `keep` has bounded its items."""
    if isinstance(kept, str | bytes):
        return len(kept)
    if isinstance(kept, dict):
        return sum(map(weight, kept)) + sum(map(weight, kept.values())) + _PLACE * len(kept)
    return sum(map(weight, kept)) + _PLACE * len(kept) if isinstance(kept, list | tuple) else 0


def unshared(kept: Any) -> Any:
    """Return a kept value with dicts and lists of its own, for those who may change them."""
    if isinstance(kept, Mapping):
        return {name: unshared(item) for name, item in kept.items()}
    if isinstance(kept, list):
        return [unshared(item) for item in kept]
    return tuple(map(unshared, kept)) if isinstance(kept, tuple) else kept


def _name(key: object) -> object:
    """Return the name of an entry as something that nobody can change; JSON's own scalars stay what they are."""
    if type(key) in SCALARS and type(key) is not str:
        return key
    return _text(safe_str(key))


def jsonable(value: object, *, other: Callable[[object], str] = safe_str) -> object:
    """Return a kept value as what strict JSON can hold.

    NaN and the infinities become None, integers beyond 64 bits strings, names strings, with a `'` where another has the
    same; what JSON has no type for becomes `other(value)`.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return value if -LONG <= value < LONG else safe_str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        plain: dict[str, object] = {}
        for name, item in value.items():
            free = _json_name(name)
            while free in plain:  # 1 and "1" are two names here, and one in JSON
                free += "'"
            plain[free] = jsonable(item, other=other)
        return plain
    if isinstance(value, list | tuple):
        return [jsonable(item, other=other) for item in value]
    return clean(other(value))


def _json_name(name: object) -> str:
    """Name an entry as `json.dumps` does: None is `null`, True is `true`."""
    if name is None:
        return "null"
    if isinstance(name, bool):
        return "true" if name else "false"
    return clean(safe_str(name))
