"""Sentry, which stays the executor's own: only the levels that it does not know are translated."""

from typing import Any

from notify.integrations.trade_executor.version import docker_version

_SAMPLED = 0.1  # of the transactions, as the executor has it
_LEVELS = {"trade": "info", "trade_high": "info"}


def setup_sentry_logging(*, application_name: str, sentry_dsn: str) -> None:
    """Have Sentry get what it gets by itself, with levels that it knows.

    Args:
        application_name: Sentry's environment.
        sentry_dsn: where to.

    Raises `ImportError` when `sentry_sdk` is not installed.
    """
    import sentry_sdk  # type: ignore[import-not-found]  # the program's

    sentry_sdk.init(
        dsn=sentry_dsn,
        environment=application_name,
        traces_sample_rate=_SAMPLED,
        before_breadcrumb=_with_known_level,
        before_send=_with_version,
    )


def _with_known_level(crumb: dict[str, Any], hint: object) -> dict[str, Any] | None:
    if crumb.get("category") == "httplib":  # requests, those of a delivery among them
        return None
    level = crumb.get("level")
    if level in _LEVELS:
        crumb["level"] = _LEVELS[level]
    return crumb


def _with_version(event: dict[str, Any], hint: object) -> dict[str, Any]:
    version = docker_version()
    extra = event.setdefault("extra", {})
    extra["docker_image_version"] = version["tag"]
    extra["docker_image_commit_message"] = version["commit_message"]
    extra["docker_image_commit_hash"] = version["commit_hash"]
    return event
