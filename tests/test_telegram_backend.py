"""What the Telegram backend makes of each answer."""

import logging
import traceback

import pytest
from raw_server import breaking_off, dripping, raw

from notify.backends.telegram import TelegramBackend
from notify.backends.telegram.limiter import ProcessLimiter
from notify.cli.test import chart
from notify.errors import Gone, Rejected, RetryLater, Unfit
from notify.event import Attachment, Event
from notify.testing import check_backend
from notify.testing.fake_telegram import (
    BAD_GATEWAY,
    BLOCKED,
    CHAT_ID,
    CHAT_NOT_FOUND,
    DEACTIVATED,
    DRIP,
    HANG,
    KICKED,
    RESET,
    RESET_EARLY,
    RESET_LATE,
    TOKEN,
    FakeTelegram,
    Reply,
    rate_limited,
    refused,
)

SECRET = TOKEN.partition(":")[2]
SUPERGROUP = -1009999999999
PARTS = "\n".join(f"line {number:04}" for number in range(800))  # 8,000 characters: two messages
TAKEN = Reply(200, {"ok": True, "result": {}}, keeps=True)
BAD_HTML = refused(400, "Bad Request: can't parse entities: Unclosed start tag at byte offset 5")


@pytest.fixture
def telegram():
    with FakeTelegram(speed=1000) as server:  # its limits, a thousand times as fast, hold up no test
        yield server
        assert server.refusals == []


@pytest.fixture
def backend(telegram, clock):
    backend = TelegramBackend(TOKEN, CHAT_ID, base=telegram.base, limiter=ProcessLimiter(clock))
    yield backend
    backend.close()


def event(message="Bought 1 ETH", *, number=1, level=logging.INFO, **parts):
    return Event(id=f"id-{number}", time=1_767_225_600.0, message=message, level=level, **parts)


def image(name="equity.png"):
    return Attachment(name, chart(), "image/png")


# ---- delivered


def test_an_event_is_one_message(telegram, backend):
    assert backend.send([event(), event("another", number=2)]) == 1

    (message,) = telegram.messages
    assert message.text == "Bought 1 ETH\n\nlog · id-1"
    assert (message.method, message.chat_id, message.silent) == ("sendMessage", CHAT_ID, False)


def test_an_image_is_a_photo_under_its_text(telegram, backend):
    backend.send([event("Equity", attachments=(image(),))])

    (message,) = telegram.messages
    assert (message.method, message.file_name, message.file) == ("sendPhoto", "equity.png", chart())
    assert message.text.startswith("Equity")


def test_a_report_is_sent_part_by_part(telegram, backend):
    backend.send([event("Report", body=PARTS, attachments=(image(), Attachment("trades.csv", b"a,b")))])

    assert [message.method for message in telegram.messages] == [
        "sendMessage",
        "sendMessage",
        "sendPhoto",
        "sendDocument",
    ]
    assert [message.silent for message in telegram.messages] == [False, True, True, True]


@pytest.mark.parametrize(("level", "silent"), [(logging.ERROR, True), (logging.CRITICAL, False)])
def test_a_critical_event_always_sounds(telegram, clock, level, silent):
    backend = TelegramBackend(
        TOKEN, CHAT_ID, base=telegram.base, silent=lambda event: True, limiter=ProcessLimiter(clock)
    )

    backend.send([event(level=level)])
    backend.close()

    assert telegram.messages[0].silent is silent


# ---- what was sent is not sent again

FAILURES = {
    "500": (500, "Telegram answered 500"),
    "502": (BAD_GATEWAY, "an answer of 502 that is not Telegram's"),
    "reset": (RESET, "connection lost"),
    "reset early": (RESET_EARLY, "connection lost"),
    "429": (rate_limited(3), "Telegram answered 429"),
}


@pytest.mark.parametrize(("failure", "why"), FAILURES.values(), ids=FAILURES)
def test_after_a_failure_in_the_middle_the_rest_follows(telegram, backend, clock, failure, why):
    telegram.answer_with(TAKEN, failure)
    report = event("Report", body=PARTS, attachments=(image(),))
    with pytest.raises(RetryLater, match=why):
        backend.send([report])
    clock.advance(60)

    assert backend.send([report]) == 1

    assert [message.method for message in telegram.messages] == ["sendMessage", "sendMessage", "sendPhoto"]
    assert ["(1/2)" in telegram.texts[0], "(2/2)" in telegram.texts[1]] == [True, True]


