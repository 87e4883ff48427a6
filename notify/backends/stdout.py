"""Events on standard output: text for people, or JSON lines for machines."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO

from notify.errors import Gone
from notify.event import Event
from notify.levels import level_name
from notify.plain import jsonable, safe_str

# What a terminal or a log viewer acts upon instead of showing it: C0 and C1 controls, line and paragraph
# separators, and the marks that turn the writing direction around.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NAMES_OF_THE_RENDERER = frozenset(
    {"timestamp", "level", "event", "logger", "logger_name", "exception", "exc_info", "stack"}
)
_MESSAGE_WIDTH = 40  # columns that messages are padded to, so that fields line up


class StdoutBackend:
    """Writes each event to standard output, whatever `sys.stdout` is at that moment.

    In text, one event is one line, with control characters escaped; body, traceback and tail follow indented.

    Args:
        json: JSON lines instead of text.
        destination: when given, marks every event as one that a dry run would have sent there.
        env: decides about colour: `NO_COLOR`, `FORCE_COLOR`.
    """

    folds = False
    max_batch = 100

    def __init__(
        self, *, json: bool = False, destination: str | None = None, env: Mapping[str, str] = os.environ
    ) -> None:
        self._json = json
        self._destination = destination
        self._env = env
        self._renderers: dict[bool, Callable[[Event], str]] = {}

    def send(self, events: Sequence[Event], /) -> int:
        """Write *events*. Raises `Gone` when there is no standard output any more."""
        stream = sys.stdout
        if stream is None or stream.closed:
            raise Gone("standard output is closed")
        text = "".join(map(self._renderer(stream), events))
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except BrokenPipeError:
            raise Gone("nobody reads standard output any more") from None
        return len(events)

    def close(self) -> None:
        """Leave standard output open: it is the program's."""

    def _renderer(self, stream: TextIO) -> Callable[[Event], str]:
        if self._json:
            return self._json_line
        colors = _wants_color(stream, self._env)
        if colors not in self._renderers:
            self._renderers[colors] = _text_renderer(colors, self._destination)
        return self._renderers[colors]

    def _json_line(self, event: Event) -> str:
        import orjson

        shown = as_dict(event)
        if self._destination is not None:
            shown["dry_run"] = self._destination
        return orjson.dumps(shown).decode() + "\n"


def as_dict(event: Event) -> dict[str, object]:
    """Return *event* as plain JSON types. Parts that are empty are left out."""
    parts: dict[str, object] = {
        "time": _iso(event.time),
        "level": level_name(event.level),
        "topic": event.topic,
        "logger": event.logger,
        "message": event.message,
        "body": event.body,
        "key": event.key,
        "fields": jsonable(event.fields),
        "exception": event.exception
        and {
            "type": event.exception.type,
            "message": event.exception.message,
            "traceback": event.exception.traceback,
        },
        "tail": list(event.tail),
        "attachments": [{"filename": file.filename, "bytes": len(file.data)} for file in event.attachments],
        "source": f"{event.source.path}:{event.source.line}" if event.source.path else "",
        "id": event.id,
    }
    return {name: value for name, value in parts.items() if value or name == "message"}


def escape(text: str) -> str:
    r"""Return *text* on one line and harmless to a terminal: a newline becomes `\n`, an escape `\x1b`."""
    if text.isprintable():
        return text
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def _text_renderer(colors: bool, destination: str | None) -> Callable[[Event], str]:
    import structlog

    styles = structlog.dev.ConsoleRenderer.get_default_level_styles(colors)
    bold_green = "\x1b[1m\x1b[32m" if colors else ""
    styles = {**styles, "trade": bold_green, "trade_high": bold_green}
    render = structlog.dev.ConsoleRenderer(
        colors=colors, level_styles=styles, pad_event_to=_MESSAGE_WIDTH, sort_keys=False
    )
    mark = f"(dry run, for {destination}) " if destination else ""

    def line(event: Event) -> str:
        shown: dict[str, object] = {
            "timestamp": _iso(event.time),
            "level": level_name(event.level).lower(),
            "event": mark + escape(event.message),
        }
        if event.logger:
            shown["logger"] = escape(event.logger)
        for name, value in event.fields.items():
            name = escape(safe_str(name))
            shown[f"field_{name}" if name in _NAMES_OF_THE_RENDERER else name] = _field(value)
        for file in event.attachments:
            shown[escape(file.filename)] = f"{len(file.data)} bytes"
        return str(render(None, "", shown)) + "\n" + _below(event)

    return line


def _field(value: object) -> object:
    """Return what the renderer shows of a field: text unquoted where it can be, anything else as str."""
    return value if isinstance(value, bool | int | float | None) else escape(safe_str(value))


def _below(event: Event) -> str:
    texts = [event.body]
    if event.tail:
        texts.append("The last log lines before it:\n" + "\n".join(event.tail))
    if event.exception is not None:
        texts.append(event.exception.traceback)
    lines = [line for text in texts if text for line in text.rstrip("\n").split("\n")]
    return "".join(f"    {escape(line)}\n" for line in lines)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _wants_color(stream: TextIO, env: Mapping[str, str]) -> bool:
    if env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return stream.isatty() and env.get("TERM") != "dumb"
