"""Any value as strict JSON: bounded, without secrets, and without running code of the program that it belongs to.

What is served is made on threads of ours while the program goes on or hangs. A `repr` of the program's may wait for
one of its locks, or take seconds. Hence only values of the standard library are looked into; of others the class is
named.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from pathlib import PurePath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson  # at once: a thread that answers must not wait for an import of the program's

from notify.clip import clip
from notify.plain import MAX_TEXT, class_name, clean
from notify.rules.mnemonic import FEWEST
from notify.rules.redaction import MASK
from notify.rules.secret_names import is_pair, is_secret

Redact = Callable[[str], str]

_DEEPEST = 32  # levels: a traceback of 20 frames has 22
_MOST = 100_000  # items of one document: curves of 90 days by the hour have 2,000 points each
_LARGE = 2**63  # Elasticsearch's long
_SHORTEST_SECRET = 100_000  # numbers below it have fewer digits than a known secret must have
_TEXTS = frozenset({UUID, Fraction, time})
_LISTED: tuple[type, ...] = (list, tuple, set, frozenset, deque)


def dumps(document: object) -> bytes:
    """Return what `plain` made as JSON in UTF-8."""
    return orjson.dumps(document)


def plain(value: object, redact: Redact, name: str = "") -> Any:
    """Return a copy of *value* that consists of JSON's types. Raises no Exception.

    Times become UTC epoch seconds (naive ones are UTC), durations seconds, decimals their text, members of an enum
    their value, NaN and the infinities null, integers beyond 64 bits text, dataclasses objects with their fields.
    Anything else becomes `<Name of its class>`. What is too deep or too much is left out, and a mark says so.

    Args:
        value: may be changed meanwhile by others.
        redact: takes secrets out of a text. It sees each text by itself, so that JSON stays valid. What a name gives
            away, such as `password`, is masked without it.
        name: what the value is called.
    """
    return _Copy(redact).of(value, name, 0, ())


class _Copy:
    """One copy that is being made, and how much of it there may still be."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._left = _MOST

    def of(self, value: Any, name: str, depth: int, above: tuple[int, ...]) -> Any:
        """Copy *value*, called *name*, which lies *depth* levels below those *above*."""
        try:
            copied = self._copied(value, name, depth, above)
        except Exception as error:  # noqa: BLE001 - one value that cannot be read is no reason to serve none
            return f"<unreadable {class_name(value)}: {class_name(error)}>"
        return MASK if name and is_secret(name, copied) else copied

    def _copied(self, value: Any, name: str, depth: int, above: tuple[int, ...]) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        # By its type, and never by isinstance(): that believes what an object says of its own class.
        if issubclass(kind, Enum):
            return self._copied(value._value_, name, depth + 1, above) if depth < _DEEPEST else None
        if issubclass(kind, str):
            return self.text(str.__str__(value))
        if issubclass(kind, int):
            return self._number(int.__int__(value))
        if issubclass(kind, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else None
        if issubclass(kind, Decimal):
            return self.text(Decimal.__str__(value)) if Decimal.is_finite(value) else None
        if issubclass(kind, datetime):
            return _epoch(value)
        if issubclass(kind, timedelta):
            seconds = timedelta.total_seconds(value)
            return seconds if math.isfinite(seconds) else None
        if issubclass(kind, date):
            return date.isoformat(value)
        if issubclass(kind, bytes | bytearray):
            return f"<{class_name(value)} of {len(value)}>"
        if kind in _TEXTS or (issubclass(kind, PurePath) and kind.__module__.startswith("pathlib")):
            return self.text(str(value))
        if kind.__module__ == "numpy" and hasattr(kind, "item") and getattr(value, "ndim", None) == 0:
            return self._copied(value.item(), name, depth + 1, above) if depth < _DEEPEST else None
        return self._container(value, name, depth, above)

    def _container(self, value: Any, name: str, depth: int, above: tuple[int, ...]) -> Any:
        kind = type(value)
        is_object = dataclasses.is_dataclass(kind)
        if not is_object and not issubclass(kind, (dict, MappingProxyType, *_LISTED)):
            return f"<{class_name(value)}>"
        if id(value) in above:
            return "<cycle>"
        if depth >= _DEEPEST or self._left <= 0:
            return f"<{class_name(value)}: too {'deep' if depth >= _DEEPEST else 'much'}>"
        above = (*above, id(value))
        if issubclass(kind, _LISTED):
            return self._list(value, name, depth, above)
        pairs: Any
        if is_object and not issubclass(kind, dict):
            pairs = [(field.name, _attribute(value, field.name)) for field in dataclasses.fields(kind)]
        else:
            items = dict.items(value) if issubclass(kind, dict) else value.items()
            pairs = list(islice(items, self._left + 1))  # one call into C: nobody changes it meanwhile
        return self._object(pairs, depth, above)

    def _object(self, pairs: list[tuple[Any, Any]], depth: int, above: tuple[int, ...]) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        for key, item in pairs:
            if self._left <= 0:
                copied["…"] = "more"
                break
            self._left -= 1
            called = self._name(key, depth, above)
            copied[called] = self.of(item, called, depth + 1, above)
        return copied

    def _list(self, value: Any, name: str, depth: int, above: tuple[int, ...]) -> Any:
        base: Any = next(base for base in _LISTED if issubclass(type(value), base))
        items = list(islice(base.__iter__(value), self._left + 1))  # one call into C, as above
        copied = []
        for item in items:
            if self._left <= 0:
                copied.append("… more")
                break
            self._left -= 1
            copied.append(self.of(item, name, depth + 1, above))
        if is_pair(tuple(copied) if base is tuple else copied):
            return [copied[0], MASK]
        return MASK if self._is_phrase(name, copied) else copied

    def _is_phrase(self, name: str, items: list[Any]) -> bool:
        """Say whether *items* show a secret in a row: a mnemonic, an option and its value, a PEM block."""
        if len(items) < 2 or not all(type(item) is str for item in items):
            return False
        phrase = " ".join(items)
        if len(items) >= FEWEST and all(map(str.isalpha, items)):
            phrase = f"{name}: {phrase}"
        return self.text(phrase) != phrase

    def _name(self, key: Any, depth: int, above: tuple[int, ...]) -> str:
        if type(key) is str:
            return self.text(key)
        if key is None or type(key) is bool:
            return "null" if key is None else str(key).lower()
        copied = self.of(key, "", depth + 1, above)
        return copied if type(copied) is str else str(copied)

    def _number(self, value: int) -> Any:
        if abs(value) < _SHORTEST_SECRET:
            return value
        text = _decimal(value)
        if self.text(text) != text:
            return MASK
        return value if -_LARGE <= value < _LARGE else text

    def text(self, text: str) -> str:
        """Return *text* as valid Unicode, bounded and without secrets."""
        try:
            redacted = self._redact(clean(clip(text, MAX_TEXT)))
            return clean(redacted) if isinstance(redacted, str) else MASK
        except Exception:  # noqa: BLE001 - what cannot be searched is not shown
            return MASK


def _attribute(value: object, name: str) -> object:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:  # deleted
        return None


def _epoch(value: datetime) -> float | None:
    seconds = datetime.timestamp(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    return seconds if math.isfinite(seconds) else None  # that of pandas' NaT is no number


def _decimal(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return clip(hex(value), MAX_TEXT)
