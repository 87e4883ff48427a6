"""Events from JSON: what the outbox keeps, what `NOTIFY_STDOUT=json` prints, and what people write by hand."""

import base64
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from notify import event_json
from notify.backends.discord.files import MAX_FILE
from notify.event import Event, Origin, new_id
from notify.levels import parse_level
from notify.plain import keep_fields, safe_str

_BOM = b"\xef\xbb\xbf"
_PARTS = frozenset({field.name for field in dataclasses.fields(Event)} | {"dry_run"})
_TEXTS = ("message", "body", "topic", "logger", "id")


def events_of(data: bytes, now: float) -> tuple[list[Event], list[str]]:
    """Return the events in *data*, and the names in it that no event has.

    Args:
        data: an object, a list of them, or one in each line. `message` is all that it needs; `level` may be a name
            or a number, `time` epoch seconds or ISO 8601.
        now: epoch seconds, for events without a time.

    Raises `ValueError` when that is not what it is, saying where and why without showing any of it.
    """
    documents = _documents(data.removeprefix(_BOM))
    events: list[Event] = []
    unknown: dict[str, None] = {}
    for number, document in enumerate(documents, start=1):
        try:
            if not isinstance(document, dict):
                raise ValueError("not an object")
            events.append(_event(document, now))
        except ValueError as error:
            raise ValueError(f"event {number}: {error}" if len(documents) > 1 else str(error)) from None
        unknown.update(dict.fromkeys(name for name in document if name not in _PARTS))
    if not events:
        raise ValueError("there is no event in it")
    return events, list(unknown)


def _documents(data: bytes) -> list[Any]:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise ValueError("not JSON: it is no UTF-8 text") from None
    try:
        document = orjson.loads(data)
        return document if isinstance(document, list) else [document]
    except orjson.JSONDecodeError as error:
        lines = [line for line in data.split(b"\n") if line.strip()]
        if not lines:
            raise ValueError("it is empty") from None
        said = error
    if len(lines) > 1 and lines[0].strip().endswith(b"}"):
        found: list[Any] = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise ValueError(f"event {number}: not JSON: {error.msg}") from None
        return found
    raise ValueError(f"not JSON: {said.msg}")


def _event(document: Mapping[str, Any], now: float) -> Event:
    """Return the event that *document* says, its parts checked: `event_json` leaves out what is odd, without a word."""
    whole = dict(document)
    if "message" not in whole:
        raise ValueError("it has no message")
    for name in _TEXTS:
        _check(whole, name, str, "a string")
    _check(whole, "key", str | None, "a string")
    _check(whole, "fields", dict, "an object")
    _check(whole, "tail", list, "a list of lines")
    _check(whole, "exception", dict | None, "an object with type, message and traceback")
    whole["level"] = _level(whole.get("level", "INFO"))
    whole["time"] = _time(whole.get("time", now))
    whole.setdefault("id", new_id(whole["time"]))
    _check(whole, "attachments", list, "a list")
    whole["attachments"] = [_attachment(one) for one in whole.get("attachments", ())]
    if isinstance(place := whole.get("source"), str):
        path, _, line = place.rpartition(":")
        whole["source"] = {"path": path, "line": int(line) if line.isascii() and line.isdigit() else 0}
    event = event_json.decode(orjson.dumps(whole))
    _check(whole, "origin", dict | None, "an object with executor, name and icon_url")
    return dataclasses.replace(event, fields=keep_fields(event.fields), origin=_origin(whole.get("origin")))


def _origin(given: Mapping[str, Any] | None) -> Origin | None:
    if not given:
        return None
    return Origin(*(safe_str(given.get(name, "")) for name in ("executor", "name", "icon_url")))


def _check(document: Mapping[str, Any], name: str, kind: Any, wanted: str) -> None:
    if name in document and not isinstance(document[name], kind):
        raise ValueError(f"{name}: not {wanted}")


def _level(given: object) -> int:
    if isinstance(given, str):
        try:
            return parse_level(given)
        except ValueError as error:
            raise ValueError(f"level: {error}") from None
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    raise ValueError("level: neither a name nor a number")


def _time(given: object) -> float:
    try:
        if isinstance(given, str):
            at = datetime.fromisoformat(given)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        if isinstance(given, int | float) and not isinstance(given, bool):
            datetime.fromtimestamp(given, UTC)
            return float(given)
    except (ValueError, OverflowError, OSError):
        pass  # a word on it is said below
    raise ValueError("time: neither epoch seconds nor ISO 8601")


def _attachment(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("filename"), str):
        raise ValueError("attachments: not objects with a filename")
    data = given.get("data")
    if data is None:  # standard output tells the size only
        size = given.get("bytes", 0)
        kept = bytes(max(0, min(size, MAX_FILE + 1)) if isinstance(size, int) else 0)
        return {**given, "data": base64.b64encode(kept).decode()}
    try:
        base64.b64decode(data, validate=True)
    except (ValueError, TypeError):
        raise ValueError("attachments: data that is not base64") from None
    return dict(given)
