"""A stand-in for Telegram: takes a bot's messages over real HTTP, keeps Telegram's limits, fails when told to."""

import json
import math
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from notify.testing.stand_in import HANG, RESET, RESET_EARLY, RESET_LATE, Handler, Reply, Server, multipart
from notify.testing.telegram_rules import MAX_FILE, Refused, check_file, check_size, check_text, shown

__all__ = [
    "BAD_GATEWAY", "BLOCKED", "CHAT_ID", "CHAT_NOT_FOUND", "DEACTIVATED", "DRIP", "HANG", "KICKED", "RESET",
    "RESET_EARLY", "RESET_LATE", "TOKEN", "FakeTelegram", "Received", "Reply", "rate_limited", "refused",
]  # fmt: skip

TOKEN = "4711000001:AAstand-in-token-not-to-appear-here"  # noqa: S105 - opens nothing but this
CHAT_ID = -1001234567890

_PATH = re.compile(r"/bot([^/]+)/([A-Za-z]+)")
_FILE_OF = {"sendPhoto": "photo", "sendDocument": "document"}
_HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>"


def refused(status: int, description: str, **parameters: object) -> Reply:
    """Return an error as Telegram says it: its HTTP status, its description and its parameters."""
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return Reply(status, {**body, "parameters": parameters} if parameters else body)


