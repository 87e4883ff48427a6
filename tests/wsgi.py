"""A request to a WSGI app, without a server between, as PEP 3333 wants it on either side."""

import base64
import json
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says, which must be strict JSON."""
        return json.loads(self.body, parse_constant=_not_json)


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def request(app: Any, path: str = "/", method: str = "GET", **environ: Any) -> Response:
    """Ask *app*; what either side does against the specification fails the test."""
    settings: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "SCRIPT_NAME": "", **environ}
    settings.setdefault("QUERY_STRING", "")
    setup_testing_defaults(settings)
    said: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        said.append((status, headers))
        return lambda data: None

    body = validator(app)(settings, start_response)
    try:
        text = b"".join(body)
    finally:
        body.close()
    ((status, headers),) = said
    assert len({name for name, _ in headers}) == len(headers), "a header is there twice"
    return Response(int(status[:3]), dict(headers), text)


def basic(username: str, password: str, encoding: str = "utf-8") -> str:
    """Return the header that a browser sends."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode(encoding)).decode()
