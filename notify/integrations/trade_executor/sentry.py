"""Sentry, which stays the executor's own: only the levels that it does not know are translated."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from notify.integrations.sentry import before_breadcrumb, before_send
from notify.integrations.trade_executor.version import docker_version

T = TypeVar("T")  # a dict: Sentry's own type of it is not imported
_SAMPLED = 0.1  # of the transactions, as the executor has it


def setup_sentry_logging(*, application_name: str, sentry_dsn: str) -> None:
    """Have Sentry get what it gets by itself, with levels that it knows.

    Args:
        application_name: Sentry's environment.
        sentry_dsn: where to.

    Raises `ImportError` when `sentry_sdk` is not installed.
    """
    import sentry_sdk  # the program's

    sentry_sdk.init(
        dsn=sentry_dsn,
        environment=application_name,
        traces_sample_rate=_SAMPLED,
        before_breadcrumb=_without_requests,
        before_send=_with_version,
    )


def _without_requests(crumb: T, hint: Mapping[str, Any]) -> T | None:
    if (
        issubclass(type(crumb), dict) and cast("dict[str, Any]", crumb).get("category") == "httplib"
    ):  # requests, those of a delivery among them
        return None
    return before_breadcrumb(crumb, hint)


def _with_version(event: T, hint: Mapping[str, Any]) -> T | None:
    sent = before_send(event, hint)
    if issubclass(type(sent), dict):
        version = docker_version()
        extra = cast("dict[str, Any]", sent).setdefault("extra", {})
        extra["docker_image_version"] = version["tag"]
        extra["docker_image_commit_message"] = version["commit_message"]
        extra["docker_image_commit_hash"] = version["commit_hash"]
    return sent
