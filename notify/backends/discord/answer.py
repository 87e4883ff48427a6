"""What stands in an answer of Discord's, whoever wrote it: its JSON, its numbers, the reason it gives."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from notify.clip import clip_end

_DEEPEST = 10  # levels of Discord's nested errors that are looked into; its deepest has four
_REASON_LENGTH = 200  # characters of what Discord says about a refusal


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


def reason(status: int, said: Mapping[str, Any], token: str) -> str:
    """Say in one line what was answered, without anything that tells where the webhook is.

    Args:
        status: of the answer.
        said: the JSON object in it.
        token: the webhook's, which the answer may repeat.
    """
    text = f"Discord answered {status}"
    if "code" in said:
        text += f", code {said['code']}"
    details = [str(said.get("message", "")), _first_error(said.get("errors"))]
    text = ": ".join([text, *(detail for detail in details if detail)])
    if token:
        text = text.replace(token, "…")
    return clip_end(re.sub(r"https?://\S+", "…", " ".join(text.split())), _REASON_LENGTH)


def _first_error(errors: object, path: str = "") -> str:
    """Return where and what the first of Discord's nested errors is, such as `embeds.0.title: …`."""
    if path.count(".") >= _DEEPEST:
        return ""
    for name, inner in mapping(errors).items():
        if name == "_errors" and isinstance(inner, list):
            first = mapping(inner[0]) if inner else {}
            return f"{path}: {first.get('code', '')} {first.get('message', '')}".strip()
        found = _first_error(inner, f"{path}.{name}" if path else name)
        if found:
            return found
    return ""
