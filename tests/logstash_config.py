"""Reads a pipeline file of Logstash, as far as its grammar goes: sections, branches, plugins and their settings."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(r"""\s+|#[^\n]*|(?P<token>"[^"]*"|=>|==|!=|[{}\[\],()]|[\w@.-]+)""")


class Plugin(NamedTuple):
    """A plugin as it stands in the file.

    Args:
        section: `input`, `filter` or `output`.
        name: such as `udp`.
        settings: what it is told; texts without their quotes, numbers as text, arrays as lists.
    """

    section: str
    name: str
    settings: dict[str, object]


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))

    def take(self, wanted: str | None = None) -> str:
        if not self._tokens:
            raise ValueError(f"the file ends where {wanted or 'more'} should stand")
        token = self._tokens.pop(0)
        if wanted is not None and token != wanted:
            raise ValueError(f"{token} stands where {wanted} should")
        return token

    @property
    def next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def file(self) -> Iterator[Plugin]:
        while self._tokens:
            section = self.take()
            if section not in ("input", "filter", "output"):
                raise ValueError(f"{section} is no section")
            yield from self.block(section)

    def block(self, section: str) -> Iterator[Plugin]:
        self.take("{")
        while self.next != "}":
            name = self.take()
            if name in ("if", "else"):
                while self.next != "{":
                    self.take()
                yield from self.block(section)
            else:
                yield Plugin(section, name, self.settings())
        self.take("}")

    def settings(self) -> dict[str, object]:
        found: dict[str, object] = {}
        self.take("{")
        while self.next != "}":
            name = self.take()
            self.take("=>")
            if name in found:
                raise ValueError(f"{name} is there twice")
            found[name] = self.value()
        self.take("}")
        return found

    def value(self) -> object:
        if self.next == "{":
            return self.settings()
        if self.next != "[":
            return self.take().strip('"')
        self.take("[")
        values = []
        while self.next != "]":
            values.append(self.value())
            if self.next == ",":
                self.take(",")
        self.take("]")
        return values


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"nothing of Logstash's: {text[at : at + 20]!r}")
        at = found.end()
        if found["token"]:
            yield found["token"]


def plugins(text: str) -> list[Plugin]:
    """Return the plugins of a pipeline file in their order. Raises `ValueError` for what Logstash could not read."""
    return list(_Reader(text).file())
