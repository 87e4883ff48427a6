"""The app: what is served where, to whom, and what happens when something is wrong."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from wsgi import Response, basic, request

from notify import diagnostics
from notify.backends.memory import MemoryBackend
from notify.notifier import Notifier
from notify.rules.redaction import Redactor
from notify.run_state import RunState
from notify.status import make_app
from notify.testing import FakeClock

NOW = 1_767_225_600.0  # where a FakeClock begins
PATHS = ["/ping", "/status", "/healthz", "/metrics", "/logs", "/metadata", "/"]
SECRET = "correct-horse-4711"
RECORD = {
    "timestamp": NOW,
    "level": "info",
    "message": f"login with {SECRET}",
    "exception_type": None,
    "traceback_data": None,
    "level_number": 20,
    "formatted_data": None,
}

KEYS = [
    *("executor_id", "last_refreshed_at", "started_at", "executor_running", "completed_cycle", "cycles"),
    *("position_trigger_checks", "position_revaluations", "frozen_positions", "crashed_at", "exception"),
    *("hot_wallet_address", "hot_wallet_gas", "hot_wallet_gas_warning_level", "hot_wallet_gas_warning_message"),
    *("source_code", "visualisation", "summary_statistics", "market_data_feed_lag", "version"),
    *("read_only_state_copy", "chart_registry", "latest_indicators"),
]


@pytest.fixture
def run(clock: FakeClock) -> RunState:
    return RunState(clock)


@pytest.fixture
def app(run: RunState, clock: FakeClock) -> Any:
    return make_app(run, logs=lambda: [RECORD], stats=dict, public_logs=True, stale_after=60, clock=clock)


def fail(run: RunState, exception: BaseException) -> None:
    try:
        raise exception
    except BaseException:
        run.set_fail()


# ---- /ping


def test_ping_says_pong_byte_for_byte_as_trade_executor(app: Any) -> None:
    response = request(app, "/ping")

    assert (response.status, response.body) == (200, b'{"ping": "pong"}')


# ---- /status


def test_the_status_of_a_run_that_has_just_begun(app: Any) -> None:
    response = request(app, "/status")

    assert response.status == 200
    assert list(response.json) == [*KEYS, "delivery"]
    assert response.json["executor_running"] is True
    assert response.json["last_refreshed_at"] == NOW
    assert response.json["delivery"] == {}


def test_facts_have_the_types_that_readers_know(run: RunState, app: Any) -> None:
    run.update(
        hot_wallet_gas_warning_level=Decimal("25.0"),
        hot_wallet_gas=0.5,
        last_refreshed_at=datetime(2026, 1, 1),
        crashed_at=datetime(2026, 1, 1, tzinfo=UTC),
        summary_statistics={"profitability_90_days": float("nan"), "key_metrics": {}},
    )

    found = request(app, "/status").json

    assert found["hot_wallet_gas_warning_level"] == "25.0"
    assert found["hot_wallet_gas"] == 0.5
    assert found["last_refreshed_at"] == found["crashed_at"] == NOW
    assert found["summary_statistics"] == {"profitability_90_days": None, "key_metrics": {}}


def test_what_the_program_adds_comes_after_the_known_facts(run: RunState, app: Any) -> None:
    run.mood = "calm"  # type: ignore[attr-defined]  # the point

    assert list(request(app, "/status").json) == [*KEYS, "mood", "delivery"]


def test_a_fact_that_the_program_has_deleted_is_null(run: RunState, app: Any) -> None:
    del run.cycles

    found = request(app, "/status").json

    assert list(found)[: len(KEYS)] == KEYS
    assert found["cycles"] is None


def test_the_source_of_a_strategy_and_whole_objects_are_never_served(run: RunState, app: Any) -> None:
    held = ["source_code", "visualisation", "read_only_state_copy", "chart_registry", "latest_indicators"]
    run.update(**dict.fromkeys(held, "class Strategy: pass"))

    response = request(app, "/status")

    assert [response.json[name] for name in held] == [None] * 5
    assert b"Strategy" not in response.body


def test_the_counts_of_the_delivery_are_served(run: RunState, notifier: Notifier) -> None:
    notifier.notify("hello").wait(5)
    app = make_app(run, stats=notifier.stats)

    delivery = request(app, "/status").json["delivery"]

    assert delivery["memory"]["delivered"] == 1
    assert json.loads(json.dumps(notifier.stats())) == delivery


def test_counts_that_cannot_be_had_cost_nothing_else(run: RunState, capfd: pytest.CaptureFixture[str]) -> None:
    def stats() -> Any:
        raise RuntimeError("secret of the program")

    app = make_app(run, stats=stats)

    response = request(app, "/status")

    assert (response.status, response.json["delivery"]) == (200, None)
    assert request(app, "/metrics").status == 200
    said = capfd.readouterr().err
    assert said == "notify: the counts of the delivery could not be had: RuntimeError\n"


# ---- a crash


def test_after_a_crash_the_status_tells_of_it_and_is_still_200(run: RunState, app: Any, clock: FakeClock) -> None:
    clock.advance(10)
    fail(run, ValueError("no price"))

    response = request(app, "/status")

    assert response.status == 200
    assert response.json["executor_running"] is False
    assert response.json["crashed_at"] == response.json["last_refreshed_at"] == NOW + 10
    exception = response.json["exception"]
    assert list(exception) == ["tb_frame", "tb_lineno", "tb_next", "exception_message"]
    assert exception["exception_message"] == "no price"
    assert exception["tb_frame"]["f_code"] == {"co_filename": __file__, "co_name": "fail"}
    assert isinstance(exception["tb_lineno"], int)
    assert exception["tb_next"] is None


def test_the_root_cause_of_a_wrapped_exception_can_be_seen(run: RunState, app: Any) -> None:
    try:
        try:
            raise ValueError("no price")
        except ValueError as error:
            raise RuntimeError("one of the scheduled tasks failed") from error
    except RuntimeError:
        run.set_fail()

    said = request(app, "/status").json["exception"]["exception_message"]

    assert said == "one of the scheduled tasks failed (caused by ValueError: no price)"
    assert request(app, "/metadata").json["error_message"] == said
    assert request(app, "/healthz").json["reason"] == f"RuntimeError: {said}"


def test_a_message_that_says_nothing_without_its_type_has_it_for_monitors(run: RunState, app: Any) -> None:
    fail(run, KeyError("ETH"))

    assert request(app, "/healthz").json["reason"] == "KeyError: 'ETH'"
    assert request(app, "/status").json["exception"]["exception_message"] == "KeyError: 'ETH'"


def test_an_exception_without_a_text_is_named(run: RunState, app: Any) -> None:
    fail(run, KeyboardInterrupt())

    assert request(app, "/status").json["exception"]["exception_message"] == "KeyboardInterrupt"
    assert request(app, "/healthz").json["reason"] == "KeyboardInterrupt"


def test_a_failure_without_an_exception_has_none(run: RunState, app: Any) -> None:
    run.set_fail()

    assert request(app, "/status").json["exception"] is None
    assert request(app, "/healthz").json["status"] == "crashed"


@pytest.mark.parametrize(
    ("assigned", "message"),
    [(ValueError("no price"), "no price"), ("no price", "no price"), ({"a": 1}, {"a": 1}), (object(), "<object>")],
    ids=["an exception", "a text", "a dict", "an object"],
)
def test_whatever_a_program_assigns_as_its_exception_is_served(
    run: RunState, app: Any, assigned: object, message: object
) -> None:
    run.exception = assigned  # type: ignore[assignment]  # what a program may do

    found = request(app, "/status").json["exception"]

    assert found == {"tb_frame": None, "tb_lineno": None, "tb_next": None, "exception_message": message}
    run.executor_running = False
    assert request(app, "/healthz").json["status"] == "crashed"


# ---- /healthz


def test_the_health_of_a_run_from_its_start_to_its_crash(run: RunState, app: Any, clock: FakeClock) -> None:
    def found() -> tuple[int, str]:
        response = request(app, "/healthz")
        return response.status, response.json["status"]

    assert found() == (503, "starting")
    run.refresh()
    assert found() == (200, "ok")
    clock.advance(61)  # a second more than is allowed
    assert found() == (503, "stale")
    run.refresh()
    assert found() == (200, "ok")
    fail(run, ValueError())
    assert found() == (503, "crashed")


def test_a_run_that_never_makes_progress_is_stale_in_the_end(app: Any, clock: FakeClock) -> None:
    clock.advance(61)

    assert request(app, "/healthz").json["status"] == "stale"


def test_the_health_costs_nothing_that_the_other_facts_do(run: RunState, clock: FakeClock) -> None:
    looked_at: list[str] = []

    def looking(text: str) -> str:
        looked_at.append(text)
        return text

    run.update(curve=[f"point {number}" for number in range(1000)], executor_id="my-strategy")
    app = make_app(run, stale_after=float("inf"), redact_text=looking, clock=clock)

    found = request(app, "/healthz").json

    assert found["executor_id"] == "my-strategy"
    assert found["stale_after"] is None  # as there is no infinity in JSON
    assert not any(text.startswith("point") for text in looked_at)


def test_the_status_comes_first_and_nothing_inside_is_called_so(run: RunState, app: Any) -> None:
    run.refresh()
    # Whoever looks for `"status":"ok"` anywhere must not find it in a run that is not well.
    run.update(version={"status": "ok"}, note={"status": "ok"})
    assert request(app, "/healthz").body.startswith(b'{"status":"ok",')

    fail(run, ValueError('{"status":"ok"}'))
    body = request(app, "/healthz").body

    assert body.startswith(b'{"status":"crashed",')
    assert b'"status":"ok"' not in body
    assert body.count(b'"status":') == 1


# ---- /logs


def test_the_logs_are_what_the_notifier_remembers(run: RunState, notifier: Notifier) -> None:
    import logging

    logger = logging.getLogger("strategy")
    notifier.attach()
    logger.warning("first %s", "one")
    try:
        raise ValueError("no price")
    except ValueError:
        logger.exception("cycle failed")
    app = make_app(run, logs=notifier.records, public_logs=True)

    first, second = request(app, "/logs").json

    assert (first["level"], first["level_number"], first["message"]) == ("warning", 30, "first one")
    assert first["exception_type"] is first["traceback_data"] is first["formatted_data"] is None
    assert second["exception_type"] == "<class 'ValueError'>"
    assert second["traceback_data"]["tb_frame"]["f_code"]["co_filename"] == __file__
    assert second["formatted_data"][0] == "Traceback (most recent call last):\n"
    assert second["formatted_data"][-1] == "ValueError: no price\n"


def test_logs_are_for_those_with_a_password_or_for_all_when_it_is_said_so(run: RunState) -> None:
    closed = make_app(run, logs=lambda: [RECORD])
    public = make_app(run, logs=lambda: [RECORD], public_logs=True)
    guarded = make_app(run, logs=lambda: [RECORD], username="ops", password="pass-word")
    both = make_app(run, logs=lambda: [RECORD], username="ops", password="pass-word", public_logs=True)
    admitted = {"HTTP_AUTHORIZATION": basic("ops", "pass-word")}

    refused = request(closed, "/logs")
    assert (refused.status, refused.json["error"]) == (403, "forbidden")
    assert "HTTP_PUBLIC_LOGS" in refused.json["reason"]
    assert request(closed, "/logs", **admitted).status == 403  # there is nothing to be admitted to
    assert request(public, "/logs").status == 200
    assert [request(guarded, "/logs").status, request(guarded, "/logs", **admitted).status] == [401, 200]
    assert [request(both, "/logs").status, request(both, "/logs", **admitted).status] == [401, 200]


def test_logs_that_take_long_to_make_are_made_once_for_all_who_ask_meanwhile(run: RunState, clock: FakeClock) -> None:
    said: list[object] = [RECORD]

    def slow(text: str) -> str:
        clock.advance(0.1)  # seconds; each text of a record that is searched for secrets takes so long
        return text

    app = make_app(run, logs=lambda: list(said), public_logs=True, redact_text=slow, clock=clock)
    began = clock.monotonic()
    first = request(app, "/logs").body
    took = clock.monotonic() - began
    said.append({**RECORD, "message": "later"})

    assert took > 0
    assert request(app, "/logs").body == first
    assert clock.monotonic() - began == took  # nothing was searched
    clock.advance(4 * took)
    assert len(request(app, "/logs").json) == 2


def test_without_a_source_of_logs_there_are_none(run: RunState) -> None:
    assert request(make_app(run, public_logs=True), "/logs").json == []


# ---- /metadata


def test_metadata_has_the_keys_of_trade_executor_and_what_its_front_end_requires(run: RunState, app: Any) -> None:
    run.executor_id = "my-strategy"

    found = request(app, "/metadata").json

    assert list(found) == [
        *("name", "short_description", "long_description", "icon_url", "on_chain_data", "started_at"),
        *("executor_running", "frozen_positions", "summary_statistics", "error_message", "backtest_available"),
        *("crashed_at", "badges", "tags", "fees"),
    ]
    assert found["name"] == "my-strategy"
    assert found["on_chain_data"]["asset_management_mode"] in ("hot_wallet", "enzyme", "velvet", "lagoon")
    assert found["on_chain_data"]["chain_id"] > 0
    assert (found["badges"], found["tags"], found["fees"]) == ([], [], {})
    assert isinstance(found["summary_statistics"]["calculated_at"], float)
    assert found["summary_statistics"]["key_metrics"] == {}
    assert found["frozen_positions"] == 0
    assert found["icon_url"] is None
    assert found["crashed_at"] is None


def test_what_the_program_says_of_itself_is_served_and_what_is_known_of_the_run_counts_for_more(run: RunState) -> None:
    said = {
        "name": "My strategy",
        "tags": ["live"],
        "badges": ("eth",),
        "fees": {"management_fee": 0.02},
        "on_chain_data": {"chain_id": 137, "owner": "0xabc"},
        "icon_url": "https://example.com/icon.png",
        "executor_running": "for ever",
        "sort_priority": 5,
    }
    app = make_app(run, metadata=said)

    found = request(app, "/metadata").json

    assert (found["name"], found["tags"], found["badges"]) == ("My strategy", ["live"], ["eth"])
    assert found["fees"] == {"management_fee": 0.02}
    assert found["on_chain_data"] == {
        "chain_id": 137,
        "asset_management_mode": "hot_wallet",
        "smart_contracts": {},
        "owner": "0xabc",
        "trade_executor_hot_wallet": None,
    }
    assert found["executor_running"] is True
    assert found["sort_priority"] == 5
    said["name"] = "Another name"
    assert request(app, "/metadata").json["name"] == "Another name"


# ---- /


def test_the_banner_tells_people_where_they_are(run: RunState) -> None:
    app = make_app(run, metadata={"name": "My\x1b[31m\nstrategy"})

    response = request(app, "/")

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.body.decode().splitlines() == [
        "My [31m strategy: status of this program, by notify",
        "",
        *PATHS[:-1],
    ]


def test_mounted_below_a_path_it_answers_there(app: Any) -> None:
    assert request(app, "", SCRIPT_NAME="/notify").body.startswith(b"notify: status")
    assert request(app, "/ping", SCRIPT_NAME="/notify").status == 200


# ---- methods, paths, headers


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_a_body(app: Any, path: str) -> None:
    got, head = request(app, path), request(app, path, "HEAD")

    assert head.body == b""
    assert (head.status, head.headers) == (got.status, got.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_any_other_method_is_refused(app: Any, method: str) -> None:
    for path in PATHS:
        response = request(app, path, method)
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert response.json["error"] == "method not allowed"


@pytest.mark.parametrize(
    "path",
    [
        *("/pings", "/ping/", "//ping", "/PING", "/status.json", "/logs/../ping", "/../../etc/passwd", "/%2e%2e"),
        *("/\xff\xfe", "/\xed\xa0\x80", "/\x00", "/ping\x00", "/" + "a" * 9000, "/favicon.ico", "/source", "/state"),
    ],
    ids=ascii,
)
def test_anything_else_is_not_found_whatever_bytes_it_has(app: Any, path: str) -> None:
    response = request(app, path)

    assert response.status == 404
    assert response.json["error"] == "not found"
    assert path.encode("latin-1") not in response.body.replace(b"/ping /status", b"")  # nothing comes back


def test_every_answer_has_the_headers_that_all_have(app: Any) -> None:
    for response in [*(request(app, path) for path in PATHS), request(app, "/x"), request(app, "/ping", "POST")]:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert int(response.headers["Content-Length"]) == len(response.body)
        assert "Server" not in response.headers


def test_no_path_touches_the_file_system(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins
    import os

    def touched(*_: object, **__: object) -> Any:
        raise AssertionError("the file system was asked")

    for path in PATHS:  # what is imported is imported
        request(app, path)
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", touched)
        for name in ("open", "stat", "listdir", "lstat", "scandir"):
            patched.setattr(os, name, touched)
        statuses = [request(app, path).status for path in [*PATHS, "/../../etc/passwd"]]

    assert statuses == [200, 200, 503, 200, 200, 200, 200, 404]  # no progress yet


# ---- authentication


@pytest.fixture
def guarded(run: RunState) -> Callable[..., Response]:
    app = make_app(run, username="ops", password="pass-word", logs=lambda: [RECORD])
    return lambda *arguments, **environ: request(app, *arguments, **environ)


def test_all_but_ping_needs_the_password(guarded: Callable[..., Response]) -> None:
    assert guarded("/ping").status == 200
    for path in [*PATHS[1:], "/nothing", "/../etc"]:
        response = guarded(path)
        assert response.status == 401, path
        assert response.headers["WWW-Authenticate"] == 'Basic realm="notify", charset="UTF-8"'
        assert response.json["error"] == "unauthorized"
    assert guarded("/status", "POST").status == 401


def test_who_has_the_password_gets_what_is_there(guarded: Callable[..., Response]) -> None:
    admitted = {"HTTP_AUTHORIZATION": basic("ops", "pass-word")}

    statuses = [guarded(path, **admitted).status for path in [*PATHS, "/nothing"]]

    assert statuses == [200, 200, 503, 200, 200, 200, 200, 404]  # no progress yet


def test_the_password_is_compared_in_constant_time(
    guarded: Callable[..., Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    import hmac

    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noting(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noting)

    guarded("/status", HTTP_AUTHORIZATION=basic("ops", "x"))

    assert compared
    assert {len(one) for pair in compared for one in pair} == {32}  # digests: the length tells nothing, either


@pytest.mark.parametrize(
    ("given", "variable"),
    [({"username": "ops"}, "HTTP_PASSWORD"), ({"password": "pass-word"}, "HTTP_USERNAME")],
)
def test_one_without_the_other_is_refused(run: RunState, given: dict[str, str], variable: str) -> None:
    with pytest.raises(ValueError, match=variable):
        make_app(run, **given)  # type: ignore[arg-type]


# ---- secrets


@pytest.mark.parametrize("path", PATHS)
def test_no_secret_is_served_at_any_path(run: RunState, path: str, clock: FakeClock) -> None:
    looks = "https://discord.com/api/webhooks/123456789012345678/" + "aB3" * 22 + "aB"
    run.update(
        executor_id=f"id {SECRET}",
        note={"deep": [f"{SECRET} and {looks}"]},
        hot_wallet_gas_warning_message=SECRET,
        version={"tag": SECRET, "commit_message": looks, "commit_hash": None},
        **{f"key_{SECRET}": 1},
    )
    fail(run, ValueError(f"cannot log in with {SECRET} at {looks}"))
    dropped = {"dropped": {f"refused {SECRET}": 1}, "delivered": 1, "last_error": looks}
    app = make_app(
        run,
        logs=lambda: [RECORD, {**RECORD, "formatted_data": [SECRET], "exception_type": looks}],
        stats=lambda: {"discord": dropped, SECRET: dropped},
        metadata={"short_description": SECRET, "icon_url": looks, "tags": [SECRET], "name": f"My {SECRET}"},
        public_logs=True,
        redact_text=Redactor([SECRET]).text,
        clock=clock,
    )

    response = request(app, path)

    assert response.status in (200, 503)
    assert SECRET.encode() not in response.body
    assert b"aB3aB3" not in response.body
    if path != "/ping":
        assert b"[redacted]" in response.body


def test_without_a_redactor_what_looks_like_a_secret_is_taken_out(run: RunState) -> None:
    run.update(note="https://discord.com/api/webhooks/123456789012345678/" + "aB3" * 22 + "aB")

    assert request(make_app(run), "/status").json["note"].endswith("[redacted]")


# ---- defects


@pytest.mark.parametrize("error", [ValueError("secret of the program"), SystemExit(3), MemoryError()], ids=repr)
def test_a_defect_is_a_500_without_details_and_a_line_on_stderr(
    run: RunState, error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    def logs() -> Iterator[object]:
        raise error
        yield

    response = request(make_app(run, logs=logs, public_logs=True), "/logs")

    assert (response.status, response.json["error"]) == (500, "internal server error")
    assert b"secret" not in response.body
    assert type(error).__name__.encode() not in response.body
    assert capfd.readouterr().err == f"notify: /logs could not be served: {type(error).__name__}\n"


def test_ctrl_c_is_for_the_program_that_serves_the_app_in_its_main_thread(run: RunState) -> None:
    def logs() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        request(make_app(run, logs=logs, public_logs=True), "/logs")


def test_a_defect_is_told_once_in_ten_seconds(run: RunState, capfd: pytest.CaptureFixture[str]) -> None:
    diagnostics.forget()
    app = make_app(run, logs=lambda: 1 / 0, public_logs=True)  # type: ignore[arg-type, return-value]  # the defect

    for _ in range(5):
        request(app, "/logs")

    assert capfd.readouterr().err.count("\n") == 1


# ---- names of backends


@pytest.mark.parametrize("name", ["webhook", "teams_webhook", "x_secret", "password"])
def test_a_backend_may_be_called_like_a_secret_and_keeps_its_counts(run: RunState, name: str) -> None:
    with Notifier({name: MemoryBackend(), "discord": MemoryBackend()}) as notifier:
        notifier.notify("hello").wait(5)
        app = make_app(run, stats=notifier.stats)

        status, page = request(app, "/status"), request(app, "/metrics")

    assert status.json["delivery"][name]["delivered"] == 1
    assert page.status == 200
    assert f'notify_events_total{{backend="{name}",outcome="delivered"}} 1\n'.encode() in page.body
