"""One request over HTTP, and what became of it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_BODY = 65_536  # bytes of an answer that are read; what a webhook says fits in a few thousand


class Part(NamedTuple):
    """One part of a multipart body.

    Args:
        name: of the form field.
        content: its bytes.
        filename: when it is a file. ASCII.
        content_type: a media type.
    """

    name: str
    content: bytes
    filename: str | None = None
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Args:
        status: the HTTP status.
        headers: looked up by name in any case.
        body: decompressed, no more of it than was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Exchange:
    """A request on its way from the thread that waits for the answer to the one that gets it, and back.

    Args:
        method: of HTTP.
        url: where to; a credential.
        json: the body, encoded already.
        parts: the body when *json* is None.
        params: what the query gets in addition.
        headers: sent in addition to what HTTP needs.
        deadline_seconds: for everything together.
        max_body: bytes of the answer's body that are read.
        done: set when there is an answer or a failure.
        taken: the beginning of an answer that says that the request was carried out: its body may be on its way yet.
        answer: the whole answer.
        failure: why there is none, without the URL.
    """

    method: str
    url: str = field(repr=False)
    json: bytes | None = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    params: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    deadline_seconds: float
    max_body: int = MAX_BODY
    done: threading.Event = field(default_factory=threading.Event)
    taken: Answer | None = None
    answer: Answer | None = None
    failure: str = ""

    @property
    def socket_seconds(self) -> float:
        """How long one wait on the socket may last: past the deadline, which whoever waits for the answer keeps."""
        return self.deadline_seconds + 1.0