def test_an_urgent_event_in_between_costs_no_repetition(telegram, backend, clock):
    telegram.answer_with(TAKEN, 500)
    report = event("Report", body=PARTS)
    with pytest.raises(RetryLater):
        backend.send([report])
    clock.advance(60)
    backend.send([event("urgent", number=2)])
    clock.advance(60)

    backend.send([report])

    assert [text.split("\n")[0] for text in telegram.texts][:2] == [
        "<b>Report</b>",
        "urgent",
    ]  # the first is kept unread
    assert "(2/2)" in telegram.texts[2]
    assert len(telegram.texts) == 3


def test_what_lasts_longer_than_a_burst_goes_on_after_a_wait(telegram, backend, clock):
    pictures = tuple(image(f"{number}.png") for number in range(6))
    report = event("Report", attachments=pictures)
    with pytest.raises(RetryLater, match="the rest of the event follows") as raised:
        backend.send([report])
    assert raised.value.after == 1
    assert len(telegram.messages) == 5  # at once

    clock.advance(1)
    backend.send([report])

    assert [message.file_name for message in telegram.messages] == [picture.filename for picture in pictures]


def test_the_next_event_waits_for_the_seconds_of_this_one(telegram, backend, clock):
    backend.send([event("Report", body=PARTS)])

    assert backend.ready_in() == 2  # two messages
    with pytest.raises(RetryLater, match="nothing was sent"):
        backend.send([event("next", number=2)])
    assert len(telegram.messages) == 2


# ---- refused for what it is


def test_html_that_telegram_refuses_is_sent_as_plain_text(telegram, backend):
    telegram.answer_with(BAD_HTML)

    assert backend.send([event("a <b>")]) == 1

    assert telegram.texts == ["a <b>\n\nlog · id-1"]
    assert "parse_mode" not in telegram.messages[0].payload


def test_what_is_refused_as_plain_text_too_is_rejected_with_telegrams_reason(telegram, backend, clock):
    telegram.answer_with(BAD_HTML, BAD_HTML)

    with pytest.raises(Rejected) as raised:
        backend.send([event("poison")])

    assert raised.value.reason == f"Telegram answered 400: {BAD_HTML.body['description']}"
    assert telegram.requests == ["sendMessage"] * 2
    clock.advance(60)
    assert backend.send([event("next", number=2)]) == 1


def test_a_photo_that_telegram_refuses_is_sent_as_a_document(telegram, backend):
    telegram.answer_with(refused(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"))

    backend.send([event("Equity", attachments=(image(),))])

    (message,) = telegram.messages
    assert (message.method, message.text[:6]) == ("sendDocument", "Equity")


@pytest.mark.parametrize("refusal", [400, 413, Reply(413, b"<html>413 Request Entity Too Large</html>")])
def test_a_file_that_telegram_refuses_is_left_out_with_a_word_about_it(telegram, backend, refusal):
    telegram.answer_with(TAKEN, refusal)

    backend.send([event("Trades", attachments=(Attachment("trades.csv", b"a,b"),))])

    assert telegram.requests == ["sendMessage", "sendDocument", "sendMessage"]
    assert telegram.texts[1] == "✂️ Left out, because Telegram refused it: trades.csv (3 bytes)."


def test_what_was_refused_once_is_not_sent_like_that_again_after_a_wait(telegram, backend, clock):
    telegram.answer_with(BAD_HTML, 500)
    with pytest.raises(RetryLater):
        backend.send([event()])
    clock.advance(60)

    backend.send([event()])

    assert "parse_mode" not in telegram.messages[0].payload
    assert len(telegram.requests) == 3


# ---- later


def test_a_rate_limit_is_waited_for_as_long_as_telegram_says(telegram, backend, clock):
    telegram.answer_with(rate_limited(37))

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after == 37
    assert backend.ready_in() == 37
    clock.advance(36)
    with pytest.raises(RetryLater):
        backend.send([event()])
    assert len(telegram.requests) == 1
    clock.advance(1)
    assert backend.send([event()]) == 1


def test_a_rate_limit_of_something_on_the_way_is_waited_for_too(telegram, backend):
    telegram.answer_with(Reply(429, b"<html>slow down</html>", {"Retry-After": "20"}))

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after == 20


@pytest.mark.parametrize(
    "reply",
    [
        500,
        BAD_GATEWAY,
        Reply(301, b""),
        Reply(404, b"<html>Not found</html>"),
        Reply(403, b"blocked by your provider"),
        Reply(200, b"<html>Log in to the hotel's network</html>"),
        refused(409, "Conflict"),
        RESET,
    ],
)
def test_trouble_at_telegram_or_on_the_way_is_a_reason_to_retry(telegram, backend, reply):
    telegram.answer_with(reply)

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])

    assert raised.value.after is None
    assert telegram.messages == []


