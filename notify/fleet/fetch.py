"""Gets JSON from the status server of a strategy: bounded in time and size, whatever answers there."""

import base64
import json
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from notify.backends.http import HttpClient
from notify.errors import RetryLater

DEADLINE = 5.0  # seconds, as trade-executor's front end waits
MAX_ANSWER = 2**20  # bytes of /status and /metadata, which have some thousands

_PASSWORD = frozenset({401, 403})  # 403 is what trade-executor's own server says
_REDIRECTS = range(300, 400)
_FOR_NOW = frozenset({408, 425, 429})  # of the 4xx, those that say that the same request may be welcome later


class FetchError(Exception):
    """There is no usable answer. Its text says why, in words for people and without the URL."""


class Misconfigured(FetchError):
    """Something answers, but no strategy, or not to us: the address or the password is wrong. Of the strategy nothing
    is known.
    """


class Credentials(NamedTuple):
    """What Basic auth asks for."""

    username: str
    password: str

    def header(self) -> str:
        """Return the value of the header `Authorization`."""
        # The environment may hold bytes that are no UTF-8: the server has the same ones.
        pair = f"{self.username}:{self.password}".encode("utf-8", "surrogateescape")
        return "Basic " + base64.b64encode(pair).decode("ascii")

    def __repr__(self) -> str:
        return "Credentials(…)"


def fetch_json(
    client: HttpClient,
    url: str,
    *,
    credentials: Credentials | None = None,
    deadline_seconds: float = DEADLINE,
    max_bytes: int = MAX_ANSWER,
) -> object:
    """Get *url* and return what its JSON says.

    Args:
        client: gets it; for one thread at a time.
        url: of a strategy's endpoint.
        credentials: for a server that asks for them.
        deadline_seconds: for everything together, name lookup included.
        max_bytes: of an answer; what is larger is refused, and not read any further.

    Raises `FetchError` for everything else than a status of 200 with strict JSON, and of these `Misconfigured` where it
    is the request that is wrong: nothing else in the fleet looks at what a stranger answers.
    """
    headers = {"Accept": "application/json", "Connection": "close"}
    if credentials is not None:
        headers["Authorization"] = credentials.header()
    try:
        answer = client.get(url, headers=headers, deadline_seconds=deadline_seconds, max_body=max_bytes + 1)
    except RetryLater as error:
        raise FetchError(str(error)) from None
    if answer.status != 200:
        raise _refusal(answer.status)
    if len(answer.body) > max_bytes:
        raise FetchError(f"the answer is larger than {max_bytes // 1024} kB")
    return _parsed(answer.body, answer.headers)


def _refusal(status: int) -> FetchError:
    if status in _PASSWORD:
        return Misconfigured(f"it asks for a password (HTTP {status})")
    if status in _REDIRECTS:
        return Misconfigured(f"it answers with a redirect (HTTP {status}), which is not followed")
    if status == 404:
        return Misconfigured("there is no status server behind this address (HTTP 404)")
    if status in (502, 503, 504):
        return FetchError(f"the proxy does not reach the program (HTTP {status})")
    kind = Misconfigured if 400 <= status < 500 and status not in _FOR_NOW else FetchError
    return kind(f"it answers with HTTP {status}")


def _parsed(body: bytes, headers: Mapping[str, str]) -> object:
    if not body.strip():
        raise FetchError("the answer is empty or not complete")
    try:
        return json.loads(body, parse_constant=_refuse)
    except FetchError:
        raise
    except (ValueError, RecursionError):
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_page = kind == "text/html" or body.lstrip()[:1] == b"<"
        raise Misconfigured(f"the answer is {'a web page' if is_page else 'something else'}, not JSON") from None


def _refuse(constant: str) -> NoReturn:
    raise FetchError(f"the answer holds {constant}, which JSON does not have")
