"""A bot's token and its server, as people paste them."""

import re
from urllib.parse import urlsplit

from notify.backends.http import is_loopback

TELEGRAM = "https://api.telegram.org"

_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}")
_URL_CHARACTERS = re.compile(r"[!-~]+")


def parse_token(text: str) -> str:
    """Return the token of a bot, without the space around it.

    Raises `ValueError` for anything else. Its text never contains *text*.
    """
    text = text.strip()
    if not _TOKEN.fullmatch(text):
        raise ValueError("not a bot's token: @BotFather gives one that looks like 123456789:AAF…")
    return text


def parse_base(text: str) -> str:
    """Return the address of a Bot API server, without a slash at its end.

    It needs https, except on this machine's own addresses.

    Raises `ValueError` for anything else. Its text never contains *text*.
    """
    text = text.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or not _URL_CHARACTERS.fullmatch(text) or "\\" in text:
        raise ValueError("not the address of a Bot API server, such as https://telegram.example.com")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError("not the address of a Bot API server: it must begin with https://")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("not the address of a Bot API server: only a host, a port and a path belong there")
    return text
