"""The Telegram backend: sends messages by a bot, and obeys what Telegram says about them."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notify import diagnostics
from notify.backends.http import Answer, HttpClient, mapping, parsed
from notify.backends.telegram.address import TELEGRAM, parse_base, parse_token
from notify.backends.telegram.answer import Said, reason, said_in
from notify.backends.telegram.limiter import Limiter, process_limiter
from notify.backends.telegram.steps import Step, steps_for
from notify.clip import clip_end
from notify.errors import Gone, Rejected, RetryLater, Unfit
from notify.event import Event
from notify.levels import severity

DEADLINE_SECONDS = 15.0  # for one request, everything included
FILE_DEADLINE_SECONDS = 60.0  # for one with a file, which may be 50 MB
_REMEMBERED = 16  # events that were begun: one that waits, and those that overtook it
_MOVES = 3  # of a chat in a row that are followed
_NAME = 60  # characters of a chat's title


@dataclass(slots=True)
class _Begun:
    """An event on its way: what has not been sent of it yet."""

    steps: list[Step]
    under_way: bool = False  # part of it was taken or refused: what follows is the rest of the same burst


class TelegramBackend:
    """Sends events to one chat as messages of a bot.

    A long event is up to three messages, a longer one a message with its whole text in a file; every file is a message
    of its own. When one of them fails, those before it are not sent again. For one thread at a time, the lane's.

    Args:
        token: of the bot, as @BotFather gave it.
        chat_id: of the chat: a group's or a channel's is negative.
        base: the address of the Bot API server.
        silent: says which events make no sound; a CRITICAL one always does.
        client: posts; an `HttpClient` of its own by default.
        limiter: says when the next message may go out; by default the one that all backends of the process share.
        deadline_seconds: for one request, everything included; by default 15, and 60 for one with a file.

    Raises `ValueError` for an unusable argument, without showing it.
    """

    durable = True
    max_batch = 1
    folds = True
    imports = HttpClient.imports
    limiter: Limiter
    """Says when the next message may go out. It may be replaced before the first one."""

    def __init__(
        self,
        token: str,
        chat_id: int,
        *,
        base: str = TELEGRAM,
        silent: Callable[[Event], bool] | None = None,
        client: HttpClient | None = None,
        limiter: Limiter | None = None,
        deadline_seconds: float | None = None,
    ) -> None:
        self._token = parse_token(token)
        self._base = parse_base(base)
        self._chat_id = chat_id
        self._silent = silent
        self._client = client or HttpClient()
        self.limiter = limiter or process_limiter()
        self._deadline = deadline_seconds or DEADLINE_SECONDS
        self._file_deadline = deadline_seconds or FILE_DEADLINE_SECONDS
        self._begun: dict[str, _Begun] = {}

    def __repr__(self) -> str:
        return "TelegramBackend()"

    def send(self, events: Sequence[Event], /) -> int:
        """Send the first event, or what has not been sent of it yet, and return 1.

        Raises `RetryLater`, `Rejected` or `Gone`, none of which names the bot. A picture that Telegram refused is
        sent as a document, a document is left out, HTML becomes plain text.
        """
        event = events[0]
        begun = self._begin(event)
        while begun.steps:
            said = self._post(begun)
            if said.taken:
                del begun.steps[0]
                begun.under_way = True
                continue
            try:
                self._refused(said, begun)
            except Rejected:
                del self._begun[event.id]
                raise
        del self._begun[event.id]
        return 1

    def ready_in(self) -> float:
        """Return the seconds until Telegram's limits allow the next event."""
        return self.limiter.ready_in(self._token, self._chat_id)

    def check(self) -> str:
        """Ask Telegram for the bot and the chat, which sends nothing, and say what they are called.

        Raises `Gone` when one of them is not there, `RetryLater` when that cannot be told now, `Unfit` when the chat is
        another by now.
        """
        bot = self._ask("getMe")
        chat = self._ask("getChat")
        name = chat.get("title") or chat.get("username") or chat.get("first_name") or "unnamed"
        found = f"the bot is @{_short(bot.get('username'))}, the chat {_short(name)!r} ({_short(chat.get('type'))})"
        moved = chat.get("id")
        if moved != self._chat_id:
            raise Unfit(f"{found}, which is now {moved}: set TELEGRAM_CHAT_ID to that")
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _begin(self, event: Event) -> _Begun:
        """Return what is to be sent of *event*."""
        begun = self._begun.get(event.id)
        if begun is None:
            quiet = self._silent is not None and severity(event.level) < logging.CRITICAL and self._silent(event)
            begun = self._begun[event.id] = _Begun(steps_for(event, silent=quiet))
            if len(self._begun) > _REMEMBERED:
                del self._begun[next(iter(self._begun))]  # the lane has parked or dropped it long since
        return begun

    def _post(self, begun: _Begun) -> Said:
        """Send the next step of an event, to wherever its chat has moved, and return what Telegram said."""
        for _ in range(_MOVES):
            chat = self._chat_id
            if wait := self.limiter.acquire(self._token, chat, more=begun.under_way):
                what = "the rest of the event follows" if begun.under_way else "nothing was sent"
                # A lane takes waits of less than a second, again and again, for a destination that does not know.
                raise RetryLater(max(wait, 1.0), f"Telegram's rate limit: {what}")
            said = said_in(self._request(begun.steps[0]))
            self.limiter.answered(self._token, chat, (said.retry_after or 0.0) if said.status == 429 else None)
            if said.taken or said.moved_to is None or said.moved_to == chat:
                return said
            self._chat_id = said.moved_to
            diagnostics.report(
                "telegram chat",
                f"telegram: the group has become a supergroup, and its id {said.moved_to}, which is used from now on: "
                "set TELEGRAM_CHAT_ID to that",
            )
        raise RetryLater(None, "Telegram names one chat after the other as the new one")

    def _request(self, step: Step) -> Answer:
        with_file = step.file is not None
        return self._client.post(
            self._url(step.method),
            json=None if with_file else json.dumps(step.json(self._chat_id)).encode(),
            parts=step.parts(self._chat_id),
            deadline_seconds=self._file_deadline if with_file else self._deadline,
        )

    def _refused(self, said: Said, begun: _Begun) -> None:
        """Note what is to be sent instead of the step that *said* refuses, or raise what the lane should know."""
        why = reason(said, self._token)
        if said.status == 429:
            raise RetryLater(max(1.0, self.ready_in()), why)
        if said.gone:
            raise Gone(why)
        too_large = said.status == 413 and begun.steps[0].file is not None  # a proxy may say so, too
        if not (too_large or (said.known and said.status == 400)):
            raise RetryLater(None, why)
        less = begun.steps[0].less()
        if less is None:
            raise Rejected(why)
        begun.steps[0] = less
        begun.under_way = True

    def _ask(self, method: str) -> dict[str, object]:
        """Return what Telegram knows of the bot or the chat."""
        chat = self._chat_id
        for _ in range(_MOVES):
            url = self._url(method) + (f"?chat_id={chat}" if method == "getChat" else "")
            answer = self._client.get(url, deadline_seconds=self._deadline)
            said = said_in(answer)
            if said.known and said.taken:
                return mapping(parsed(answer.body).get("result"))
            if said.moved_to is None:
                break
            chat = said.moved_to
        why = reason(said, self._token)
        if said.gone:
            raise Gone(why)
        raise RetryLater(None, why)

    def _url(self, method: str) -> str:
        return f"{self._base}/bot{self._token}/{method}"


def _short(value: object) -> str:
    return clip_end(str(value), _NAME)
