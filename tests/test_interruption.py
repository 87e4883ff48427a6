"""What a signal raises reaches the program, and what its objects raise does not."""

import errno
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from notify.errors import NotifyError
from notify.interruption import came_from_outside
from notify.plain import keep, keep_fields, safe_str


class Stop:
    """Handles signals as programs do: each in another form of what can be called."""

    def function(self, number: int, frame: object) -> NoReturn:
        raise SystemExit(number)

    __call__ = function


def stop(number: int, frame: object) -> NoReturn:
    raise SystemExit(number)


def stop_for(reason: str, number: int, frame: object) -> NoReturn:
    raise SystemExit(number)


def stop_once(*given: object) -> NoReturn:
    """Handles one signal, as who lets a second Ctrl-C end the program at once does."""
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    raise SystemExit(given[0])


def stop_and_see_nothing(number: int, frame: object) -> NoReturn:
    del frame
    raise SystemExit(number)


HANDLERS = {
    "function": stop,
    "method": Stop().function,
    "object": Stop(),
    "partial": functools.partial(stop_for, "no time left"),
    "once": stop_once,
    "frameless": stop_and_see_nothing,
}


@pytest.fixture
def handled() -> Iterator[Callable[[Any], None]]:
    before = signal.getsignal(signal.SIGUSR1)

    def handle(handler: Any) -> None:
        signal.signal(signal.SIGUSR1, handler)

    yield handle
    signal.signal(signal.SIGUSR1, before)


class Signalled:
    """The signal arrives while this is looked at."""

    def __str__(self) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return "went on"

    __repr__ = __str__


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
@pytest.mark.parametrize(
    "look", [safe_str, keep, lambda value: keep_fields({"x": value})], ids=["str", "keep", "fields"]
)
def test_what_a_signal_raises_reaches_the_program(
    handled: Callable[[Any], None], handler: object, look: Callable[[object], object]
) -> None:
    handled(handler)

    with pytest.raises(SystemExit) as caught:
        look(Signalled())

    assert caught.value.code == signal.SIGUSR1


def test_a_signal_that_raises_nothing_changes_nothing(handled: Callable[[Any], None]) -> None:
    handled(lambda number, frame: None)

    assert keep(Signalled()) == "went on"


def test_what_an_object_raises_in_another_thread_is_no_signals(handled: Callable[[Any], None]) -> None:
    handled(stop)
    shown: list[str] = []

    class Calling:
        def __str__(self) -> str:
            stop(1, None)

    thread = threading.Thread(target=lambda: shown.append(safe_str(Calling())))
    thread.start()
    thread.join()

    assert shown == ["<unprintable Calling: SystemExit>"]


# ---- into a thread


class NoTimeLeft(Exception):
    """What a time limit for threads raises into one."""


class Killed(BaseException):
    """What gevent and others raise."""


@pytest.mark.parametrize(
    ("error", "module", "outside"),
    [
        (NoTimeLeft(), "notify.delivery", True),
        (Killed(), "notify.delivery", True),
        (TimeoutError(), "notify.delivery", True),
        (NoTimeLeft(), "strategy", False),
        (TimeoutError(), "strategy", False),
        (OSError(errno.ENOSPC, "No space left on device"), "notify.delivery", False),
        (ValueError(), "notify.delivery", False),
        (NotifyError(), "notify.delivery", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_what_nothing_of_ours_raises_came_from_outside_when_it_came_in_the_middle_of_ours(
    error: BaseException, module: str, outside: bool
) -> None:
    names: dict[str, Any] = {"__name__": module}
    exec("def step(error): raise error", names)

    with pytest.raises(type(error)) as caught:
        names["step"](error)

    assert came_from_outside(caught.value) is outside


class DeniesItsClass(Exception):
    @property
    def __class__(self) -> NoReturn:  # type: ignore[override]  # that is the point
        raise ZeroDivisionError


class DeniesItsNumber(OSError):
    @property
    def errno(self) -> NoReturn:  # type: ignore[override]  # that is the point
        raise ZeroDivisionError


class OfNoModule(Exception):
    __module__: Any = 5


@pytest.mark.parametrize("kind", [DeniesItsClass, DeniesItsNumber, OfNoModule])
def test_an_exception_is_told_apart_without_running_what_it_has_of_its_own(kind: type[Exception]) -> None:
    class Odd:
        def __str__(self) -> str:
            raise kind

    assert not came_from_outside(kind())
    assert "unprintable" in safe_str(Odd())
