"""A document as one line of strict JSON that fits where it has to go."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, lru_cache

from notify import imports
from notify.backends.logstash.wire import CALLS, Document, InParts, Shared
from notify.clip import clip
from notify.plain import SCALARS, clean, jsonable, keep, safe_str

LEAST_LIMIT = 1200
"""Bytes that every document can be cut to: less than the smallest packet that IPv6 must carry."""

_LEAST_TEXT = 64  # code points that a cut string keeps at least; the mark in its middle takes up to 30 of them
_DEEPEST = 16  # orjson refuses 255 levels; what `plain.keep` has bounded stays far below this
# What is never left out. With strings of 64 code points at 6 bytes each, all of them fit LEAST_LIMIT.
_ESSENTIAL = frozenset({"@timestamp", "@version", "ecs", "message", "event_id", "event", "truncated", "original_bytes"})


def encode(document: Document, limit: int) -> bytes:
    """Return *document* as strict JSON in UTF-8 without a line break, *limit* bytes at most.

    A document that is longer has its longest strings cut in the middle, and says so: `truncated` is true and
    `original_bytes` the length it had. Never raises an Exception.

    Args:
        document: JSON's types, as `wire` makes it. Anything else in it is shown as text.
        limit: bytes, `LEAST_LIMIT` at least.
    """
    line = _line(document)
    return line if len(line) <= limit else _fitted(document, limit, len(line))


def encode_all(documents: Sequence[InParts], limit: int) -> list[bytes]:
    """Return each of *documents* as `encode` does, but in one call of the encoder: about half the price.

    Never raises an Exception.

    Args:
        documents: as `wire` makes them.
        limit: as for `encode`.
    """
    if not documents:
        return []
    imports.load("orjson")
    import orjson

    together: list[object] = [orjson.Fragment(b"\n")] * (2 * len(documents) - 1)
    together[::2] = [own for own, _ in documents]
    with suppress(TypeError):
        text = orjson.dumps(together)
        if not _has_nul(text):
            # No string has a raw line break in it, so these are ours. Each line lacks its last brace.
            lines: list[bytes] = []
            known, end = None, b""
            for begin, (_, shared) in zip(text[1:-2].split(b"},\n,"), documents, strict=True):
                if shared is not known:
                    known, end = shared, _end(shared)
                lines.append(begin + end)
            if max(map(len, lines)) <= limit:
                return lines
    return [encode(shared.document | own, limit) for own, shared in documents]  # one of them is not as the others are


@lru_cache(maxsize=CALLS)
def _end(shared: Shared) -> bytes:
    """Return as JSON what *shared* adds to a line that has something already. Raises `TypeError` if it is odd."""
    line = _dumps()(shared.document)
    if _has_nul(line):
        raise TypeError
    return line[1:] if line == b"{}" else b"," + line[1:]


def lengthened(line: bytes, size: int) -> bytes:
    """Return *line*, an object in JSON, with as many spaces before its last brace as make it *size* bytes long."""
    return line[:-1].ljust(size - 1) + b"}"


def _line(document: Document) -> bytes:
    dumps = _dumps()
    try:
        line = dumps(document)
    except TypeError:  # a lone surrogate, or a type or depth that orjson refuses
        return dumps(_harmless(document))
    return dumps(_harmless(document)) if _has_nul(line) else line


def _has_nul(text: bytes) -> bool:
    # rsyslog and syslog-ng end a string at NUL. A backslash alone is quicker to look for, and seldom there.
    return b"\\" in text and rb"\u0000" in text


@cache
def _dumps() -> Callable[[object], bytes]:
    imports.load("orjson")
    import orjson

    return orjson.dumps


def _harmless(document: Document) -> Document:
    """Return *document* with NUL and lone surrogates made visible, and nothing in it that is not JSON's."""
    return {_text(name): _harmless_value(value, 1) for name, value in document.items()}


def _harmless_value(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict | list) and depth > _DEEPEST:
        return f"<{type(value).__name__} of {len(value)}: too deep>"
    if isinstance(value, dict):
        return {_text(name): _harmless_value(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_harmless_value(item, depth + 1) for item in value]
    return jsonable(value) if type(value) in SCALARS else _harmless_value(jsonable(keep(value)), depth + 1)


def _text(value: object) -> str:
    return clean(safe_str(value)).replace("\0", "\\x00")


def _fitted(document: Document, limit: int, original: int) -> bytes:
    """Return *document* with all strings cut to the greatest length at which it fits."""
    marked = {**_harmless(document), "truncated": True, "original_bytes": original}
    shortest = _cut(marked, _LEAST_TEXT)
    best = _line(shortest)
    if len(best) > limit:
        return _line(_without_the_largest(shortest, limit))
    fits, too_long = _LEAST_TEXT, limit  # a string of as many code points as the limit has bytes never fits
    while too_long - fits > max(1, fits // 32):  # within 3 % of the best is near enough
        length = (fits + too_long) // 2
        line = _line(_cut(marked, length))
        if len(line) <= limit:
            fits, best = length, line
        else:
            too_long = length
    return best


def _cut(document: Document, length: int) -> Document:
    return {name: _cut_value(value, length) for name, value in document.items()}


def _cut_value(value: object, length: int) -> object:
    if isinstance(value, str):
        return clip(value, length)
    if isinstance(value, dict):
        return {name: _cut_value(item, length) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut_value(item, length) for item in value]
    return value


def _without_the_largest(document: Document, limit: int) -> Document:
    """Return *document* without as many of its entries as it takes, the largest first.

    They are left out rather than shown as text: a receiver that has learnt that a field is an object
    refuses the whole event when it is a string.
    """
    sizes = {name: len(_line({name: value})) - 1 for name, value in document.items()}  # one brace stands for the comma
    left = dict(document)
    total = sum(sizes.values()) + 1
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total <= limit:
            break
        if name not in _ESSENTIAL:
            del left[name]
            total -= sizes[name]
    return left
