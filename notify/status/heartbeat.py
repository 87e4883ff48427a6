"""Tells a monitor elsewhere that the run makes progress, so that somebody hears when even this machine is gone."""

import json
import os
import threading
import weakref
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from notify import diagnostics, imports, settings, threads
from notify.backends.http import HttpClient
from notify.clip import clip
from notify.clock import Clock, SystemClock
from notify.errors import ConfigError, RetryLater
from notify.exceptions import Raised, named
from notify.run_state import RunState
from notify.settings import Settings

LAST_PING = 2.0  # seconds that the end of the program waits for the news of its crash to be taken

_DEADLINE = 10.0  # seconds for one ping, answer included
_MESSAGE = 300  # code points of what a failure says of itself, as /status has it
_ENDING = 0.1  # seconds that the thread is waited for otherwise
_AT_ONCE = float("-inf")  # monotonic seconds


def monitor_url(config: Settings) -> str | None:
    """Return what is to be pinged; None when nothing is, or nothing may leave this machine.

    Raises `ConfigError` without the address when that is none.
    """
    url = config.get(settings.HEARTBEAT_URL)
    if url is None:
        return None
    try:
        _fail_url(url)
    except ValueError as error:
        raise ConfigError(f"{settings.HEARTBEAT_URL.name}: {error}") from None
    return None if settings.reaches_nobody(config) else url


def heartbeat(
    config: Settings, run_state: RunState, *, redact_text: Callable[[str], str], clock: Clock
) -> "Heartbeat | None":
    """Return the heartbeat that the settings ask for, not begun yet; None when they ask for none.

    Imports what its requests need, so that its thread does not while the program runs.

    Raises `ConfigError` when a setting is unusable.
    """
    url, every = monitor_url(config), config.get(settings.HEARTBEAT_SECONDS)
    if url is None:
        return None
    imports.load_early(*HttpClient.imports)
    stale_after = config.get(settings.NOTIFY_STALE_AFTER)
    return Heartbeat(
        run_state,
        url,
        every=every,
        quiet_after=min(stale_after, config.get(settings.NOTIFY_HANG_AFTER) or stale_after),
        redact_text=redact_text,
        clock=clock,
    )


class Heartbeat:
    """Pings a web address while a run makes progress, as healthchecks.io and many others take it.

    GET of the address while the program calls `run_state.refresh()` often enough; POST of the address with `/fail`
    appended, once, when the run has failed; nothing while it hangs, and nothing after its end. The beginning counts as
    progress: a program that never says that it makes any is silent after *quiet_after* seconds.

    All of it is done on a thread of its own. A ping that fails is said on stderr when it is the first one of a row. The
    address is a credential, and never shown. A forked child has no heartbeat: its progress is not the program's.

    Args:
        run_state: of the run.
        url: what is pinged.
        every: seconds between two pings.
        quiet_after: seconds without progress after which there are none.
        redact_text: takes secrets out of what the failure says of itself.
        clock: tells the time and waits.

    Raises `ValueError`, without the address, when that is none.
    """

    def __init__(
        self,
        run_state: RunState,
        url: str,
        *,
        every: float = 60.0,
        quiet_after: float = 3600.0,
        redact_text: Callable[[str], str],
        clock: Clock | None = None,
    ) -> None:
        self._run_state = run_state
        self._pings = Pings(url)
        self._every = every
        self._quiet_after = quiet_after
        self._redact_text = redact_text
        self._clock = clock or SystemClock()
        self._began = self._clock.monotonic()
        self._next = _AT_ONCE
        self._failure_is_untold = False
        self._changed = threading.Condition()
        self._ended = False
        self._worker: threads.Worker | None = None
        self._end_listening = run_state.listen(failed=self._fail, refreshed=self._revive)
        os.register_at_fork(after_in_child=_ending_in_child(weakref.ref(self)))

    def begin(self) -> None:
        """Start the thread, whose first ping comes at once."""
        self._worker = threads.Worker("heartbeat", self._run)

    def close(self) -> None:
        """End it. Waits 2 s at most for a failure that is being told; a silent monitor is not waited for."""
        self._end_listening()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join(LAST_PING if self._failure_is_untold else _ENDING)

    def look(self) -> float:
        """Ping if it is time to, and return when to look again, in monotonic seconds."""
        now = self._clock.monotonic()
        if now < self._next:
            return self._next
        self._next = now + self._every
        if self._run_state.executor_running:
            if self._makes_progress(now):
                self._pings.alive()
        elif self._failure_is_untold:  # until it is taken: a later look tries again
            self._failure_is_untold = not self._pings.fail(self._message())
        return self._next

    def _makes_progress(self, now: float) -> bool:
        silence = self._run_state.seconds_without_progress()
        return (now - self._began if silence is None else silence) < self._quiet_after

    def _message(self) -> str:
        """Return in one line what the run has failed of."""
        exception = self._run_state.exception
        said = named(exception.type, exception.summary()) if isinstance(exception, Raised) else "failed"
        return clip(next(iter(self._redact_text(said).splitlines()), ""), _MESSAGE)

    def _fail(self, exception: BaseException | None) -> None:
        self._failure_is_untold = True
        self._next = _AT_ONCE
        with self._changed:
            self._changed.notify_all()
        self._revive()

    def _revive(self) -> None:
        """Start the thread if the system has refused it, or it has died. Cheap: it is called with every progress."""
        if self._worker is not None:
            self._worker.revive()

    def _run(self) -> None:
        try:
            while True:
                next_look = self.look()
                with self._changed:
                    if self._ended and self._next > self._clock.monotonic():
                        return
                    if not self._ended:
                        self._clock.wait_until(self._changed, min(next_look, self._next))
        finally:
            self._pings.close()

    def _end_in_child(self) -> None:
        self._changed = threading.Condition()  # another thread of the parent may have held the lock
        self._ended = True
        self._worker = None
        self._end_listening()


class Pings:
    """What is sent to one monitor. For one thread at a time. Sending raises nothing.

    Args:
        url: of the monitor, a credential.

    Raises `ValueError`, without the address, when that is none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._fail_url = _fail_url(url)
        self._client = HttpClient()
        self._is_heard = True

    def alive(self) -> bool:
        """Say that the run makes progress, and return whether that was taken."""
        return self._send(None)

    def fail(self, message: str) -> bool:
        """Say that the run has failed, and how in one line, and return whether that was taken."""
        return self._send(message)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _send(self, failure: str | None) -> bool:
        try:
            if failure is None:
                answer = self._client.get(self._url, deadline_seconds=_DEADLINE)
            else:
                body = json.dumps({"message": failure}, ensure_ascii=False).encode()
                answer = self._client.post(self._fail_url, json=body, deadline_seconds=_DEADLINE)
        except RetryLater as error:
            why = str(error)
        else:
            why = "" if 200 <= answer.status < 300 else f"it answers {answer.status}"
        if why and self._is_heard:
            diagnostics.report("heartbeat", f"the monitor of HEARTBEAT_URL does not hear of this run: {why}")
        self._is_heard = not why
        return not why


def _fail_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text would show the address
        is_usable = False
    if not is_usable:
        raise ValueError("not a web address (https://…)")
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))


def _ending_in_child(heartbeat: "weakref.ref[Heartbeat]") -> Callable[[], None]:
    def end() -> None:
        forked = heartbeat()
        if forked is not None:
            forked._end_in_child()

    return end
