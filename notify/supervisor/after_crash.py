"""What is to be done when the program has crashed."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from notify.supervisor.death import Death


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
        serve: called with what is known of the crash before the supervisor stays; None: there is nothing to stay for.
        crashed: called with what is known of each crash, before anything else. Must not wait for a network.
    """

    then: AfterCrash = AfterCrash.SERVE
    good_startup: float = 60.0
    serve: Callable[[Death], object] | None = None
    crashed: Callable[[Death], object] = lambda death: None
