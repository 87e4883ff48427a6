"""Sentry's SDK and our handler in one program. What Sentry is told goes to a transport of the test's own."""

import json
import logging
from typing import Any, NoReturn

import pytest
from children import python

import notify
from notify.integrations.sentry import before_breadcrumb, before_send
from notify.testing.fake_discord import FakeDiscord

# ---- the hooks


def record(level: int, **attributes: object) -> logging.LogRecord:
    name = logging.getLevelName(level)
    return logging.makeLogRecord({"levelno": level, "levelname": name, "name": "strategy", "msg": "said", **attributes})


@pytest.mark.parametrize(
    ("level", "known"),
    [
        (5, "debug"),
        (15, "debug"),
        (notify.TRADE, "info"),
        (notify.TRADE_HIGH, "info"),
        (25, "info"),
        (35, "warning"),
        (45, "error"),
        (60, "fatal"),
    ],
)
def test_a_level_that_sentry_does_not_know_is_the_next_lower_one_that_it_knows(level: int, known: str) -> None:
    crumb = {"level": logging.getLevelName(level).lower(), "message": "said"}
    event = {"message": "said"}  # the SDK leaves out of an event what it does not know

    hint = {"log_record": record(level)}
    assert before_breadcrumb(crumb, hint) == {"level": known, "message": "said"}
    assert before_send(event, hint) == {"level": known, "message": "said"}


@pytest.mark.parametrize("level", ["fatal", "critical", "error", "warning", "info", "debug"])
def test_a_level_that_sentry_knows_stays(level: str) -> None:
    hint = {"log_record": record(logging.ERROR)}

    assert before_breadcrumb({"level": level}, hint) == {"level": level}
    assert before_send({"level": level}, hint) == {"level": level}


@pytest.mark.parametrize(
    ("crumb", "level"), [({}, None), ({"level": None}, None), ({"level": ""}, ""), ({"level": "trade"}, "info")]
)
def test_crumbs_that_were_not_logged_may_have_any_level(crumb: dict[str, Any], level: str | None) -> None:
    passed = before_breadcrumb(crumb, {})

    assert passed is not None
    assert passed.get("level") == level


def test_an_event_that_was_not_logged_is_passed_on_as_it_is() -> None:
    event = {"exception": {"values": []}}

    assert before_send(event, {}) is event
    assert event == {"exception": {"values": []}}


class Hostile:
    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __str__ = __bool__ = __eq__ = __hash__ = _refuse  # type: ignore[assignment]  # that is the point

    @property
    def __class__(self) -> type:  # type: ignore[override]  # that is the point, too
        raise RuntimeError("no")


@pytest.mark.parametrize("hook", [before_breadcrumb, before_send])
@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ({"level": ["trade"]}, {}),
        ({"level": Hostile()}, {}),
        ({"level": Hostile()}, {"log_record": record(logging.ERROR)}),
        ({}, {"log_record": Hostile()}),
        ({}, {"log_record": record(logging.ERROR, levelno="ERROR")}),
        ({}, {"log_record": record(logging.ERROR, levelno=-5)}),
        ({}, {"log_record": record(logging.ERROR, exc_info=Hostile())}),
        ({}, None),
        (None, {}),
        ([], []),
    ],
)
def test_nonsense_is_passed_on_and_raises_nothing_into_the_program(hook: Any, said: Any, hint: Any) -> None:
    assert hook(said, hint) is said


@pytest.fixture
def high(monkeypatch: pytest.MonkeyPatch) -> int:
    """TRADE_HIGH above CRITICAL, as trade-executor has it."""
    monkeypatch.setitem(logging._levelToName, 51, "TRADE_HIGH")
    return 51


def test_a_decision_above_error_is_no_issue_but_a_crumb(high: int) -> None:
    assert before_send({}, {"log_record": record(high)}) is None
    assert before_breadcrumb({"level": "trade_high"}, {"log_record": record(high)}) == {"level": "info"}


def test_a_decision_with_an_exception_is_sent(high: int) -> None:
    error = ValueError()

    logged = record(high, exc_info=(ValueError, error, None))

    assert before_send({}, {"log_record": logged}) == {"level": "info"}


# ---- both in one program

# Every program prints what Sentry and we were told, as JSON, at its end.
PRELUDE = """
import atexit, json, logging, os, sys, threading
import sentry_sdk
from sentry_sdk.transport import Transport
import notify
from notify.integrations.sentry import before_breadcrumb, before_send

class Told(Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            sentry.append(event)

sentry, ours = [], []

def of(event):
    values = (event.get("exception") or {}).get("values") or [{}]
    return {
        "level": event.get("level"),
        "message": (event.get("logentry") or {}).get("message"),
        "exception": values[-1].get("type"),
        "crumbs": [[c.get("category"), c.get("level"), c.get("message")] for c in event["breadcrumbs"]["values"]],
    }

def tell():
    said = [[event.topic, event.message, event.exception and event.exception.type] for event in ours]
    os.write(1, json.dumps({"sentry": [of(event) for event in sentry], "ours": said}).encode())

atexit.register(tell)  # runs last

def begin_sentry(**options):
    sentry_sdk.init("http://public@127.0.0.1:9/1", transport=Told, before_send=before_send,
                    before_breadcrumb=before_breadcrumb, **options)

def begin_ours(**env):
    return notify.setup(env={"NOTIFY_STDOUT": "off", **env}, backends={"ours": ours.append})

def begin(order, **env):
    for begin in {"sentry first": (begin_sentry, begin_ours), "ours first": (begin_ours, begin_sentry)}[order]:
        begin(**(env if begin is begin_ours else {}))
"""