def test_a_server_that_hangs_is_left_at_the_deadline(telegram, clock):
    telegram.answer_with(HANG)
    backend = TelegramBackend(TOKEN, CHAT_ID, base=telegram.base, limiter=ProcessLimiter(clock), deadline_seconds=2.0)

    with pytest.raises(RetryLater, match=r"no answer within 2 s"):
        backend.send([event()])
    clock.advance(1)
    assert backend.send([event()]) == 1
    backend.close()


@pytest.mark.parametrize("reply", [DRIP, Reply(200, b"", keeps=True)])
def test_a_message_that_was_taken_is_not_sent_again_for_want_of_a_whole_answer(telegram, clock, reply):
    telegram.answer_with(reply)
    backend = TelegramBackend(TOKEN, CHAT_ID, base=telegram.base, limiter=ProcessLimiter(clock), deadline_seconds=2.0)

    assert backend.send([event()]) == 1
    backend.close()

    assert len(telegram.messages) == 1


def test_an_answer_that_breaks_off_is_an_answer(clock):
    with raw(breaking_off(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"ok":true,"res')) as server:
        backend = TelegramBackend(TOKEN, 5, base=f"http://{server.authority}", limiter=ProcessLimiter(clock))

        assert backend.send([event()]) == 1
        backend.close()


def test_a_refusal_that_drips_is_left_at_the_deadline(clock):
    with raw(dripping(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5000\r\n\r\n")) as server:
        base = f"http://{server.authority}"
        backend = TelegramBackend(TOKEN, 5, base=base, limiter=ProcessLimiter(clock), deadline_seconds=0.2)

        with pytest.raises(RetryLater, match="no answer within"):
            backend.send([event()])
        backend.close()


def test_a_message_whose_answer_was_lost_is_sent_again(telegram, backend, clock):
    telegram.answer_with(RESET_LATE)
    with pytest.raises(RetryLater):
        backend.send([event()])
    clock.advance(1)

    backend.send([event()])

    assert len(telegram.messages) == 2


# ---- gone


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (BLOCKED, "Telegram answered 403: Forbidden: bot was blocked by the user"),
        (KICKED, "Telegram answered 403: Forbidden: bot was kicked from the supergroup chat"),
        (DEACTIVATED, "Telegram answered 403: Forbidden: user is deactivated"),
        (CHAT_NOT_FOUND, "Telegram answered 400: Bad Request: chat not found"),
        (
            refused(400, "Bad Request: have no rights to send a message"),
            "Telegram answered 400: Bad Request: have no rights to send a message",
        ),
        (401, "Telegram answered 401: Unauthorized"),
        (404, "Telegram answered 404: Not Found"),
    ],
)
def test_a_bot_or_a_chat_that_is_no_more_is_gone(telegram, backend, reply, why):
    telegram.answer_with(reply)

    with pytest.raises(Gone) as raised:
        backend.send([event()])

    assert raised.value.reason == why
    assert len(telegram.requests) == 1


def test_another_bots_token_is_gone(telegram, clock):
    backend = TelegramBackend(TOKEN[:-1] + "x", CHAT_ID, base=telegram.base, limiter=ProcessLimiter(clock))

    with pytest.raises(Gone, match="401: Unauthorized"):
        backend.send([event()])
    backend.close()


def test_a_chat_that_takes_no_photos_is_not_gone(telegram, backend):
    telegram.answer_with(*[refused(400, "Bad Request: not enough rights to send photos to the chat")] * 2)

    backend.send([event("Equity", attachments=(image(),))])

    assert "Left out, because Telegram refused it: equity.png" in telegram.texts[0]


# ---- moved


def test_a_group_that_moved_is_followed_and_that_is_said_once(telegram, backend, clock, capsys):
    telegram.move(SUPERGROUP)

    backend.send([event("one")])
    clock.advance(2)
    backend.send([event("two", number=2)])

    assert [message.chat_id for message in telegram.messages] == [SUPERGROUP] * 2
    assert telegram.requests == ["sendMessage"] * 3
    assert capsys.readouterr().err == (
        f"notify: telegram: the group has become a supergroup, and its id {SUPERGROUP}, which is used from now on: set "
        "TELEGRAM_CHAT_ID to that\n"
    )


def test_a_group_that_moves_without_end_is_not_followed_for_ever(telegram, backend):
    telegram.answer_with(*[refused(400, "upgraded", migrate_to_chat_id=-number) for number in range(1, 50)])

    with pytest.raises(RetryLater, match="one chat after the other"):
        backend.send([event()])

    assert len(telegram.requests) == 3


# ---- whatever happens, no token


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_no_error_shows_the_token_even_if_the_answer_does(telegram, backend, status):
    echo = f"no https://api.telegram.org/bot{TOKEN}/sendMessage of {TOKEN} or {SECRET}"
    telegram.answer_with(*[refused(status, echo)] * 2)

    with pytest.raises((RetryLater, Rejected, Gone)) as raised:
        backend.send([event()])

    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert str(raised.value).startswith(f"Telegram answered {status}")


def test_a_failure_on_the_way_shows_no_token(clock):
    backend = TelegramBackend(TOKEN, 5, base="http://127.0.0.1:1", limiter=ProcessLimiter(clock))

    with pytest.raises(RetryLater) as raised:
        backend.send([event()])
    backend.close()

    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b'{"ok": "yes"}', b"{" * 1000, b'{"ok": false, "error_code": "x", "parameters": [1]}']
)
@pytest.mark.parametrize("status", [400, 500])
def test_an_answer_in_an_unknown_form_breaks_nothing(telegram, backend, status, body):
    telegram.answer_with(*[Reply(status, body)] * 2)

    with pytest.raises((RetryLater, Rejected)):
        backend.send([event()])


