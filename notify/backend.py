"""What a plugin author reads: the contract between a lane and what reaches one destination.

A backend is any object with `send` and `close`. It is called by one thread at a time, the lane's, so
it needs no lock. It may block (a total deadline of its own is good manners) and it may raise:

    class Pager:
        def send(self, events, /):
            answer = post(events[0].message)          # only the first event: max_batch is 1
            if answer.status == 429:
                raise RetryLater(after=answer.retry_after)
            if answer.status == 400:
                raise Rejected("the pager refused it")
            return 1

        def close(self):
            ...

    def from_env(env):                                 # entry point group "notify.backends"
        return Pager(...) if "PAGER_URL" in env else None

Optional attributes, with what a lane assumes without them:

    durable: bool = False    events from NOTIFY_DURABLE_LEVEL on are kept on disk until delivered
    max_batch: int = 1       how many waiting events one call of send() gets at most
    folds: bool = True       for people, who want repeats folded; False: a machine, which gets every event
    posted: MutableMapping   there if the backend can change what it has sent: what it needs to find that again, text by
                             text. It is replaced before the first send() by one that outlives the process
    passes_matters: bool     False; True: hands on events to where repeats are counted, for many programs together. It
                             folds nothing, gets every event with its matter, and learns of every end
    in_order: bool = False   for readers who read along, and who count by it: no event overtakes another
    ready_in() -> float      seconds until the destination's limits allow the next call of send(); 0 without it
    check() -> str           says in one line what was found there, sending nothing, or raises as `send` does; raises
                             `Unfit` of what takes events and should be set up otherwise

A backend with `posted` looks at `event.matter`, which says to what ongoing matter an event belongs. If it has a message
of that matter, a COUNTED or a LIVING event changes the message, and a RESOLVED one does so and is a message, too. Where
there is no `posted`, LIVING events are messages as all others, and no COUNTED ones come.

A backend that passes matters on gets repeats as ANNOUNCED, too, and a RESOLVED event for each `resolve(key)`, whether
or not anybody here was told of the matter. Id and phase are what counts there; the rest is what this program knows of
it.

`event.origin` says who speaks when the event comes from a relay, where many do: a backend for people shows it.

What `send` may raise is in `notify.errors`. An OSError counts as `RetryLater`; any other exception is
tried a few times and then counts as `Rejected`, so that one event cannot hold up the rest.
"""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Protocol, runtime_checkable

from notify.event import Event

__all__ = [
    "Backend", "BackendFactory", "durable", "edits", "folds", "in_order", "max_batch", "passes_matters", "ready_in",
    "remember_in",
]  # fmt: skip


@runtime_checkable
class Backend(Protocol):
    """Reaches one destination."""

    def send(self, events: Sequence[Event], /) -> int:
        """Deliver some of *events*, from the first on, and return how many, at least 1.

        Raises `RetryLater` (keep them), `Rejected` (never the first one) or `Gone` (nothing any more).
        """
        ...

    def close(self) -> None:
        """Let go of sockets and files. Called once, by the lane, after the last `send`."""
        ...


BackendFactory = Callable[[Mapping[str, str]], Backend | None]
"""What an entry point of the group `notify.backends` has as `from_env`: None means not configured."""


def durable(backend: Backend) -> bool:
    """Say whether events for *backend* are worth keeping on disk."""
    return bool(getattr(backend, "durable", False))


def folds(backend: Backend) -> bool:
    """Say whether people read what *backend* delivers, so that repeats are counted there rather than sent."""
    return bool(getattr(backend, "folds", True))


def passes_matters(backend: Backend) -> bool:
    """Say whether repeats are counted where *backend* hands its events on to."""
    return bool(getattr(backend, "passes_matters", False))


def edits(backend: Backend) -> bool:
    """Say whether *backend* can change what it has sent."""
    return getattr(backend, "posted", None) is not None


def remember_in(backend: Backend, posted: MutableMapping[str, str]) -> None:
    """Give *backend*, which can change what it has sent, a place for what it needs to find that again."""
    backend.posted = posted  # type: ignore[attr-defined]  # `edits` has seen it


def max_batch(backend: Backend) -> int:
    """Return how many events one `send` of *backend* takes, at least 1."""
    return max(1, int(getattr(backend, "max_batch", 1)))


def in_order(backend: Backend) -> bool:
    """Say whether urgent events for *backend* wait their turn too."""
    return bool(getattr(backend, "in_order", False))


def ready_in(backend: Backend) -> float:
    """Return in how many seconds `send` of *backend* is welcome, at least 0."""
    ask: Callable[[], float] | None = getattr(backend, "ready_in", None)
    return max(0.0, ask()) if ask is not None else 0.0
