"""Watches a part of the program: what it raises is reported, and raised again."""

import functools
import inspect
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from notify.crash.report import is_wanted, report_from_hook
from notify.duration import duration
from notify.levels import TRADE
from notify.notifier import Notifier, current_notifier
from notify.plain import class_name

P = ParamSpec("P")
T = TypeVar("T")


class guard:  # noqa: N801 - reads as the statement that it is: `with notify.guard("main loop"):`
    """Report as a crash what is raised inside, and raise it again.

        with notify.guard("main loop"):
            run()

        @notify.guard("rebalancing", announce=True)
        async def rebalance(): ...

    A decorator too, of functions, coroutine functions, generators and asynchronous generators: of the latter three it
    watches the run, not the call. KeyboardInterrupt, SystemExit, GeneratorExit and asyncio's CancelledError are ends
    that somebody wanted, and no crash. Before `setup()`, or without it, nothing is said. Thread-safe.

    Args:
        where: what it is, for people.
        announce: say when it starts and when it has ended, and after how long; of a crash only the crash. That is said
            at level TRADE, the least that reaches people by default, with the topics `startup` and `shutdown`.

    Raises `TypeError` when *where* is no string, as in `@notify.guard` without parentheses.
    """

    def __init__(self, where: str = "main loop", *, announce: bool = False) -> None:
        if not isinstance(where, str):
            raise TypeError("guard() takes the name of what it guards: @notify.guard('main loop')")
        self._where = where
        self._announce = announce
        self._began: list[float] = []  # monotonic seconds

    def __enter__(self) -> None:
        notifier = current_notifier()
        self._began.append(_monotonic(notifier))
        if self._announce and notifier is not None:
            notifier.notify(f"Started: {self._where}", level=TRADE, topic="startup")

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        began = self._began.pop()
        notifier = current_notifier()
        if notifier is None:
            return
        if exception is not None and not is_wanted(exception, _wanted_ends()):
            # In the main thread the program may end of it, and each attempt to go on is told.
            in_main = threading.current_thread() is threading.main_thread()
            report_from_hook(exception, where=self._where, notifier=notifier, folds=not in_main)
        elif self._announce:
            after = f"{self._where}, after {duration(_monotonic(notifier) - began)}"
            said = f"Finished: {after}" if exception is None else f"Stopped: {after}, by {class_name(exception)}"
            notifier.notify(said, level=TRADE, topic="shutdown")

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return *function* under guard, each of its calls by itself."""
        wrapper: Callable[..., object]
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> object:
                with self._anew():
                    return await function(*args, **kwargs)

        elif inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
                with self._anew():
                    generator = function(*args, **kwargs)
                    try:
                        step = generator.asend(None)
                        while True:
                            value = await step
                            try:
                                sent = yield value
                            except GeneratorExit:
                                await generator.aclose()
                                raise
                            except BaseException as thrown:  # noqa: BLE001 - the generator's to handle, and not ours
                                step = generator.athrow(thrown)
                            else:
                                step = generator.asend(sent)
                    except StopAsyncIteration:
                        return

        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def wrapper(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, object]:
                with self._anew():
                    return (yield from function(*args, **kwargs))

        else:

            @functools.wraps(function)
            def wrapper(*args: P.args, **kwargs: P.kwargs) -> object:
                with self._anew():
                    return function(*args, **kwargs)

        return cast("Callable[P, T]", wrapper)

    def _anew(self) -> "guard":
        return guard(self._where, announce=self._announce)


def _monotonic(notifier: Notifier | None) -> float:
    return time.monotonic() if notifier is None else notifier.clock.monotonic()


def _wanted_ends() -> tuple[type[BaseException], ...]:
    asyncio = sys.modules.get("asyncio.exceptions")  # a program that has not imported it cancels nothing
    cancelled = (asyncio.CancelledError,) if asyncio is not None else ()
    return (KeyboardInterrupt, SystemExit, GeneratorExit, *cancelled)
