"""Log records as they are served."""

from typing import Any

from notify.status.records import KEYS, records

GOOD: dict[str, Any] = {
    "timestamp": 1_767_225_600.25,
    "level": "trade",
    "message": "Bought 0.25 ETH",
    "exception_type": None,
    "traceback_data": None,
    "level_number": 21,
    "formatted_data": None,
}


def as_is(text: str) -> str:
    return text


def test_records_are_served_in_their_order_with_the_seven_keys_in_theirs() -> None:
    shown = records([GOOD, {**GOOD, "message": "Sold", "more": 1}], as_is)

    assert [one["message"] for one in shown] == ["Bought 0.25 ETH", "Sold"]
    assert [tuple(one) for one in shown] == [KEYS, KEYS]
    assert shown[0] == GOOD


def test_a_key_that_is_missing_is_null_or_what_readers_sort_and_filter_by() -> None:
    (shown,) = records([{}], as_is)

    assert shown == {
        "timestamp": 0.0,
        "level": "warning",
        "message": "",
        "exception_type": None,
        "traceback_data": None,
        "level_number": 30,
        "formatted_data": None,
    }


def test_a_bad_record_costs_no_other_and_its_place_is_kept() -> None:
    class Hostile(dict[str, object]):
        def get(self, *_: object) -> Any:
            raise ValueError("secret of the program")

    shown = records([GOOD, None, Hostile(), "text", {**GOOD, "timestamp": object(), "message": 7}, GOOD], as_is)

    assert [one["message"] for one in shown] == [
        "Bought 0.25 ETH",
        "<a record that cannot be shown: TypeError in NoneType>",
        "<a record that cannot be shown: ValueError in Hostile>",
        "<a record that cannot be shown: TypeError in str>",
        "7",
        "Bought 0.25 ETH",
    ]


def test_secrets_are_taken_out_of_every_text_of_a_record() -> None:
    texts = {"message": "hunter2!", "exception_type": "hunter2!", "formatted_data": ["hunter2!"], "level": "hunter2!"}

    (shown,) = records([{**GOOD, **texts}], lambda text: text.replace("hunter2!", "…"))

    assert "hunter2!" not in repr(shown)


def test_records_without_an_end_have_one() -> None:
    def endless() -> Any:
        while True:
            yield GOOD

    assert len(records(endless(), as_is)) == 10_000