def rate_limited(retry_after: int) -> Reply:
    """Return Telegram's 429, which asks for a pause of so many seconds."""
    return refused(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


BLOCKED = refused(403, "Forbidden: bot was blocked by the user")
KICKED = refused(403, "Forbidden: bot was kicked from the supergroup chat")
DEACTIVATED = refused(403, "Forbidden: user is deactivated")
CHAT_NOT_FOUND = refused(400, "Bad Request: chat not found")
BAD_GATEWAY = Reply(502, _HTML)
"""The page of the server in front of Telegram's, when that does not answer it."""
DRIP = Reply(200, {"ok": True, "result": {"text": "." * 3600}}, keeps=True, drip=1.0)
"""The message is delivered, and its answer takes an hour: a byte a second."""

_USUAL = {
    400: "Bad Request: something is wrong with it",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
}


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was delivered.

    Args:
        method: of the Bot API.
        chat_id: where it went.
        text: as people see it, or the caption of a file.
        payload: what was sent, but for the file.
        file_name: of the file, None without one.
        file: its content.
        time: monotonic seconds.
    """

    method: str
    chat_id: int
    text: str
    payload: Mapping[str, Any]
    file_name: str | None
    file: bytes = field(repr=False)
    time: float

    @property
    def silent(self) -> bool:
        """Whether it makes no sound."""
        return self.payload.get("disable_notification") in (True, "true")


class FakeTelegram:
    """A Bot API server with one bot and one group, on a port of the loopback interface.

    It knows what Telegram refuses, HTML included, and how it limits: a message a second in a chat with short bursts,
    20 a minute in a group. A context manager; thread-safe.

        with FakeTelegram(speed=60) as telegram:
            backend = TelegramBackend(TOKEN, CHAT_ID, base=telegram.base)
            ...
            assert telegram.messages[0].text.startswith("Bought 1 ETH")

    Args:
        speed: how much faster its seconds pass in limits and waits, so that a test need not wait a minute.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self.messages: list[Received] = []
        """What was delivered, in order."""
        self.requests: list[str] = []
        """The methods of all requests that would have sent something, in order."""
        self.refusals: list[str] = []
        """What Telegram said to messages that it refused for what they are."""
        self.limited = 0
        """How many messages were answered 429 because of a limit."""
        self.too_early = 0
        """How many requests came in before the last `retry_after` had passed."""
        self.chat_id = CHAT_ID
        """The id of the group; `move` gives it another."""
        self._moved_from: set[int] = set()
        self._lock = threading.Lock()
        self._script: deque[Reply] = deque()
        self._limits = _Limits(speed)
        self._closed_until = -math.inf
        self._server = Server(_Handler, self)

    @property
    def base(self) -> str:
        """The address of the server: what TELEGRAM_API_BASE is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def texts(self) -> list[str]:
        """What people see of all messages, in order."""
        return [message.text for message in self.messages]

    def __enter__(self) -> Self:
        self._server.begin()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.end()

    def answer_with(self, *replies: Reply | int) -> None:
        """Answer the next messages with *replies*, one each: a `Reply`, or a status with what Telegram usually says."""
        with self._lock:
            self._script += [
                reply if isinstance(reply, Reply) else refused(reply, _USUAL.get(reply, "Error")) for reply in replies
            ]

    def move(self, chat_id: int) -> None:
        """Turn the group into a supergroup of another id, which Telegram names to whoever uses the old one."""
        with self._lock:
            self._moved_from.add(self.chat_id)
            self.chat_id = chat_id

    def next_reply(self, method: str) -> Reply | None:
        """Count a request, and return what `answer_with` has for it. For the request handler."""
        with self._lock:
            self.requests.append(method)
            self.too_early += time.monotonic() < self._closed_until
            reply = self._script.popleft() if self._script else None
            if reply is not None:
                self._note_stop(reply)
            return reply

    def about(self, method: str, query: Mapping[str, str]) -> Reply:
        """Answer a question that sends nothing. For the request handler."""
        with self._lock:
            if method == "getMe":
                return _taken({"id": int(TOKEN.partition(":")[0]), "is_bot": True, "username": "stand_in_bot"})
            if method != "getChat":
                return refused(404, "Not Found: method not found")
            chat = {"id": self.chat_id, "type": "supergroup", "title": "Alerts"}
            return self._wrong_chat(query.get("chat_id")) or _taken(chat)

    def receive(self, method: str, payload: dict[str, Any], file_name: str | None, file: bytes) -> Reply:
        """Do with a message what Telegram does. For the request handler."""
        with self._lock:
            if wrong := self._wrong_chat(payload.get("chat_id")):
                return wrong
            if len(file) > MAX_FILE:
                return refused(413, _USUAL[413])
            try:
                text = _checked(method, payload, file_name, file)
            except Refused as error:
                self.refusals.append(str(error))
                return refused(400, f"Bad Request: {error}")
            now = time.monotonic()
            if wait := self._limits.count(now):
                self.limited += 1
                stop = rate_limited(math.ceil(wait))
                self._note_stop(stop)
                return stop
            self.messages.append(Received(method, self.chat_id, text, payload, file_name, file, now))
            return _taken({"message_id": len(self.messages), "chat": {"id": self.chat_id}})

    def keep(self, method: str, payload: dict[str, Any], file_name: str | None, file: bytes) -> None:
        """Count a message as delivered, unlimited and unread. For the request handler."""
        with self._lock:
            text = str(payload.get("text") or payload.get("caption") or "")
            self.messages.append(Received(method, self.chat_id, text, payload, file_name, file, time.monotonic()))

    def _wrong_chat(self, given: object) -> Reply | None:
        chat = str(given)
        if chat == str(self.chat_id):
            return None
        if chat in map(str, self._moved_from):
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            return refused(400, description, migrate_to_chat_id=self.chat_id)
        return CHAT_NOT_FOUND

    def _note_stop(self, reply: Reply) -> None:
        if reply.status == 429 and isinstance(reply.body, Mapping):
            seconds = float(reply.body.get("parameters", {}).get("retry_after", 0.0))
            self._closed_until = time.monotonic() + seconds


class _Limits:
    """Telegram's limits for one group, with seconds that pass *speed* times as fast."""

    _BURST = 5.0  # messages that may follow each other at once; Telegram does not say how many
    _GROUP, _MINUTE = 20, 60.0

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._left = self._BURST
        self._counted_at = 0.0
        self._sent: deque[float] = deque(maxlen=self._GROUP)

    def count(self, moment: float) -> float:
        """Return the real seconds until a message would be taken, 0 when it is."""
        now = moment * self._speed
        self._left = min(self._BURST, self._left + now - self._counted_at)
        self._counted_at = now
        full = self._sent[0] + self._MINUTE - now if len(self._sent) == self._GROUP else 0.0
        if (wait := max(full, 1.0 - self._left)) > 0:
            return wait / self._speed
        self._left -= 1.0
        self._sent.append(now)
        return 0.0


def _checked(method: str, payload: Mapping[str, Any], file_name: str | None, file: bytes) -> str:
    """Return what people see of a message. Raises `Refused`."""
    caption = method != "sendMessage"
    text = payload.get("caption" if caption else "", "") if caption else payload.get("text", "")
    if not isinstance(text, str):
        raise Refused("strings must be encoded in UTF-8")
    if caption:
        if file_name is None:
            raise Refused(f"there is no {_FILE_OF[method]} in the request")
        check_file(file, photo=method == "sendPhoto")
    check_size(text)
    mode = payload.get("parse_mode")
    if mode not in (None, "HTML"):
        raise Refused("unsupported parse_mode")
    seen = (shown(text) if mode else text).strip()
    check_text(seen, caption=caption)
    return seen


def _taken(result: Mapping[str, Any]) -> Reply:
    return Reply(200, {"ok": True, "result": result})


class _Handler(Handler):
    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer a question."""
        parts = urlsplit(self.path)
        method = self._method()
        if isinstance(method, Reply):
            self.answer(method)
        else:
            self.answer(self._telegram.about(method, dict(parse_qsl(parts.query))))

    def do_POST(self) -> None:  # noqa: N802 - likewise
        """Take a message."""
        telegram = self._telegram
        method = self._method()
        name = method if isinstance(method, str) else ""
        scripted = telegram.next_reply(name)
        if scripted is not None and scripted.unread:
            self.reset()
            return
        message = self._message(name)
        if scripted is not None:
            if scripted.keeps:
                telegram.keep(name, *message)
            if scripted.reset:
                self.reset()
            else:
                self.answer(scripted)
        elif isinstance(method, Reply):
            self.answer(method)
        elif method not in ("sendMessage", *_FILE_OF):
            self.answer(refused(404, "Not Found: method not found"))
        else:
            self.answer(telegram.receive(method, *message))

    @property
    def _telegram(self) -> FakeTelegram:
        service: FakeTelegram = self.server.service
        return service

    def _method(self) -> str | Reply:
        """Return the method, or what Telegram says about the token."""
        found = _PATH.fullmatch(urlsplit(self.path).path)
        if found is None or ":" not in found[1]:
            return refused(404, "Not Found")
        return found[2] if found[1] == TOKEN else refused(401, "Unauthorized")

    def _message(self, method: str) -> tuple[dict[str, Any], str | None, bytes]:
        """Return the payload of a message, and the name and the content of its file."""
        body = self.read()
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            try:
                payload = json.loads(body)
            except ValueError:
                payload = None
            return payload if isinstance(payload, dict) else {}, None, b""
        fields = multipart(kind, body)
        file = fields.pop(_FILE_OF.get(method, ""), None)
        payload = {name: part.content.decode() for name, part in fields.items()}
        return payload, (file.filename if file else None), (file.content if file else b"")
