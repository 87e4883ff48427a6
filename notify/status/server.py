"""The server that answers whatever the program does."""

import os
import resource
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from notify import diagnostics, threads
from notify.errors import ConfigError
from notify.status.listening import listen, url

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from notify.status.loop import Loop

_ENDING = 1.0  # seconds that threads may take to end


class StatusServer:
    """Serves *app* in threads of its own, from now on until `close` or the end of the process.

    The program may be busy, hang or have died of an exception: these threads go on. None of them keeps the process
    alive. A forked child does not serve, and holds none of the sockets. Thread-safe.

    Args:
        app: what answers.
        host: the address to listen on.
        port: 0 for any that is free.

    Raises `ConfigError`, naming the variable, when nothing can listen there or no thread can be started.
    """

    def __init__(self, app: "WSGIApplication", host: str, port: int) -> None:
        from waitress.adjustments import Adjustments

        from notify.status import channel
        from notify.status.loop import MAX_CONNECTIONS, Loop

        self._closed = False
        listener = listen(host, port)
        self.url = url(listener)
        """Where it can be reached from this machine: `http://127.0.0.1:3456`."""
        self.port: int = listener.getsockname()[1]
        """The port that it listens on."""
        adjustments = Adjustments(
            sockets=[listener],
            ident="",  # no header says which server in which version this is
            clear_untrusted_proxy_headers=True,
            max_request_header_size=channel.MAX_HEADER,
            max_request_body_size=channel.MAX_BODY,
            outbuf_overflow=2**30,  # in memory, and never in a file
            log_socket_errors=False,
        )
        self._loop = Loop(app, listener, adjustments, min(MAX_CONNECTIONS, _descriptors() // 2))
        # Not to this object, which a program may have dropped.
        os.register_at_fork(after_in_child=_letting_go(weakref.ref(self._loop)))
        try:
            self._loop.start_workers()
            self._thread = threads.start("status", self._loop.run)
        except RuntimeError as error:
            self._loop.stop_workers(0)
            self._loop.close()
            raise ConfigError(f"HTTP_ENABLED: no thread can be started: {error}") from None

    def __repr__(self) -> str:
        return f"StatusServer({self.url!r})"

    def close(self) -> None:
        """Serve no more, and free the port. Idempotent and re-entrant: a close that is under way is not waited for.

        Takes two seconds when an answer hangs.
        """
        # No lock: a signal handler may close what is being closed, and a forked child has nothing to close.
        if self._closed or self._loop.gone:
            return
        self._closed = True
        self._loop.stop()
        self._thread.join(_ENDING)
        self._loop.stop_workers(_ENDING)


def _descriptors() -> int:
    """Return how many descriptors this process may have. The program needs most of them for itself."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else soft


def _letting_go(loop: "weakref.ref[Loop]") -> Callable[[], None]:
    def let_go() -> None:
        forked = loop()
        if forked is not None:
            try:
                forked.let_go_in_child()
            except OSError:
                diagnostics.report("fork", "a forked child could not let go of the status server")

    return let_go
