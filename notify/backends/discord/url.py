"""Webhook URLs as people paste them, and the one form that requests go to."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from notify.backends.http.loopback import is_loopback
from notify.setting import parse_snowflake

# Discord serves v10 on discord.com only; without a version the answers have the shape and units of v6.
_HOSTS = {
    "discord.com": "discord.com",
    "discordapp.com": "discord.com",
    "ptb.discord.com": "ptb.discord.com",
    "ptb.discordapp.com": "ptb.discord.com",
    "canary.discord.com": "canary.discord.com",
    "canary.discordapp.com": "canary.discord.com",
}
_PATH = re.compile(r"/api(?:/v[0-9]{1,3})?/webhooks/(0|[1-9][0-9]{0,19})/([A-Za-z0-9_.~-]+)(?:/slack|/github)?/?")
_URL_CHARACTERS = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a webhook's messages are posted.

    Args:
        url: a credential: it never goes into a text that somebody may read.
        token: the secret part of it, empty when the URL has no webhook's form.
        thread_id: the thread that the URL names.
    """

    url: str = field(repr=False)
    token: str = field(repr=False)
    thread_id: str | None = None


def parse_webhook_url(text: str) -> Webhook:
    """Return the webhook that *text* is the URL of.

    Discord's hosts need https and become `https://discord.com/api/v10/webhooks/ID/TOKEN`; a `/slack` or
    `/github` ending, which asks for another format, is dropped. Loopback addresses may have any port and http,
    and paths of another form stay as they are: that is for stand-ins.

    Raises `ValueError` for anything else. Its text never contains *text*.
    """
    text = text.strip()
    # The characters first: urlsplit() drops tabs and line ends without a word, and browsers take \ for /.
    if "…" in text:
        raise ValueError("not a webhook URL: it has the … of an example in it; copy the whole URL from Discord")
    if not _URL_CHARACTERS.fullmatch(text) or "\\" in text:
        raise ValueError("not a webhook URL: there are characters in it that no URL has")
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        query = parse_qsl(parts.query)
    except ValueError:
        host = ""
    if not host:
        raise ValueError("not a webhook URL: it should be https://discord.com/api/webhooks/ID/TOKEN")
    if "@" in parts.netloc:
        raise ValueError("not a webhook URL: there is a user name in it")
    if "#" in text:
        raise ValueError("not a webhook URL: there is a # in it")
    loopback = is_loopback(host)
    if not loopback and host not in _HOSTS:
        raise ValueError("not a webhook URL: the host is not Discord's")
    if scheme != "https" and not (loopback and scheme == "http"):
        raise ValueError("not a webhook URL: it must begin with https://")
    if not loopback and port not in (None, 443):
        raise ValueError("not a webhook URL: Discord has no such port")
    path = _PATH.fullmatch(parts.path)
    if path is None:
        if loopback:
            return Webhook(text, "")
        raise ValueError("not a webhook URL: the path should be /api/webhooks/ID/TOKEN")
    webhook_id, token = path.groups()
    threads = {value for name, value in query if name == "thread_id"}
    if len(threads) > 1:
        raise ValueError("not a webhook URL: it names more than one thread")
    thread_id = parse_snowflake(threads.pop()) if threads else None
    base = f"{scheme}://{parts.netloc}" if loopback else f"https://{_HOSTS[host]}"
    return Webhook(f"{base}/api/v10/webhooks/{webhook_id}/{token}", token, thread_id)
