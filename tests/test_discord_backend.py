"""What the Discord backend makes of each answer."""

import json
import logging
import re
import traceback

import pytest
import requests
import responses

from notify import __version__
from notify.backends.discord import DiscordBackend
from notify.backends.discord.limiter import ProcessLimiter
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Attachment, Event
from notify.levels import TRADE
from notify.testing import check_backend
from notify.testing.discord_rules import refusal
from notify.testing.fake_discord import TOKEN as FAKE_TOKEN
from notify.testing.fake_discord import FakeDiscord

TOKEN = "canary-token-4711"
PASTED = f"https://discordapp.com/api/webhooks/42/{TOKEN}"
URL = f"https://discord.com/api/v10/webhooks/42/{TOKEN}"
VIA = {"Via": "1.1 google"}
TOO_LONG = {
    "embeds": {"0": {"title": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 256 or fewer."}]}}}
}
BAD_FORM = {"code": 50035, "message": "Invalid Form Body", "errors": TOO_LONG}
BAD_NAME = {"username": {"_errors": [{"code": "USERNAME_INVALID_CONTAINS", "message": "no"}]}}
TOO_LARGE = {"code": 40005, "message": "Request entity too large"}
NESTED = {"errors": json.loads('{"a": ' * 400 + "1" + "}" * 400)}  # deeper than anything of Discord's
HTML = "<!DOCTYPE html><html><title>Error 1015</title></html>"


class Discord:
    """The webhook's URL, answering from a list; checks every body that arrives."""

    def __init__(self, mock):
        self.mock = mock

    def answers(self, status, body=None, headers=VIA):
        if isinstance(body, dict):
            self.mock.post(URL, json=body, status=status, headers=headers)
        else:
            self.mock.post(URL, body=body or b"", status=status, headers=headers)

    @property
    def posts(self):
        return [call for call in self.mock.calls if call.request.method == "POST"]

    @property
    def payloads(self):
        return [payload for payload, _ in map(read, self.posts)]

    @property
    def files(self):
        return [names for _, names in map(read, self.posts)]


def read(call):
    """Return the JSON of a request and the names of its files."""
    if call.request.headers["Content-Type"] == "application/json":
        return json.loads(call.request.body), []
    body = call.request.body.decode("latin-1")
    payload = re.search(r'name="payload_json".*?\r\n\r\n(.*?)\r\n--', body, re.DOTALL)[1]
    return json.loads(payload), re.findall(r'name="files\[\d\]"; filename="([^"]*)"', body)


@pytest.fixture
def discord():
    # Lists, in this registry, are used up in order: an answer that nobody scripted is a connection error.
    with responses.RequestsMock(registry=responses.registries.OrderedRegistry) as mock:
        made = Discord(mock)
        yield made
        for payload, names in map(read, made.posts):
            assert refusal(payload, names) is None


@pytest.fixture
def backend(clock):
    backend = DiscordBackend(PASTED, username="us", limiter=ProcessLimiter(clock))
    yield backend
    backend.close()


def event(message="Bought 1 ETH", *, level=TRADE, **parts):
    return Event(id=f"id of {message}", time=1_767_225_600.0, message=message, level=level, **parts)


# ---- delivered


@pytest.mark.parametrize(("status", "body"), [(200, {"id": "1"}), (204, None), (200, HTML)])
def test_a_message_that_discord_took_is_delivered(discord, backend, status, body):
    discord.answers(status, body)

    assert backend.send([event("one"), event("two")]) == 2

    (call,) = discord.mock.calls
    assert call.request.url == f"{URL}?wait=true"
    assert call.request.headers["User-Agent"] == (
        f"DiscordBot (https://github.com/tradingstrategy-ai/notify, {__version__})"
    )
    assert discord.payloads[0]["username"] == "us"


@pytest.mark.parametrize(
    ("url", "argument", "thread"),
    [(f"{PASTED}?thread_id=7", None, "7"), (PASTED, "8", "8"), (f"{PASTED}?thread_id=7", "8", "8")],
)
def test_messages_go_to_the_thread_that_is_named(discord, url, argument, thread):
    discord.answers(204)
    backend = DiscordBackend(url, thread_id=argument)

    backend.send([event()])
    backend.close()

    assert discord.mock.calls[0].request.params == {"wait": "true", "thread_id": thread}


def test_only_the_events_that_fit_are_reported_as_delivered(discord, backend):
    discord.answers(204)

    assert backend.send([event("Report", body="x" * 3000) for _ in range(10)]) == 1  # 2 of these are over 6000


def test_files_and_json_travel_in_one_request(discord, backend):
    discord.answers(204)

    backend.send([event(attachments=(Attachment("a.png", b"1"), Attachment("b.csv", b"2")))])

    assert discord.files == [["a.png", "b.csv"]]
    assert discord.payloads[0]["attachments"] == [{"id": "0", "filename": "a.png"}, {"id": "1", "filename": "b.csv"}]


# ---- refused for what it is


def test_of_a_refused_batch_the_first_event_is_sent_alone(discord, backend):
    discord.answers(400, BAD_FORM)
    discord.answers(204)

    assert backend.send([event("one"), event("two")]) == 1

    assert [len(payload["embeds"]) for payload in discord.payloads] == [2, 1]


def test_an_event_that_is_refused_alone_is_sent_as_plain_text(discord, backend):
    discord.answers(400, BAD_FORM)
    discord.answers(204)

    assert backend.send([event("one", body="two")]) == 1

    payload = discord.payloads[1]
    assert payload["content"].startswith("one\ntwo\n")
    assert payload.keys().isdisjoint({"embeds", "username", "avatar_url"})
    assert discord.files[1] == ["message.txt"]


def test_an_event_that_is_refused_as_plain_text_too_is_rejected_with_discords_reason(discord, backend):
    for _ in range(3):
        discord.answers(400, BAD_FORM)

    with pytest.raises(Rejected) as raised:
        backend.send([event("one"), event("two")])

    assert raised.value.reason == (
        "Discord answered 400, code 50035: Invalid Form Body: embeds.0.title: BASE_TYPE_MAX_LENGTH Must be 256 or fewer"
    )
    assert len(discord.payloads) == 3


def test_after_a_rejected_event_the_others_share_a_message_again(discord, backend):
    for _ in range(2):
        discord.answers(400, BAD_FORM)
    discord.answers(204)
    with pytest.raises(Rejected):
        backend.send([event("poison")])

    assert backend.send([event("one"), event("two")]) == 2


def test_what_was_refused_once_is_not_sent_like_that_again_after_a_wait(discord, backend, clock):
    discord.answers(400, BAD_FORM)
    discord.answers(503, HTML)
    discord.answers(204)
    with pytest.raises(RetryLater):
        backend.send([event("one"), event("two")])

    assert backend.send([event("one"), event("two")]) == 1

    assert [len(payload["embeds"]) for payload in discord.payloads] == [2, 1, 1]


@pytest.mark.parametrize(
    "body", [HTML, b"", b"[1]", b"[" * 100_000, {"errors": [1], "code": None}, NESTED, {"message": {"a": 1}}]
)
def test_a_refusal_in_an_unknown_form_is_a_refusal_all_the_same(discord, backend, body):
    discord.answers(400, body)
    discord.answers(400, body)

    with pytest.raises(Rejected, match=r"^Discord answered 400"):
        backend.send([event()])


def test_a_name_that_discord_refuses_is_left_out_from_then_on(discord, backend):
    discord.answers(400, {"code": 50035, "message": "Invalid Form Body", "errors": BAD_NAME})
    discord.answers(204)
    discord.answers(204)

    assert backend.send([event("one"), event("two")]) == 2
    assert backend.send([event("three")]) == 1

    assert [payload.get("username") for payload in discord.payloads] == ["us", None, None]


def test_a_refusal_that_blames_the_name_among_others_is_about_the_event(discord, backend):
    discord.answers(400, {"code": 50035, "errors": BAD_NAME | TOO_LONG})
    discord.answers(204)

    assert backend.send([event("one")]) == 1

    assert "embeds" not in discord.payloads[1]


def test_a_name_that_is_blamed_although_it_is_not_there_ends_in_a_rejection(discord):
    for _ in range(2):
        discord.answers(400, {"code": 50035, "errors": BAD_NAME})
    backend = DiscordBackend(PASTED)

    with pytest.raises(Rejected):
        backend.send([event()])
    backend.close()


def test_an_event_that_is_refused_for_a_link_in_it_does_not_stop_the_others(discord, backend):
    for _ in range(2):
        discord.answers(403, {"code": 240000, "message": "Message blocked by harmful links filter"})

    with pytest.raises(Rejected, match=r"^Discord answered 403, code 240000"):
        backend.send([event("https://harmful.example")])


# ---- too large


def test_what_is_too_large_is_sent_alone_and_then_without_its_files(discord, backend):
    for _ in range(2):
        discord.answers(413, TOO_LARGE)
    discord.answers(204)
    large = event("Report", attachments=(Attachment("a.bin", b"1"),))

    assert backend.send([large, event("two")]) == 1

    assert discord.files == [["a.bin"], ["a.bin"], []]
    assert "a.bin" in discord.payloads[2]["embeds"][0]["description"]


def test_what_is_too_large_without_files_is_rejected(discord, backend):
    for _ in range(2):
        discord.answers(413, TOO_LARGE)

    with pytest.raises(Rejected, match=r"^Discord answered 413, code 40005: Request entity too large$"):
        backend.send([event(attachments=(Attachment("a.bin", b"1"),))])


# ---- gone


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            401,
            {"code": 50027, "message": "Invalid Webhook Token"},
            "Discord answered 401, code 50027: Invalid Webhook Token",
        ),
        (
            403,
            {"code": 50013, "message": "Missing Permissions"},
            "Discord answered 403, code 50013: Missing Permissions",
        ),
        (404, {"code": 10015, "message": "Unknown Webhook"}, "Discord answered 404, code 10015: Unknown Webhook"),
        (404, {"code": 10003, "message": "Unknown Channel"}, "Discord answered 404, code 10003: Unknown Channel"),
    ],
)
def test_a_webhook_that_is_no_more_is_gone(discord, backend, status, body, reason):
    discord.answers(status, body)

    with pytest.raises(Gone) as raised:
        backend.send([event()])

    assert raised.value.reason == reason


