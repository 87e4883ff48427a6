"""Numbers as Prometheus reads them."""

import re
import shutil
import subprocess

import pytest
from machine import missing
from wsgi import request

from notify.run_state import RunState
from notify.status import make_app, metrics
from notify.status.metrics import FACTS, Family, families_of_delivery, families_of_run, text

# The grammar of the format's page: a sample is a name, labels, a number.
_SAMPLE = re.compile(
    r'(notify_[a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\[\\n"])*"(?:,[a-z]+="(?:[^"\\\n]|\\[\\n"])*")*\})? (\S+)'
)

DELIVERY = {
    "discord": {
        "accepted": 12,
        "delivered": 7,
        "retried": 2,
        "pending": 3,
        "dropped": {'lane "full"\n\\': 1, "rejected": 1},
        "last_success_at": 1_767_225_600.25,
        "last_error": "503",
        "handed_over": 5,
    },
    "stdout": {
        "accepted": 1,
        "delivered": 1,
        "retried": 0,
        "pending": 0,
        "dropped": {},
        "last_success_at": None,
        "last_error": None,
    },
    "intake": {"accepted": 13, "dropped": {"storm": 4}, "unrouted": 9},
    "outbox": {"broken": None, "rows": 3},
}


def samples(page: bytes) -> dict[str, str]:
    """Read a page as its specification says, and fail where it does not."""
    assert page.endswith(b"\n")
    found: dict[str, str] = {}
    declared: dict[str, str] = {}
    for line in page.decode().splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in declared
            declared[name] = kind
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] in declared, "a sample before its type"
        assert (declared[sample[1]] == "counter") is sample[1].endswith("_total")
        float(sample[3])
        assert sample[1] + (sample[2] or "") not in found
        found[sample[1] + (sample[2] or "")] = sample[3]
    return found


def test_the_numbers_of_a_run() -> None:
    facts = {
        **dict.fromkeys(FACTS),
        "executor_running": False,
        "last_refreshed_at": 1_767_225_600.5,
        "cycles": 7,
        "hot_wallet_gas": "0.25",  # a Decimal in strict JSON
        "hot_wallet_gas_warning_level": "not a number",
    }

    found = samples(text(families_of_run(facts, crashes=2)))

    assert found == {
        "notify_executor_running": "0",
        "notify_last_refreshed_timestamp_seconds": "1767225600.5",
        "notify_cycles_total": "7",
        "notify_crashes_total": "2",
        "notify_hot_wallet_gas": "0.25",
    }


def test_the_numbers_of_the_delivery_by_backend_and_outcome() -> None:
    found = samples(text(families_of_delivery(DELIVERY)))

    assert found['notify_events_accepted_total{backend="discord"}'] == "12"
    assert found['notify_events_total{backend="discord",outcome="delivered"}'] == "7"
    assert found['notify_events_total{backend="discord",outcome="dropped"}'] == "2"
    assert found['notify_events_total{backend="discord",outcome="handed_over"}'] == "5"
    assert found['notify_events_total{backend="stdout",outcome="dropped"}'] == "0"
    assert found['notify_events_total{backend="intake",outcome="dropped"}'] == "4"
    assert found['notify_events_total{backend="intake",outcome="unrouted"}'] == "9"
    assert found['notify_events_pending{backend="discord"}'] == "3"
    assert found['notify_delivery_retries_total{backend="discord"}'] == "2"
    assert found['notify_last_success_timestamp_seconds{backend="discord"}'] == "1767225600.25"
    assert 'notify_last_success_timestamp_seconds{backend="stdout"}' not in found  # never
    assert found["notify_outbox_broken"] == "0"
    assert not any('backend="outbox"' in name for name in found)


def test_a_label_may_hold_anything() -> None:
    found = samples(text(families_of_delivery(DELIVERY)))

    assert found[r'notify_events_dropped_total{backend="discord",reason="lane \"full\"\n\\"}'] == "1"


def test_an_outbox_that_is_broken_says_so() -> None:
    assert samples(text(families_of_delivery({"outbox": {"broken": "disk full"}}))) == {"notify_outbox_broken": "1"}


def test_odd_counts_cost_no_others() -> None:
    odd = {"a": {"accepted": "many", "delivered": None, "dropped": {"x": "y"}}, "b": {"dropped": 7, "pending": 1}}

    found = samples(text(families_of_delivery(odd)))

    assert found == {
        'notify_events_total{backend="a",outcome="dropped"}': "0",
        'notify_events_pending{backend="b"}': "1",
    }


def test_a_family_without_samples_is_left_out() -> None:
    assert text([Family("x", "gauge", "Nothing.", [({}, None), ({}, float("nan"))])]) == b""


@pytest.mark.process
def test_prometheus_itself_finds_nothing_wrong() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        missing("promtool, of Debian's prometheus, is not installed")
    state = RunState()
    state.update(hot_wallet_gas=1.5, hot_wallet_gas_warning_level=0.5, completed_cycle=1)
    state.set_fail(ValueError())
    page = request(make_app(state, stats=lambda: DELIVERY), "/metrics")  # type: ignore[arg-type, return-value]

    checked = subprocess.run([tool, "check", "metrics"], input=page.body, capture_output=True, check=False)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert page.headers["Content-Type"] == metrics.CONTENT_TYPE


def test_a_backend_whose_counts_are_no_counts_at_all_costs_no_others() -> None:
    odd = {"a": "<dict: too much>", "…": "more", "outbox": None, "notify:events": 7, "b": {"pending": 1}}

    found = samples(text(families_of_delivery(odd)))  # type: ignore[arg-type]  # a program may say what it likes

    assert found == {'notify_events_pending{backend="b"}': "1"}
