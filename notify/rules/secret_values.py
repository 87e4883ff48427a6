"""The texts under which a known secret may show up."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, quote_plus, unquote

from notify.rules import mnemonic
from notify.rules.secret_names import looks_random

SHORTEST = 6  # characters of a value worth hiding: shorter ones stand in ordinary words

_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s,;|\"'<>]+")
_USER_AND_PASSWORD = re.compile(r"://([^/@:\s]*)(?::([^/@\s]*))?@")
_LONGEST_NUMBER = 64  # hex digits of a wallet's key
_BETWEEN_WORDS = (" ", "\n", ", ", ",", "', '", '", "', '","')
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{32,})")


def forms(values: Iterable[str]) -> tuple[str, ...]:
    """Return every text under which *values* may show up.

    As they are, URL-quoted, JSON-escaped, both also twice, in HTML, as Python's `repr`, and as base64 at each of the
    three places where a value may begin, in either alphabet. Hex numbers also without `0x`, in capitals, in small
    letters, in decimal, and as the bytes that they stand for: raw, in base64 and as a list of numbers. Twelve words or
    more also as a list. Of URLs also the password and the parts that look random. What is shorter than six characters
    is left out.
    """
    found: set[str] = set()
    for value in values:
        for part in _parts(value):
            if len(part) >= SHORTEST:
                found.update(_spellings(part))
        found.update(_of_number(value.strip()))
        found.update(_of_words(value.split()))
    return tuple(sorted((form for form in found if len(form) >= SHORTEST), key=len, reverse=True))


def in_urls(value: str) -> Iterator[str]:
    """Yield what is secret of the URLs in *value*: their passwords, and the parts that look random."""
    for url in _URL.findall(value):
        for user, password in _USER_AND_PASSWORD.findall(url):
            yield from (password, unquote(password))
            if looks_random(user):
                yield user
        yield from filter(looks_random, re.split(r"[/?&=#:@]", url))


def _parts(value: str) -> Iterator[str]:
    value = value.strip()
    yield value
    yield from _URL.findall(value)
    yield from in_urls(value)
    for digits in _HEX.findall(value) if _HEX.fullmatch(value) else ():
        yield from (digits, digits.lower(), digits.upper())


def _spellings(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    for quoted in (quote(data, safe=""), quote_plus(data), quote(data)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield json.dumps(value).replace("/", r"\/")[1:-1]  # as PHP has it
    yield re.sub("[<>&]", lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(value, ensure_ascii=False))[1:-1]  # as Go
    yield json.dumps(json.dumps(value)[1:-1])[1:-1]
    yield quote(quote(data, safe=""), safe="")
    yield html.escape(value)
    yield html.escape(value).replace("&#x27;", "&#39;")
    yield html.escape(value, quote=False)
    for shown in (repr(value), ascii(value), repr(data)[1:]):
        yield shown[1:-1]
        yield shown[1:-1].replace("'", r"\'")  # within a longer text that holds both kinds of quotes
    yield from _in_base64(data)


def _of_number(value: str) -> Iterator[str]:
    number = _HEX.fullmatch(value)
    if not number:
        return
    if len(number[1]) <= _LONGEST_NUMBER:
        yield str(int(number[1], 16))
    data = bytes.fromhex(number[1]) if len(number[1]) % 2 == 0 else b""
    if len(set(data)) > 1:  # a run of one byte is the padding of many a file
        yield repr(data)[2:-1]
        yield data.decode("utf-8", "surrogateescape")
        yield from _in_base64(data)
        for between in (", ", ","):
            yield between.join(map(str, data))


def _of_words(words: Sequence[str]) -> Iterator[str]:
    if len(words) < mnemonic.FEWEST or not all(map(str.isalpha, words)):
        return
    for between in _BETWEEN_WORDS:
        yield between.join(words)
    for between in (" ", "\n"):
        yield between.join(f"{number}. {word}" for number, word in enumerate(words, start=1))


def _in_base64(data: bytes) -> Iterator[str]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # bytes that share a group of four characters with the value
            text = encode(b"\0" * before + data).decode().rstrip("=")
            # The first characters mix with what stands before, the last with what stands behind.
            yield text[before + 1 if before else 0 : len(text) - (1 if (before + len(data)) % 3 else 0)]