# ---- the contract, and doctor


def test_the_backend_keeps_the_contract_of_backends(clock):
    with FakeTelegram(speed=1000) as server:

        def make():
            return TelegramBackend(TOKEN, CHAT_ID, base=server.base, limiter=ProcessLimiter())

        check_backend(make, secrets=[SECRET, server.base])

    assert set(server.refusals) <= {"PHOTO_INVALID_DIMENSIONS"}


def test_a_check_names_the_bot_and_the_chat_and_sends_nothing(telegram, backend):
    assert backend.check() == "the bot is @stand_in_bot, the chat 'Alerts' (supergroup)"
    assert telegram.requests == []


def test_a_check_of_a_group_that_moved_says_where_to(telegram, backend):
    telegram.move(SUPERGROUP)

    with pytest.raises(Unfit, match=rf", which is now {SUPERGROUP}: set TELEGRAM_CHAT_ID to that$"):
        backend.check()


def test_a_check_of_a_chat_that_is_not_there_says_so(telegram, clock):
    backend = TelegramBackend(TOKEN, 7, base=telegram.base, limiter=ProcessLimiter(clock))

    with pytest.raises(Gone, match="chat not found"):
        backend.check()
    backend.close()


def test_a_check_that_telegram_cannot_answer_now_says_so(clock):
    with raw(breaking_off(b"")) as server:
        backend = TelegramBackend(TOKEN, 5, base=f"http://{server.authority}", limiter=ProcessLimiter(clock))

        with pytest.raises(RetryLater):
            backend.check()
        backend.close()
