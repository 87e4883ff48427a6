"""Events on standard output: text for people, or JSON lines for machines."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from notify import imports
from notify.descriptor import descriptor_of, write_whole
from notify.errors import Gone, RetryLater
from notify.event import Event
from notify.levels import level_name, severity
from notify.plain import iso_time, jsonable, safe_str
from notify.table import table_of

# What a terminal or a log viewer acts upon instead of showing it: C0 and C1 controls, line and paragraph
# separators, and the marks that turn the writing direction around.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_NAMES_OF_THE_RENDERER = frozenset({"timestamp", "level", "event", "logger", "exception", "exc_info", "stack"})
_LEVEL_WIDTH = 10  # columns: TRADE_HIGH is the longest
_MESSAGE_WIDTH = 44  # columns that messages are padded to, so that fields line up

_RESET, _DIM, _CYAN = "\x1b[0m", "\x1b[2m", "\x1b[36m"
_RED, _YELLOW, _GREEN = "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;32m"  # bold


class StdoutBackend:
    """Writes each event to standard output, whatever `sys.stdout` is at that moment.

    In text, one event is one line, with control characters escaped; body, tables and traceback follow indented.

    What the program prints itself waits in Python's buffer, unless standard output is a terminal or PYTHONUNBUFFERED
    is set. That buffer is neither used nor flushed, for the reason in `notify.descriptor`; so in a pipe or
    a file such text may stand below events that happened after it.

    Args:
        json: JSON lines instead of text.
        destination: when given, marks every event as one that a dry run would have sent there.
        env: decides about colour: `NO_COLOR`, `FORCE_COLOR`.
    """

    folds = False
    in_order = True
    max_batch = 100

    def __init__(
        self, *, json: bool = False, destination: str | None = None, env: Mapping[str, str] = os.environ
    ) -> None:
        self.imports = ("orjson",) if json else ("structlog.dev", "notify.backends.written")
        self._json = json
        self._destination = destination
        self._env = env
        self._renderers: dict[bool, Callable[[Event], str]] = {}
        self._begun: tuple[str, int] | None = None  # id of the event that is written in part, and the descriptor

    def send(self, events: Sequence[Event], /) -> int:
        """Write *events*.

        Raises `Gone` when there is no standard output any more or nobody can read it, and `RetryLater` when it takes
        nothing for a second. An event that is written in part by then goes on where it stopped.
        """
        # Programs put objects in its place that can do no more than print() asks for: write().
        stream = sys.stdout
        if stream is None or getattr(stream, "closed", False):
            raise Gone("standard output is closed")
        encoding = getattr(stream, "encoding", None) or "utf-8"
        texts = [self._encodable(text, encoding) for text in map(self._renderer(stream), events)]
        descriptor = descriptor_of(stream)
        try:
            if descriptor is not None:
                return self._send_through(descriptor, events, [text.encode(encoding) for text in texts])
            stream.write("".join(texts))
            getattr(stream, "flush", lambda: None)()
        except BrokenPipeError:
            raise Gone("nobody reads standard output any more") from None
        return len(events)

    def close(self) -> None:
        """Leave standard output open: it is the program's."""

    def _send_through(self, descriptor: int, events: Sequence[Event], texts: list[bytes]) -> int:
        if self._begun == (events[0].id, descriptor):
            texts[0] = b""  # its end is with write_whole(), which writes it before anything else
        whole, begun = write_whole(descriptor, texts)
        if whole or begun:
            self._begun = (events[whole].id, descriptor) if begun else None
        if not whole:
            raise RetryLater(0, "standard output takes nothing at the moment")
        return whole

    def _renderer(self, stream: TextIO) -> Callable[[Event], str]:
        if self._json:
            return self._json_line
        colors = _wants_color(stream, self._env)
        if colors not in self._renderers:
            self._renderers[colors] = _text_renderer(colors, self._destination)
        return self._renderers[colors]

    def _encodable(self, text: str, encoding: str) -> str:
        """Return *text* with what *encoding* has no character for written out."""
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            if self._json:
                return _NOT_ASCII.sub(_json_escape, text)
            return text.encode(encoding, "backslashreplace").decode(encoding)
        return text

    def _json_line(self, event: Event) -> str:
        imports.load("orjson")
        import orjson

        shown = as_dict(event)
        if self._destination is not None:
            shown["dry_run"] = self._destination
        return _CONTROLS.sub(_json_escape, orjson.dumps(shown).decode()) + "\n"


