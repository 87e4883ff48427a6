"""What is told of a run at `/status`, `/healthz` and `/metadata`, as strict JSON in trade-executor's shapes."""

from collections.abc import Collection, Mapping
from typing import Any

from notify.exceptions import Raised
from notify.run_state import RunState
from notify.status.health import Verdict
from notify.status.strict_json import Redact, plain

KEYS = tuple(RunState().as_dict())
"""The 23 keys that `/status` begins with. They are there also when the program has deleted one of them."""

# Programs keep whole objects under these, and the source of their strategy. Readers know them as null.
_NEVER_SERVED = ("source_code", "visualisation", "read_only_state_copy", "chart_registry", "latest_indicators")

# What a front end needs to show a strategy at all, when the program has not said it.
_ON_CHAIN = {"chain_id": 1, "asset_management_mode": "hot_wallet", "smart_contracts": {}, "owner": None}
_METADATA_TEXTS = ("short_description", "long_description", "icon_url")


def status(facts: Mapping[str, object], redact: Redact, only: Collection[str] = ()) -> dict[str, Any]:
    """Return *facts* as `/status` has them: the 23 keys in their order, then what the program has added.

    Args:
        facts: a snapshot, as `RunState.as_dict` returns it.
        redact: takes secrets out of a text.
        only: the keys that are asked for; all by default. The curves among the facts take their time.
    """
    served: dict[str, object] = {**dict.fromkeys(KEYS), **facts, **dict.fromkeys(_NEVER_SERVED)}
    if only:
        served = {key: served[key] for key in only}
    if served.get("exception") is not None:
        served["exception"] = exception(served["exception"])
    document: dict[str, Any] = plain(served, redact)
    return document


def exception(raised: object) -> dict[str, object]:
    """Return what a run has failed of in the shape that trade-executor's readers know.

    That is the outermost traceback as tblib has it, and `exception_message`, which names the root cause, too.
    """
    raised = _raised(raised)
    if not isinstance(raised, Raised):  # a program may assign what it likes
        return {"tb_frame": None, "tb_lineno": None, "tb_next": None, "exception_message": raised}
    frames = raised.outline().as_dict() or dict.fromkeys(("tb_frame", "tb_lineno", "tb_next"))
    return {**frames, "exception_message": raised.summary()}


def exception_type(assigned: object) -> str:
    """Return the class of what a run has failed of, for which `exception` has no place; empty: nothing was raised."""
    raised = _raised(assigned)
    return raised.type if isinstance(raised, Raised) else ""


def _raised(assigned: object) -> object:
    if issubclass(type(assigned), BaseException):
        return Raised(assigned)  # type: ignore[arg-type]  # said in the line above
    return assigned


OF_HEALTH = ("executor_id", "started_at", "last_refreshed_at", "executor_running", "crashed_at", "exception")
"""The facts that `/healthz` needs."""


def health(verdict: Verdict, told: Mapping[str, Any], progress: float | None, stale_after: float) -> dict[str, Any]:
    """Return the document of `/healthz`. `status` is first, and nothing inside is called so.

    A monitor that looks for `"status":"ok"` with a regular expression would find it there, too.

    Args:
        verdict: how the run is.
        told: the document of `/status`.
        progress: seconds since the run made progress; None before the first time.
        stale_after: seconds that are too many.
    """
    return {
        "status": verdict.status,
        "reason": verdict.reason,
        "executor_id": told["executor_id"],
        "started_at": told["started_at"],
        "last_refreshed_at": told["last_refreshed_at"],
        "seconds_without_progress": progress,
        "stale_after": stale_after,
        "crashed_at": told["crashed_at"],
    }


def metadata(given: Mapping[str, object], told: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    """Return the document of `/metadata`.

    Args:
        given: what the program says of itself. Keys that are not known are served, too, after the others.
        told: the document of `/status`; what it knows of the run counts for more than what is given.
        redact: takes secrets out of a text.
    """
    said: dict[str, Any] = plain(dict(given), redact)
    failed = told["exception"] or {}
    on_chain = said.get("on_chain_data")
    known = {
        "name": said.get("name") or told["executor_id"] or "notify",
        **{key: said.get(key) for key in _METADATA_TEXTS},
        "on_chain_data": {
            **_ON_CHAIN,
            "trade_executor_hot_wallet": told["hot_wallet_address"],
            **(on_chain if isinstance(on_chain, dict) else {}),
        },
        "started_at": told["started_at"],
        "executor_running": told["executor_running"],
        "frozen_positions": told["frozen_positions"],
        "summary_statistics": told["summary_statistics"],
        "error_message": failed.get("exception_message"),
        "backtest_available": said.get("backtest_available"),
        "crashed_at": told["crashed_at"],
        "badges": said.get("badges") or [],
        "tags": said.get("tags") or [],
        "fees": said.get("fees") or {},
    }
    return {**known, **{key: value for key, value in said.items() if key not in known}}
