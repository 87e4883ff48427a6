"""What stands in an answer, whoever wrote it."""

import pytest

from notify.backends.http import number, parsed, short_reason


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b"[" * 100_000, b"1" * 10_000])
def test_what_is_no_json_object_is_an_empty_one(body):
    assert parsed(body) == {}


@pytest.mark.parametrize(("value", "found"), [("1.725", 1.725), (2, 2.0), ("0", 0.0), (0.5, 0.5)])
def test_numbers_are_read_from_headers_and_bodies(value, found):
    assert number(value) == found


@pytest.mark.parametrize("value", [None, "", "soon", "nan", "inf", -1, "-0.1", [], 10**400])
def test_what_is_no_number_that_can_be_waited_for_is_none(value):
    assert number(value) is None


def test_a_reason_is_one_short_line_without_secrets_and_addresses():
    said = short_reason("no\nto https://example.com/canary: canary-4711", "", "canary-4711")

    assert said == "no to … …"
    assert len(short_reason("word " * 200)) <= 200  # characters
