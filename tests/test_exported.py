"""What is remembered of a record, in the shape of trade-executor's /logs."""

import sys

from notify.capture.exported import exported
from notify.capture.ring import Remembered
from notify.exceptions import Outline, Raised
from notify.levels import TRADE

KEYS = [
    *("timestamp", "level", "message", "exception_type", "traceback_data", "level_number", "formatted_data"),
]


def test_a_record_has_the_seven_keys() -> None:
    shown = exported(Remembered(1.5, TRADE, "strategy", "Bought", None))

    assert list(shown) == KEYS
    assert shown == {
        "timestamp": 1.5,
        "level": "trade",
        "message": "Bought",
        "exception_type": None,
        "traceback_data": None,
        "level_number": 21,
        "formatted_data": None,
    }


def test_a_level_without_a_name_is_served_by_its_number() -> None:
    assert exported(Remembered(1.5, 23, "strategy", "x", None))["level"] == "level 23"


def test_what_was_raised_is_shown_as_python_does_without_the_source() -> None:
    outline = Outline("my.Error", "no price", (("/a.py", 1, "main"), ("/b.py", 2, "trade")))

    shown = exported(Remembered(1.5, 40, "strategy", "failed", outline))

    assert shown["exception_type"] == "<class 'my.Error'>"
    assert shown["formatted_data"] == [
        "Traceback (most recent call last):\n",
        '  File "/a.py", line 1, in main\n',
        '  File "/b.py", line 2, in trade\n',
        "my.Error: no price\n",
    ]
    assert shown["traceback_data"] == {
        "tb_frame": {
            "f_globals": {"__file__": "/a.py"},
            "f_code": {"co_filename": "/a.py", "co_name": "main"},
            "f_lineno": 1,
        },
        "tb_lineno": 1,
        "tb_next": {
            "tb_frame": {
                "f_globals": {"__file__": "/b.py"},
                "f_code": {"co_filename": "/b.py", "co_name": "trade"},
                "f_lineno": 2,
            },
            "tb_lineno": 2,
            "tb_next": None,
        },
    }


def test_an_exception_that_was_never_raised_has_no_traceback() -> None:
    shown = exported(Remembered(1.5, 40, "strategy", "failed", Raised(ValueError()).outline()))

    assert (shown["traceback_data"], shown["formatted_data"]) == (None, ["ValueError\n"])


def test_the_frames_are_those_of_the_traceback() -> None:
    try:
        raise ValueError
    except ValueError as error:
        outline = Raised(error).outline()
        line = sys.exc_info()[2].tb_lineno  # type: ignore[union-attr]  # something was raised

    data = outline.as_dict()

    assert data is not None
    assert data["tb_lineno"] == line
