"""A stand-in for Discord: takes webhook messages over real HTTP, keeps Discord's limits, fails when told to."""

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Any, Literal, Self

from notify.testing.discord_http import TOKEN, USUAL, WEBHOOK_ID, Handler, Received, Reply
from notify.testing.discord_limits import Limits, up
from notify.testing.discord_rules import MAX_FILE, MAX_REQUEST, refusal
from notify.testing.stand_in import HANG, RESET, RESET_EARLY, RESET_LATE, Server
from notify.testing.stand_in import Reply as AnyReply

__all__ = [
    "BAD_GATEWAY", "BAN", "BLOCKED", "DRIP", "HANG", "RESET", "RESET_EARLY", "RESET_LATE", "TOKEN", "WEBHOOK_ID",
    "FakeDiscord", "Received", "Reply", "rate_limited",
]  # fmt: skip

_FIRST_ID = 1200000000000000001
_FIRST_FILE_ID = 1300000000000000000
_HTML = b"<!DOCTYPE html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>"


def rate_limited(retry_after: float, *, via: bool = True, scope: Literal["user", "shared", "global"] = "user") -> Reply:
    """Return Discord's 429.

    Args:
        retry_after: seconds. The body has them as they are, the header rounded up to whole ones.
        via: False looks as behind a proxy that takes this header off.
        scope: `user` is the webhook's own limit, `shared` its channel's, `global` that of the internet address.
    """
    headers = {"Retry-After": str(math.ceil(retry_after)), "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": scope == "global"}
    return Reply(429, body, {**headers, "Via": "1.1 google"} if via else headers)


BAN = Reply(429, _HTML % (b"Error 1015", b"You are being rate limited"), {})
"""Cloudflare's page for an address that it has banned."""
BLOCKED = Reply(403, b"error code: 1015", {})
"""The same, as Cloudflare says it elsewhere."""
BAD_GATEWAY = Reply(502, _HTML % (b"502", b"Bad gateway"), {})
"""Cloudflare's page for when Discord does not answer it."""
DRIP = Reply(200, {"id": "1", "content": "." * 3600}, keeps=True, drip=1.0)
"""The message is delivered, and its answer takes an hour: a byte a second."""


