"""The reason that Discord gives in an answer."""

from collections.abc import Mapping
from typing import Any

from notify.backends.http import mapping, short_reason

_DEEPEST = 10  # levels of Discord's nested errors that are looked into; its deepest has four


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
    # What says it goes on after it, so that a full stop of Discord's would stand in the middle.
    text = ": ".join([text, *(detail.rstrip(".") for detail in details if detail)])
    return short_reason(text, token)


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
