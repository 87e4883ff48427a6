"""What is served of a program that has died, in its place: how it died, and what it has left."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from notify import diagnostics, threads
from notify.capture.exported import exported
from notify.capture.ring import Remembered
from notify.errors import ConfigError
from notify.run_state import RunState
from notify.status.serving import Serving, serve
from notify.supervisor.death import Death, title

_AGAIN = 2.0  # seconds between two tries to have the port


def serve_death(
    death: Death, how: Serving, *, stats: Callable[[], Mapping[str, Any]], redact_text: Callable[[str], str]
) -> None:
    """Serve what is known of a program that has died, from now on until this process ends.

    Where nothing can listen, as long as a process that the program has left behind holds the port, that is said on
    stderr, and tried again every two seconds.

    Args:
        death: of the program.
        how: it is served, as the program would be.
        stats: returns the counts of the delivery.
        redact_text: takes secrets out of what is served.

    Raises `RuntimeError` when the system refuses the thread that would try again.
    """
    state = state_of(death, how.executor_id)
    records = records_of(death)

    def begin() -> None:
        serve(how, state, logs=lambda: records, stats=stats, redact_text=redact_text)

    def try_again() -> None:
        while True:
            time.sleep(_AGAIN)
            try:
                begin()
            except ConfigError:
                continue
            diagnostics.report("served", f"the crash is served now: {how.url}/status")
            return

    try:
        begin()
    except ConfigError as error:
        diagnostics.report("serve", f"the crash is not served yet: {error}; tried again every {_AGAIN:g} s")
        threads.start("serve", try_again)


def state_of(death: Death, executor_id: str) -> RunState:
    """Return the facts of the run as far as they outlived it.

    Args:
        death: of the program.
        executor_id: what machines call it.
    """
    said = death.facts
    state = RunState()
    state.set_fail()
    started_at = death.at - death.ending.seconds if death.started_at is None else death.started_at
    state.update(
        executor_id=executor_id,
        started_at=started_at,
        last_refreshed_at=started_at if death.last_progress_at is None else death.last_progress_at,
        crashed_at=death.at,
        exception=title(death),  # a text: what it died of is no exception, and has no type
        completed_cycle=int(said.completed_cycle) if _is_number(said.completed_cycle) else None,
        cycles=said.cycles or 0,
        version={"tag": said.version or None, "commit_message": None, "commit_hash": None},
    )
    return state


def records_of(death: Death) -> list[dict[str, object]]:
    """Return the last lines of stderr as log records with the keys of `/logs`, oldest first.

    When each was written is not known, nor how severe it is: they have the time of the death, and what readers show
    unless they are told otherwise.
    """
    return [exported(Remembered(death.at, logging.ERROR, death.program, line, None)) for line in death.stderr]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19  # digits of what every reader takes for an integer
