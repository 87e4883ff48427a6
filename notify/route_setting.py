"""Settings that every backend's route has under the backend's own name."""

import re

from notify.rules.routing import parse_executors
from notify.setting import Setting, parse_backend_name


def fallback_setting(backend: str) -> Setting[str | None]:
    """Return the setting that names a backend's stand-in: `<BACKEND>_FALLBACK`."""
    prefix = prefix_of(backend)
    if re.fullmatch("APPRISE_[0-9]+", prefix):  # services share a route
        prefix = "APPRISE"
    return Setting(f"{prefix}_FALLBACK", parse_backend_name, None, "backend that gets what goes there while it is gone")


def executors_setting(backend: str) -> Setting[frozenset[str]]:
    """Return the setting that says whose events a backend of a relay gets: `<BACKEND>_EXECUTORS`."""
    return Setting(
        f"{prefix_of(backend)}_EXECUTORS", parse_executors, frozenset(),
        "in `notify relay`: whose events go there, a comma list of executor ids", "all",
    )  # fmt: skip


def prefix_of(backend: str) -> str:
    """Return what the names of a backend's settings begin with."""
    return re.sub(r"[^A-Z0-9]", "_", backend.upper())
