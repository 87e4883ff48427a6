"""The front: what programs call."""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self, Unpack

from notify import diagnostics
from notify.arguments import Parts, caller, event_of, in_time
from notify.backend import Backend
from notify.capture.configured import hand_to
from notify.capture.exported import exported
from notify.capture.handler import IntakeHandler
from notify.capture.placement import Placement
from notify.capture.ring import RingBuffer
from notify.clock import Clock, SystemClock
from notify.delivery.folding.front import INTERVAL, STORM_LIMIT
from notify.delivery.pipeline import Pipeline, Redaction
from notify.delivery.ticket import Ticket
from notify.delivery.timeout import seconds
from notify.errors import ConfigError
from notify.event import Attachment, Event
from notify.interruption import came_from_a_signal
from notify.levels import TRADE
from notify.plain import class_name
from notify.rules.routing import Route, wrong_fallback
from notify.run_state import RunState

if TYPE_CHECKING:
    from notify.delivery.outbox import Outbox

_RING_LEVEL = logging.INFO
_PATIENCE = 5.0  # seconds


class Notifier:
    """Takes what a program says and has it delivered.

    What says something (`notify`, `trade`, `resolve`) never raises into the caller, whatever it is given, and nor do
    `flush`, `close`, `stats` and `records`. `add` raises `ConfigError`, and `backend` `KeyError`. No method waits for a
    network but `flush` and `close`, which wait as long as they are told. Thread-safe; a context manager that closes
    itself.

    Args:
        backends: where to, by name.
        routes: what each backend gets; INFO and above of every topic for those not named.
        outbox: keeps events for durable backends on disk until they are delivered, and is closed with the notifier.
            None: they wait in memory.
        durable_level: least level of the events that are on disk before the call returns.
        redact: takes secrets out of events before anything else sees them; by default what looks like a secret.
        repeat_interval: seconds between two reminders of a matter that goes on.
        storm_limit: different matters announced a minute; what is CRITICAL is announced all the same.
        remembers: whether what was announced outlives the process, beside the outbox. False for who speaks of another
            program, which remembers its own there.
        clock: tells the time and waits.

    Raises `ConfigError` when a route names a fallback that is no backend here, the backend itself, or one in a circle.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        *,
        routes: Mapping[str, Route] | None = None,
        outbox: "Outbox | None" = None,
        durable_level: int = TRADE,
        redact: Redaction | None = None,
        repeat_interval: float = INTERVAL,
        storm_limit: int = STORM_LIMIT,
        remembers: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        known = {name: (routes or {}).get(name, Route()) for name in backends}
        for name in known:
            if (wrong := wrong_fallback(name, known)) is not None:
                raise ConfigError(f"routes[{name!r}]: fallback: {wrong}")
        self._closed = False
        self._closing = threading.RLock()  # a signal handler may close what is being closed
        self._on_close: list[Callable[[], None]] = []
        self._placement = Placement()
        self._has_outbox = outbox is not None
        self._pipeline = Pipeline(
            backends,
            routes or {},
            outbox=outbox,
            durable_level=durable_level,
            redact=redact or _by_looks(),
            clock=self.clock,
            repeat_interval=repeat_interval,
            storm_limit=storm_limit,
            remembers=remembers,
            unheard=self._placement.trouble,
        )
        self._ring = RingBuffer()
        self.run_state = RunState(self.clock)
        """The facts of this run; `run_state.refresh()` says that the program makes progress."""
        self.status_url: str | None = None
        """Where people see the status of this run; None: nowhere. Reports of crashes name it."""
        os.register_at_fork(after_in_child=_beginning_anew(weakref.ref(self)))
        wanted = min(self._pipeline.least_level, _RING_LEVEL)
        self.handler: logging.Handler = IntakeHandler(self._pipeline.intake, self._ring, wanted)
        """The logging handler, for those who attach handlers themselves."""

    def begin_in_child(self) -> None:
        """Begin anew in a forked child: with locks and threads of its own, and without its parent's events."""
        self._closing = threading.RLock()
        self._pipeline.begin_in_child(closed=self._closed)

    def __repr__(self) -> str:
        return f"Notifier({', '.join(lane.name for lane in self._pipeline.lanes)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called: what is said now is dropped, and its ticket says so."""
        return self._closed

    def notify(
        self,
        message: str,
        /,
        *,
        body: str = "",
        level: int = logging.INFO,
        topic: str = "log",
        key: str | None = None,
        fields: Mapping[str, object] | None = None,
        attachments: Sequence[Attachment] = (),
        exc: BaseException | None = None,
        update: bool = False,
    ) -> Ticket:
        """Say that something happened. Returns at once.

        Args:
            message: what happened; the first line is what people see first.
            body: more text. A line that holds only `…` separates sections.
            level: severity, in logging's numbers.
            topic: what it is about; routes choose by it.
            key: the ongoing matter it belongs to. At WARNING and above, people get the first event of a key and a
                count of the others, until `resolve(key)`.
            fields: names and values, shown as such.
            attachments: files. An image is shown under the text.
            exc: the exception to show with its traceback.
            update: with a key: this takes the place of what was said under the key before, where a backend can change
                what it has sent; elsewhere it is a message as all others.

        Returns a ticket that tells what became of it. Never raises: what cannot be shown is marked in the event. A
        level that is none is INFO, which is told on stderr, as are fields that are no mapping.
        """
        return self.accept(
            event_of(
                self.clock.time(),
                caller(),
                message,
                body=body,
                level=level,
                topic=topic,
                key=key,
                fields=fields,
                attachments=attachments,
                exc=exc,
                update=update,
            )
        )

    def trade(self, message: str, /, **same: Unpack[Parts]) -> Ticket:
        """Say that something was bought or sold: `notify` at level TRADE with the topic `trade`."""
        parts: Parts = {"level": TRADE, "topic": "trade", **same}
        return self.accept(event_of(self.clock.time(), caller(), message, **parts))

    def resolve(self, key: str, message: str = "", /) -> Ticket:
        """Say that the matter *key* has ended, how long it lasted and how often it happened. Returns at once.

        That goes to the backends that were told of it, and the message that announced it turns green where a backend
        can change it. A matter that nobody was told of is not ended aloud.

        Args:
            key: as given to `notify`.
            message: said in place of `Resolved: …`.

        Returns a ticket; for a matter that nobody was told of, nothing is in it. Never raises.
        """
        event = event_of(self.clock.time(), caller(), message, key=key)
        ticket = self._pipeline.ticket(event.id)
        self._pipeline.resolve(event.key or "", event, ticket)
        return ticket

    def accept(self, event: Event, *, folds: bool = True) -> Ticket:
        """Take an event that was made elsewhere. Returns at once, never raises.

        Args:
            event: what is said. It has happened now when its time is none, such as an infinite one.
            folds: False: people get it whatever was said before, since whoever made it counts repeats himself.
        """
        event = in_time(event, self.clock.time())
        ticket = self._pipeline.ticket(event.id)
        self._pipeline.accept(event, ticket, folds=folds)
        return ticket

    def tail(self, count: int) -> tuple[str, ...]:
        """Return the last *count* log records as lines, oldest first."""
        return self._ring.tail(count)

    def records(self) -> list[dict[str, object]]:
        """Return the last log records, 2000 at most and oldest first, with the keys of `/logs`. Secrets are in them."""
        return list(map(exported, self._ring.records()))

    def flush(self, timeout: float | None = _PATIENCE) -> bool:
        """Wait until nothing waits any more, in a lane or on disk, *timeout* seconds at most. True: nothing does.

        None waits however long it takes. What other programs have on disk, and deliver themselves, does not count.
        """
        return self._pipeline.flush(seconds(timeout, otherwise=_PATIENCE))

    def close(self, timeout: float | None = _PATIENCE) -> None:
        """Deliver what waits, *timeout* seconds at most, then stop every thread. Idempotent and re-entrant.

        None waits however long it takes.
        A destination whose next attempt is due later than that is not waited for. A thread whose backend does not
        return is given a tenth of a second more, and then left to end when it does.
        """
        patience = seconds(timeout, otherwise=_PATIENCE)
        deadline = time.monotonic() + patience
        if not self._closing.acquire(timeout=patience):
            return  # another thread is at it
        try:
            if self._closed:
                return
            self._closed = True
            try:
                self._pipeline.tell_unheard()
                _run_undos(self._on_close)
            except BaseException:  # Ctrl-C, after which nobody closes what is closed already
                self._pipeline.close(0.0)
                raise
            self._pipeline.close(max(0.0, deadline - time.monotonic()))
        finally:
            self._closing.release()

    def adopt(self) -> None:
        """Take over now what other processes left in the outbox, rather than within a minute.

        What there is room for is in the lanes when this returns. Waits for the disk, and for no network.
        """
        self._pipeline.adopt()

    def add(self, name: str, backend: Backend, route: Route, *, outbox: "Outbox | None" = None) -> None:
        """Deliver to one more backend from now on. Waits for no network.

        Args:
            name: of the backend, in settings and `stats()`.
            backend: where to.
            route: what it gets. A fallback that is not there yet may be added later.
            outbox: keeps events for durable backends on disk from now on, when nothing has until now, and is closed
                with the notifier.

        Raises `ConfigError` when there is a backend of this name, fallbacks would go round in a circle, or the notifier
        is closed; the backend is not closed then.
        """
        with self._closing:
            if self._closed or name in self._pipeline.routes:
                raise ConfigError(f"{name}: " + ("the notifier is closed" if self._closed else "there is one already"))
            known = {**self._pipeline.routes, name: route}
            if route.fallback in known and (wrong := wrong_fallback(name, known)) is not None:
                raise ConfigError(f"{name}: fallback: {wrong}")
            self._has_outbox |= outbox is not None
            self._pipeline.add(name, backend, route, outbox)
            self.handler.setLevel(min(self._pipeline.least_level, _RING_LEVEL))

    @property
    def has_outbox(self) -> bool:
        """Whether events for durable backends are kept on disk."""
        return self._has_outbox

    def __contains__(self, name: object) -> bool:
        return name in self._pipeline.routes

    def backend(self, name: str) -> Backend:
        """Return the backend of this name, whose `send` and `close` are its lane's alone. Raises `KeyError`."""
        return self._pipeline.backend(name)

    def stats(self) -> dict[str, dict[str, object]]:
        """Return counts per backend.

        Under the name of a backend stand

        - `accepted`: events that came; each was delivered, dropped, folded or handed over, or is pending;
        - `delivered`: events that arrived;
        - `retried`: attempts that were made again;
        - `pending`: events that wait, in memory or on disk;
        - `dropped`: events that will not arrive, by reason;
        - `folded`: events that are counted in a message rather than sent;
        - `handed_over`: events that went to the backend that stands in for this one while it is gone;
        - `last_success_at`: UTC epoch seconds, None before the first;
        - `last_error`: a text, None before the first;
        - `restarted`: how often its thread died and was started again, when it did.

        Under `intake` stand, when there is anything to tell of what has come to no backend,

        - `pending`: events of which it is not known yet where they go; they are accepted there once it is;
        - `dropped`: events that were dropped before that was known, by reason;
        - `unrouted`: events that no backend wants;
        - `accepted`: those of the last two, and what the end of the notifier left on disk, which is pending as well;
        - `last_error`: that logging has lost our handler, None while it has not;
        - `delivered`, `retried`, `last_success_at`: 0, 0 and None, since nothing is delivered from there.

        Under `outbox` stand, when durable events are kept on disk,

        - `broken`: why they are not at present, None while all is well;
        - `waiting`, `dead`: events on disk, of all processes, one for each of their destinations;
        - `bytes`: what they take there;
        - `counted_at`: when these three were counted (UTC epoch seconds), up to a minute ago.

        Log records below the least level of all backends are never looked at, and not counted.
        """
        return self._pipeline.stats()

    def attach(self, logger: logging.Logger | None = None) -> None:
        """Put the logging handler on *logger*, the root logger by default, if none of ours is there. Others stay.

        If something takes it off again, that is told within a minute: on stderr, to people, and in `stats()`.
        """
        self._placement.put(self.handler, logger or logging.getLogger())

    def detach(self, logger: logging.Logger | None = None) -> None:
        """Take the logging handler off *logger*, the root logger by default, and miss it no more."""
        self._placement.take_off(self.handler, logger or logging.getLogger())

    def at_close(self, undo: Callable[[], None]) -> None:
        """Call *undo* when this notifier is closed, before what waits is delivered."""
        self._on_close.append(undo)


