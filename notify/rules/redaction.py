"""Takes secrets out of events: known values, what looks like a secret, and what a name gives away."""

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from notify.event import Attachment, Event, ExceptionInfo, Source
from notify.interruption import came_from_a_signal
from notify.plain import class_name, safe_str
from notify.rules import mnemonic, secret_values
from notify.rules.secret_names import is_pair, is_secret, weight
from notify.rules.secret_search import SecretSearch

MASK = "[redacted]"

_HARMLESS = frozenset({float, bool, type(None), Decimal, datetime, date, time, timedelta})
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

_TOGETHER = 16  # events searched at once: more of them cost hardly less, and are searched again when one is suspected
_LONG = 65_536  # characters of texts that are searched together: copies of them are made
_BETWEEN = "#x"  # events: neither their letters nor their words go on behind it, as those of a mnemonic do
_NAMES = 4096  # names of fields, loggers, files, functions and threads that are remembered: they come again and again
_ROUNDS = 4  # at most, of which the last finds nothing
_LONGEST_NUMBER = 80  # digits: a wallet's key has up to 78
_HOLDS_SECRET = 3  # beyond the weights of names


class Redactor:
    """Replaces secrets by `[redacted]`. Any thread may use it, and its methods never raise an Exception.

    Args:
        values: what must never be shown: the values of the secrets file and of variables with secret names.
            Those shorter than six characters are ignored.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = dict.fromkeys(values)
        self._prepare()

    def learn(self, values: Iterable[str]) -> None:
        """Never show *values* either, from the next text on. By one thread at a time."""
        new = dict.fromkeys(values)
        if new.keys() - self._values.keys():
            self._values |= new
            self._prepare()

    def _prepare(self) -> None:
        # What is part of the mask would be found again in what replaced it.
        forms = tuple(form for form in secret_values.forms(self._values) if form not in MASK)
        self._numbers = frozenset(int(form) for form in forms if re.fullmatch(f"-?[0-9]{{1,{_LONGEST_NUMBER}}}", form))
        self._data = tuple(map(_as_data, forms))
        self._phrases = frozenset(form for form in forms if " " in form)
        self._search = SecretSearch(forms)
        self._weight = lru_cache(maxsize=_NAMES)(self._weigh)
        self._are_plain = lru_cache(maxsize=_NAMES)(self._weigh_nothing)

    def text(self, text: str) -> str:
        """Return *text* with the secrets in it replaced, the same object when there are none."""
        try:
            return self._text(text)
        except Exception as error:  # what cannot be searched is not shown
            if came_from_a_signal(error):
                raise
            return MASK

    def event(self, event: Event) -> Event:
        """Return *event* with the secrets in it replaced, the same object when there are none.

        Attachments that are text, whatever their name and media type, are searched as text: those in UTF-8, in UTF-16
        with its mark, and without a byte of zero. In others only known values are looked for, and overwritten in place.
        8 MiB of log lines full of hashes take 0.7 s, of JSON 0.25 s, of an image 0.02 s.
        """
        try:
            return self._event(event) if self._suspects((event,)) else event
        except Exception as error:  # what cannot be searched is not shown
            if came_from_a_signal(error):
                raise
            why = f"{MASK}: this event could not be searched for secrets ({class_name(error)})"
            return Event(id=event.id, time=event.time, level=event.level, message=why)

    def events(self, events: Sequence[Event]) -> list[Event]:
        """Return *events*, each as `event` returns it. Many together cost half as much."""
        redacted: list[Event] = []
        for start in range(0, len(events), _TOGETHER):
            group = events[start : start + _TOGETHER]
            redacted += map(self.event, group) if self._suspects(group) else group
        return redacted

    def _suspects(self, events: Sequence[Event]) -> bool:
        """Look once at all texts of *events* together, which is all that most events cost."""
        try:
            texts: list[str] = []
            too_long = self._give_away(events, texts) or (len(events) > 1 and sum(map(len, texts)) > _LONG)
            return too_long or self._search.hint("\n".join(texts))
        except Exception as error:  # `event` says so of the one that cannot be searched
            if came_from_a_signal(error):
                raise
            return True

    def _give_away(self, events: Sequence[Event], texts: list[str]) -> bool:
        """Add what has to be searched in *events* to *texts*, or say that a name or number has given a secret away."""
        add, are_plain, numbers = texts.append, self._are_plain, self._numbers
        source = topic = logger = names = None
        for event in events:
            # A log call in a loop is made many times in a row, and to compare costs less than to look up.
            if event.source is not source or event.topic is not topic or event.logger is not logger:
                source, topic, logger = event.source, event.topic, event.logger
                if not are_plain((topic, logger, source.path, source.function, source.thread), _HOLDS_SECRET):
                    return True
            add(_BETWEEN)
            add(event.message)
            if event.body:
                add(event.body)
            if event.key is not None:
                add(event.key)
            if event.exception is not None:
                exception = event.exception
                texts += (exception.type, exception.message, exception.traceback)
            if event.tail:
                texts += event.tail
            if event.attachments:
                return True
            fields = event.fields
            if tuple(fields) != names:
                names = tuple(fields) if are_plain(tuple(fields), 1) else None
                if names is None and self._is_given_away(fields):
                    return True
            for key, value in fields.items():
                kind = type(value)
                if kind is str:
                    add(value)  # type: ignore[arg-type]  # it is one
                elif kind is int:
                    if value in numbers:
                        return True
                elif kind not in _HARMLESS and self._gather_value(key, value, texts):
                    return True
        return False

    def _weigh(self, name: str) -> int:
        return _HOLDS_SECRET if self._search.hint(name) else weight(name)

    def _weigh_nothing(self, names: tuple[object, ...], least: int) -> bool:
        """Say whether all *names* are strings and none weighs as much as *least*."""
        return all(type(name) is str and self._weight(name) < least for name in names)

    def _gather(self, fields: Mapping[Any, object], texts: list[str]) -> bool:
        """Do with *fields* what `_give_away` does with those of an event."""
        if not self._are_plain(tuple(fields), 1) and self._is_given_away(fields):
            return True
        for key, value in fields.items():
            if type(value) is str:
                texts.append(value)
            elif type(value) is int:
                if value in self._numbers:
                    return True
            elif type(value) not in _HARMLESS and self._gather_value(key, value, texts):
                return True
        return False

    def _is_given_away(self, fields: Mapping[Any, object]) -> bool:
        """Say whether a name says that its value is a secret, or holds one itself."""
        for key, value in fields.items():
            name = key if type(key) is str else safe_str(key)
            weighs = self._weight(name)
            if weighs and (weighs == _HOLDS_SECRET or is_secret(name, value)):
                return True
        return False

    def _gather_value(self, name: object, value: object, texts: list[str]) -> bool:
        if isinstance(value, Mapping):
            return self._gather(value, texts)
        if isinstance(value, list | tuple):
            if is_pair(value) or self._is_phrase(name, value):
                return True
            return any(self._gather({name: item}, texts) for item in value)
        texts.append(_as_text(value) if isinstance(value, bytes) else safe_str(value))
        return False

    def _is_phrase(self, name: object, items: Sequence[object]) -> bool:
        """Say whether *items*, called *name*, are the words of a known value or of a mnemonic."""
        if len(items) < mnemonic.FEWEST:
            return False
        words = [item for item in items if isinstance(item, str) and item.isalpha()]
        if len(words) < len(items):
            return False
        phrase = " ".join(words)
        return phrase in self._phrases or any(mnemonic.find(f"{safe_str(name)}: {phrase}"))

    def _says_more(self, items: Sequence[object]) -> bool:
        """Say whether *items*, each of which was searched, show a secret in a row: an option, lines of a PEM block."""
        words = [item for item in items if isinstance(item, str)]
        together = " ".join(words)
        return len(words) == len(items) > 1 and self._text(together) != together

    def _text(self, text: str) -> str:
        # What stands beside a mask may be seen for what it is only now: a word that had been glued to a known value.
        for _ in range(_ROUNDS):
            redacted = self._once(text)
            if redacted == text:
                return text
            text = redacted
        return text

    def _once(self, text: str) -> str:
        pieces: list[str] = []
        done = 0
        for start, end in self._search.find(text):
            if start > done or not pieces:
                pieces += (text[done:start], MASK)
            done = max(done, end)
        return "".join([*pieces, text[done:]]) if pieces else text

    def _event(self, event: Event) -> Event:
        redacted = replace(
            event,
            message=self._text(event.message),
            body=self._text(event.body),
            topic=self._text(event.topic),
            key=None if event.key is None else self._text(event.key),
            fields=self._fields(event.fields),
            attachments=tuple(map(self._attachment, event.attachments)),
            exception=self._exception(event.exception),
            tail=tuple(map(self._text, event.tail)),
            logger=self._text(event.logger),
            source=self._source(event.source),
        )
        return event if redacted == event else redacted

    def _fields(self, fields: Mapping[Any, object]) -> dict[Any, object]:
        redacted: dict[Any, object] = {}
        for key, value in fields.items():
            name = key if type(key) is str else safe_str(key)
            shown = self._text(name)
            free = key if shown is name else shown
            while free in redacted:  # two names may look alike now, and neither field may get lost
                free = f"{free}'"
            redacted[free] = self._value(name, value)
        return redacted

    def _value(self, name: str, value: object) -> object:
        if is_secret(name, value) or (type(value) is int and value in self._numbers):
            return MASK
        if type(value) is int or type(value) in _HARMLESS:
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return self._fields(value)
        if isinstance(value, list | tuple):
            if is_pair(value):
                return (value[0], MASK) if isinstance(value, tuple) else [value[0], MASK]
            items = [self._value(name, item) for item in value]
            if self._is_phrase(name, value) or self._says_more(items):
                return MASK
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, bytes):
            return self._text(_as_text(value)).encode("utf-8", "surrogateescape")
        shown = safe_str(value)
        redacted = self._text(shown)
        return value if redacted is shown else redacted

    def _exception(self, exception: ExceptionInfo | None) -> ExceptionInfo | None:
        if exception is None:
            return None
        return ExceptionInfo(*map(self._text, (exception.type, exception.message, exception.traceback)))

    def _source(self, source: Source) -> Source:
        path, function, thread = map(self._text, (source.path, source.function, source.thread))
        return replace(source, path=path, function=function, thread=thread)

    def _attachment(self, attachment: Attachment) -> Attachment:
        kind = attachment.content_type
        return replace(
            attachment,
            filename=self._text(attachment.filename),
            data=self._content(attachment.data),
            content_type=None if kind is None else self._text(kind),
        )

    def _content(self, data: bytes) -> bytes:
        # What it is called says nothing: a key has a name of any ending, and a log may have none.
        try:
            return self._text(data.decode()).encode()
        except UnicodeDecodeError:
            data = self._not_utf_8(data)
        for known in self._data:
            data = data.replace(known, MASK.encode()[: len(known)].ljust(len(known), b"*"))
        return data

    def _not_utf_8(self, data: bytes) -> bytes:
        """Search what may be text all the same. Images, archives and programs have bytes of zero near their begin."""
        if data[:2] in _UTF_16:
            return self._utf_16(data)
        if b"\0" in data:
            return data
        return self._text(_as_text(data)).encode("utf-8", "surrogateescape")

    def _utf_16(self, data: bytes) -> bytes:
        """Search what a byte order mark says is UTF-16, which may be wrong: then nothing is found."""
        encoding = _UTF_16[data[:2]]
        text = data.decode(encoding, "replace")
        redacted = self._text(text)
        return data if redacted == text else redacted.encode(encoding)


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _as_data(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return text.encode("utf-8", "surrogatepass")
