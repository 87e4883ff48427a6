"""The dashboard as a WSGI app: what is at which address, and the headers that keep it to itself."""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from notify import diagnostics
from notify.clock import Clock
from notify.fleet.dashboard import pages
from notify.fleet.dashboard.board import Board
from notify.fleet.dashboard.details import Desk
from notify.fleet.dashboard.icons import Icons
from notify.fleet.dashboard.reading import LEVELS
from notify.fleet.dashboard.rows import listing, row
from notify.fleet.dashboard.text import line
from notify.interruption import came_from_a_signal
from notify.plain import class_name
from notify.status.auth import CHALLENGE, Readers

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from werkzeug import Request, Response

HEADERS = {
    # Nothing but our own files and answers: what a strategy says can load, run, send or frame nothing.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Encoding",
}
"""On every answer, but for files whose address changes with their content: these may be kept."""

_KEPT = "private, max-age=31536000, immutable"
_LIST = "/strategies"
_MOST_QUERY = 200  # code points of what is searched for
_LEAST_PACKED = 1024  # bytes
_LEVEL = "info"


class Dashboard:
    """Answers requests by what the board knows. Thread-safe.

    The list never asks a strategy for anything; the page of a strategy waits for it a second at most.

    Args:
        board: what was seen of the strategies.
        desk: asks one for more.
        icons: their icons.
        problems: what is wrong with the list that they come from, a line each.
        interval: seconds between two looks.
        readers: who may see it; None: everybody who can reach it.
        clock: tells the time.
    """

    def __init__(
        self,
        *,
        board: Board,
        desk: Desk,
        icons: Icons,
        problems: Sequence[str],
        interval: float,
        readers: Readers | None,
        clock: Clock,
    ) -> None:
        self._board = board
        self._desk = desk
        self._icons = icons
        self._problems = tuple(line(problem, 500) for problem in problems)
        self._interval = interval
        self._readers = readers
        self._clock = clock

    def warm_up(self) -> None:
        """Load and compile what the first request would have to wait for."""
        import werkzeug  # noqa: F401

        pages.message_page("", "", now=0.0)
        listed = listing(self._board.all(), now=0.0, interval=self._interval, icon_of=self._icons.name_of)
        pages.list_page(listed, problems=(), interval=self._interval, now=0.0)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        from werkzeug import Request

        request = Request(environ)
        try:
            response = self._answer(request)
        except BaseException as error:
            if came_from_a_signal(error):
                raise
            diagnostics.report("dashboard", f"a page could not be made: {class_name(error)}")
            response = self._message(
                500, "This page could not be made", "This is a defect of notify. Its standard error says more."
            )
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        _pack(request, response)
        return response(environ, start_response)

    def _answer(self, request: "Request") -> "Response":
        from werkzeug import Response
        from werkzeug.utils import redirect

        if self._readers is not None and not self._readers.admit(request.headers.get("Authorization", "")):
            refused = self._message(
                401, "This page needs a password", "It is HTTP_USERNAME and HTTP_PASSWORD of whoever runs it."
            )
            refused.headers["WWW-Authenticate"] = CHALLENGE
            return refused
        if request.method not in ("GET", "HEAD"):
            refused = self._message(405, "This can only be read", "GET or HEAD, nothing else.")
            refused.headers["Allow"] = "GET, HEAD"
            return refused
        path = request.path
        if path == "/":
            return redirect(_LIST)
        if path == _LIST:
            return self._list(request)
        folder, _, name = path.removeprefix("/").partition("/")
        if folder == "strategies" and self._board.strategy(name) is not None:
            return self._strategy(request, name)
        if folder == "static" and name in pages.STATIC:
            return Response(pages.static(name), content_type=pages.STATIC[name], headers={"Cache-Control": _KEPT})
        icon = self._icons.get(name) if folder == "icons" else None
        if icon is not None:
            return Response(icon.content, content_type=icon.content_type, headers={"Cache-Control": _KEPT})
        if folder == "strategies":
            return self._message(404, "There is no such strategy", "It is not in the list, or not any more.")
        return self._message(404, "There is nothing here", "The address is not one of this dashboard.")

    def _list(self, request: "Request") -> "Response":
        state, query = request.args.get("state", ""), line(request.args.get("q", "")[:_MOST_QUERY])
        asked = zlib.crc32(f"{state} {query}".encode("utf-8", "replace"))
        etag = f"{self._board.mark()}-{self._icons.count}-{asked:x}"
        if request.if_none_match.contains_weak(etag):
            return _html("", 304, etag)
        now = self._clock.time()
        listed = listing(
            self._board.all(),
            now=now,
            interval=self._interval,
            icon_of=self._icons.name_of,
            state=state,
            query=query,
        )
        page = pages.list_page(listed, problems=self._problems, interval=self._interval, now=now)
        return _html(page, 200, etag)

    def _strategy(self, request: "Request", name: str) -> "Response":
        strategy = self._board.strategy(name)
        assert strategy is not None  # noqa: S101 - whoever calls this has looked
        details = self._desk.details(strategy)
        now = self._clock.time()
        level = request.args.get("level", "")
        interval = strategy.interval or self._interval
        shown = row(self._board.known(strategy), now=now, interval=interval, icon=self._icons.name_of(name))
        page = pages.strategy_page(
            shown, details, level=level if level in LEVELS else _LEVEL, interval=interval, now=now
        )
        return _html(page, 200)

    def _message(self, status: int, heading: str, text: str) -> "Response":
        link_to = _LIST if status in (404, 500) else ""
        return _html(pages.message_page(heading, text, now=self._clock.time(), link_to=link_to), status)


def _html(page: str, status: int, etag: str = "") -> "Response":
    from werkzeug import Response

    response = Response(page.encode("utf-8", "replace"), status, content_type="text/html; charset=utf-8")
    if etag:
        response.set_etag(etag, weak=True)
    return response


def _pack(request: "Request", response: "Response") -> None:
    """Compress what is worth it, for who can unpack it."""
    body = response.get_data()
    packable = (response.content_type or "").startswith(("text/", "image/svg"))
    if packable and len(body) >= _LEAST_PACKED and request.accept_encodings.quality("gzip") > 0:
        response.set_data(gzip.compress(body, 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
