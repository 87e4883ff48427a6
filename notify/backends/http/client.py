"""Requests over HTTP: one kept-alive connection, a total deadline for each, failures that name no URL."""

import os
from collections.abc import Mapping, Sequence

from notify.backends.http.exchange import MAX_BODY, Answer, Exchange, Part
from notify.backends.http.requester import Requester
from notify.errors import RetryLater

# Threads that may still be stuck in something that nothing can cut, such as a name lookup, before there is no new one.
# A lookup of glibc's ends after half a minute at most, unless the system is configured otherwise.
_MAX_STUCK = 4


class HttpClient:
    """Talks to one host over a connection that stays open; to any number of them with `Connection: close`.

    TLS certificates are verified, redirects are not followed, certificate bundles and, for other machines, proxies of
    the environment are used, `~/.netrc` is not read. For one thread at a time; a forked child gets a connection of its
    own. Nothing is imported or started before the first request.
    """

    imports = ("requests", "encodings.idna")
    """What a request imports; the second is the socket's, for the name of the host."""

    def __init__(self) -> None:
        self._requester: Requester | None = None
        self._stuck: list[Requester] = []

    def post(
        self,
        url: str,
        *,
        json: bytes | None = None,
        parts: Sequence[Part] = (),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float,
    ) -> Answer:
        """Post JSON, or a multipart body, and return the answer, whatever its status.

        Args:
            url: where to; never shown to anybody.
            json: the body, encoded already.
            parts: the body when *json* is None.
            params: what the query gets in addition.
            headers: sent in addition to what HTTP needs. `User-Agent` is ours, unless it is given here.
            deadline_seconds: for everything together: name lookup, connecting, TLS, sending, and reading the
                answer to its end. An answer of 2xx whose end is late, or never comes, has no body.

        Raises `RetryLater`, with a text free of URLs, when there is no answer within the deadline.
        """
        return self._wait_for(
            Exchange("POST", url, json, tuple(parts), dict(params or {}), dict(headers or {}), deadline_seconds)
        )

    def patch(
        self,
        url: str,
        *,
        json: bytes | None = None,
        parts: Sequence[Part] = (),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float,
    ) -> Answer:
        """Change what is at *url*, with the arguments, the answer and the errors of `post`."""
        return self._wait_for(
            Exchange("PATCH", url, json, tuple(parts), dict(params or {}), dict(headers or {}), deadline_seconds)
        )

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float,
        max_body: int = MAX_BODY,
    ) -> Answer:
        """Get *url* and return the answer, whatever its status.

        Args:
            url: as of `post`, like the headers and the deadline.
            headers: sent in addition to what HTTP needs.
            deadline_seconds: for everything together.
            max_body: bytes of the body that are read and returned; the rest is left unread.

        Raises as `post` does.
        """
        return self._wait_for(Exchange("GET", url, None, (), {}, dict(headers or {}), deadline_seconds, max_body))

    def _wait_for(self, exchange: Exchange) -> Answer:
        requester = self._running()
        if not requester.threaded:
            # No thread can be started: at the end of the interpreter from Python 3.12 on, or at the system's limit.
            # Done here then, within the time-outs of the socket; the next request tries to have a thread again.
            self._requester = None
            requester.work_here(exchange)
        else:
            requester.submit(exchange)
            if not exchange.done.wait(exchange.deadline_seconds):
                taken = exchange.taken  # before the connection is cut: an answer that ends so looks like a whole one
                requester.abandon()
                self._requester = None
                self._stuck.append(requester)
                # To send again what was taken would be to send it twice, for as long as the server dawdles.
                if taken is not None:
                    return taken
                raise RetryLater(None, f"no answer within {exchange.deadline_seconds:g} s")
        # Raised here, outside any except block: what requests raised holds the URL and must not be its context.
        if exchange.answer is None:
            raise RetryLater(None, exchange.failure)
        return exchange.answer

    def close(self) -> None:
        """Close the connection and end the thread. The next `post` would start anew."""
        requester, self._requester = self._requester, None
        if requester is not None and requester.pid == os.getpid():
            requester.stop()

    def _running(self) -> Requester:
        self._stuck = [requester for requester in self._stuck if requester.alive]
        if len(self._stuck) >= _MAX_STUCK:
            raise RetryLater(None, "the name lookups or connections of earlier requests hang")
        # After a fork the thread is the parent's, and so is the connection: shutting it down would cut the parent off.
        if self._requester is None or self._requester.pid != os.getpid():
            self._requester = Requester()
        return self._requester
