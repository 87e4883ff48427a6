"""The Discord backend: posts messages, and obeys what Discord says about them."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any

from notify.backends.discord.identity import acceptable_username, parse_mention
from notify.backends.discord.message import MAX_EMBEDS, Appearance, Message, compose, compose_plain
from notify.backends.discord.url import parse_snowflake, parse_webhook_url
from notify.backends.http import Answer, HttpClient, Part
from notify.clock import Clock, SystemClock
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Event
from notify.version import __version__

DEADLINE = 15.0  # seconds for one request, everything included
_BAN = 600.0  # seconds: Cloudflare's bans end after minutes, and asking meanwhile prolongs them
# Seconds on top of what the hidden limit of a channel asks for: it lets messages pass as those of a minute ago leave
# its window, one after another, and what it asks for is the wait for the first. With 600 trades: one 429, not two.
_SPREAD = 0.5
_LONGEST_WAIT = 3600.0  # seconds; whoever asks for more is asked again after that
_MAX_AVATAR_URL = 2048  # Discord's
_DEEPEST = 10  # levels of Discord's nested errors that are looked into; its deepest has four
_REASON_LENGTH = 200  # characters of what Discord says about a refusal


class _Care(IntEnum):
    """How carefully the first event has to be sent, after what Discord said about it."""

    NONE = 0
    ALONE = 1
    WITHOUT_FILES = 2
    PLAIN = 3


class DiscordBackend:
    """Posts events to a Discord webhook.

    One event is one embed; up to ten waiting events share a message, because Discord takes about thirty messages
    a minute and channel. For one thread at a time, the lane's.

    Args:
        url: of the webhook, as Discord's page shows it; `?thread_id=` in it is understood.
        username: shown instead of the webhook's name. What Discord would refuse is altered or left out.
        avatar_url: picture shown instead of the webhook's.
        mention: who is called at ERROR and above: a user's id, or a role's id with `&` before it.
        thread_id: the thread of the channel that messages go to; wins over the one in *url*.
        silent: says which events make no sound; a CRITICAL one always does.
        client: posts; an `HttpClient` of its own by default.
        clock: tells the time.
        deadline: seconds for one request, everything included.

    Raises `ValueError` for an unusable argument, without showing it.
    """

    durable = True
    max_batch = MAX_EMBEDS
    folds = True

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        avatar_url: str | None = None,
        mention: str | None = None,
        thread_id: str | None = None,
        silent: Callable[[Event], bool] | None = None,
        client: HttpClient | None = None,
        clock: Clock | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._webhook = parse_webhook_url(url)
        self._thread_id = parse_snowflake(thread_id) if thread_id else self._webhook.thread_id
        if avatar_url and not (avatar_url.startswith(("https://", "http://")) and len(avatar_url) <= _MAX_AVATAR_URL):
            raise ValueError("not the address of a picture: it must begin with https://")
        self._mention = parse_mention(mention) if mention else None
        self._username = acceptable_username(username) if username else None
        self._avatar_url = avatar_url or None
        self._silent = silent
        self._client = client or HttpClient()
        self._clock = clock or SystemClock()
        self._deadline = deadline
        self._not_before = -math.inf  # monotonic seconds
        self._care_for = ("", _Care.NONE)  # the id of an event that Discord refused, and what to try next

    def __repr__(self) -> str:
        return "DiscordBackend()"

    def send(self, events: Sequence[Event], /) -> int:
        """Post the first events in one message, and return how many these were.

        Raises `RetryLater`, `Rejected` or `Gone`, none of which names the webhook. An event that Discord refused in
        company is sent alone, then without its files if they were too large, then as plain text.
        """
        while True:
            message, care = self._message(events)
            answer = self._post(message)
            if 200 <= answer.status < 300:
                return message.count
            self._refused(answer, events[0], message, care)

    def ready_in(self) -> float:
        """Return the seconds until Discord's limits, as it last told them, allow a message."""
        return max(0.0, self._not_before - self._clock.monotonic())

    def check(self) -> str:
        """Ask Discord whether the webhook is there, which posts nothing, and say so.

        Raises `Gone` when it is not, `RetryLater` when that cannot be told now.
        """
        answer = self._client.get(self._webhook.url, headers=_headers(), deadline_seconds=self._deadline)
        said = _parsed(answer.body)
        if answer.status == 200:
            return f"the webhook is there: {str(said.get('name') or 'unnamed')[:80]!r}"
        reason = self._reason(answer.status, said)
        if answer.status in (401, 403, 404):
            raise Gone(reason)
        raise RetryLater(None, reason)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _message(self, events: Sequence[Event]) -> tuple[Message, _Care]:
        """Return what to send next, and the care that was taken with it."""
        first, care = self._care_for
        if first != events[0].id:
            care = _Care.NONE
        appearance = Appearance(self._username, self._avatar_url, self._mention, self._silent)
        if care is _Care.PLAIN:
            return compose_plain(events[0], appearance), care
        together = events if care is _Care.NONE else events[:1]
        return compose(together, appearance, with_files=care is not _Care.WITHOUT_FILES), care

    def _post(self, message: Message) -> Answer:
        if remaining := self.ready_in():
            raise RetryLater(remaining, "Discord's rate limit: nothing was sent")
        body = json.dumps(message.payload).encode()
        parts = [
            Part(f"files[{number}]", file.data, file.name, file.content_type)
            for number, file in enumerate(message.files)
        ]
        answer = self._client.post(
            self._webhook.url,
            json=None if parts else body,
            parts=[Part("payload_json", body, content_type="application/json"), *parts] if parts else (),
            # Without wait=true Discord answers before it has kept the message, and says nothing if it does not.
            params={"wait": "true", **({"thread_id": self._thread_id} if self._thread_id else {})},
            headers=_headers(),
            deadline_seconds=self._deadline,
        )
        if _seconds(answer.headers.get("X-RateLimit-Remaining")) == 0:
            self._wait(_seconds(answer.headers.get("X-RateLimit-Reset-After")) or 0.0)
        return answer

    def _refused(self, answer: Answer, event: Event, message: Message, care: _Care) -> None:
        """Note how *event* is to be sent next after *answer*, or raise what the lane should know."""
        said = _parsed(answer.body)
        reason = self._reason(answer.status, said)
        if answer.status == 429:
            raise RetryLater(self._wait(_retry_after(answer, said)), reason)
        if answer.status in (401, 403, 404):
            raise Gone(reason)
        if answer.status >= 500 or answer.status < 400:
            raise RetryLater(None, reason)
        blamed = set(_mapping(said.get("errors")))
        if blamed and blamed <= {"username", "avatar_url"} & message.payload.keys():
            self._username = None if "username" in blamed else self._username
            self._avatar_url = None if "avatar_url" in blamed else self._avatar_url
            return
        self._care_for = (event.id, _more_care(answer.status, message, care, reason))

    def _wait(self, seconds: float) -> float:
        """Post nothing for *seconds* from now, and return how long that is, an hour at most."""
        seconds = min(seconds, _LONGEST_WAIT)
        self._not_before = max(self._not_before, self._clock.monotonic() + seconds)
        return seconds

    def _reason(self, status: int, said: Mapping[str, Any]) -> str:
        """Say what was answered, without anything that tells where the webhook is."""
        text = f"Discord answered {status}"
        if "code" in said:
            text += f", code {said['code']}"
        details = [str(said.get("message", "")), _first_error(said.get("errors"))]
        text = ": ".join([text, *(detail for detail in details if detail)])
        if self._webhook.token:
            text = text.replace(self._webhook.token, "…")
        return re.sub(r"https?://\S+", "…", " ".join(text.split()))[:_REASON_LENGTH]


