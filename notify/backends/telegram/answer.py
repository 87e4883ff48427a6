"""What Telegram says to a request, and what that means."""

from dataclasses import dataclass

from notify.backends.http import Answer, mapping, number, parsed, short_reason

# With these a 400 is about the chat, and the same for every event. Telegram's server has no codes, only these texts.
_NO_CHAT = (
    "chat not found",
    "chat_id is empty",
    "chat_write_forbidden",
    "chat_send_plain_forbidden",
    "chat_admin_required",
    "chat_restricted",
    "channel_private",
    "peer_id_invalid",
    "topic_closed",
    "user not found",
    "input_user_deactivated",
    "group chat was deactivated",
    "have no rights to send a message",
    "not enough rights to send text messages",
    "need administrator rights in the channel chat",
)


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says.

    Args:
        status: of HTTP, or the one in the body where there is one.
        known: whether Telegram has spoken, and not something on the way to it.
        taken: whether the request was carried out.
        description: Telegram's words about a refusal.
        retry_after: seconds that it asks for.
        moved_to: the id of the chat that has taken the place of this one.
    """

    status: int
    known: bool
    taken: bool
    description: str = ""
    retry_after: float | None = None
    moved_to: int | None = None

    @property
    def gone(self) -> bool:
        """Whether the bot or the chat is no more: its token, its membership, the chat itself."""
        said = self.description.lower()
        return self.known and (
            self.status in (401, 403, 404) or (self.status == 400 and any(text in said for text in _NO_CHAT))
        )


def said_in(answer: Answer) -> Said:
    """Return what *answer* says.

    An answer of 2xx is a success even where its end, or all of its body, got lost on the way. A page of HTML
    is none: the server that answered is not Telegram's.
    """
    body = parsed(answer.body)
    ok = body.get("ok")
    if not isinstance(ok, bool):
        succeeded = 200 <= answer.status < 300 and not answer.body.lstrip().startswith(b"<")
        return Said(answer.status, known=False, taken=succeeded, retry_after=number(answer.headers.get("Retry-After")))
    code = body.get("error_code")
    parameters = mapping(body.get("parameters"))
    moved_to = parameters.get("migrate_to_chat_id")
    return Said(
        status=code if isinstance(code, int) and not ok else answer.status,
        known=True,
        taken=ok,
        description=str(body.get("description") or ""),
        retry_after=number(parameters.get("retry_after")),
        moved_to=moved_to if isinstance(moved_to, int) and moved_to else None,
    )


def reason(said: Said, token: str) -> str:
    """Say in one line what was answered, without the token and without addresses, which the answer may repeat."""
    text = f"Telegram answered {said.status}"
    if not said.known:
        text = f"an answer of {said.status} that is not Telegram's"
    if said.description:
        text += f": {said.description}"
    return short_reason(text, token, token.partition(":")[2])  # what is before the colon is the bot's public id