def run(script: str, *arguments: str) -> tuple[dict[str, Any], str, int]:
    """Return what was told, what was on stderr, and the exit code."""
    ended = python("-c", PRELUDE + script, *arguments)
    assert ended.stdout, ended.stderr
    return json.loads(ended.stdout), ended.stderr, ended.returncode


ORDERS = pytest.mark.parametrize("order", ["sentry first", "ours first"])


@pytest.mark.process
@ORDERS
def test_a_crash_is_reported_by_both_once(order: str) -> None:
    told, stderr, code = run(
        """
begin(sys.argv[1])
logging.getLogger("strategy").warning("about to fail")
raise ValueError("no price")
""",
        order,
    )

    assert code == 1
    assert stderr.count("ValueError: no price") == 1  # Python's own traceback
    (event,) = told["sentry"]
    assert (event["exception"], event["crumbs"]) == ("ValueError", [["strategy", "warning", "about to fail"]])
    crashes = [said for said in told["ours"] if said[0] == "crash"]
    assert [said[2] for said in crashes] == ["ValueError"]


@pytest.mark.process
@ORDERS
def test_a_crash_of_a_thread_is_reported_by_both_once(order: str) -> None:
    told, stderr, code = run(
        """
begin(sys.argv[1])
def fail():
    raise ValueError("no price")
thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
""",
        order,
    )

    assert code == 0
    assert stderr.count("ValueError: no price") == 1
    assert [event["exception"] for event in told["sentry"]] == ["ValueError"]
    assert [said[2] for said in told["ours"] if said[0] == "crash"] == ["ValueError"]


@pytest.mark.process
@ORDERS
def test_what_is_logged_reaches_both_with_levels_that_each_knows(order: str) -> None:
    told, stderr, _ = run(
        """
logging.addLevelName(51, "TRADE_HIGH")  # as trade-executor does
begin(sys.argv[1])
logger = logging.getLogger("strategy")
logger.info("thinking")
logger.trade("Bought 0.25 ETH")
logger.log(51, "hold the rest")
logger.error("no price")
""",
        order,
    )

    assert stderr == ""
    ours = [said[:2] for said in told["ours"]]
    ours.remove(["log", "no price"])  # an ERROR is urgent: it may overtake the others
    assert ours == [["log", "thinking"], ["trade", "Bought 0.25 ETH"], ["decision", "hold the rest"]]
    (event,) = told["sentry"]
    assert (event["level"], event["message"]) == ("error", "no price")
    assert event["crumbs"] == [
        ["strategy", "info", "thinking"],
        ["strategy", "info", "Bought 0.25 ETH"],
        ["strategy", "info", "hold the rest"],
    ]


@pytest.mark.process
def test_our_requests_are_no_crumbs_of_sentrys() -> None:
    with FakeDiscord() as discord:
        told, stderr, _ = run(
            """
def watched(crumb, hint):
    kept = before_breadcrumb(crumb, hint)
    sys.stderr.write(f"{crumb['category']} {kept is not None}\\n")
    return kept

sentry_sdk.init("http://public@127.0.0.1:9/1", transport=Told, before_breadcrumb=watched,
                trace_propagation_targets=[])
notifier = begin_ours(DISCORD_WEBHOOK_URL=sys.argv[1])
logging.getLogger("strategy").trade("Bought 0.25 ETH")
assert notifier.flush()
logging.getLogger("strategy").error("no price")
assert notifier.flush()
""",
            discord.url,
        )

        assert len(discord.messages) == 2
        # With the option on the page, Discord is not told of Sentry's traces and the program's release.
        assert [message.headers.keys() & {"sentry-trace", "baggage"} for message in discord.messages] == [set(), set()]
    assert set(stderr.splitlines()) == {"httplib False", "strategy True"}
    (event,) = told["sentry"]
    assert event["crumbs"] == [["strategy", "info", "Bought 0.25 ETH"]]


@pytest.mark.process
def test_what_our_threads_do_is_no_crumb_even_where_threads_share_a_scope() -> None:
    told, _, _ = run(
        """
from http.client import HTTPConnection
begin_sentry()
def deliver(event):
    ours.append(event)
    sentry_sdk.add_breadcrumb(category="httplib", message="POST", level="info")
    if event.level >= logging.ERROR:
        sentry_sdk.capture_message("the pager is broken")  # by a backend of the program's own
notifier = notify.setup(env={"NOTIFY_STDOUT": "off"}, backends={"pager": deliver})
logging.getLogger("strategy").info("one")
assert notifier.flush()
logging.getLogger("strategy").error("no price")
"""
    )

    assert [crumb for event in told["sentry"] for crumb in event["crumbs"] if crumb[0] == "httplib"] == []
