"""Any value as plain data: bounded, immutable by others, valid Unicode, and never raising.

`keep` runs on the caller's thread, so that a value is what it was when it was said. `jsonable` and `clean` run on
ours, and turn what was kept into what strict JSON can hold.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from types import MappingProxyType

MAX_DEPTH = 6
MAX_ITEMS = 100
MAX_TOTAL = 2000  # items of one value at all depths: a list that holds itself many times over is small, its copy is not
MAX_TEXT = 32_768  # code points of one string inside fields
_SAFE_INTEGER = 2**63  # Elasticsearch's long; rsyslog and syslog-ng clamp beyond it without a word

_IMMUTABLE = frozenset({str, int, float, bool, type(None), bytes, datetime, date, time, timedelta, complex})
# Known by name, so that a program that has none of them need not import their modules for us.
_IMMUTABLE_ELSEWHERE = frozenset({("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID")})
SCALARS = frozenset({str, int, float, bool, type(None)})


def _is_immutable(kind: type) -> bool:
    return kind in _IMMUTABLE or (kind.__module__, kind.__qualname__) in _IMMUTABLE_ELSEWHERE


def safe_str(value: object) -> str:
    """Return `str(value)`, or a mark that says what could not be shown. Never raises an Exception."""
    return _shown(value, str)


def safe_repr(value: object) -> str:
    """Return `repr(value)`, or a mark that says what could not be shown. Never raises an Exception."""
    return _shown(value, repr)


def _shown(value: object, how: Callable[[object], str]) -> str:
    try:
        text = how(value)
        return text if type(text) is str else str.__str__(text)
    except Exception as error:  # noqa: BLE001 - a hostile __str__ may raise anything
        if type(value) is int:  # more digits than sys.get_int_max_str_digits()
            return clip(hex(value), MAX_TEXT)
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def clip(text: str, limit: int) -> str:
    """Return *text*, with its middle replaced by a count when it is longer than *limit* code points."""
    if len(text) <= limit:
        return text
    room = max(0, limit - len(f"…[{len(text)} characters cut]…"))
    tail = room // 3
    return f"{text[: room - tail]}…[{len(text) - room} characters cut]…{text[len(text) - tail :]}"


def iso_time(seconds: float) -> str:
    """Return epoch seconds as `2026-01-31T23:59:59.999Z`; 1970 for a number that is no time. Never raises."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean(text: str) -> str:
    """Return *text* with lone surrogates written out, backslash and all, so that it can be encoded."""
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
    `MAX_DEPTH` levels, `MAX_ITEMS` items each and `MAX_TOTAL` items in all; everything else becomes its `repr`
    (`str` inside a container, as python-logstash has it). Never raises an Exception.
    """
    return _copy(value, 0, (), [MAX_TOTAL])


def keep_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of *fields* with names that are strings and values that nobody can change. Never raises."""
    kept: dict[str, object] = {}
    try:
        for name, value in list(islice(fields.items(), MAX_ITEMS)):
            kept[_text(name if type(name) is str else safe_str(name))] = keep(value)
        if len(fields) > MAX_ITEMS:
            kept["…"] = f"{len(fields) - MAX_ITEMS} more"
    except AttributeError:
        kept["fields"] = keep(fields)  # no mapping, but said
    except Exception as error:  # noqa: BLE001 - anything may have been passed as fields
        kept["fields"] = f"<unreadable {type(fields).__name__}: {type(error).__name__}>"
    return kept


def clean_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return *fields* with names and top-level strings as valid Unicode; `keep` has seen to what is deeper."""
    return {
        clean(name) if type(name) is str else clean(safe_str(name)): clean(value) if type(value) is str else value
        for name, value in fields.items()
    }


def _text(text: str) -> str:
    return clean(clip(text, MAX_TEXT))


def _copy(value: object, depth: int, above: tuple[int, ...], left: list[int]) -> object:
    """Copy *value*, which lies *depth* levels below those *above*. `left[0]` more items may be copied."""
    try:
        return _copied(value, depth, above, left)
    except Exception as error:  # noqa: BLE001 - a hostile container may raise from len(), items() or iteration
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def _copied(value: object, depth: int, above: tuple[int, ...], left: list[int]) -> object:
    if isinstance(value, str):
        return _text(str.__str__(value))
    if type(value) is bytes and len(value) > MAX_TEXT:
        return f"<bytes of {len(value)}>"
    if _is_immutable(type(value)):
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, set | frozenset) and len(value) > MAX_ITEMS:
        return f"<{type(value).__name__} of {len(value)}>"
    if not isinstance(value, dict | list | tuple | MappingProxyType):
        return _text((safe_str if depth else safe_repr)(value))
    if id(value) in above:
        return "<cycle>"
    if depth >= MAX_DEPTH:
        return f"<{type(value).__name__} of {len(value)}: too deep>"
    above = (*above, id(value))
    shown = min(len(value), MAX_ITEMS, left[0])
    left[0] -= shown
    if isinstance(value, dict | MappingProxyType):
        copied: dict[object, object] = {}
        for key, item in list(islice(value.items(), shown)):
            copied[_name(key)] = _copy(item, depth + 1, above, left)
        if len(value) > shown:
            copied["…"] = f"{len(value) - shown} more"
        return copied
    items = [_copy(item, depth + 1, above, left) for item in list(islice(value, shown))]
    if len(value) > shown:
        items.append(f"… {len(value) - shown} more")
    if isinstance(value, list):
        return items
    return tuple(items)


def _name(key: object) -> object:
    """Return the name of an entry as something that nobody can change; JSON's own scalars stay what they are."""
    if type(key) in SCALARS and type(key) is not str:
        return key
    return _text(safe_str(key))


def jsonable(value: object, *, other: Callable[[object], str] = safe_str) -> object:
    """Return a kept value as what strict JSON can hold.

    NaN and the infinities become None, integers beyond 64 bits strings, names strings; what JSON
    has no type for becomes `other(value)`.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return value if -_SAFE_INTEGER <= value < _SAFE_INTEGER else safe_str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_json_name(name): jsonable(item, other=other) for name, item in value.items()}
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
