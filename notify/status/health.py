"""Whether a run is well: a verdict for monitors, as a pure function of what is known."""

from typing import NamedTuple

OK = "ok"
STARTING = "starting"
STALE = "stale"
CRASHED = "crashed"


class Verdict(NamedTuple):
    """How a run is.

    Args:
        status: `ok`, `starting`, `stale` or `crashed`.
        reason: why, in words.
    """

    status: str
    reason: str


def verdict(*, running: bool, failed_of: str | None, progress: float | None, age: float, stale_after: float) -> Verdict:
    """Say how a run is. A crash counts for more than a lack of progress.

    Args:
        running: whether the program runs, as it says itself.
        failed_of: type and message of its exception, if there is one.
        progress: seconds since it last made progress; None before the first time.
        age: seconds that it has had to make some.
        stale_after: seconds without progress that are too many.
    """
    if not running:
        return Verdict(CRASHED, failed_of or "the program has stopped and did not say why")
    if progress is None:
        if age > stale_after:
            return Verdict(STALE, f"no progress at all in {age:.0f} s")
        return Verdict(STARTING, "no progress yet")
    if progress > stale_after:
        return Verdict(STALE, f"no progress for {progress:.0f} s, {stale_after:.0f} s are allowed")
    return Verdict(OK, "the program makes progress")