# ---- later


@pytest.mark.parametrize("headers", [VIA, {}])
@pytest.mark.parametrize(
    ("retry_after", "header", "expected"),
    [(1.5, "2", 2.0), (2.5, "2", 2.5), (0.3, None, 1.0), (40, "41", 41.0), (1e9, "2", 3600.0)],
)
def test_a_rate_limit_is_waited_for_as_long_as_discord_says(discord, backend, headers, retry_after, header, expected):
    body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": False}
    discord.answers(429, body, headers | ({"Retry-After": header} if header else {}))

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after == expected


def test_a_limit_that_a_channel_shares_is_waited_for(discord, backend):
    discord.answers(429, {"retry_after": 40.0}, VIA | {"X-RateLimit-Scope": "shared"})

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after == 40


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"error code: 1015",
        {"code": 0, "message": "You are being blocked"},
        {"retry_after": "soon"},
        {"retry_after": -1},
    ],
)
@pytest.mark.parametrize("header", [None, "1", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_ban_by_cloudflare_is_waited_for_ten_minutes(discord, backend, body, header):
    discord.answers(429, body, {"Retry-After": header} if header else {})

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after == 600


def test_an_address_that_cloudflare_forbids_is_banned_and_the_webhook_not_gone(discord, backend):
    discord.answers(403, HTML, {})

    with pytest.raises(RetryLater, match=r"^Discord answered 403$") as raised:
        backend.send([event()])

    assert raised.value.after == 600


def test_before_a_wait_is_over_nothing_is_sent(discord, backend, clock):
    discord.answers(429, {"retry_after": 5.0, "message": "limit", "global": False})
    discord.answers(204)
    with pytest.raises(RetryLater):
        backend.send([event()])

    clock.advance(4)
    with pytest.raises(RetryLater) as raised:
        backend.send([event()])
    assert raised.value.after == pytest.approx(1)
    assert len(discord.mock.calls) == 1

    clock.advance(1)
    assert backend.send([event()]) == 1


def test_after_the_last_request_of_a_window_nothing_is_sent_until_its_end(discord, backend, clock):
    discord.answers(204, headers=VIA | {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.725"})
    discord.answers(204, headers=VIA | {"X-RateLimit-Remaining": "4", "X-RateLimit-Reset-After": "2.000"})
    discord.answers(204)

    assert backend.send([event("one")]) == 1
    with pytest.raises(RetryLater) as raised:
        backend.send([event("two")])
    assert raised.value.after == pytest.approx(1.725)
    clock.advance(1.725)
    assert backend.send([event("two")]) == 1
    assert backend.send([event("three")]) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {"message": "500", "code": 0}), (502, HTML), (503, b""), (301, HTML), (407, HTML), (408, b"")],
)
def test_trouble_at_discord_or_on_the_way_is_a_reason_to_retry(discord, backend, status, body):
    discord.answers(status, body)

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after is None
    assert raised.value.reason.startswith(f"Discord answered {status}")


@pytest.mark.parametrize(
    "error", [requests.ConnectionError, requests.ReadTimeout, requests.exceptions.SSLError, RuntimeError]
)
def test_a_failure_on_the_way_is_a_reason_to_retry_and_shows_no_url(discord, backend, error):
    discord.answers(200, error(f"Max retries exceeded with url: {URL}"))

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after is None
    assert TOKEN not in "".join(traceback.format_exception(raised.value))


# ---- nothing that tells where the webhook is


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500])
def test_no_error_shows_the_token_even_if_the_answer_does(discord, backend, status):
    echo = {
        "code": 1,
        "message": f"No {URL} with {TOKEN}",
        "errors": {TOKEN: {"_errors": [{"code": TOKEN, "message": URL}]}},
    }
    for _ in range(2 if status == 400 else 1):
        discord.answers(status, echo)

    with pytest.raises((Rejected, Gone, RetryLater)) as raised:
        backend.send([event()])

    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    assert len(str(raised.value)) <= 200
    assert TOKEN not in repr(backend)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"url": "https://evil.example/canary"}, "not a webhook URL"),
        ({"url": PASTED, "mention": "canary"}, "not a mention"),
        ({"url": PASTED, "thread_id": "canary"}, "not an id"),
        ({"url": PASTED, "avatar_url": "canary"}, "not the address of a picture"),
        ({"url": PASTED, "avatar_url": "https://canary/" + "x" * 2048}, "not the address of a picture"),
    ],
)
def test_an_unusable_argument_is_refused_without_being_shown(arguments, text):
    with pytest.raises(ValueError, match=f"^{text}") as raised:
        DiscordBackend(**arguments)

    assert "canary" not in str(raised.value)


