"""What is to be done when the program has crashed."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from notify.event import Event


class AfterCrash(StrEnum):
    """What the supervisor does when the program has crashed."""

    SERVE = "serve"
    """It stays, so that the status server goes on to tell of the crash, until somebody stops it."""

    EXIT = "exit"
    """It ends with the program's exit code."""

    RESTART = "restart"
    """It starts the program again, after a wait that grows from a second to five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPolicy:
    """What to do after a crash.

    Args:
        then: that.
        good_startup: seconds. As long as no run has lasted so long, the supervisor ends after a crash in any case.
        stays: whether there is something to stay for.
        serve: called with the event of the crash, None if the program has told itself, before the supervisor stays.
    """

    then: AfterCrash = AfterCrash.SERVE
    good_startup: float = 60.0
    stays: bool = False
    serve: Callable[[Event | None], object] | None = None
