"""Requests over HTTP: one kept-alive session, a total deadline for each request, failures that name no URL."""

import logging
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from notify import threads
from notify.errors import RetryLater

if TYPE_CHECKING:
    import requests
    from urllib3.connection import HTTPConnection

MAX_BODY = 65_536  # bytes of an answer that are read; what a webhook says fits in a few thousand

# These name the path, and so the token, of every request at DEBUG or when something goes wrong.
_LOGGERS = (
    "requests",
    "urllib3",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)


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
        body: decompressed, its first `MAX_BODY` bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Talks to one host over a connection that stays open.

    TLS certificates are verified, redirects are not followed, proxy settings and certificate bundles of the
    environment are honoured, `~/.netrc` is not read. For one thread at a time; a forked child gets a
    connection of its own. Nothing is imported or started before the first request.
    """

    def __init__(self) -> None:
        self._worker: _Worker | None = None

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
            headers: sent in addition to what HTTP needs.
            deadline_seconds: for everything together: name lookup, connecting, TLS, sending, and reading the
                answer to its end.

        Raises `RetryLater`, with a text free of URLs, when there is no answer within the deadline.
        """
        return self._wait_for(
            _Job("POST", url, json, tuple(parts), dict(params or {}), dict(headers or {}), deadline_seconds)
        )

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, deadline_seconds: float) -> Answer:
        """Get *url* and return the answer, whatever its status.

        Args and errors as of `post`.
        """
        return self._wait_for(_Job("GET", url, None, (), {}, dict(headers or {}), deadline_seconds))

    def _wait_for(self, job: "_Job") -> Answer:
        worker = self._running()
        if not worker.threaded:
            # No thread can be started: at the end of the interpreter from Python 3.12 on, or at the system's limit.
            # Done here then, within the time-outs of the socket; the next request tries to have a thread again.
            self._worker = None
            worker.work_here(job)
        else:
            worker.submit(job)
            if not job.done.wait(job.deadline):
                worker.abandon()
                self._worker = None
                raise RetryLater(None, f"no answer within {job.deadline:g} s")
        # Raised here, outside any except block: what requests raised holds the URL and must not be its context.
        if job.answer is None:
            raise RetryLater(None, job.failure)
        return job.answer

    def close(self) -> None:
        """Close the connection and end the thread. The next `post` would start anew."""
        worker, self._worker = self._worker, None
        if worker is not None and worker.pid == os.getpid():
            worker.stop()

    def _running(self) -> "_Worker":
        # After a fork the thread is the parent's, and so is the connection: shutting it down would cut the parent off.
        if self._worker is None or self._worker.pid != os.getpid():
            self._worker = _Worker()
        return self._worker


@dataclass(slots=True)
class _Job:
    """One request, and what became of it."""

    method: str
    url: str = field(repr=False)
    json: bytes | None = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    params: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    deadline: float
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    failure: str = ""