def _by_looks() -> Redaction:
    """Return what takes out of events all that looks like a secret, when nobody has said what the secrets are."""
    from notify.rules.redaction import Redactor  # most programs say it, through setup()

    return Redactor()


def _beginning_anew(notifier: "weakref.ref[Notifier]") -> Callable[[], None]:
    def begin() -> None:
        forked = notifier()
        if forked is not None:
            try:
                forked.begin_in_child()
            except RuntimeError:
                diagnostics.report("fork", "a forked child is not heard: no thread could be started")

    return begin


def _run_undos(undos: list[Callable[[], None]]) -> None:
    while undos:
        undo = undos.pop(0)
        try:
            undo()
        except BaseException as error:  # what waits must be delivered all the same
            if not isinstance(error, Exception) or came_from_a_signal(error):
                _run_undos(undos)
                raise
            diagnostics.report("close", f"something could not be undone: {class_name(error)}")


_current: Notifier | None = None


def current_notifier() -> Notifier | None:
    """Return the notifier that `setup()` made, None before."""
    return _current


def get_notifier() -> Notifier:
    """Return the notifier that `setup()` made.

    Raises `ConfigError` when there is none: what is said would be heard by nobody.
    """
    if _current is None:
        raise ConfigError("call notify.setup() first: there is no notifier yet")
    return _current


def set_notifier(notifier: Notifier | None) -> None:
    """Make *notifier* the one that `get_notifier` returns. For `setup()` and tests."""
    global _current
    _current = notifier
    hand_to(None if notifier is None else notifier.handler)