# ---- how messages look and sound


def test_picture_mention_and_silence_are_in_the_message(discord):
    discord.answers(204)
    backend = DiscordBackend(PASTED, avatar_url="https://example.com/a.png", mention="&5", silent=lambda event: True)

    backend.send([event("Crashed", level=logging.ERROR)])
    backend.close()

    (payload,) = discord.payloads
    assert payload["avatar_url"] == "https://example.com/a.png"
    assert payload["content"] == "<@&5>"
    assert payload["flags"] == 4096  # SUPPRESS_NOTIFICATIONS


def test_the_backend_keeps_the_contract_of_backends():
    with FakeDiscord(speed=1000) as server:  # its limits, a thousand times as fast, do not hold up a test
        check_backend(lambda: DiscordBackend(server.url), secrets=[FAKE_TOKEN, server.url])

    assert server.refusals == []


def test_a_check_says_that_the_webhook_is_there_and_posts_nothing():
    with FakeDiscord() as discord:
        backend = DiscordBackend(discord.url)

        found = backend.check()
        backend.close()

    assert found == "the webhook is there: 'stand-in'"
    assert discord.messages == []


def test_a_check_of_a_deleted_webhook_says_so_without_naming_it(discord, backend):
    discord.mock.get(URL, json={"code": 10015, "message": "Unknown Webhook"}, status=404, headers=VIA)

    with pytest.raises(Gone) as raised:
        backend.check()

    assert str(raised.value) == "Discord answered 404, code 10015: Unknown Webhook"


def test_a_check_that_discord_cannot_answer_now_says_so(discord, backend):
    discord.mock.get(URL, body="bad gateway", status=502)

    with pytest.raises(RetryLater, match="Discord answered 502"):
        backend.check()
