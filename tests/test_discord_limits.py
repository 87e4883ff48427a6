"""What answers of Discord and of Cloudflare say about limits."""

import json

import pytest

from notify.backends.discord.limits import Allowance, Limit, Scope, allowance_of, limit_of
from notify.backends.http import Answer

PAGE = b"<!DOCTYPE html><html><title>Error 1015</title></html>"
BLOCKED = {"code": 0, "message": "You are being blocked from accessing our API temporarily"}


def answer(status, body=b"", **headers):
    """Return an answer; `retry_after` stands for the header `Retry-After`, and so on."""
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, encoded)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # Of the two that Discord tells, the longer one counts.
        (answer(429, {"retry_after": 1.5}, Retry_After="2"), Limit(Scope.WEBHOOK, 2.0)),
        (answer(429, {"retry_after": 2.5}, Retry_After="2"), Limit(Scope.WEBHOOK, 2.5)),
        (answer(429, {"retry_after": 0}), Limit(Scope.WEBHOOK, 0.0)),
        (answer(429, {"retry_after": 9, "global": False}, X_RateLimit_Scope="user"), Limit(Scope.WEBHOOK, 9.0)),
        # The hidden limit, with the half second that makes room for more than one message.
        (answer(429, {"retry_after": 40.0}, X_RateLimit_Scope="shared"), Limit(Scope.CHANNEL, 40.0)),
        # Any of three signs of the global limit.
        (answer(429, {"retry_after": 9, "global": True}), Limit(Scope.PROCESS, 9.0)),
        (answer(429, {"retry_after": 9}, X_RateLimit_Scope="global"), Limit(Scope.PROCESS, 9.0)),
        (answer(429, {"retry_after": 9}, X_RateLimit_Global="true"), Limit(Scope.PROCESS, 9.0)),
        # Cloudflare's bans: ten minutes, or longer if it says so.
        (answer(429, PAGE), Limit(Scope.PROCESS, 600.0)),
        (answer(429, b"error code: 1015", Retry_After="30"), Limit(Scope.PROCESS, 600.0)),
        (answer(429, PAGE, Retry_After="1800"), Limit(Scope.PROCESS, 1800.0)),
        (answer(429, BLOCKED), Limit(Scope.PROCESS, 600.0)),
        (answer(429, {"retry_after": "soon"}), Limit(Scope.PROCESS, 600.0)),
        (answer(403, PAGE), Limit(Scope.PROCESS, 600.0)),
        (answer(403, b"error code: 1015", Retry_After="1800"), Limit(Scope.PROCESS, 1800.0)),
        (answer(403, BLOCKED), Limit(Scope.PROCESS, 600.0)),
        # Dead webhooks.
        (answer(404, {"code": 10015, "message": "Unknown Webhook"}), Limit(Scope.WEBHOOK, 600.0)),
        (answer(401, {"code": 50027, "message": "Invalid Webhook Token"}), Limit(Scope.WEBHOOK, 600.0)),
        # A server in trouble that says when it will be over.
        (answer(503, b"", Retry_After="30"), Limit(Scope.WEBHOOK, 30.0)),
    ],
)
def test_who_has_to_stop_and_for_how_long(found, expected):
    assert limit_of(found) == expected


@pytest.mark.parametrize(
    "found",
    [
        answer(200, {"id": "1"}),
        answer(204, Retry_After="9"),
        answer(400, {"code": 50035}),
        answer(403, {"code": 50013, "message": "Missing Permissions"}),
        answer(404, {"code": 10003, "message": "Unknown Channel"}),  # a thread's: the webhook has others
        answer(404, PAGE),
        answer(502, PAGE),
        answer(503, b"", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
    ],
)
def test_what_is_no_limit_stops_nobody(found):
    assert limit_of(found) is None


def test_the_headers_say_what_may_still_be_sent():
    found = answer(200, X_RateLimit_Remaining="3", X_RateLimit_Reset_After="1.725")

    assert allowance_of(found) == Allowance(3, 1.725)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_RateLimit_Remaining": "3"},
        {"X_RateLimit_Reset_After": "1"},
        {"X_RateLimit_Remaining": "few", "X_RateLimit_Reset_After": "1"},
        {"X_RateLimit_Remaining": "3", "X_RateLimit_Reset_After": "-1"},
        {"X_RateLimit_Remaining": "inf", "X_RateLimit_Reset_After": "nan"},
    ],
)
def test_headers_that_say_nothing_are_no_allowance(headers):
    assert allowance_of(answer(200, **headers)) is None


def test_the_headers_say_which_bucket_that_is():
    headers = {"X_RateLimit_Remaining": "3", "X_RateLimit_Reset_After": "1.725", "X_RateLimit_Bucket": "6a3b2d7c"}

    assert allowance_of(answer(200, **headers)) == Allowance(3, 1.725, "6a3b2d7c")
