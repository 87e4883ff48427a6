"""Looks at every strategy again and again, each at its own interval, in parallel."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from notify import diagnostics, threads
from notify.backends.http import HttpClient
from notify.clock import Clock, SystemClock
from notify.fleet.fetch import DEADLINE, Credentials
from notify.fleet.observe import Observation, observe
from notify.fleet.schedule import Schedule
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import MAX_AGE, offline
from notify.plain import class_name

# Looks at the same time. One that hangs takes DEADLINE, so N strategies that all hang keep N * DEADLINE / interval
# workers busy: 84 for 500 strategies and 30 s. As first turns are 0.05 s apart, those of a smaller fleet may keep up
# to DEADLINE / 0.05 s = 100 busy. Each look has two threads (the client's own is the second) and a session.
MAX_WORKERS = 128

_THREADS_AGAIN = 1.0  # seconds until the system is asked again for a thread that it has refused


class Poller:
    """Looks at every strategy at its own interval, from `start` to `close`.

    A strategy is looked at by one worker at a time. A slow one delays no other as long as there are workers, which are
    started as they are needed, `MAX_WORKERS` at most; after that looks come late, the longest due first, and no
    turn is made up for. What delays a look, or lengthens it, does not move those after it.

    Args:
        strategies: whom to look at.
        interval: seconds between two looks at a strategy that has no interval of its own.
        on_observation: called with each `Observation` as soon as there is one, by several worker threads at once.
            While it runs, its worker looks at nobody. What it raises is reported on stderr, and changes nothing.
        credentials: for servers that ask for them; sent to every strategy.
        max_age: seconds without progress after which a strategy is stale.
        deadline_seconds: for one look.
        clock: tells the time of the schedule; a look's own deadline is kept in real time.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        *,
        interval: float,
        on_observation: Callable[[Observation], object],
        credentials: Credentials | None = None,
        max_age: float = MAX_AGE,
        deadline_seconds: float = DEADLINE,
        clock: Clock | None = None,
    ) -> None:
        self._strategies = tuple(strategies)
        self._interval = interval
        self._on_observation = on_observation
        self._credentials = credentials
        self._max_age = max_age
        self._deadline_seconds = deadline_seconds
        self._clock = clock or SystemClock()

        # One for each strategy, so that the name lookups of one, when they hang, are held against no other. What they
        # keep open is closed after each look.
        self._clients = tuple(HttpClient() for _ in self._strategies)
        self._lock = threading.RLock()  # a signal handler may close what it has interrupted
        self._turned = threading.Condition(self._lock)  # a turn has ended, or everything does
        self._handed = threading.Condition(self._lock)  # there is something for a worker, or everything ends
        self._schedule = Schedule([], now=0.0)
        self._waiting: deque[int] = deque()
        self._idle = 0  # workers that wait, or are about to
        self._workers: set[threading.Thread] = set()
        self._hander: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Begin. Returns at once; the second call, and one after `close`, do nothing.

        Raises `RuntimeError` when the system refuses a thread for it.
        """
        with self._lock:
            if self._hander is not None or self._closed:
                return
            intervals = [each.interval or self._interval for each in self._strategies]
            self._schedule = Schedule(intervals, now=self._clock.monotonic())
            self._hander = threads.start("poller", self._hand_out)

    def close(self, timeout: float = 2.0) -> None:
        """Stop. Idempotent and thread-safe; nothing is observed any more once this has returned in time.

        Waits for the looks at hand, *timeout* seconds at most; those that take longer end by themselves at their
        deadline, and what they see is told to nobody.
        """
        with self._lock:
            self._closed = True
            self._turned.notify_all()
            self._handed.notify_all()
            ending = {self._hander, *self._workers} - {None, threading.current_thread()}  # on_observation may close
        give_up = time.monotonic() + timeout
        for thread in ending:
            if thread is not None:
                thread.join(max(0.0, give_up - time.monotonic()))

    def _hand_out(self) -> None:
        """Give those whose turn has come to the workers."""
        with self._lock:
            while not self._closed:
                now = self._clock.monotonic()
                while (member := self._schedule.take(now)) is not None:
                    self._waiting.append(member)
                    self._handed.notify()
                wake_at = self._schedule.next_due()
                if not self._have_workers():
                    wake_at = min(now + _THREADS_AGAIN, wake_at or math.inf)
                self._clock.wait_until(self._turned, wake_at)

    def _have_workers(self) -> bool:
        """Start as many workers as there is need and room for, and say whether the system let us."""
        for _ in range(min(len(self._waiting) - self._idle, MAX_WORKERS - len(self._workers))):
            try:
                self._workers.add(threads.start("look", self._work))
            except RuntimeError as error:  # those that there are go on
                diagnostics.report("poller", f"a thread to look at strategies could not be started: {error}")
                return False
            self._idle += 1
        return True

    def _work(self) -> None:
        try:
            while (member := self._next()) is not None:
                try:
                    self._look(member)
                finally:
                    with self._lock:
                        self._idle += 1
                        self._schedule.back(member, self._clock.monotonic())
                        self._turned.notify_all()
        finally:
            with self._lock:
                self._idle -= 1
                self._workers.discard(threading.current_thread())

    def _next(self) -> int | None:
        """Wait for somebody to look at, and return who it is; None at the end."""
        with self._lock:
            while not self._waiting and not self._closed:
                self._handed.wait()
            if self._closed:
                return None
            self._idle -= 1
            return self._waiting.popleft()

    def _look(self, member: int) -> None:
        client = self._clients[member]
        try:
            seen = self._seen(self._strategies[member], client)
            if not self._closed:
                self._on_observation(seen)
        except BaseException as error:  # noqa: BLE001 - whatever who listens raises; nobody must go unwatched for it
            diagnostics.report("observation", f"a look at a strategy came to nothing: {class_name(error)}")
        finally:
            client.close()

    def _seen(self, strategy: Strategy, client: HttpClient) -> Observation:
        """Return what was seen of *strategy*, also when a defect of ours keeps its answer from being judged."""
        began = self._clock.monotonic()
        try:
            return observe(
                strategy,
                client=client,
                clock=self._clock,
                credentials=self._credentials,
                max_age=self._max_age,
                deadline_seconds=self._deadline_seconds,
            )
        except Exception as error:  # noqa: BLE001 - who hears nothing of a strategy takes it for well
            diagnostics.report("look", f"what a strategy answered could not be judged: {class_name(error)}")
            verdict = offline("its answer could not be judged")
        seconds = self._clock.monotonic() - began
        return Observation(strategy=strategy, at=self._clock.time(), seconds=seconds, verdict=verdict)
