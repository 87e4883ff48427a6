"""The stand-in for Telegram: it refuses, limits and fails as Telegram does."""

import threading
import time

import pytest
import requests

from notify.cli.test import chart
from notify.rules.redaction import Redactor
from notify.testing.fake_telegram import CHAT_ID, RESET, RESET_LATE, TOKEN, FakeTelegram, Reply, rate_limited
from notify.testing.telegram_rules import Refused, shown

SECONDS = 5  # of patience with a server on this machine
PNG = chart()


@pytest.fixture
def telegram():
    before = set(threading.enumerate())
    with FakeTelegram(speed=1000) as server:
        yield server
    assert set(threading.enumerate()) <= before


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


def send(session, server, text="hello", *, token=TOKEN, method="sendMessage", **more):
    body = {"chat_id": CHAT_ID, "text": text, **more}
    return session.post(f"{server.base}/bot{token}/{method}", json=body, timeout=SECONDS)


def upload(session, server, method, kind, data, **fields):
    url = f"{server.base}/bot{TOKEN}/{method}"
    values = {"chat_id": str(CHAT_ID), **fields}
    return session.post(url, data=values, files={kind: ("a.bin", data)}, timeout=SECONDS)


# ---- messages


def test_a_message_is_kept_and_answered(telegram, session):
    before = time.monotonic()

    answer = send(session, telegram, "<b>hello</b>", parse_mode="HTML", disable_notification=True)

    assert answer.json() == {"ok": True, "result": {"message_id": 1, "chat": {"id": CHAT_ID}}}
    (message,) = telegram.messages
    assert (message.text, message.payload["text"], message.silent) == ("hello", "<b>hello</b>", True)
    assert before <= message.time <= time.monotonic()


@pytest.mark.parametrize(
    ("method", "kind", "data"), [("sendPhoto", "photo", PNG), ("sendDocument", "document", b"\r\n--\0")]
)
def test_a_file_is_kept_byte_for_byte_with_its_caption(telegram, session, method, kind, data):
    answer = upload(
        session, telegram, method, kind, data, caption="<i>x</i>", parse_mode="HTML", disable_notification="true"
    )

    assert answer.status_code == 200
    (message,) = telegram.messages
    assert (message.method, message.file_name, message.file, message.text) == (method, "a.bin", data, "x")
    assert message.silent


def test_the_bot_and_the_chat_can_be_asked_for(telegram, session):
    def ask(method):
        return session.get(f"{telegram.base}/bot{TOKEN}/{method}?chat_id={CHAT_ID}", timeout=SECONDS).json()["result"]

    assert ask("getMe")["username"] == "stand_in_bot"
    assert ask("getChat") == {"id": CHAT_ID, "type": "supergroup", "title": "Alerts"}
    assert telegram.requests == []


# ---- refusals


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("损<p>", 'Unsupported start tag "p" at byte offset 3'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b><i>x</b></i>", "Unmatched end tag at byte offset 7"),
        ("1 < 2", "Unclosed start tag at byte offset 2"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<>", 'Unsupported start tag "" at byte offset 0'),
        ("<!-- x -->", 'Unsupported start tag "" at byte offset 0'),
        ("<b class='x'>x</b>", 'Unsupported start tag "b" at byte offset 0'),
        ("<br/>", 'Unsupported start tag "br" at byte offset 0'),
    ],
)
def test_html_that_does_not_parse_is_refused(telegram, session, html, said):
    answer = send(session, telegram, html, parse_mode="HTML")

    description = f"Bad Request: can't parse entities: {said}"
    assert answer.json() == {"ok": False, "error_code": 400, "description": description}
    assert telegram.refusals == [f"can't parse entities: {said}"]
    assert telegram.messages == []


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>1 &lt; 2 &amp;&amp; 3 &gt; 2</b>", "1 < 2 && 3 > 2"),
        ("&quot;&#39;&#x27; &copy; &nbsp; & &unknown;", "\"'' &copy; &nbsp; & &unknown;"),
        ('<pre><code class="language-python">x</code></pre><a href="https://x">y</a>', "xy"),
        ('<span class="tg-spoiler">x</span><B>y</B> 1 > 2', "xy 1 > 2"),
    ],
)
def test_html_that_telegram_knows_is_shown(html, text):
    assert shown(html) == text


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("", {}, "message text is empty"),
        (" \n\u200b\u3164", {}, "message text is empty"),
        ("<b> </b>", {"parse_mode": "HTML"}, "message text is empty"),
        ("x" * 4097, {}, "message is too long"),
        ("🚀" * 2049, {}, "message is too long"),  # 4098 UTF-16 units
        ("x", {"parse_mode": "Markdown5"}, "unsupported parse_mode"),
        (7, {}, "strings must be encoded in UTF-8"),
    ],
)
def test_a_text_that_telegram_does_not_take_is_refused(telegram, session, text, more, said):
    assert send(session, telegram, text, **more).json()["description"] == f"Bad Request: {said}"


