"""The reason that Discord gives in an answer."""

import json

from notify.backends.discord.answer import reason

TOKEN = "canary-token-4711"


def test_a_reason_names_status_code_and_the_first_error():
    errors = {"embeds": {"0": {"title": {"_errors": [{"code": "TOO_LONG", "message": "Must be shorter."}]}}}}
    said = {"code": 50035, "message": "Invalid Form Body", "errors": errors}

    assert reason(400, said, TOKEN) == (
        "Discord answered 400, code 50035: Invalid Form Body: embeds.0.title: TOO_LONG Must be shorter"
    )


def test_a_reason_ends_without_a_full_stop_because_a_sentence_goes_on_after_it():
    assert reason(429, {"message": "You are being rate limited."}, TOKEN) == (
        "Discord answered 429: You are being rate limited"
    )


def test_a_reason_is_one_short_line_without_token_and_url():
    said = {"message": f"line\nline {TOKEN} https://discord.com/{TOKEN}", "errors": {TOKEN: {"_errors": [1]}}}

    found = reason(404, said, TOKEN)

    assert found == "Discord answered 404: line line … … …:"
    assert 150 < len(reason(404, {"message": "word " * 200}, TOKEN)) <= 200  # characters, and whole words


def test_errors_that_are_nested_without_end_give_no_reason():
    said = {"errors": json.loads('{"a": ' * 400 + "1" + "}" * 400)}

    assert reason(400, said, "") == "Discord answered 400"