class FakeDiscord:
    """One webhook of a Discord on a port of the loopback interface. A context manager; thread-safe.

    It knows what Discord refuses and how it limits: 5 messages and 5 edits in 2 seconds a webhook, told in headers, and
    30 requests in 60 seconds a channel, told by nothing but a 429 with `Retry-After`.

        with FakeDiscord(speed=60) as discord:
            backend = DiscordBackend(discord.url)
            ...
            assert discord.messages[0].embeds[0]["title"] == "Bought 1 ETH"

    Args:
        speed: how much faster its seconds pass in limits and waits, so that a test need not wait a minute. The
            answers are in real seconds.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self.messages: list[Received] = []
        """What was delivered, in order."""
        self.edits: list[Received] = []
        """What has changed a message, in order. In `messages` stands what it is by now."""
        self.requests = 0
        """How many posts and edits came in."""
        self.refusals: list[dict[str, Any]] = []
        """The bodies of the answers to messages that Discord would have refused with 400."""
        self.limited = 0
        """How many posts were answered 429 because of a limit."""
        self.too_early = 0
        """How many posts came in before the last `Retry-After` had passed."""
        self._lock = threading.Lock()
        self._script: deque[AnyReply] = deque()
        self._limits = Limits(speed)
        self._closed_until = 0.0
        self._deleted: set[int] = set()
        self._file_ids: dict[tuple[int, str], str] = {}  # by the place of the message and the name of the file
        self._next_file_id = count(_FIRST_FILE_ID)
        self._server = Server(Handler, self)

    @property
    def embeds(self) -> list[dict[str, Any]]:
        """The embeds of all messages, in order."""
        return [embed for message in self.messages for embed in message.embeds]

    @property
    def url(self) -> str:
        """The webhook's URL, in the form that people copy."""
        return f"http://127.0.0.1:{self._server.server_port}/api/webhooks/{WEBHOOK_ID}/{TOKEN}"

    def __enter__(self) -> Self:
        self._server.begin()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.end()

    def answer_with(self, *replies: AnyReply | int) -> None:
        """Answer the next posts with *replies*, one each: a `Reply`, or a status with what Discord usually says."""
        with self._lock:
            self._script += [
                reply if isinstance(reply, AnyReply) else Reply(reply, USUAL.get(reply, {})) for reply in replies
            ]

    def next_reply(self) -> AnyReply | None:
        """Count a post, and return what `answer_with` has for it. For the request handler."""
        with self._lock:
            self.requests += 1
            if time.monotonic() < self._closed_until:
                self.too_early += 1
            reply = self._script.popleft() if self._script else None
            if reply is not None and reply.status == 429 and isinstance(reply.body, Mapping):
                self._closed_until = time.monotonic() + float(reply.body.get("retry_after", 0.0))
            return reply

    def receive(self, message: Received, size: int) -> Reply:
        """Do with a post what Discord does. For the request handler."""
        with self._lock:
            wait, headers = self._limits.count(message.time)
            if wait:
                return self._too_many(wait, headers, message.time)
            if size > MAX_REQUEST or any(len(data) > MAX_FILE for data in message.files.values()):
                return Reply(413, USUAL[413], headers)
            refused = refusal(message.payload, list(message.files))
            if refused is not None:
                self.refusals.append(refused)
                return Reply(400, refused, headers)
            self.messages.append(message)
            if message.query.get("wait", "").lower() not in ("true", "1"):
                return Reply(204, b"", headers)
            return Reply(200, self._shown(message, len(self.messages) - 1), headers)

    def edit(self, message_id: str, message: Received, size: int) -> Reply:
        """Do with an edit what Discord does. For the request handler."""
        with self._lock:
            wait, headers = self._limits.count(message.time, "PATCH")
            if wait:
                return self._too_many(wait, headers, message.time)
            number = int(message_id) - _FIRST_ID
            if not 0 <= number < len(self.messages) or number in self._deleted:
                return Reply(404, {"message": "Unknown Message", "code": 10008}, headers)
            before = self.messages[number]
            kept = {self._file_id(number, name): name for name in before.files}
            refused = refusal(message.payload, list(message.files), kept=kept)
            if refused is not None or size > MAX_REQUEST:
                self.refusals.append(refused or dict(USUAL[413]))
                return Reply(400 if refused else 413, refused or USUAL[413], headers)
            self.edits.append(message)
            stay = before.files
            if "attachments" in message.payload:
                listed = {str(one["id"]) for one in message.payload["attachments"]}
                stay = {name: before.files[name] for one, name in kept.items() if one in listed}
            now = replace(
                before,
                payload={**before.payload, **message.payload},
                files=MappingProxyType({**stay, **message.files}),
            )
            self.messages[number] = now
            for name in message.files:
                self._file_ids.pop((number, name), None)  # a file that takes the place of another has an id of its own
            return Reply(200, self._shown(now, number), headers)

    def delete(self, number: int) -> None:
        """Have the message at this place in `messages` be gone, as when somebody has deleted it."""
        with self._lock:
            self._deleted.add(number)

    def _too_many(self, wait: float, headers: Mapping[str, str], at: float) -> Reply:
        self.limited += 1
        self._closed_until = at + float(headers["Retry-After"])
        body = {"message": "You are being rate limited.", "retry_after": up(wait), "global": False}
        return Reply(429, body, headers)

    def keep(self, message: Received) -> None:
        """Count *message* as delivered, unlimited and unread. For the request handler."""
        with self._lock:
            self.messages.append(message)

    def _shown(self, message: Received, number: int) -> dict[str, Any]:
        """Return the message as Discord answers it."""
        return {
            "id": str(_FIRST_ID + number),
            "type": 0,
            "channel_id": "1000000000000000001",
            "webhook_id": WEBHOOK_ID,
            "content": message.payload.get("content", ""),
            "embeds": message.embeds,
            "attachments": [
                {"id": self._file_id(number, name), "filename": name, "size": len(data)}
                for name, data in message.files.items()
            ],
        }

    def _file_id(self, number: int, name: str) -> str:
        return self._file_ids.setdefault((number, name), str(next(self._next_file_id)))
