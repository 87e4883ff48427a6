"""What is remembered of a record, in the shape of trade-executor's `/logs`."""

from notify.capture.ring import Remembered
from notify.levels import level_name


def exported(record: Remembered) -> dict[str, object]:
    """Return *record* with the seven keys that readers of `/logs` know.

    `formatted_data` has the lines of the traceback without those of the source: nothing is read from a file.
    """
    raised = record.exception
    return {
        "timestamp": record.time,
        "level": level_name(record.level).lower(),
        "message": record.message,
        "exception_type": None if raised is None else f"<class '{raised.type}'>",
        "traceback_data": None if raised is None else raised.as_dict(),
        "level_number": record.level,
        "formatted_data": None
        if raised is None
        else [
            *(["Traceback (most recent call last):\n"] if raised.frames else ()),
            *(f'  File "{path}", line {line}, in {function}\n' for path, line, function in raised.frames),
            f"{raised.type}: {raised.message}\n" if raised.message else f"{raised.type}\n",
        ],
    }
