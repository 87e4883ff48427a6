"""Log records as `/logs` serves them, each for itself: one that cannot be shown costs no other."""

from collections.abc import Iterable, Mapping
from itertools import islice

from notify.plain import class_name
from notify.status.strict_json import Redact, plain

KEYS = (
    *("timestamp", "level", "message", "exception_type"),
    *("traceback_data", "level_number", "formatted_data"),
)
_MOST = 10_000  # records: five times what is remembered


def records(found: Iterable[object], redact: Redact) -> list[dict[str, object]]:
    """Return what was *found* as strict JSON, in that order, with the seven keys that readers know and no others.

    Args:
        found: mappings with these keys. In place of what is none stands a record that says so.
        redact: takes secrets out of a text.
    """
    return [_record(one, redact) for one in islice(found, _MOST)]


def _record(one: object, redact: Redact) -> dict[str, object]:
    try:
        if not isinstance(one, Mapping):
            raise TypeError
        shown: dict[str, object] = {key: plain(one.get(key), redact) for key in KEYS}
    except Exception as error:  # noqa: BLE001 - the others have nothing to do with it
        shown = dict.fromkeys(KEYS)
        shown["message"] = f"<a record that cannot be shown: {class_name(error)} in {class_name(one)}>"
    # What readers sort, filter and style by is there in any record.
    if not isinstance(shown["timestamp"], int | float):
        shown["timestamp"] = 0.0
    if not isinstance(shown["level"], str):
        shown["level"] = "warning"
    if not isinstance(shown["level_number"], int):
        shown["level_number"] = 30
    if not isinstance(shown["message"], str):
        shown["message"] = "" if shown["message"] is None else f"{shown['message']}"
    return shown