def _headers() -> dict[str, str]:
    # Discord requires this form; Cloudflare may turn away others.
    return {"User-Agent": f"DiscordBot (https://github.com/tradingstrategy-ai/notify, {__version__})"}


def _more_care(status: int, message: Message, care: _Care, reason: str) -> _Care:
    """Return the next thing to try. Raises `Rejected` when everything was tried."""
    if message.count > 1:
        return _Care.ALONE
    if care < _Care.WITHOUT_FILES and status == 413 and message.files:
        return _Care.WITHOUT_FILES
    if care < _Care.PLAIN and status != 413:
        return _Care.PLAIN
    raise Rejected(reason)


def _retry_after(answer: Answer, said: Mapping[str, Any]) -> float:
    """Return how long a 429 asks us to wait, in seconds: what v10 answers, in the body or the headers."""
    header = _seconds(answer.headers.get("Retry-After")) or 0.0
    body = _seconds(said.get("retry_after"))
    if body is None:
        return max(header, _BAN)  # Discord always says it in the body: this is Cloudflare in front of it
    shared = answer.headers.get("X-RateLimit-Scope") == "shared"
    return max(header, body) + (_SPREAD if shared else 0.0)


def _seconds(value: object) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _parsed(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object in *body*, an empty one when there is none: an error page, or nothing."""
    try:
        return _mapping(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first_error(errors: object, path: str = "") -> str:
    """Return where and what the first of Discord's nested errors is, such as `embeds.0.title: …`."""
    if path.count(".") >= _DEEPEST:
        return ""
    for name, inner in _mapping(errors).items():
        if name == "_errors" and isinstance(inner, list):
            first = _mapping(inner[0]) if inner else {}
            return f"{path}: {first.get('code', '')} {first.get('message', '')}".strip()
        found = _first_error(inner, f"{path}.{name}" if path else name)
        if found:
            return found
    return ""
