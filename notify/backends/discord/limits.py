"""What an answer says about limits: whom it stops, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from notify.backends.http import Answer, number, parsed

_BAN = 600.0  # seconds: Cloudflare's bans end after minutes, and asking meanwhile prolongs them
_DEAD = 600.0  # seconds between questions whether a webhook that was deleted is there again
TOO_MANY_EDITS = 30046  # the code with which Discord refuses to change a message of more than an hour ago once more
_UNKNOWN_WEBHOOK = 10015  # the code with which Discord says that a webhook was deleted


class Scope(Enum):
    """Whose requests a limit stops."""

    WEBHOOK = auto()
    CHANNEL = auto()
    """The webhook's, and those of every other webhook of its channel."""
    PROCESS = auto()
    """All of this process, and of every other at its internet address."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A stop that an answer asks for.

    Args:
        scope: who has to stop.
        seconds: from now.
    """

    scope: Scope
    seconds: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """What Discord still takes from a webhook: its headers `X-RateLimit-Remaining`, `-Reset-After` and `-Bucket`.

    Args:
        left: requests.
        seconds: from now, until there are as many as ever.
        bucket: what these requests are counted in. Messages and changes of messages have one each.
    """

    left: int
    seconds: float
    bucket: str = ""


def limit_of(answer: Answer) -> Limit | None:
    """Return the stop that *answer* asks for, None when it asks for none.

    A 429 says it in its body or its headers, and the longer one counts. Its `X-RateLimit-Scope` is `user` for the
    webhook's own limit, `shared` for the channel's, `global` for the address's. A deleted webhook is a stop too:
    Discord asks not to go on using it. So is trouble (5xx) that comes with `Retry-After`.
    """
    said = parsed(answer.body)
    header = number(answer.headers.get("Retry-After")) or 0.0
    if said.get("code") == TOO_MANY_EDITS:
        return None  # it is that of one message: a new one may be sent
    if is_ban(answer.status, said):
        return Limit(Scope.PROCESS, max(header, _BAN))
    if answer.status == 429:
        seconds = max(header, number(said.get("retry_after")) or 0.0)
        scope = answer.headers.get("X-RateLimit-Scope")
        everywhere = answer.headers.get("X-RateLimit-Global", "").lower() == "true"
        if scope == "global" or everywhere or said.get("global") is True:
            return Limit(Scope.PROCESS, seconds)
        return Limit(Scope.CHANNEL, seconds) if scope == "shared" else Limit(Scope.WEBHOOK, seconds)
    if answer.status == 401 or said.get("code") == _UNKNOWN_WEBHOOK:
        return Limit(Scope.WEBHOOK, max(header, _DEAD))
    if answer.status >= 500 and header:
        return Limit(Scope.WEBHOOK, header)
    return None


def is_ban(status: int, said: Mapping[str, Any]) -> bool:
    """Say whether Cloudflare has turned our address away, and not Discord, which says more in both cases.

    Args:
        status: of the answer.
        said: the JSON object in it.
    """
    return (status == 429 and number(said.get("retry_after")) is None) or (status == 403 and not said.get("code"))


def allowance_of(answer: Answer) -> Allowance | None:
    """Return what *answer* says about the next requests, None when it says nothing."""
    left = number(answer.headers.get("X-RateLimit-Remaining"))
    seconds = number(answer.headers.get("X-RateLimit-Reset-After"))
    if left is None or seconds is None:
        return None
    return Allowance(int(left), seconds, answer.headers.get("X-RateLimit-Bucket", ""))
