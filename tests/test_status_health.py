"""The verdict on a run."""

from typing import Any

import pytest

from notify.status.health import verdict

WELL: dict[str, Any] = {"running": True, "failed_of": None, "progress": 1.0, "age": 100.0, "stale_after": 60.0}


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ({}, "ok", "the program makes progress"),
        ({"progress": 60.0}, "ok", "the program makes progress"),  # as much as is allowed
        ({"progress": 61.0}, "stale", "no progress for 61 s, 60 s are allowed"),
        ({"progress": None, "age": 60.0}, "starting", "no progress yet"),
        ({"progress": None, "age": 61.0}, "stale", "no progress at all in 61 s"),
        ({"running": False, "failed_of": "no price"}, "crashed", "no price"),
        ({"running": False}, "crashed", "the program has stopped and did not say why"),
        ({"running": False, "progress": 1000.0}, "crashed", "the program has stopped and did not say why"),
        ({"running": False, "progress": None}, "crashed", "the program has stopped and did not say why"),
        ({"progress": 1e9, "stale_after": float("inf")}, "ok", "the program makes progress"),
    ],
)
def test_the_verdict_and_its_reason(how: dict[str, Any], status: str, reason: str) -> None:
    assert verdict(**{**WELL, **how}) == (status, reason)
