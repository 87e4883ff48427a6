"""The HTTP side of the stand-in for Discord: what a request asks for, and whom it is told."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from notify.testing import stand_in
from notify.testing.stand_in import multipart

WEBHOOK_ID = "1100000000000000001"
TOKEN = "stand-in-token-that-must-not-appear-anywhere"  # noqa: S105 - opens nothing but this

_PATH = re.compile(r"/api(?:/v\d+)?/webhooks/(\d+)/([^/]+)(?:/messages/(\d+))?")
USUAL: dict[int, Mapping[str, Any]] = {
    400: {
        "message": "Invalid Form Body",
        "code": 50035,
        "errors": {"embeds": {"_errors": [{"code": "X", "message": "x"}]}},
    },
    401: {"message": "Invalid Webhook Token", "code": 50027},
    403: {"message": "Missing Permissions", "code": 50013},
    404: {"message": "Unknown Webhook", "code": 10015},
    413: {"message": "Request entity too large", "code": 40005},
    500: {"message": "500: Internal Server Error", "code": 0},
}
"""What Discord usually says with a status."""


@dataclass(frozen=True, slots=True)
class Reply(stand_in.Reply):
    """What the stand-in does with one request, instead of what Discord would do.

    Args are those of every stand-in. Answers of Discord's own have the header `Via`, as these have by default; those of
    Cloudflare before it have not.
    """

    headers: Mapping[str, str] = field(default_factory=lambda: {"Via": "1.1 google"})


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was delivered.

    Args:
        payload: its JSON.
        files: content by name, in order.
        query: of the request.
        headers: of the request, names in lower case.
        time: monotonic seconds.
    """

    payload: dict[str, Any]
    files: Mapping[str, bytes]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    time: float

    @property
    def embeds(self) -> list[dict[str, Any]]:
        """The embeds of the payload."""
        return list(self.payload.get("embeds") or [])


class Webhook(Protocol):
    """What stands behind the HTTP side. Thread-safe."""

    def next_reply(self) -> stand_in.Reply | None:
        """Count a request, and return what is to be answered whatever it is."""
        ...

    def receive(self, message: Received, size: int) -> stand_in.Reply:
        """Do with a message what Discord does; *size* is that of the request in bytes."""
        ...

    def edit(self, message_id: str, message: Received, size: int) -> stand_in.Reply:
        """Do with an edit what Discord does."""
        ...

    def keep(self, message: Received) -> None:
        """Count *message* as delivered."""
        ...


class Handler(stand_in.Handler):
    """Takes what is sent to the webhook, and answers what is asked about it."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer whether the webhook exists, as Discord does without authentication."""
        problem = self._problem()
        self.answer(problem or Reply(200, {"id": WEBHOOK_ID, "type": 1, "name": "stand-in", "token": TOKEN}))

    def do_POST(self) -> None:  # noqa: N802 - likewise
        """Take a message."""
        self._take(self._webhook.receive)

    def do_PATCH(self) -> None:  # noqa: N802 - likewise
        """Change a message."""
        found = _PATH.fullmatch(urlsplit(self.path).path)
        message_id = (found and found[3]) or "0"
        self._take(lambda message, size: self._webhook.edit(message_id, message, size))

    @property
    def _webhook(self) -> Webhook:
        webhook: Webhook = self.server.service
        return webhook

    def _take(self, take: Callable[[Received, int], stand_in.Reply]) -> None:
        scripted = self._webhook.next_reply()
        if scripted is not None and scripted.unread:
            self.reset()
            return
        body = self.read()
        message = self._message(body)
        if scripted is not None:
            if scripted.keeps:
                self._webhook.keep(message)
            if scripted.reset:
                self.reset()
            else:
                self.answer(scripted)
            return
        self.answer(self._problem() or take(message, len(body)))

    def _problem(self) -> Reply | None:
        found = _PATH.fullmatch(urlsplit(self.path).path)
        if found is None or found[1] != WEBHOOK_ID:
            return Reply(404, USUAL[404])
        return None if found[2] == TOKEN else Reply(401, USUAL[401])

    def _message(self, body: bytes) -> Received:
        kind = self.headers.get("Content-Type", "")
        files: dict[str, bytes] = {}
        if kind.startswith("multipart/form-data"):
            parts = multipart(kind, body)
            body = parts.pop("payload_json").content if "payload_json" in parts else b"{}"
            files = {parts[name].filename or "": parts[name].content for name in sorted(parts)}
        try:
            payload = json.loads(body)
        except ValueError:
            payload = None
        return Received(
            payload=payload,
            files=MappingProxyType(files),
            query=MappingProxyType(dict(parse_qsl(urlsplit(self.path).query))),
            headers=MappingProxyType({name.lower(): value for name, value in self.headers.items()}),
            time=time.monotonic(),
        )
