"""The Discord backend: posts messages, and obeys what Discord says about them."""

import json
from collections.abc import Callable, MutableMapping, Sequence
from enum import IntEnum

from notify.backends.discord.answer import reason
from notify.backends.discord.change import change, is_change, living_run, together
from notify.backends.discord.identity import acceptable_username, parse_mention
from notify.backends.discord.limiter import Limiter, process_limiter
from notify.backends.discord.limits import TOO_MANY_EDITS, is_ban
from notify.backends.discord.message import MAX_EMBEDS, Appearance, Message, compose, compose_plain
from notify.backends.discord.sent import SentMessages, file_ids
from notify.backends.discord.url import parse_webhook_url
from notify.backends.http import Answer, HttpClient, Part, mapping, parsed
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Event, Phase
from notify.setting import parse_snowflake
from notify.version import __version__

DEADLINE_SECONDS = 15.0  # for one request, everything included
_MAX_AVATAR_URL = 2048  # Discord's
_UNKNOWN_MESSAGE = 10008  # the code with which Discord says that a message was deleted
_HARMFUL_LINK = 240_000  # the code with which Discord refuses a message for a link in it
_UNCHANGEABLE = frozenset({_UNKNOWN_MESSAGE, TOO_MANY_EDITS, _HARMFUL_LINK})
_ON_THE_WAY = frozenset({407, 408})  # what a proxy says when it, and not Discord, did not take a request


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
        limiter: says when the next request may go out; by default the one that all backends of the process share.
        deadline_seconds: for one request, everything included.

    Raises `ValueError` for an unusable argument, without showing it.
    """

    durable = True
    max_batch = MAX_EMBEDS
    folds = True
    imports = (*HttpClient.imports, "discord_webhook")
    posted: MutableMapping[str, str]
    """Where it finds the messages again that it may change."""
    limiter: Limiter
    """Says when the next request may go out. It may be replaced before the first one."""

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
        limiter: Limiter | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._webhook = parse_webhook_url(url)
        self._thread_id = parse_snowflake(thread_id) if thread_id else self._webhook.thread_id
        self._mention = parse_mention(mention) if mention else None
        self.speak_as(username, avatar_url)
        self._silent = silent
        self._client = client or HttpClient()
        self.limiter = limiter or process_limiter()
        self._deadline_seconds = deadline_seconds
        self.posted = {}
        self._care_for = ("", _Care.NONE)  # the id of an event that Discord refused, and what to try next

    def __repr__(self) -> str:
        return "DiscordBackend()"

    def speak_as(self, username: str | None, avatar_url: str | None = None) -> None:
        """Show this name and picture from the next message on; see the class. Thread-safe.

        Raises `ValueError` for an address that is none of a picture.
        """
        if avatar_url and not (avatar_url.startswith(("https://", "http://")) and len(avatar_url) <= _MAX_AVATAR_URL):
            raise ValueError("not the address of a picture: it must begin with https://")
        self._username: str | None = acceptable_username(username) if username else None
        self._avatar_url: str | None = avatar_url or None

    def send(self, events: Sequence[Event], /) -> int:
        """Post the first events in one message, or change one, and return how many events that was.

        Raises `RetryLater`, `Rejected` or `Gone`, none of which names the webhook. An event that Discord refused in
        company is sent alone, then without its files if they were too large, then as plain text.
        """
        outdated = living_run(events) - 1
        events = events[outdated:]
        if self._change(events[0]):
            return outdated + 1
        events = together(events)
        while True:
            message, care = self._message(events)
            answer = self._request(message)
            if 200 <= answer.status < 300:
                SentMessages(self.posted).note(parsed(answer.body), events, message.embeds, message.notes)
                return outdated + message.count
            self._refused(answer, events[0], message, care)

    def ready_in(self) -> float:
        """Return the seconds until Discord's limits, as it last told them, allow a message."""
        return self.limiter.ready_in(self._webhook.url)

    def check(self) -> str:
        """Ask Discord whether the webhook is there, which posts nothing, and say so.

        Raises `Gone` when it is not, `RetryLater` when that cannot be told now.
        """
        answer = self._client.get(self._webhook.url, headers=_headers(), deadline_seconds=self._deadline_seconds)
        said = parsed(answer.body)
        if answer.status == 200:
            return f"the webhook is there: {str(said.get('name') or 'unnamed')[:80]!r}"
        why = reason(answer.status, said, self._webhook.token)
        if answer.status in (401, 403, 404) and not is_ban(answer.status, said):
            raise Gone(why)
        raise RetryLater(None, why)

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

    def _change(self, event: Event) -> bool:
        """Change the message of the event's matter, if there is one, and say whether nothing is left to be posted."""
        if event.matter is None or not is_change(event):
            return False
        messages = SentMessages(self.posted)
        sent = messages.find(event.matter.id)
        if sent is None:
            return False
        if event.matter.phase is Phase.LIVING and len(sent.embeds) > 1:
            # What others said there must stay. It shares their room for text, and whose files those are is not known.
            messages.forget(event.matter.id)
            return False
        changed = change(sent, event)
        answer = self._request(changed, of=sent.id)
        status, said = answer.status, parsed(answer.body)
        if 200 <= status < 300:
            if (ids := file_ids(said)) is not None:
                sent.attachments = ids
            messages.keep(sent)
        elif said.get("code") in _UNCHANGEABLE or status in (400, 413):  # if it is the text, posting it will show that
            messages.forget(event.matter.id)
            return False
        else:
            self._refused(answer, event, changed, _Care.PLAIN)
        if event.matter.phase is Phase.RESOLVED:
            messages.forget(event.matter.id)
            return False
        return True

    def _request(self, message: Message, *, of: str = "") -> Answer:
        """Post *message*, or put it in place of the message with the id *of*."""
        url = self._webhook.url
        if wait := self.limiter.acquire(url):
            raise RetryLater(wait, "Discord's rate limit: nothing was sent")
        answer: Answer | None = None
        try:
            body = json.dumps(message.payload).encode()
            parts = [
                Part(f"files[{number}]", file.data, file.name, file.content_type)
                for number, file in enumerate(message.files)
            ]
            # Without wait=true Discord answers before it has kept the message, and says nothing if it does not.
            params = {} if of else {"wait": "true"}
            answer = (self._client.patch if of else self._client.post)(
                f"{url}/messages/{of}" if of else url,
                json=None if parts else body,
                parts=[Part("payload_json", body, content_type="application/json"), *parts] if parts else (),
                params={**params, **({"thread_id": self._thread_id} if self._thread_id else {})},
                headers=_headers(),
                deadline_seconds=self._deadline_seconds,
            )
        finally:
            self.limiter.answered(url, answer)
        return answer

    def _refused(self, answer: Answer, event: Event, message: Message, care: _Care) -> None:
        """Note how *event* is to be sent next after *answer*, or raise what the lane should know."""
        status, said = answer.status, parsed(answer.body)
        why = reason(status, said, self._webhook.token)
        if status == 429 or is_ban(status, said):
            raise RetryLater(self.ready_in(), why)
        if status in (401, 403, 404) and said.get("code") != _HARMFUL_LINK:
            raise Gone(why)
        if status >= 500 or status < 400 or status in _ON_THE_WAY:
            raise RetryLater(None, why)
        blamed = set(mapping(said.get("errors")))
        if blamed and blamed <= {"username", "avatar_url"} & message.payload.keys():
            self._username = None if "username" in blamed else self._username
            self._avatar_url = None if "avatar_url" in blamed else self._avatar_url
            return
        self._care_for = (event.id, _more_care(status, message, care, why))


def _headers() -> dict[str, str]:
    # Discord requires this form; Cloudflare may turn away others.
    return {"User-Agent": f"DiscordBot (https://github.com/tradingstrategy-ai/notify, {__version__})"}


def _more_care(status: int, message: Message, care: _Care, why: str) -> _Care:
    """Return the next thing to try. Raises `Rejected` when everything was tried."""
    if message.count > 1:
        return _Care.ALONE
    if care < _Care.WITHOUT_FILES and status == 413 and message.files:
        return _Care.WITHOUT_FILES
    if care < _Care.PLAIN and status != 413:
        return _Care.PLAIN
    raise Rejected(why)