class _Worker:
    """A thread and its session. The caller waits for it no longer than the deadline, then leaves it to its end."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._abandoned = False
        self._connection: HTTPConnection | None = None
        self._handle: socket.socket | None = None
        self._thread: threading.Thread | None = None
        with suppress(RuntimeError):
            self._thread = threads.start("http", self._run)

    @property
    def threaded(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def work_here(self, job: _Job) -> None:
        """Do *job* on the calling thread, which has to be one of ours, and let go of everything."""
        self._jobs.put(job)
        self._jobs.put(None)
        self._run()

    def submit(self, job: _Job) -> None:
        """Have *job* done by the thread."""
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread once it is idle."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(1.0)  # seconds; it is idle, or was abandoned and is not ours any more

    def abandon(self) -> None:
        """Cut the connection, so that whatever the thread is waiting for ends, and the thread with it."""
        with self._lock:
            self._abandoned = True
            if self._handle is not None:
                with suppress(OSError):  # the other side closed it, which is as good
                    self._handle.shutdown(socket.SHUT_RDWR)
        self._jobs.put(None)

    def hold(self, connection: "HTTPConnection", connected: socket.socket) -> None:
        """Keep a handle on the socket of *connection*. For the connection, as soon as it is made.

        Raises `ConnectionAbortedError` when nobody waits any more: a request must not go out after its
        caller has been told that it failed.
        """
        with self._lock:
            if self._abandoned:
                connected.close()
                raise ConnectionAbortedError
            self._let_go()
            # A duplicate: TLS takes the socket over, and a connection that is to close lets go of it before the
            # answer is read to its end.
            self._connection, self._handle = connection, connected.dup()

    def _let_go(self) -> None:
        if self._handle is not None:
            self._handle.close()
        self._connection = self._handle = None

    def _run(self) -> None:
        session: requests.Session | None = None
        try:
            while (job := self._jobs.get()) is not None:
                try:
                    session = session or _open_session(self)
                    job.answer = _request(session, job)
                except Exception as error:  # noqa: BLE001 - nothing that names the URL may leave this thread
                    job.failure = _reason(error)
                with self._lock:
                    if self._connection is not None and self._connection.sock is None:
                        self._let_go()  # the connection ended with the answer; ours would keep it half open
                job.done.set()
                del job  # the idle thread keeps no body in memory
        finally:
            if session is not None:
                session.close()
            with self._lock:
                self._let_go()


def _open_session(worker: _Worker) -> "requests.Session":
    """Return a session whose connections *worker* can cut. Imports requests, so it is for our own thread."""
    import requests
    import requests.adapters
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        debuglevel = 0  # http.client would print the path, and so the token

        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            worker.hold(self, connected)
            return connected

    class Secure(HTTPSConnection):
        debuglevel = 0

        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            worker.hold(self, connected)
            return connected

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: object, **kwargs: object) -> None:
            super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they come
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def proxy_manager_for(self, proxy: str, **kwargs: object) -> object:
            manager = super().proxy_manager_for(proxy, **kwargs)
            manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
            return manager

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_not_ours)
    session = requests.Session()
    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    # Without an auth of the session's own, requests sends what ~/.netrc has for the host.
    session.auth = _no_auth
    # It reads the whole body of a redirect to find the next request, even one that it is not to make.
    session.get_redirect_target = _no_target  # type: ignore[method-assign]  # there is no setting for it
    return session


def _request(session: "requests.Session", job: _Job) -> Answer:
    files = [(part.name, (part.filename, part.content, part.content_type)) for part in job.parts]
    import requests

    typed = {"Content-Type": "application/json"} if job.json is not None else {}
    with session.request(
        job.method,
        job.url,
        data=job.json,
        files=files or None,
        params=job.params,
        headers={**typed, **job.headers},
        allow_redirects=False,
        stream=True,
        # A third for connecting, so that an address that swallows everything leaves time for the next one.
        timeout=(job.deadline / 3, job.deadline),
    ) as response:
        body = b""
        try:
            for chunk in response.iter_content(8192):
                body += chunk
                if len(body) >= MAX_BODY:
                    break
        except requests.RequestException:
            if not 200 <= response.status_code < 300:  # taken is taken, however the answer ends
                raise
        return Answer(response.status_code, response.headers, body[:MAX_BODY])


def _no_auth(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    return request


def _no_target(resp: "requests.Response") -> str | None:
    return None


def _not_ours(record: logging.LogRecord) -> bool:
    """Let the records of other threads pass. A filter for the HTTP client's loggers."""
    return not threads.is_ours()


def _reason(error: BaseException) -> str:
    """Say what went wrong, from the types in the chain of *error* only: the texts hold the URL."""
    import http.client
    import ssl

    said: tuple[tuple[type[BaseException], str], ...] = (
        (socket.gaierror, "the host name was not found"),
        (ssl.SSLCertVerificationError, "the TLS certificate is not trusted"),
        (ssl.SSLError, "TLS failed"),
        (ConnectionRefusedError, "connection refused"),
        (TimeoutError, "connection timed out"),
        (ConnectionError, "connection lost"),
        (http.client.HTTPException, "the answer broke off"),
    )
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for link in reversed(chain):
        for kind, text in said:
            if isinstance(link, kind):
                return text
    return type(error).__name__
