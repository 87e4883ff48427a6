"""The thread that holds the connections, and the few that answer."""

import errno
import heapq
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from notify import diagnostics, threads
from notify.plain import class_name
from notify.status.channel import Channel, Phase
from notify.status.quiet import QUIET

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from waitress.adjustments import Adjustments

MAX_CONNECTIONS = 1000
MAX_UNREAD = 64 * 2**20  # bytes that wait for all clients together
QUICK = frozenset({"/ping", "/healthz"})
"""Paths that ask nobody. They have a thread of their own, since the others may all be waiting for somebody."""

_TICK = 0.5  # seconds between two looks at the deadlines
_NOBODY_THERE = 60.0  # seconds that the loop waits when there are none
_PAUSE = 0.5  # seconds without accepting when there is no descriptor left
_PER_ROUND = 100  # connections that are accepted before others are looked at
_SLOW_THREADS = 3  # /status, /metrics and /logs ask two callables, each of which may keep one of them
_LARGE = 65_536  # bytes: what is smaller needs no room made
_CROWD = 100  # connections: more than people, proxies and monitors have
_BREATH = 0.002  # seconds: halves what a thousand connections cost, and an answer takes 5 ms longer
_NOT_OURS = frozenset({errno.EBADF, errno.ENOTSOCK, errno.EINVAL})
_OUT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def _since(channel: Channel) -> float:
    return channel.since


class Workers(ThreadedTaskDispatcher):
    """Threads of ours, which call the app."""

    logger = QUIET
    queue_logger = QUIET

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.started: list[threading.Thread] = []

    def start_new_thread(self, target: Any, thread_no: int) -> None:
        """Start one. What is logged there is ours."""
        self.started.append(threads.start(f"status-{self._name}-{thread_no}", partial(target, thread_no)))


