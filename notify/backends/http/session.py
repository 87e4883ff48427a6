"""The requests session behind our requests: what it sends, what it must not follow, read, log or say."""

import errno
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from notify import imports, threads
from notify.backends.http.exchange import Answer, Exchange
from notify.backends.http.loopback import is_loopback
from notify.backends.http.trust import share_trust
from notify.version import __version__

if TYPE_CHECKING:
    import requests
    from urllib3.connection import HTTPConnection

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


def open_session(hold: "Callable[[HTTPConnection, socket.socket], None]") -> "requests.Session":
    """Return a session that gives every connection to *hold* as soon as it is made.

    TLS certificates are verified, redirects are not followed, certificate bundles and, for other machines, proxies of
    the environment are used, `~/.netrc` is not read. Imports requests, which takes a while: for threads of ours.
    """
    imports.load("requests", "requests.adapters")
    import requests
    import requests.adapters
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        debuglevel = 0  # http.client would print the path, and so the token

        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            hold(self, connected)
            return connected

    class Secure(HTTPSConnection):
        debuglevel = 0

        def connect(self) -> None:
            share_trust(self)
            super().connect()

        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            hold(self, connected)
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

    hush()
    session = requests.Session()
    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    # Without an auth of the session's own, requests sends what ~/.netrc has for the host.
    session.auth = _no_auth
    # It reads the whole body of a redirect to find the next request, even one that it is not to make.
    session.get_redirect_target = _no_target  # type: ignore[method-assign]  # there is no setting for it
    return session


def hush() -> None:
    """Keep what the HTTP client logs on threads of ours, URLs included, from every handler. Idempotent."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_not_ours)


def carry_out(session: "requests.Session", exchange: Exchange) -> Answer:
    """Send the request of *exchange* and return the answer. Raises what requests raises, which names the URL."""
    import requests

    files = [(part.name, (part.filename, part.content, part.content_type)) for part in exchange.parts]
    host = urlsplit(exchange.url).hostname or ""
    typed = {"Content-Type": "application/json"} if exchange.json is not None else {}
    with session.request(
        exchange.method,
        exchange.url,
        data=exchange.json,
        files=files or None,
        params=exchange.params,
        headers={"User-Agent": f"executor-notify/{__version__}", **typed, **exchange.headers},
        allow_redirects=False,
        stream=True,
        # A proxy is no way to this machine itself; requests alone would ask it, unless NO_PROXY says otherwise.
        proxies={"no_proxy": host} if is_loopback(host) else None,
        # A third for connecting, so that an address that swallows everything leaves time for the next one.
        timeout=(exchange.deadline_seconds / 3, exchange.socket_seconds),
    ) as response:
        taken = 200 <= response.status_code < 300
        if taken:
            exchange.taken = Answer(response.status_code, response.headers, b"")
        body = b""
        try:
            for chunk in response.iter_content(8192):
                body += chunk
                if len(body) >= exchange.max_body:
                    break
        except requests.RequestException:
            if not taken:  # taken is taken, however the answer ends
                raise
        return Answer(response.status_code, response.headers, body[: exchange.max_body])


def reason(error: BaseException) -> str:
    """Say what went wrong, from the types in the chain of *error* only: the texts hold the URL."""
    imports.load("http.client", "ssl")
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
        if isinstance(link, OSError) and link.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            return "the network is unreachable"
        for kind, text in said:
            if isinstance(link, kind):
                return text
    return type(error).__name__


def _no_auth(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    return request


def _no_target(resp: "requests.Response") -> str | None:
    return None


def _not_ours(record: logging.LogRecord) -> bool:
    """Let the records of other threads pass. A filter for the HTTP client's loggers."""
    return not threads.is_ours()
