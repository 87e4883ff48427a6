"""Apprise: events as notifications of any of the services that it knows, each in a lane of its own."""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from notify import imports, threads
from notify.backend import Backend
from notify.backends.http import hush
from notify.backends.text import is_blank, visible
from notify.backends.written import origin_name, said_below
from notify.clip import clip
from notify.errors import DeliveryError, Gone, Rejected, RetryLater
from notify.event import Attachment, Event
from notify.levels import severity
from notify.plain import class_name

if TYPE_CHECKING:
    from apprise import Apprise

DEADLINE_SECONDS = 30.0  # that a lane waits for a service
_MAX_FILE, _MAX_FILES = 10 * 2**20, 10  # bytes and files of an event; most services take no more
_LONGEST_TITLE = 120  # characters of a first line that is a title
_TRIES = 10  # at an event that a service refuses without a reason: about ten minutes, with a lane's growing waits
_REMEMBERED = 16  # events of which something is known: one that waits, and those that overtook it

_BETWEEN = re.compile(r"\s*,\s*(?=[A-Za-z0-9]+://)|\s+")  # a comma may be part of a URL, in a list of targets
# How Apprise's plugins log what became of a request.
_STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")
_UNREACHED = re.compile(r"connection error|timed? ?out", re.IGNORECASE)
_REFUSED = frozenset({400, 413, 414, 422})  # what a service says about an event
_GONE = frozenset({401, 403, 404, 410})  # what it says about us

_here = threading.local()  # `heard`: what Apprise logs on this thread, while somebody listens