class Loop(TcpWSGIServer):
    """Accepts, reads, writes and closes, in the one thread that calls `run`.

    Args:
        app: what answers.
        listener: the socket.
        adj: waitress's settings.
        max_connections: how many are held. For more, those that have been waiting longest make room.
    """

    channel_class = Channel
    logger = QUIET

    # What types-waitress does not know, or says otherwise.
    _map: dict[int, Any]
    active_channels: Any
    task_dispatcher: Workers
    trigger: Any

    def __init__(
        self, app: "WSGIApplication", listener: socket.socket, adj: "Adjustments", max_connections: int
    ) -> None:
        self._max_connections = max_connections
        self._closing = False
        self._next_look = 0.0
        self._paused_until = 0.0
        self._pulling = threading.Lock()
        sockinfo = (listener.family, listener.type, listener.proto, listener.getsockname())
        workers = Workers("slow")
        super().__init__(app, {}, _sock=listener, dispatcher=workers, adj=adj, sockinfo=sockinfo, bind_socket=False)
        self._quick = Workers("quick")
        os.set_blocking(self.trigger.trigger, False)
        self.gone = False
        """Whether this is a forked child, whose parent serves."""

    # ---- the thread of the loop

    def run(self) -> None:
        """Serve until `stop`, or until the program has closed the socket."""
        while not self._closing and self.accepting:
            try:
                wasyncore.poll2(self._patience(), self._map)
                self._look()
                if len(self.active_channels) > _CROWD:
                    time.sleep(_BREATH)  # a round costs a microsecond for each, and there would be one for each byte
            except Exception as error:  # noqa: BLE001 - the other connections have nothing to do with it
                diagnostics.report("status loop", f"a round of the status server failed: {class_name(error)}")
                time.sleep(_PAUSE)  # it may fail in the same way at once, and for ever
        if not self._closing:
            diagnostics.report("status end", "the status server has ended: the program has closed its socket")
        self.close()
        wasyncore.close_all(self._map, ignore_all=True)

    def _patience(self) -> float:
        return _TICK if self.active_channels or self._paused_until else _NOBODY_THERE

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _TICK
        for channel in list(self.active_channels.values()):
            if channel.will_close or channel.overdue(now):
                channel.abort()

    def readable(self) -> bool:
        """Say whether connections are accepted now."""
        if self._paused_until and time.monotonic() >= self._paused_until:
            self._paused_until = 0.0
        return self.accepting and not self._paused_until

    def handle_accept(self) -> None:
        """Accept those who wait. A round of the loop for each of them would have the last ones wait for long."""
        try:
            for _ in range(_PER_ROUND):
                accepted = self.accept()
                if accepted is None:
                    return
                self._hold(*accepted)
        except OSError as error:
            # The connection stays where it is, so that the next round would find it at once, and fail again.
            if error.errno in _OUT_OF:
                self._paused_until = time.monotonic() + _PAUSE
                diagnostics.report("status accept", f"no connection can be accepted at present: {error.strerror}")
                self._let_some_go()
            elif error.errno in _NOT_OURS:
                self._lose_listener()

    def _lose_listener(self) -> None:
        # A program that closes every descriptor it has may have opened a file of its own under the same number.
        self.accepting = False
        if self.socket is not None:
            self.del_channel()
            self.socket.detach()
            self.socket = None

    def handle_close(self) -> None:
        """Give up: the system says that the descriptor is none any more."""
        self._lose_listener()

    def handle_error(self) -> None:
        """Report what was raised while a connection was accepted. waitress would close the listener."""
        diagnostics.report("status accept", f"a connection could not be taken: {class_name(sys.exception())}")

    def _hold(self, connection: socket.socket, address: Any) -> None:
        """Take a new connection, and let go of others when there are too many."""
        if len(self.active_channels) >= self._max_connections:
            self._let_some_go()
        try:
            self.set_socket_options(connection)
            self.channel_class(self, connection, address, self.adj, map=self._map)
        except Exception as error:
            connection.close()
            if not isinstance(error, OSError):  # which it is when the client has gone already
                raise

    def _let_some_go(self) -> None:
        """Close those that have been waiting longest: one in fifty, since to find them takes longer than to accept."""
        now = time.monotonic()
        channels = list(self.active_channels.values())
        for channel in channels:
            channel.overdue(now)  # which notes the phase
        waiting = [channel for channel in channels if channel.phase is not Phase.ANSWERING]
        for channel in heapq.nsmallest(max(1, len(channels) // 50), waiting or channels, key=_since):
            channel.abort()

    # ---- any thread

    def start_workers(self) -> None:
        """Start the threads that answer. Raises `RuntimeError` when the system refuses one."""
        self._quick.set_thread_count(1)
        self.task_dispatcher.set_thread_count(_SLOW_THREADS)

    def add_task(self, task: Any) -> None:
        """Have the next request of the channel *task* answered."""
        task.requests_begun += 1
        request = task.requests[0]
        workers = self._quick if request.error or request.path in QUICK else self.task_dispatcher
        workers.add_task(task)

    def make_room(self, channel: Any, size: int) -> None:
        """Let go of whoever has been reading longest, when too much would wait for clients that do not read."""
        if size < _LARGE:
            return
        reading = [one for one in list(self.active_channels.values()) if one.total_outbufs_len and not one.will_close]
        waiting = sum(one.total_outbufs_len for one in reading) + size
        for slow in sorted(reading, key=_since):
            if waiting <= MAX_UNREAD:
                break
            if slow is not channel:
                waiting -= slow.total_outbufs_len
                slow.will_close = True
                self._next_look = 0.0
        if not self._next_look:
            self.pull_trigger()

    def pull_trigger(self) -> None:
        """Wake the loop."""
        # waitress writes into its pipe by number. When the pipe is closed, that may be a file of the program's.
        with self._pulling, suppress(BlockingIOError):  # a full pipe has woken it
            if not self.trigger._closed:
                super().pull_trigger()

    def stop(self) -> None:
        """Have `run` return soon."""
        self._closing = True
        self.pull_trigger()

    def close(self) -> None:
        """Close the socket and the pipe. For the thread of the loop, or when there is none any more."""
        with self._pulling:
            super().close()

    def stop_workers(self, patience: float) -> None:
        """Have the threads that answer end, and wait *patience* seconds at most for those that are still at it."""
        deadline = time.monotonic() + patience
        for workers in (self._quick, self.task_dispatcher):
            workers.set_thread_count(0)
        for thread in self._quick.started + self.task_dispatcher.started:
            thread.join(max(0.0, deadline - time.monotonic()))

    def let_go_in_child(self) -> None:
        """Close what a forked child has got of it, without a word to the clients: they are its parent's."""
        self._closing = self.gone = True
        for one in list(self._map.values()):
            # Past waitress's own closing, whose locks may be held by threads that do not live here.
            if one.socket is not None:
                one.socket.close()
        if not self.trigger._closed:
            self.trigger._closed = True
            for descriptor in self.trigger._fds:
                os.close(descriptor)
        self._map.clear()