def test_markup_does_not_count(telegram, session):
    assert send(session, telegram, f"<b>{'&lt;' * 4096}</b>", parse_mode="HTML").status_code == 200


@pytest.mark.parametrize(
    ("method", "kind", "data", "fields", "said"),
    [
        ("sendDocument", "document", b"", {}, "file must be non-empty"),
        ("sendDocument", "other", b"x", {}, "there is no document in the request"),
        ("sendDocument", "document", b"x", {"caption": "x" * 1025}, "message caption is too long"),
        ("sendPhoto", "photo", b"GIF89a", {}, "IMAGE_PROCESS_FAILED"),
        ("sendPhoto", "photo", PNG[:16] + bytes([0, 0, 0, 1, 0, 0, 1, 0]), {}, "PHOTO_INVALID_DIMENSIONS"),  # 1 × 256
    ],
)
def test_a_file_that_telegram_does_not_take_is_refused(telegram, session, method, kind, data, fields, said):
    assert upload(session, telegram, method, kind, data, **fields).json()["description"] == f"Bad Request: {said}"


def test_a_file_that_is_too_large_is_refused(telegram, session):
    answer = upload(session, telegram, "sendDocument", "document", bytes(50_000_001))

    assert (answer.status_code, answer.json()["description"]) == (413, "Request Entity Too Large")


@pytest.mark.parametrize(
    ("token", "chat", "method", "status", "said"),
    [
        (TOKEN[:-1] + "x", CHAT_ID, "sendMessage", 401, "Unauthorized"),
        ("nonsense", CHAT_ID, "sendMessage", 404, "Not Found"),
        (TOKEN, 5, "sendMessage", 400, "Bad Request: chat not found"),
        (TOKEN, CHAT_ID, "sendSmoke", 404, "Not Found: method not found"),
    ],
)
def test_another_bot_chat_or_method_is_not_found(telegram, session, token, chat, method, status, said):
    answer = send(session, telegram, token=token, chat_id=chat, method=method)

    assert (answer.status_code, answer.json()["description"]) == (status, said)


def test_what_is_no_json_is_a_message_to_no_chat(telegram, session):
    answer = session.post(f"{telegram.base}/bot{TOKEN}/sendMessage", data=b"{", timeout=SECONDS)

    assert answer.json()["description"] == "Bad Request: chat not found"


def test_a_group_that_moved_names_its_new_id(telegram, session):
    telegram.move(-5)

    old = send(session, telegram)
    new = send(session, telegram, chat_id=-5)

    assert old.json()["parameters"] == {"migrate_to_chat_id": -5}
    assert new.status_code == 200


# ---- limits


def test_a_burst_is_limited_and_the_wait_is_told(session):
    with FakeTelegram() as telegram:
        statuses = [send(session, telegram).status_code for _ in range(6)]
        answer = send(session, telegram)

    assert statuses == [200] * 5 + [429]
    assert answer.json() == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 1",
        "parameters": {"retry_after": 1},
    }
    assert (telegram.limited, telegram.too_early) == (2, 1)


def test_a_group_takes_twenty_a_minute(session):
    with FakeTelegram(speed=100) as telegram:  # a minute of its limits is 0.6 s, and a second 10 ms
        statuses = []
        while len(telegram.messages) < 20:
            statuses.append(send(session, telegram).status_code)
        waited = 0.0
        begin = telegram.messages[0].time
        while send(session, telegram).status_code == 429:
            waited = time.monotonic() - begin

    assert waited >= 0.5  # s


# ---- what it is told


def test_it_answers_as_it_is_told_and_is_well_after_that(telegram, session):
    telegram.answer_with(500, rate_limited(7), Reply(200, b"<html>"), RESET)

    assert send(session, telegram).json()["description"] == "Internal Server Error"
    assert send(session, telegram).json()["parameters"] == {"retry_after": 7}
    assert send(session, telegram).content == b"<html>"
    with pytest.raises(requests.ConnectionError):
        send(session, telegram)
    assert send(session, telegram).status_code == 200
    assert len(telegram.messages) == 1
    assert telegram.too_early == 3


def test_a_message_may_be_kept_before_its_connection_breaks(telegram, session):
    telegram.answer_with(RESET_LATE)

    with pytest.raises(requests.ConnectionError):
        send(session, telegram)

    assert telegram.texts == ["hello"]


def test_its_token_looks_like_one():
    assert TOKEN.partition(":")[2] not in Redactor().text(f"at bot{TOKEN}/sendMessage")


def test_the_rules_say_what_is_wrong():
    with pytest.raises(Refused, match="Unclosed start tag"):
        shown("<")
