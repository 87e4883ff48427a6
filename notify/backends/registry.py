"""Finds third-party backends by name, and makes backends of what else programs pass."""

import logging
from collections.abc import Mapping
from inspect import isasyncgenfunction, iscoroutinefunction

from notify.backend import Backend, max_batch
from notify.backends.function import FunctionBackend
from notify.backends.handler import HandlerBackend
from notify.errors import ConfigError
from notify.plain import class_name

GROUP = "notify.backends"


def adapt(candidate: object) -> Backend:
    """Return a backend for a backend, a `logging.Handler`, or any callable that takes an event.

    Raises `ValueError` for anything else, and for a backend whose `max_batch` is no number.
    """
    if isinstance(candidate, logging.Handler):  # first: SocketHandler has a send() of its own
        return HandlerBackend(candidate)
    if isinstance(candidate, Backend) and not isinstance(candidate, type):
        _check(candidate)
        return candidate
    if callable(candidate) and not isinstance(candidate, type):
        return FunctionBackend(candidate)
    # Not its repr: what is passed by mistake may be a webhook's address.
    kind = f"the class {candidate.__name__}" if isinstance(candidate, type) else f"a {type(candidate).__name__}"
    raise ValueError(f"{kind} is no backend: pass an object with send() and close(), a function or a logging.Handler")


def load(name: str, env: Mapping[str, str]) -> Backend | None:
    """Load the third-party backend that an entry point of the group `notify.backends` calls *name*.

    Returns None when its `from_env` says that it is not configured.
    Raises `ConfigError` when there is no such entry point, or it does not load, or it refuses its settings.
    """
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP, name=name)
    if not found:
        known = ", ".join(sorted({point.name for point in entry_points(group=GROUP)})) or "none"
        raise ConfigError(f"NOTIFY_BACKENDS: no backend {name!r} is installed (installed: {known})")
    try:
        backend: Backend | None = next(iter(found)).load().from_env(env)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - a third party's module may raise anything while it loads
        # Its text is a third party's and may hold a value of the environment.
        raise ConfigError(f"NOTIFY_BACKENDS: backend {name!r} failed to load: {class_name(error)}") from None
    if backend is not None and not isinstance(backend, Backend):
        raise ConfigError(f"NOTIFY_BACKENDS: backend {name!r} has no send() and close()")
    if backend is not None:
        try:
            _check(backend)
        except ValueError as error:
            raise ConfigError(f"NOTIFY_BACKENDS: backend {name!r}: {error}") from None
    return backend


def _check(backend: Backend) -> None:
    if iscoroutinefunction(backend.send) or isasyncgenfunction(backend.send):
        raise ValueError("send() is asynchronous: a lane calls it from a thread, and awaits nothing")
    try:
        max_batch(backend)
    except Exception:  # noqa: BLE001 - a third party's attribute may be anything
        raise ValueError("max_batch is no whole number") from None


def imports(backend: Backend) -> tuple[str, ...]:
    """Return the names of what `send` of a backend of ours imports; of another's nothing is known.

    What others import may wait for whoever imports it: it may even set up a notifier itself.
    """
    return getattr(backend, "imports", ()) if type(backend).__module__.startswith("notify.backends.") else ()
