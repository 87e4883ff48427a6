"""What a program has bound with `structlog.contextvars`, for the log calls that structlog does not see.

structlog is not imported for it: a program that has not imported it has bound nothing.
"""

import sys
from collections.abc import Mapping
from typing import Any

STRUCTLOG = "structlog.contextvars"
"""The module. While it is not in `sys.modules`, there is nothing to ask for."""

is_known = False
"""Whether `bound` speaks for that module."""

bound: Mapping[str, object] = {}
"""Empty as long as nothing has ever been bound, so that a log call which looks here need not ask. The handler and
`Snapshot` look, each without a call."""


def fields() -> dict[str, Any]:
    """Return what is bound in the calling thread or task, by name. Thread-safe."""
    global is_known, bound
    module = sys.modules.get(STRUCTLOG)
    get_contextvars = getattr(module, "get_contextvars", None)
    if get_contextvars is None:  # another thread is in the middle of the import
        return {}
    if not is_known:
        # By name, the variables there are. In a structlog that keeps them elsewhere, every call has to ask.
        bound = getattr(module, "_CONTEXT_VARS", {"": None})
        is_known = True
    found: dict[str, Any] = get_contextvars() if bound else {}
    return found
