"""The thread that waits for a server, so that its caller need not wait longer than a deadline."""

import os
import socket
import struct
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from notify import threads
from notify.backends.http.exchange import Exchange
from notify.backends.http.session import carry_out, open_session, reason

if TYPE_CHECKING:
    import requests
    from urllib3.connection import HTTPConnection


class Requester:
    """A thread and its session. The caller waits for it no longer than the deadline, then leaves it to its end."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._waiting: SimpleQueue[Exchange | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._abandoned = False
        self._socket_seconds = 0.0  # of the request in hand
        self._connection: HTTPConnection | None = None
        self._handle: socket.socket | None = None
        self._thread: threading.Thread | None = None
        with suppress(RuntimeError):
            self._thread = threads.start("http", self._run)

    @property
    def threaded(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    def work_here(self, exchange: Exchange) -> None:
        """Carry out *exchange* on the calling thread, which has to be one of ours, and let go of everything."""
        self._waiting.put(exchange)
        self._waiting.put(None)
        self._run()

    def submit(self, exchange: Exchange) -> None:
        """Have *exchange* carried out by the thread."""
        self._waiting.put(exchange)

    def stop(self) -> None:
        """End the thread once it is idle."""
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(1.0)  # seconds; it is idle, or was abandoned and is not ours any more

    def abandon(self) -> None:
        """Cut the connection, so that whatever the thread is waiting for ends, and the thread with it."""
        with self._lock:
            self._abandoned = True
            if self._handle is not None:
                with suppress(OSError):  # the other side closed it, which is as good
                    # A reset: what the network did not take yet must not arrive when it is well again.
                    self._handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self._handle.shutdown(socket.SHUT_RDWR)
        self._waiting.put(None)

    def _hold(self, connection: "HTTPConnection", connected: socket.socket) -> None:
        """Keep a handle on the socket of *connection*.

        Raises `ConnectionAbortedError` when nobody waits any more: a request must not go out after its
        caller has been told that it failed.
        """
        with self._lock:
            if self._abandoned:
                connected.close()
                raise ConnectionAbortedError
            self._let_go()
            connected.settimeout(self._socket_seconds)  # until now that of connecting, too short to send a large file
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
            while (exchange := self._waiting.get()) is not None:
                self._socket_seconds = exchange.socket_seconds
                try:
                    session = session or open_session(self._hold)
                    exchange.answer = carry_out(session, exchange)
                except Exception as error:  # noqa: BLE001 - nothing that names the URL may leave this thread
                    exchange.failure = reason(error)
                with self._lock:
                    if self._connection is not None and self._connection.sock is None:
                        self._let_go()  # the connection ended with the answer; ours would keep it half open
                exchange.done.set()
                del exchange  # the idle thread keeps no body in memory
        finally:
            if session is not None:
                session.close()
            with self._lock:
                if self._connection is not None:
                    # The session only forgets it, and after a failure that is not enough: the error, which is part of
                    # a circle, knows it too, until the garbage collector comes by.
                    self._connection.close()
                self._let_go()
