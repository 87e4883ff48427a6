"""What stands in an answer, whoever wrote it: its JSON, its numbers, its words."""

import json
import math
import re
from typing import Any

from notify.clip import clip_end

_REASON_LENGTH = 200  # characters of what a service says about a refusal


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*, an empty one when there is none: an error page, or nothing."""
    try:
        return mapping(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def mapping(value: object) -> dict[str, Any]:
    """Return *value* if it is a JSON object, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def number(value: object) -> float | None:
    """Return the number that a header or a body has, None when it is no finite number of at least 0."""
    if not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def short_reason(text: str, *secrets: str) -> str:
    """Return *text* as one short line, without *secrets* and without addresses, which an answer may repeat."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return clip_end(re.sub(r"https?://\S+", "…", " ".join(text.split())), _REASON_LENGTH)
