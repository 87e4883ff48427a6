"""What a start says of the runs before it that did not end in an orderly way."""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from notify.clip import clip
from notify.crash.content import facts_of
from notify.crash.fault import FATAL, crashed_thread
from notify.crash.identity import is_child
from notify.crash.marker import RunMarker
from notify.crash.restarts import note_start
from notify.crash.unclean import How, UncleanEnd, claim
from notify.duration import duration
from notify.event import Attachment
from notify.notifier import Notifier
from notify.run_state import RunState
from notify.settings import program_name

_EACH = 3  # ends that get a message each; more are counted in one
_STACK = 3000  # code points of the stack that is shown: 25 frames of a usual width
_SIGNAL = 100  # code points of what faulthandler calls the signal

_WHAT_KILLS = "SIGKILL, the kernel's out-of-memory killer and os._exit() look like that from here."
_WHAT = {How.KILLED: "killed", How.CRASHED_IN_C: "crashed in C", How.REBOOTED: "ended by a reboot"}
_UNKNOWN = "at a time unknown      "


def install(notifier: Notifier, directory: Path, run_state: RunState) -> RunMarker:
    """Mark this run, tell of those before it that ended uncleanly, and have progress noted.

    A child of `multiprocessing` is no start of the program: it marks itself, and tells of nobody.

    Takes a millisecond when there is nothing to tell, and whatever is wrong with the directory is reported on stderr.

    Args:
        notifier: says it.
        directory: the state directory.
        run_state: says when there is progress.

    Returns the marker, which ends when *notifier* is closed.
    """
    marker = RunMarker(directory, clock=notifier.clock, facts=partial(facts_of, run_state))
    notifier.at_close(marker.end)  # before it begins: a signal handler may close the notifier in the middle of that
    marker.begin()
    if not is_child():
        with claim(directory, marker.run) as ends:
            start = note_start(directory, notifier.clock, unclean=bool(ends))
            if start.tells:
                announce(notifier, ends, start.phrase)
    run_state.listen(refreshed=marker.progress)
    return marker


def announce(notifier: Notifier, ends: Sequence[UncleanEnd], restarts: str = "") -> None:
    """Say at level CRITICAL how earlier runs ended: a message each for up to three, otherwise one that counts them.

    Args:
        notifier: says it.
        ends: in the order in which the runs began.
        restarts: how often the program was started lately, such as `5th start in 10 minutes`.
    """
    more = f" ({restarts})" if restarts else ""
    if len(ends) <= _EACH:
        for end in ends:
            _tell(notifier, end, more)
    else:
        _tell_together(notifier, ends, more)


def _tell(notifier: Notifier, end: UncleanEnd, more: str) -> None:
    run = "The last run" if end.program in ("", program_name()) else f"The last run of {end.program}"
    title, body = {
        How.KILLED: (f"{run} was killed: no Python code ran at its end", _WHAT_KILLS),
        How.CRASHED_IN_C: (f"{run} crashed in C: {_signal(end.fault)}", _culprit(end.fault)),
        How.REBOOTED: (f"{run} ended with the machine: it was rebooted", ""),
    }[end.how]
    notifier.notify(
        title + more,
        body=body,
        level=logging.CRITICAL,
        topic="crash",
        fields=_facts(end),
        attachments=[_file(end.fault)] if end.fault else [],
    )


def _tell_together(notifier: Notifier, ends: Sequence[UncleanEnd], more: str) -> None:
    counts = Counter(_WHAT[end.how] for end in ends)
    lines = [f"{_time(end.started_at) or _UNKNOWN}  {_WHAT[end.how]}  {end.pid} {end.program}" for end in ends]
    fault = next((end.fault for end in reversed(ends) if end.fault), "")
    notifier.notify(
        f"{len(ends)} runs did not come to an orderly end: "
        + ", ".join(f"{count} {what}" for what, count in counts.items())
        + more,
        body="\n".join(["When they began, how they ended, process and program:", *lines]),
        level=logging.CRITICAL,
        topic="crash",
        attachments=[_file(fault)] if fault else [],  # the last one: those of a row are mostly the same
    )


def _signal(fault: str) -> str:
    return clip(fault.partition("\n")[0].removeprefix(FATAL).strip(), _SIGNAL)


def _culprit(fault: str) -> str:
    """Return the stack that crashed, without the line that the title has already."""
    return clip(crashed_thread(fault).partition("\n")[2].strip(), _STACK)


def _file(fault: str) -> Attachment:
    return Attachment("c-traceback.txt", fault.encode())


def _facts(end: UncleanEnd) -> dict[str, object]:
    facts = {
        "program": end.program or None,
        "process": end.pid,
        "started": _time(end.started_at),
        "last progress": _time(end.last_progress_at),
        "ran for at least": _ran_for(end),
        "version": end.facts.version or None,
        "completed_cycle": end.facts.completed_cycle or None,
        "cycles": end.facts.cycles,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _ran_for(end: UncleanEnd) -> str | None:
    """Return how long it ran until its last sign of life; None if nobody knows, or the clock was set back."""
    if end.started_at is None or end.last_progress_at is None or end.last_progress_at < end.started_at:
        return None
    return duration(end.last_progress_at - end.started_at)


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