class ServiceBackend:
    """Notifies one service through Apprise. For one thread at a time, the lane's.

    Apprise has no total deadline, so each call has a thread of its own, for which the lane waits a while. A call that
    takes longer goes on, because nothing can end a thread, until time-outs of its own end it. Before that there is no
    other call, and what it has delivered by then is not sent again.

    Args:
        notifier: with one service.
        deadline_seconds: that `send` waits.
    """

    durable = True
    max_batch = 1
    folds = True
    imports = ("apprise.attachment.memory", "netrc", "encodings.idna")  # Apprise itself is there already

    def __init__(self, notifier: "Apprise", *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._notifier = notifier
        self._deadline = deadline_seconds
        self._call: _Call | None = None  # one that took too long
        self._delivered_late: list[str] = []  # ids of events
        self._tries: dict[str, int] = {}  # refused without a reason, by event

    def __repr__(self) -> str:
        return "ServiceBackend()"

    def send(self, events: Sequence[Event], /) -> int:
        """Notify the service of the first event, and return 1.

        An event whose files the service does not take is sent without them, and says so.

        Raises `RetryLater` when the service was not reached, or said no without a reason; `Rejected` when it refused
        the event, or said no ten times; `Gone` when it refuses us. None of these holds the service's URL.
        """
        event = events[0]
        self._wait_for_earlier()
        if event.id in self._delivered_late:
            self._delivered_late.remove(event.id)
            return 1
        for files, left_out in _ways(event, self._service):
            call = self._notify(event, files, left_out)
            if call.delivered:
                self._tries.pop(event.id, None)
                return 1
            if not (call.status in _REFUSED or (call.status is None and call.reached)):
                break  # it is not about the event, and would be the same without its files
        raise self._refusal(event, call)

    def check(self) -> str:
        """Say which service it is. Apprise has no way to try one without sending."""
        return f"{self._service.service_name}: its URL is understood; whether it works, only a message can tell"

    def close(self) -> None:
        """Hold nothing. A call that takes too long ends with its thread, which keeps no program from ending."""

    @property
    def _service(self) -> Any:
        return self._notifier[0]

    def _notify(self, event: Event, files: Sequence[Attachment], left_out: Sequence[Attachment]) -> "_Call":
        message = _message(event, left_out, self._service)
        call = _Call(event.id, lambda: _send(self._notifier, message, files))
        if not call.wait(self._deadline):
            self._call = call
            raise RetryLater(None, f"no answer within {self._deadline:g} s")
        return call

    def _wait_for_earlier(self) -> None:
        """Note what became of a call that took too long. Raises `RetryLater` while it goes on."""
        call = self._call
        if call is not None and call.pid == os.getpid():  # a forked child has not the thread, and never an answer
            if not call.wait(self._deadline):
                raise RetryLater(None, "an earlier call has not ended yet")
            if call.delivered:
                self._delivered_late = [*self._delivered_late, call.event_id][-_REMEMBERED:]
        self._call = None

    def _refusal(self, event: Event, call: "_Call") -> DeliveryError:
        """Return what the lane should know of a no."""
        if call.status in _GONE:
            return Gone(f"the service answered {call.status}")
        if call.status in _REFUSED:
            return Rejected(f"the service answered {call.status}")
        if call.status is not None:
            return RetryLater(None, f"the service answered {call.status}")
        if not call.reached:
            return RetryLater(None, "the service was not reached")
        tries = self._tries.pop(event.id, 0) + 1
        if tries >= _TRIES:
            return Rejected(f"the service did not take it {tries} times, and no reason is known")
        self._tries[event.id] = tries
        if len(self._tries) > _REMEMBERED:
            del self._tries[next(iter(self._tries))]
        return RetryLater(None, "the service did not take it, and no reason is known")


def open_services(urls: str, name: str) -> list[Backend]:
    """Return a backend for each of Apprise's URLs. Imports Apprise, which takes a while.

    Args:
        urls: with white space or commas between them.
        name: of who speaks, for services that show one.

    Raises `ValueError` when Apprise does not understand one of them, naming its place and never the URL, and when
    Apprise is not installed.
    """
    try:
        import apprise
    except ImportError:
        raise ValueError("needs Apprise: pip install 'executor-notify[apprise]'") from None
    hush()
    logging.getLogger("apprise").addFilter(_keep)
    with _listening():
        # In the calling thread and without a time limit: for either, Apprise uses threads that Python waits for in the
        # end.
        asset = apprise.AppriseAsset(app_id=name, async_mode=False, service_timeout=0, secure_logging=True)
        backends: list[Backend] = []
        for number, url in enumerate(_BETWEEN.split(urls.strip(" ,\t\n")), start=1):
            notifier = apprise.Apprise(asset=asset)
            with suppress(Exception):  # a plugin's, whose text may hold the URL
                if (service := apprise.Apprise.instantiate(url, asset=asset)) is not None:
                    notifier.add(service)
            if not len(notifier):
                raise ValueError(f"number {number} is not a URL that Apprise understands")
            backends.append(ServiceBackend(notifier))
        return backends


class _Call:
    """One call of Apprise, on a thread of its own."""

    def __init__(self, event_id: str, notify: Callable[[], bool]) -> None:
        self.event_id = event_id
        self.pid = os.getpid()
        self.delivered = False
        self.status: int | None = None  # of HTTP, as the service has answered
        self.reached = False  # and it has said no
        self._notify = notify
        self._done = threading.Event()
        try:
            threads.start("apprise", self._run)
        except RuntimeError:  # at the end of the interpreter, or at the system's limit
            self._run()

    def wait(self, seconds: float) -> bool:
        """Say whether it has ended, after *seconds* at most."""
        return self._done.wait(seconds)

    def _run(self) -> None:
        heard: list[str] = []
        try:
            with _listening() as heard:
                self.delivered = self._notify()
        except Exception as error:  # noqa: BLE001 - a plugin's, and its text may hold the URL
            heard.append(class_name(error))
        finally:
            self._judge("\n".join(heard))
            self._done.set()

    def _judge(self, said: str) -> None:
        """Note what Apprise's log tells of the answer."""
        status = _STATUS.search(said)
        self.status = int(status[1]) if status else None
        # Nothing is heard where nobody wants to hear warnings: then it may have been reached or not.
        self.reached = bool(said) and _UNREACHED.search(said) is None


class _Message(NamedTuple):
    title: str
    body: str
    level: int


def _send(notifier: "Apprise", message: _Message, files: Sequence[Attachment]) -> bool:
    imports.load("apprise.attachment.memory")
    from apprise import NotifyFormat
    from apprise.attachment.memory import AttachMemory

    memory: Callable[..., Any] = AttachMemory  # it carries no types
    attached = [memory(content=file.data, name=file.filename, mimetype=file.content_type) for file in files]
    taken = notifier.notify(
        title=message.title,
        body=message.body,
        notify_type=_type_of(message.level),
        body_format=NotifyFormat.TEXT,
        attach=attached or None,
    )
    return bool(taken)


def _type_of(level: int) -> Any:
    from apprise import NotifyType

    level = severity(level)
    if level >= logging.ERROR:
        return NotifyType.FAILURE
    return NotifyType.WARNING if level >= logging.WARNING else NotifyType.INFO


def _ways(event: Event, service: Any) -> Iterator[tuple[Sequence[Attachment], Sequence[Attachment]]]:
    """Yield the files to send with *event*, and those to leave out: first what may work, then none."""
    fitting = [file for file in event.attachments if 0 < len(file.data) <= _MAX_FILE and file.filename]
    if service.attachment_support and fitting:
        files = fitting[:_MAX_FILES]
        yield files, [file for file in event.attachments if not any(file is sent for sent in files)]
    yield (), event.attachments


def _message(event: Event, left_out: Sequence[Attachment], service: Any) -> _Message:
    """Return *event* as a title, empty when a line says it all, and a body no longer than the service takes."""
    first = visible(event.message).strip().partition("\n")[0]
    below = visible(said_below(event))
    if (said_by := origin_name(event)) and not is_blank(first):
        first = f"{said_by}: {first}"
    elif said_by:
        below = f"{said_by}:\n{below}"
    if is_blank(first) or len(first) > _LONGEST_TITLE or is_blank(below):
        first, below = "", f"{first}\n\n{below}".strip()
    if left_out:
        below += f"\n\n✂️ Left out: {', '.join(visible(file.filename)[:60] for file in left_out[:10])}."
    below = below if not is_blank(below) else "(no text)"
    # Where a service has no titles, Apprise puts it above the body.
    taken = len(first) + 2 if service.title_maxlen <= 0 else 0
    return _Message(first, clip(below.strip(), max(1, service.body_maxlen - taken)), event.level)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Keep what Apprise logs on this thread from every handler, and have it here."""
    heard: list[str] = []
    _here.heard = heard
    try:
        yield heard
    finally:
        del _here.heard


def _keep(record: logging.LogRecord) -> bool:
    """Let only the records of other threads pass. A filter for Apprise's logger."""
    heard: list[str] | None = getattr(_here, "heard", None)
    if heard is None:
        return not threads.is_ours()
    if record.levelno >= logging.WARNING:
        heard.append(record.getMessage())
    return False
