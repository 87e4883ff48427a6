"""What is served of a program that has died: the facts that outlived it, in the shape of a run that has failed."""

import resource
from typing import Any

import pytest

from notify.crash.run_file import Facts
from notify.run_state import RunState
from notify.status.documents import status
from notify.supervisor.child import Ending
from notify.supervisor.death import Death
from notify.supervisor.serve import records_of, state_of

DIED = 1.5e9  # epoch seconds
RAN = 60.0  # seconds


def death(**known: Any) -> Death:
    ending = Ending(returncode=-9, dumped_core=False, seconds=RAN, usage=resource.struct_rusage([0] * 16))
    return Death(program="my-strategy", pid=7, ending=ending, at=DIED, **known)


def told(**known: Any) -> dict[str, Any]:
    return status(state_of(death(**known), "matic").as_dict(), str)


def test_of_a_program_that_has_said_nothing_the_beginning_the_end_and_the_reason_are_known() -> None:
    facts = told()

    assert list(facts) == list(RunState().as_dict())
    assert (facts["executor_id"], facts["executor_running"]) == ("matic", False)
    assert (facts["started_at"], facts["last_refreshed_at"], facts["crashed_at"]) == (DIED - RAN, DIED - RAN, DIED)
    assert facts["exception"]["exception_message"] == "my-strategy was killed by SIGKILL after 1 min"
    assert (facts["completed_cycle"], facts["cycles"], facts["version"]["tag"]) == (None, 0, None)


def test_what_the_mark_of_the_run_says_is_told() -> None:
    facts = told(started_at=DIED - 50.0, last_progress_at=DIED - 5.0, facts=Facts("v1.4.2", "17", 18))

    assert (facts["started_at"], facts["last_refreshed_at"]) == (DIED - 50.0, DIED - 5.0)
    assert (facts["completed_cycle"], facts["cycles"], facts["version"]["tag"]) == (17, 18, "v1.4.2")


@pytest.mark.parametrize("odd", ["every 17th", "-1", "1" * 19, "\u0661"])
def test_a_cycle_that_is_no_number_is_none(odd: str) -> None:
    assert told(facts=Facts(completed_cycle=odd))["completed_cycle"] is None


def test_it_counts_as_one_crash() -> None:
    assert state_of(death(), "matic").crashes == 1


def test_the_last_lines_are_records_in_their_order() -> None:
    records = records_of(death(stderr=("first", "last")))

    assert [(record["message"], record["timestamp"], record["level_number"]) for record in records] == [
        ("first", DIED, 40),  # that of ERROR
        ("last", DIED, 40),
    ]