def as_dict(event: Event) -> dict[str, object]:
    """Return *event* as plain JSON types, in valid Unicode. Parts that are empty are left out."""
    parts: dict[str, object] = {
        "time": iso_time(event.time),
        "level": level_name(event.level),
        "topic": event.topic,
        "origin": event.origin
        and {
            "executor": event.origin.executor,
            "name": event.origin.name,
            "icon_url": event.origin.icon_url,
        },
        "logger": event.logger,
        "message": event.message,
        "body": event.body,
        "key": event.key,
        "fields": event.fields,
        "exception": event.exception
        and {
            "type": event.exception.type,
            "message": event.exception.message,
            "traceback": event.exception.traceback,
        },
        "tail": list(event.tail),
        "attachments": [{"filename": safe_str(file.filename), "bytes": len(file.data)} for file in event.attachments],
        "source": f"{event.source.path}:{event.source.line}" if event.source.path else "",
        "id": event.id,
    }
    return {name: jsonable(value) for name, value in parts.items() if value or name == "message"}


def escape(text: str) -> str:
    r"""Return *text* on one line and harmless to a terminal: a newline becomes `\n`, an escape `\x1b`."""
    if text.isprintable():
        return text
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def _text_renderer(colors: bool, destination: str | None) -> Callable[[Event], str]:
    imports.load("structlog.dev", "notify.backends.written")
    from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter

    from notify.backends.written import origin_name  # with Unicode's data, which JSON lines can do without

    def styled(text: str, style: str) -> str:
        return f"{style}{text}{_RESET}" if colors and style else text

    def as_it_is(key: str, value: object) -> str:
        return str(value)

    fields = KeyValueColumnFormatter(
        key_style=_CYAN if colors else "", value_style="", reset_style=_RESET if colors else "", value_repr=_value
    )
    render = ConsoleRenderer(
        columns=[*(Column(name, as_it_is) for name in ("timestamp", "level", "event")), Column("", fields)],
        sort_keys=False,
    )
    mark = f"(dry run, for {destination}) " if destination else ""

    def line(event: Event) -> str:
        style = _style(event.level)
        shown: dict[str, object] = {}
        tables: list[str] = []
        for name, value in event.fields.items():
            if (table := table_of(value)) is not None:
                tables.append(f"{escape(safe_str(name))}:\n{table.draw(None)}")
            else:
                shown[_unused(escape(safe_str(name)), shown)] = value
        for file in event.attachments:
            shown[_unused(escape(safe_str(file.filename)), shown)] = f"{len(file.data)} bytes"
        if event.logger:
            shown["logger"] = event.logger
        said_by = f"{escape(origin_name(event))}: " if event.origin is not None else ""
        message = mark + said_by + escape(event.message)
        head = {
            "timestamp": styled(iso_time(event.time), _DIM),
            "level": styled(f"{escape(level_name(event.level)).lower():<{_LEVEL_WIDTH}}", style),
            "event": styled(f"{message:<{_MESSAGE_WIDTH}}" if shown else message, style),
        }
        return str(render(None, "", {**head, **shown})) + "\n" + _below(event, tables)

    return line


def _style(level: int) -> str:
    """Return the colour of what people look for; ordinary lines stay plain, so that these stand out."""
    level = severity(level)
    if level >= logging.ERROR:
        return _RED
    if level >= logging.WARNING:
        return _YELLOW
    return _GREEN if level > logging.INFO else ""


def _unused(name: str, shown: Mapping[str, object]) -> str:
    """Return *name*, or one like it that neither the renderer nor a part before it uses."""
    while name in shown or name in _NAMES_OF_THE_RENDERER:
        name = f"field_{name}"
    return name


def _value(value: object) -> str:
    """Return a field's value on one line; in quotes when one could not see where it ends."""
    text = escape(safe_str(value))
    return f'"{text}"' if not text or " " in text or "=" in text else text


def _below(event: Event, tables: Sequence[str]) -> str:
    # The tail of a crash is left out: here the last log lines stand right above it.
    texts = [event.body, *tables]
    if event.exception is not None:
        texts.append(event.exception.traceback)
    lines = [line for text in texts if text for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]
    return "".join(f"    {escape(line.expandtabs())}\n" for line in lines)


def _wants_color(stream: TextIO, env: Mapping[str, str]) -> bool:
    if env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return bool(getattr(stream, "isatty", lambda: False)()) and env.get("TERM") != "dumb"
