"""What stands in an answer."""

import json

import pytest

from notify.backends.discord.answer import number, parsed, reason

TOKEN = "canary-token-4711"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b"[" * 100_000, b"1" * 10_000])
def test_what_is_no_json_object_is_an_empty_one(body):
    assert parsed(body) == {}


@pytest.mark.parametrize(("value", "found"), [("1.725", 1.725), (2, 2.0), ("0", 0.0), (0.5, 0.5)])
def test_numbers_are_read_from_headers_and_bodies(value, found):
    assert number(value) == found


@pytest.mark.parametrize("value", [None, "", "soon", "nan", "inf", -1, "-0.1", [], 10**400])
def test_what_is_no_number_that_can_be_waited_for_is_none(value):
    assert number(value) is None


def test_a_reason_names_status_code_and_the_first_error():
    errors = {"embeds": {"0": {"title": {"_errors": [{"code": "TOO_LONG", "message": "Must be shorter."}]}}}}
    said = {"code": 50035, "message": "Invalid Form Body", "errors": errors}

    assert reason(400, said, TOKEN) == (
        "Discord answered 400, code 50035: Invalid Form Body: embeds.0.title: TOO_LONG Must be shorter."
    )


def test_a_reason_is_one_short_line_without_token_and_url():
    said = {"message": f"line\nline {TOKEN} https://discord.com/{TOKEN}", "errors": {TOKEN: {"_errors": [1]}}}

    found = reason(404, said, TOKEN)

    assert found == "Discord answered 404: line line … … …:"
    assert 150 < len(reason(404, {"message": "word " * 200}, TOKEN)) <= 200  # characters, and whole words


def test_errors_that_are_nested_without_end_give_no_reason():
    said = {"errors": json.loads('{"a": ' * 400 + "1" + "}" * 400)}

    assert reason(400, said, "") == "Discord answered 400"
